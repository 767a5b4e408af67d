/** Going to user mode under Xen: the iret hypercall with a user CS switches to the user root. */
import { __HYPERVISOR_iret } from '../../protocol/hypercalls.ts';
import { FLAT_USER_CS, FLAT_USER_SS } from '../../protocol/xen.ts';
import type { Interrupts } from '../kernel.ts';
import { RFLAGS_USER, RSP } from '../layout.ts';
import { UserMode } from '../user-mode.ts';
import type { Xen } from '../xen.ts';

const FRAME_BYTES = 80;

export class PvUserMode extends UserMode {
  readonly #xen: Xen;
  readonly #interrupts: Interrupts;
  /** Xen refuses to enter user mode without a user root. */
  readonly #needRoot: () => void;
  #kernelSp = 0;

  constructor(xen: Xen, interrupts: Interrupts, needRoot: () => void) {
    super(xen.cpu);
    this.#xen = xen;
    this.#interrupts = interrupts;
    this.#needRoot = needRoot;
  }

  protected enter(rip: number, sp: number): () => void {
    const { cpu } = this;
    this.#needRoot();
    const frame = sp - (sp & 15) - FRAME_BYTES;
    const outerSp = this.#kernelSp;
    this.#setKernelSp(frame);
    const { level } = this.#xen.arguments;
    const enabled = this.#interrupts.disable();
    cpu.fillBytes(frame, 32, 0); // RAX, R11, RCX, flags
    cpu.storeNumber(frame + 32, rip);
    cpu.storeNumber(frame + 40, FLAT_USER_CS);
    cpu.storeNumber(frame + 48, RFLAGS_USER);
    cpu.storeNumber(frame + 56, 0);
    cpu.storeNumber(frame + 64, FLAT_USER_SS);
    cpu.setReg(RSP, frame);
    cpu.syscall(__HYPERVISOR_iret);
    return () => {
      this.#xen.arguments.level = level;
      if (outerSp !== 0) this.#setKernelSp(outerSp);
      if (enabled) this.#interrupts.enable();
    };
  }

  #setKernelSp(sp: number): void {
    if (sp === this.#kernelSp) return;
    this.#kernelSp = sp;
    this.#xen.stackSwitch(FLAT_USER_SS, sp);
  }
}
