/** A comparison and the branch after it have one handler: nobody may notice. */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { ICOUNT, RAX, RBX, RFLAGS, RIP } from '../../../machine/vcpu.ts';
import { decode } from '../../../machine/x86/decoder.ts';
import { disassembleBytes } from '../../../machine/x86/disassembler.ts';
import { Evaluator } from '../../../machine/x86/evaluator.ts';
import { frequentHandlers } from '../../../machine/x86/frequent.ts';
import { encodingsOf } from '../../../machine/x86/representatives.ts';
import { signatureOf } from '../../../machine/x86/signature.ts';
import { EngineMachine } from './engine-fixture.ts';

const CODE = 0x10000;
const DATA = 0x20000;
const RCX_RDX = [8 * 1, 8 * 2] as const;
/** Where signed and unsigned comparisons of every width turn. */
const VALUES = [0n, 1n, 0x7fn, 0x80n, 0xffn, 0x7fffffffn, 0x80000000n, 0xffffffffn, 1n << 63n, ~0n];

/** Machine code of what may be fused with the conditions that it may be fused with. */
const pairs = (): Array<{ readonly bytes: Uint8Array; readonly conditions: readonly number[] }> => {
  const conditions = new Map<string, number[]>();
  const forms = new Map<string, Parameters<typeof encodingsOf>[0]>();
  for (const { signature, following } of frequentHandlers()) {
    if (following === undefined) continue;
    const { key, operation } = signature;
    const condition = Number(following.operands[0]!.shape.slice(1));
    conditions.set(key, [...(conditions.get(key) ?? []), condition]);
    forms.set(key, operation.form);
  }
  return [...forms].flatMap(([key, form]) => {
    const code = encodingsOf(form).map((each) =>
      Uint8Array.from([...each, 0x7f, 0, 0, 0, 0, 0, 0, 0]),
    );
    const bytes = code.find((each) => {
      const operation = decode(each);
      return typeof operation !== 'string' && signatureOf(operation, 0)?.key === key;
    })!;
    const operation = decode(bytes);
    if (typeof operation === 'string') throw new Error(operation);
    return [{ bytes: bytes.slice(0, operation.length), conditions: conditions.get(key)! }];
  });
};

interface Host {
  readonly host: EngineMachine;
  /** Code at CODE, which is next. */
  load(code: Iterable<number>): void;
  /** What is at DATA + 16. */
  put(value: bigint): void;
}

const newHost = (): Host => {
  const host = new EngineMachine(8);
  const mfn = host.map(CODE, 'rwx');
  const data = host.map(DATA, 'rw');
  const { memory } = host.machine;
  const load = (code: Iterable<number>): void => {
    memory.frame(mfn).set([...code]);
    memory.wrote(mfn);
    host.vcpu.set(RIP, CODE);
  };
  const put = (value: bigint): void =>
    memory.view.setBigUint64(memory.frameAt(data) + 16, value, true);
  return { host, load, put };
};

const NOP = 0x90;
const CMP_EAX_0 = [0x83, 0xf8, 0];
const JE = 0x74;
const JNE = 0x75;

describe('a comparison and a branch', () => {
  const { host, load, put } = newHost();
  const { vcpu, engine } = host;

  beforeEach(() => {
    vcpu.set(RFLAGS, 2);
    vcpu.set(8 * RAX, 0);
  });

  afterEach(() => {
    vi.restoreAllMocks();
  });

  it('go where they go one by one, with the same flags, whenever time is up', () => {
    const plain = newHost();
    const wrong: string[] = [];
    const evaluated = vi.spyOn(Evaluator.prototype, 'step');
    let compared = 0;
    for (const { bytes, conditions } of pairs())
      for (const condition of conditions) {
        const code = [...bytes, 0x70 + condition, 2, NOP, NOP, NOP, NOP];
        load(code);
        plain.load(code);
        for (const x of VALUES)
          for (const y of VALUES) {
            const { vcpu: other } = plain.host;
            put(x);
            plain.put(x);
            for (const each of [vcpu, other]) {
              each.set(RIP, CODE);
              each.set(RFLAGS, 2);
              each.setBig(8 * RAX, x);
              each.setBig(8 * RBX, BigInt(DATA));
              for (const register of RCX_RDX) each.setBig(register, register === 8 ? y : x);
            }
            evaluated.mockClear();
            // both at once, or one and one
            for (const most of compared++ % 2 === 0 ? [2] : [1, 1]) engine.run(vcpu, most);
            expect(evaluated).not.toHaveBeenCalled();
            for (let i = 0; i < 2; i++) plain.host.engine.step(other);
            const same = [RIP, RFLAGS, ICOUNT].every((f) => vcpu.getBig(f) === other.getBig(f));
            if (!same) wrong.push(`${disassembleBytes(bytes)}, condition ${condition}: ${x}, ${y}`);
          }
      }
    expect(wrong.slice(0, 5)).toEqual([]);
    expect(compared).toBeGreaterThan(5000);
  });

  it('are two again when the branch is changed', () => {
    load([...CMP_EAX_0, JE, 2, NOP, NOP, NOP]);
    engine.run(vcpu, 2);
    expect(vcpu.rip).toBe(CODE + 7);
    load([...CMP_EAX_0, JNE, 2, NOP, NOP, NOP]);
    engine.run(vcpu, 2);
    expect(vcpu.rip).toBe(CODE + 5);
  });

  it('are two again when the guest changes the branch by itself', () => {
    // mov byte [rip + 4], JNE; then the same again
    const store = [0xc6, 0x05, 4, 0, 0, 0, JNE];
    load([...store, NOP, ...CMP_EAX_0, JE, 2, NOP, NOP, NOP]);
    vcpu.set(RIP, CODE + store.length);
    engine.run(vcpu, 3);
    expect(vcpu.rip).toBe(CODE + store.length + 8);
    vcpu.set(RIP, CODE);
    engine.run(vcpu, 4);
    expect(vcpu.rip).toBe(CODE + store.length + 6);
  });

  it('are two again for a breakpoint at the branch', () => {
    load([...CMP_EAX_0, JE, 2, NOP, NOP, NOP]);
    engine.run(vcpu, 2);
    vcpu.set(RIP, CODE);
    const branch = CODE + CMP_EAX_0.length;
    expect(engine.run(vcpu, 2, new Set([branch]))).toEqual({ kind: 'done' });
    expect(vcpu.rip).toBe(branch);
  });
});
