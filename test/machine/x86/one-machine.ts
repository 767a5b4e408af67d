/** An evaluator on a little memory, about to execute given code. */
import { RSP } from '../../../machine/vcpu.ts';
import { Evaluator } from '../../../machine/x86/evaluator.ts';
import type { State } from '../../../machine/x86/state.ts';
import { X87Registers } from '../../../machine/x86/x87-state.ts';
import { bytes } from './bytes.ts';
import { LONG_CR0, LONG_CR4 } from './engine-fixture.ts';
import { FlatMemory } from './flat-memory.ts';

export const CODE = 0x1000n;

export const machine = (code: string, cpl = 3) => {
  const memory = new FlatMemory(0x4000);
  memory.bytes.set(bytes(code), Number(CODE));
  const x87 = new X87Registers();
  const state: State = {
    gpr: new BigUint64Array(16),
    vectors: Array.from({ length: 16 }, () => 0n),
    mxcsr: 0x1f80,
    x87,
    rip: CODE,
    rflags: 0x202,
    fsBase: 0n,
    gsBase: 0n,
    cpl,
    mode: 64,
    cr0: LONG_CR0,
    cr4: LONG_CR4,
  };
  state.gpr[RSP] = 0x3000n;
  return { memory, state, x87, evaluator: new Evaluator(state, memory) };
};
