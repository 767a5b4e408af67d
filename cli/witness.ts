/**
 * A witness of a kernel's own failures: remembers the error that ended it, so that a report can name the place in
 * the kernel's file, and learns of promises that it left rejected, which no processor can see.
 */
import type { Guest } from '../machine/cpu.ts';
import { HALTED } from '../machine/script-control.ts';
import { placeOf } from './load-kernel.ts';
import type { ModeResult } from './result.ts';

export class Witness {
  /** The kernel, to be run in place of the original. */
  readonly guest: Guest;
  #error: Error | undefined;
  #rejected: string | undefined;
  #crash: ((why: string) => void) | undefined;

  constructor(guest: Guest) {
    this.guest = async (cpu, boot) => {
      try {
        await guest(cpu, boot);
      } catch (error) {
        if (error instanceof Error && error !== HALTED) this.#error = error;
        throw error;
      }
    };
  }

  /** How to crash the guest from now on. */
  readonly attach = (crash: (why: string) => void): void => {
    this.#crash = crash;
  };

  /** Nobody handled a promise that was rejected with `error`. Code of a stopped vCPU ends so, rightly. */
  rejected(error: unknown): void {
    if (error === HALTED) return;
    if (error instanceof Error) this.#error = error;
    const said = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
    this.#rejected ??= `its kernel left a promise rejected: ${said}`;
    this.#crash?.(this.#rejected);
  }

  /** `result` as it must be reported, with the place of the error in `file`; call it once the host's event loop has turned. */
  correct(result: ModeResult, file: string): ModeResult {
    // A kernel whose promise was rejected waits for ever; the host learns why only after its turn.
    const left = result.outcome === 'hang' ? this.#rejected : undefined;
    const known: ModeResult = left ? { ...result, outcome: 'crash', why: left } : result;
    if (!this.#error || known.outcome !== 'crash' || known.why === undefined) return known;
    const { name, message } = this.#error;
    const place = placeOf(this.#error, file);
    if (known.why.includes(message)) return { ...known, why: `${known.why}${place}` };
    // The error that it panicked about says more than its panic.
    return { ...known, why: `its kernel threw: ${name}: ${message}${place}; ${known.why}` };
  }
}
