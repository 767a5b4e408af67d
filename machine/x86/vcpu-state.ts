/**
 * A vCPU's block as the evaluator's state: the registers where they lie, so that nothing is copied.
 */
import type { Memory } from '../memory.ts';
import {
  type CodeMode,
  CR0,
  CR4,
  FS_BASE,
  GS_BASE,
  MXCSR,
  RFLAGS,
  RIP,
  type Vcpu,
  XMM,
} from '../vcpu.ts';
import type { State } from './state.ts';
import { VcpuX87 } from './vcpu-x87.ts';

export class VcpuState implements State {
  readonly gpr: BigUint64Array;
  readonly vectors: Record<number, bigint>;
  readonly x87: VcpuX87;
  readonly #vcpu: Vcpu;

  constructor(memory: Memory, vcpu: Vcpu) {
    const { buffer } = memory.wasm;
    this.gpr = new BigUint64Array(buffer, vcpu.block, 16);
    this.vectors = vectorFile(new BigUint64Array(buffer, vcpu.block + XMM, 32));
    this.x87 = new VcpuX87(memory, vcpu);
    this.#vcpu = vcpu;
  }

  get rip(): bigint {
    return this.#vcpu.getBig(RIP);
  }

  set rip(value: bigint) {
    this.#vcpu.setBig(RIP, value);
  }

  get rflags(): number {
    return this.#vcpu.lo(RFLAGS);
  }

  set rflags(value: number) {
    this.#vcpu.setHalves(RFLAGS, value, 0);
  }

  get fsBase(): bigint {
    return this.#vcpu.getBig(FS_BASE);
  }

  get gsBase(): bigint {
    return this.#vcpu.getBig(GS_BASE);
  }

  get mxcsr(): number {
    return this.#vcpu.lo(MXCSR);
  }

  set mxcsr(value: number) {
    this.#vcpu.setLow(MXCSR, value);
  }

  get cpl(): number {
    return this.#vcpu.cpl;
  }

  get mode(): CodeMode {
    return this.#vcpu.mode;
  }

  get cr0(): number {
    return this.#vcpu.lo(CR0);
  }

  get cr4(): number {
    return this.#vcpu.lo(CR4);
  }
}

/** Sixteen vectors over their halves. */
const vectorFile = (halves: BigUint64Array): Record<number, bigint> => {
  const file: Record<number, bigint> = {};
  for (let i = 0; i < 16; i++) {
    Object.defineProperty(file, i, {
      get: () => halves[2 * i]! | (halves[2 * i + 1]! << 64n),
      set: (value: bigint) => {
        halves[2 * i] = value;
        halves[2 * i + 1] = value >> 64n;
      },
    });
  }
  return file;
};
