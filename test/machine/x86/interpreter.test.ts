/** Where instructions are done: what the interpreter has a handler for is not left to the evaluator. */
import { afterEach, describe, expect, it, vi } from 'vitest';
import * as block from '../../../machine/vcpu.ts';
import { decode } from '../../../machine/x86/decoder.ts';
import { disassembleBytes } from '../../../machine/x86/disassembler.ts';
import { Evaluator } from '../../../machine/x86/evaluator.ts';
import { frequentHandlers } from '../../../machine/x86/frequent.ts';
import * as record from '../../../machine/x86/record.ts';
import { encodingsOf } from '../../../machine/x86/representatives.ts';
import { signatureOf } from '../../../machine/x86/signature.ts';
import { EngineMachine } from './engine-fixture.ts';

const { MXCSR, RAX, RBX, RCX, RFLAGS, RIP, RSP, XMM } = block;
const CODE = 0x10000;
const DATA = 0x20000;
const STACK = 0x30000;
/** All exceptions masked, PE set: what a program has after its first inexact result. */
const USUAL_MXCSR = 0x1fa0;
const ONE = 0x3ff0000000000000n;
const CHANGES = 10_000;

afterEach(() => {
  vi.restoreAllMocks();
});

describe('the interpreter', () => {
  it('does every instruction that is called frequent by itself', () => {
    const host = new EngineMachine(16);
    const code = host.map(CODE, 'rx');
    for (const page of [DATA, STACK - 4096]) host.map(page, 'rw');
    const { vcpu, engine, machine } = host;
    const frequent = new Map(
      frequentHandlers().map(({ signature: { key, operation } }) => [key, operation.form]),
    );
    const evaluated = vi.spyOn(Evaluator.prototype, 'step');
    const left: string[] = [];
    let done = 0;
    for (const encoding of [...new Set(frequent.values())].flatMap(encodingsOf)) {
      const bytes = Uint8Array.from({ length: 15 }, (_, i) => encoding[i] ?? 0);
      const operation = decode(bytes);
      if (typeof operation === 'string') continue;
      if (!frequent.has(signatureOf(operation, 0)?.key ?? '')) continue;
      machine.memory.frame(code).set(bytes);
      machine.memory.wrote(code);
      vcpu.set(RIP, CODE);
      vcpu.set(8 * RBX, DATA);
      vcpu.set(8 * RCX, 16);
      vcpu.set(8 * RSP, STACK - 64);
      vcpu.setLow(MXCSR, USUAL_MXCSR);
      vcpu.set(RFLAGS, 2);
      for (const each of [XMM + 16, XMM + 32]) vcpu.setBig(each, ONE);
      expect(engine.run(vcpu, 1)).toEqual({ kind: 'done' });
      if (evaluated.mock.calls.length > done) left.push(disassembleBytes(bytes));
      done = evaluated.mock.calls.length;
    }
    expect(left).toEqual([]);
  });
});

describe('an address', () => {
  it.each([0x7fffffff, 0x40000000, -0x40000001, -0x80000000])(
    'has any displacement of 32 bits, as those of a kernel at the top have: %i',
    (displacement) => {
      const host = new EngineMachine(16);
      const code = host.map(CODE, 'rx');
      const { vcpu, engine, machine } = host;
      const data = 2 ** 32 + DATA;
      machine.memory.view.setUint32(machine.memory.frameAt(host.map(data, 'rw')), 0x1234, true);
      // mov eax, [rbx + displacement]; mov ecx, [rbx + rdx + displacement]
      const bytes = new Uint8Array(Int32Array.of(displacement).buffer);
      machine.memory.frame(code).set([0x8b, 0x83, ...bytes, 0x8b, 0x8c, 0x13, ...bytes]);
      vcpu.set(RIP, CODE);
      vcpu.set(8 * RBX, data - displacement);
      const evaluated = vi.spyOn(Evaluator.prototype, 'step');
      engine.run(vcpu, 2);
      expect([vcpu.get(8 * RAX), vcpu.get(8 * RCX)]).toEqual([0x1234, 0x1234]);
      expect(evaluated).not.toHaveBeenCalled();
    },
  );
});

describe('code that changes itself', () => {
  it('is what it was made last, however often: records of a page come to an end, and begin anew', () => {
    const host = new EngineMachine(8);
    const code = host.map(CODE, 'rwx');
    const { vcpu, engine, machine } = host;
    // mov [rip + 2], cl into the next: add eax, imm8; dec ecx; jnz
    const loop = [0x88, 0x0d, 2, 0, 0, 0, 0x83, 0xc0, 0, 0xff, 0xc9, 0x75, 0xf3];
    machine.memory.frame(code).set(loop);
    vcpu.set(RIP, CODE);
    vcpu.set(8 * RAX, 0);
    vcpu.set(8 * RCX, CHANGES);
    expect(engine.run(vcpu, 4 * CHANGES)).toEqual({ kind: 'done' });
    let sum = 0;
    for (let i = CHANGES; i > 0; i--) sum = (sum + ((i << 24) >> 24)) >>> 0;
    expect([vcpu.rip, vcpu.get(8 * RAX), vcpu.get(8 * RCX)]).toEqual([CODE + loop.length, sum, 0]);
  });
});

describe('the vCPU block', () => {
  /** Numbers in it that are no fields: of registers, of parts of a record, of handlers, masks. */
  const fields = (module: object, names: RegExp): Array<[string, number]> =>
    Object.entries(module).filter(
      ([name, value]) => typeof value === 'number' && value >= 128 && !names.test(name),
    ) as Array<[string, number]>;

  it('has a place of its own for each field', () => {
    const all = [
      ...fields(block, /^(RFLAGS_|MODE_|VCPU_)/),
      ...fields(record, /^(FIRST_RECORD|PAGE_RECORD|CROSSING_)/),
    ];
    const at = new Map<number, string>();
    for (const [name, offset] of all) {
      expect(`${name}, ${at.get(offset) ?? 'alone'} at ${offset}`).toBe(
        `${name}, alone at ${offset}`,
      );
      at.set(offset, name);
    }
    expect(at.size).toBeGreaterThan(50);
  });
});
