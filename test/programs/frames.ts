/** The machine's frames as a kernel hands them out: zeroed, each to one owner, but for those that hold a program's file. */
import type { Memory } from '../../machine/memory.ts';

export class Frames {
  readonly #memory: Memory;
  readonly #free: number[] = [];
  #file: ArrayBufferLike | undefined;
  /** By place and length in the file. */
  readonly #cached = new Map<string, number>();

  constructor(memory: Memory) {
    this.#memory = memory;
    for (let mfn = memory.frames - 1; mfn > 0; mfn--) this.#free.push(mfn);
  }

  /** Pages of `file` are kept, with the code that was decoded of them, until there is another. */
  cache(file: Uint8Array): void {
    if (file.buffer === this.#file) return;
    for (const mfn of this.#cached.values()) this.give(mfn);
    this.#cached.clear();
    this.#file = file.buffer;
  }

  /** The frame with this part of the file, for everybody; undefined if it is of no such file. */
  cached(part: Uint8Array): number | undefined {
    if (part.length === 0 || part.buffer !== this.#file) return undefined;
    const key = `${part.byteOffset} ${part.length}`;
    const known = this.#cached.get(key);
    if (known !== undefined) return known;
    const mfn = this.take();
    this.#memory.frame(mfn).set(part);
    this.#cached.set(key, mfn);
    return mfn;
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
