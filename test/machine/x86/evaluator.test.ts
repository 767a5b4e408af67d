import { describe, expect, it } from 'vitest';
import { RAX, RBP, RBX, RCX, RDI, RSI, RSP } from '../../../machine/vcpu.ts';
import { decode } from '../../../machine/x86/decoder.ts';
import type { State } from '../../../machine/x86/state.ts';
import { CASE_BYTES, Case } from './case.ts';
import { Generator } from './generator.ts';
import { CODE, machine } from './one-machine.ts';
import { getX87 } from './x87-values.ts';

/** All that an instruction may change but memory. */
const everything = ({ gpr, vectors, rip, rflags, mxcsr, x87 }: State) => {
  const { control, status, valid, opcode, ip, dp } = x87;
  const stack = Array.from({ length: 8 }, (_, i) => x87.register(i));
  return [
    ...gpr,
    ...Object.values(vectors),
    rip,
    rflags,
    mxcsr,
    control,
    status,
    valid,
    opcode,
    ip,
    dp,
    ...stack,
  ];
};

describe('the evaluator', () => {
  it('runs a program: the sum of 1 to 10, by call and loop', () => {
    // xor eax,eax; mov ecx,10; call +2; hlt; nop; add eax,ecx; loop -4; ret
    const { state, evaluator } = machine(
      '31 c0 b9 0a 00 00 00 e8 02 00 00 00 f4 90 01 c8 e2 fc c3',
    );
    let steps = 0;
    let outcome = evaluator.step();
    for (; outcome.kind === 'done'; outcome = evaluator.step()) steps++;
    expect(outcome).toMatchObject({ kind: 'fault', fault: { vector: 13, error: 0 } });
    expect([state.gpr[RAX], state.rip, steps]).toEqual([55n, CODE + 12n, 2 + 1 + 20 + 1]);
  });

  it('leaves at what the machine does, privileged or not', () => {
    const reason = (code: string, cpl: number) => machine(code, cpl).evaluator.step();
    expect(reason('0f a2', 3)).toMatchObject({ kind: 'exit', reason: 'cpuid' });
    expect(reason('0f 30', 0)).toMatchObject({ kind: 'exit', reason: 'msr' });
    expect(reason('0f 30', 3)).toMatchObject({ kind: 'fault', fault: { vector: 13 } });
    expect(reason('0f 22 d8', 0)).toMatchObject({
      reason: 'control-register',
      operation: { operands: [{ kind: 'control', register: 3 }, { register: RAX }] },
    });
  });

  it('asks IOPL for IN, OUT, CLI and STI', () => {
    const { state, evaluator } = machine('fa');
    expect(evaluator.step()).toMatchObject({ kind: 'fault' });
    state.rflags |= 0x3000;
    expect(evaluator.step()).toMatchObject({ kind: 'exit', reason: 'interrupt-flag' });
  });

  it('lets POPF change IF and IOPL only where CPL allows', () => {
    for (const [cpl, expected] of [
      [0, 0x3002],
      [3, 0x202],
    ] as const) {
      const { memory, state, evaluator } = machine('9d', cpl);
      memory.view.setBigUint64(0x3000, 0x3000n, true);
      evaluator.step();
      expect(state.rflags).toBe(expected);
    }
  });

  it('does one iteration of a repeated instruction at a time', () => {
    const { memory, state, evaluator } = machine('f3 a4');
    memory.bytes.set([1, 2, 3], 0x2000);
    state.gpr.set([3n], RCX);
    state.gpr[RSI] = 0x2000n;
    state.gpr[RDI] = 0x2100n;
    evaluator.step();
    expect([state.rip, state.gpr[RCX], state.gpr[RSI]]).toEqual([CODE, 2n, 0x2001n]);
    evaluator.step();
    evaluator.step();
    expect([state.rip, state.gpr[RCX]]).toEqual([CODE + 2n, 0n]);
    expect([...memory.bytes.subarray(0x2100, 0x2103)]).toEqual([1, 2, 3]);
  });

  it('pops to an address over the RSP that is left', () => {
    const { memory, state, evaluator } = machine('8f 44 24 08');
    memory.view.setBigUint64(0x3000, 5n, true);
    evaluator.step();
    expect(state.gpr[RSP]).toBe(0x3008n);
    expect(memory.view.getBigUint64(0x3010, true)).toBe(5n);
  });

  it('takes INT3 as a trap, UD2 as a fault', () => {
    const trap = machine('cc');
    expect(trap.evaluator.step()).toMatchObject({ fault: { vector: 3 } });
    expect(trap.state.rip).toBe(CODE + 1n);
    const fault = machine('0f 0b');
    expect(fault.evaluator.step()).toMatchObject({ fault: { vector: 6 } });
    expect(fault.state.rip).toBe(CODE);
  });

  it('adds FS and GS bases after the address is truncated', () => {
    const { memory, state, evaluator } = machine('64 67 8b 03');
    memory.view.setUint32(0x2010, 77, true);
    state.fsBase = 0x2000n;
    state.gpr[RBX] = 0x500000010n;
    evaluator.step();
    expect(state.gpr[RAX]).toBe(77n);
  });

  it('raises #XM for what MXCSR does not mask, with nothing changed but its flags', () => {
    const { state, evaluator } = machine('0f 5e c1'); // divps xmm0, xmm1
    state.mxcsr = 0x1f80 & ~0x200; // division by zero
    state.vectors[0] = 0x3f800000_00000000_3f800000_3f800000n;
    state.vectors[1] = 0x40400000_00000000_00000000_40000000n;
    expect(evaluator.step()).toMatchObject({ kind: 'fault', fault: { vector: 19, error: 0 } });
    expect(state.mxcsr & 0x3f).toBe(0x05); // 0 / 0 in lane 2, but not that 1 / 3 is inexact
    expect([state.rip, state.vectors[0]]).toEqual([CODE, 0x3f800000_00000000_3f800000_3f800000n]);
    state.mxcsr = 0x1f80;
    expect(evaluator.step()).toEqual({ kind: 'done' });
    expect(state.mxcsr & 0x3f).toBe(0x25);
    expect(state.vectors[0]).toBe(0x3eaaaaab_ffc00000_7f800000_3f000000n);
  });

  it('loads no reserved bits into MXCSR', () => {
    const { memory, state, evaluator } = machine('0f ae 14 24 0f ae 14 24'); // ldmxcsr [rsp]
    memory.view.setUint32(0x3000, 0xffff, true);
    expect(evaluator.step()).toEqual({ kind: 'done' });
    memory.view.setUint32(0x3000, 0x10000, true);
    expect(evaluator.step()).toMatchObject({ kind: 'fault', fault: { vector: 13 } });
    expect(state.mxcsr).toBe(0xffff);
  });

  it('copies frame pointers that ENTER itself pushed', () => {
    const { memory, state, evaluator } = machine('c8 10 00 03');
    state.gpr[RBP] = 0x3000n; // so that the outer frame is the one pushed first
    expect(evaluator.step()).toEqual({ kind: 'done' });
    expect([state.gpr[RBP], state.gpr[RSP]]).toEqual([0x2ff8n, 0x2ff8n - 24n - 16n]);
    const pushed = [0x2ff8, 0x2ff0, 0x2fe8, 0x2fe0].map((at) => memory.view.getBigUint64(at, true));
    expect(pushed).toEqual([0x3000n, 0x3000n, 0x3000n, 0x2ff8n]);
  });

  it('leaves nothing half done, whichever access of an instruction faults', () => {
    const generator = new Generator(9);
    const test = new Case(new ArrayBuffer(CASE_BYTES), 0);
    let injected = 0;
    for (let i = 0; i < 10_000; i++) {
      generator.fill(test);
      if (typeof decode(test.code) === 'string') continue;
      for (let failing = 0; ; failing++) {
        const { memory, state, x87, evaluator } = machine('');
        memory.bytes.set(test.code, Number(CODE));
        memory.failing = failing;
        for (let r = 0; r < 16; r++) state.gpr[r] = test.get(8 * r);
        state.rflags = Number(test.get(136));
        getX87(test, x87);
        state.mxcsr = test.mxcsr;
        const before = everything(state);
        const content = memory.bytes.slice();
        const outcome = evaluator.step();
        if (outcome.kind !== 'fault' || outcome.fault.vector !== 14) break;
        injected++;
        expect(everything(state)).toEqual(before);
        expect(Buffer.compare(memory.bytes, content)).toBe(0);
      }
    }
    expect(injected).toBeGreaterThan(3_000);
  });
});
