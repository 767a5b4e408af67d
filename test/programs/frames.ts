/** The machine's frames as a kernel hands them out: zeroed, each to one owner. */
import type { Memory } from '../../machine/memory.ts';

export class Frames {
  readonly #memory: Memory;
  readonly #free: number[] = [];

  constructor(memory: Memory) {
    this.#memory = memory;
    for (let mfn = memory.frames - 1; mfn > 0; mfn--) this.#free.push(mfn);
  }

  take(): number {
    const mfn = this.#free.pop();
    if (mfn === undefined) throw new RangeError('frames: the machine has no more');
    this.#memory.wrote(mfn);
    this.#memory.frame(mfn).fill(0);
    return mfn;
  }

  give(mfn: number): void {
    this.#free.push(mfn);
  }
}
