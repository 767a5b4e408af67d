/**
 * Going to user mode on hardware: IRETQ to a user CS; traps from there come in on the TSS's RSP0.
 */
import type { Cpu } from '../../machine/cpu.ts';
import type { Interrupts } from '../kernel.ts';
import { RFLAGS_USER, RSP } from '../layout.ts';
import { UserMode } from '../user-mode.ts';
import { type Segments, USER_CS, USER_SS } from './segments.ts';

const FRAME_BYTES = 48;

export class BareUserMode extends UserMode {
  /** The stack for traps and system calls from user mode. */
  kernelSp = 0;
  readonly #segments: Segments;
  readonly #interrupts: Interrupts;

  constructor(cpu: Cpu, segments: Segments, interrupts: Interrupts) {
    super(cpu);
    this.#segments = segments;
    this.#interrupts = interrupts;
  }

  protected enter(rip: number, sp: number): () => void {
    const { cpu } = this;
    const frame = sp - (sp & 15) - FRAME_BYTES;
    const outerSp = this.kernelSp;
    const enabled = this.#interrupts.disable();
    this.#setKernelSp(frame);
    cpu.storeNumber(frame, rip);
    cpu.storeNumber(frame + 8, USER_CS);
    cpu.storeNumber(frame + 16, RFLAGS_USER);
    cpu.storeNumber(frame + 24, 0);
    cpu.storeNumber(frame + 32, USER_SS);
    cpu.setReg(RSP, frame);
    cpu.iretq();
    return () => {
      if (outerSp !== 0) this.#setKernelSp(outerSp);
      if (enabled) this.#interrupts.enable();
    };
  }

  #setKernelSp(sp: number): void {
    if (sp === this.kernelSp) return;
    this.kernelSp = sp;
    this.#segments.setKernelStack(sp);
  }
}
