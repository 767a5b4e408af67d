/**
 * A witness of a kernel's own failures: remembers the error that ended it, so that a report can name the place in
 * the kernel's file, and sees promises that it left rejected, which no processor can see.
 */
import type { Guest } from '../machine/cpu.ts';
import { placeOf } from './load-kernel.ts';
import type { ModeResult } from './result.ts';

export class Witness {
  /** The kernel, to be run in place of the original. */
  readonly guest: Guest;
  #last: Error | undefined;
  #crash: ((why: string) => void) | undefined;

  constructor(guest: Guest) {
    this.guest = async (cpu, boot) => {
      try {
        await guest(cpu, boot);
      } catch (error) {
        if (error instanceof Error) this.#last = error;
        throw error;
      }
    };
  }

  /** From now until `done`, a promise left rejected crashes the guest by `crash`. */
  readonly attach = (crash: (why: string) => void): void => {
    this.#crash = crash;
    process.on('unhandledRejection', this.#rejected);
  };

  done(): void {
    process.off('unhandledRejection', this.#rejected);
  }

  /** `result` with the place of the error in `file`, if an error that we saw ended the guest. */
  locate(result: ModeResult, file: string): ModeResult {
    const { why } = result;
    if (!this.#last || why === undefined || !why.includes(this.#last.message)) return result;
    return { ...result, why: `${why}${placeOf(this.#last, file)}` };
  }

  readonly #rejected = (error: unknown): void => {
    if (error instanceof Error) this.#last = error;
    const said = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
    this.#crash?.(`its kernel left a promise rejected: ${said}`);
  };
}
