/**
 * Running code in user mode. The back end executes the instruction that goes there; the code ends
 * with a system call of this library's own, whose handler jumps back to the kernel code that waits.
 */
import type { Cpu } from '../machine/cpu.ts';
import { RSP, SYS_EXIT } from './layout.ts';

interface Run {
  readonly code: () => void;
  /** RIP of the kernel code that waits. */
  readonly here: number;
  /** It made the exit system call: what is thrown through it afterwards is its being abandoned. */
  ended: boolean;
  failed: boolean;
  error: unknown;
}

export abstract class UserMode {
  protected readonly cpu: Cpu;
  #run: Run | undefined;
  readonly #entry: number;

  constructor(cpu: Cpu) {
    this.cpu = cpu;
    this.#entry = cpu.entry(() => this.#begin());
  }

  /** Runs `code` in user mode. @throws what it throws. */
  run(code: () => void): void {
    const { cpu } = this;
    const outer = this.#run;
    const run: Run = { code, here: cpu.here(), ended: false, failed: false, error: undefined };
    const sp = cpu.reg(RSP);
    this.#run = run;
    const restore = this.enter(this.#entry, sp);
    this.#run = outer;
    cpu.setReg(RSP, sp);
    restore();
    if (run.failed) throw run.error;
  }

  /** SYS_EXIT: called by the system call stub, in kernel mode. */
  exit(): void {
    const run = this.#run;
    if (!run) throw new Error('exit from user mode while nobody waits for it');
    run.ended = true;
    this.cpu.jump(run.here);
  }

  /**
   * Goes to user mode at `rip`, with frames from there pushed below `sp`. @returns what restores
   * the kernel's state.
   */
  protected abstract enter(rip: number, sp: number): () => void;

  #begin(): void {
    const run = this.#run!;
    try {
      run.code();
    } catch (error) {
      if (!run.ended) {
        run.failed = true;
        run.error = error;
      }
    }
    this.cpu.syscall(SYS_EXIT);
  }
}
