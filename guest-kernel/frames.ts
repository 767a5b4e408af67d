/**
 * The frame allocator: a range of free frames handed out in order, and a stack of those given back.
 * Where the loader mapped only part of memory, the direct map grows when the mapped part runs low.
 */
import { OutOfFrames } from './errors.ts';
import type { FrameAllocator } from './kernel.ts';

/** Frames kept back for the page tables that growing takes. */
const RESERVE = 4;

export interface FrameRange {
  /** The first free frame, the end of the mapped ones, and the end of all. */
  first: number;
  mapped: number;
  end: number;
}

export class Frames implements FrameAllocator {
  readonly #range: FrameRange;
  readonly #grow: ((from: number) => number) | undefined;
  readonly #free: number[] = [];
  /** The stack as a set, to catch a frame freed twice. */
  readonly #returned = new Set<number>();
  #next: number;
  #growing = false;

  /** @param grow maps frames from `from` on and returns the new end of the mapped ones. */
  constructor(range: FrameRange, grow?: (from: number) => number) {
    this.#range = range;
    this.#grow = grow;
    this.#next = range.first;
  }

  get available(): number {
    return this.#free.length + this.#range.end - this.#next;
  }

  alloc(): number {
    const recycled = this.#free.pop();
    if (recycled !== undefined) {
      this.#returned.delete(recycled);
      return recycled;
    }
    if (this.#next + RESERVE >= this.#range.mapped) this.#extend();
    if (this.#next >= this.#range.mapped) throw new OutOfFrames();
    return this.#next++;
  }

  allocMany(count: number): number {
    if (this.#next + count - 1 + RESERVE >= this.#range.mapped) this.#extend();
    if (this.#next + count > this.#range.mapped) throw new OutOfFrames();
    const first = this.#next;
    this.#next += count;
    return first;
  }

  /** @throws RangeError for a frame that is not allocated. */
  free(pfn: number): void {
    if (pfn < this.#range.first || pfn >= this.#next || this.#returned.has(pfn)) {
      throw new RangeError(`free: frame ${pfn} is not allocated`);
    }
    this.#returned.add(pfn);
    this.#free.push(pfn);
  }

  #extend(): void {
    const range = this.#range;
    if (!this.#grow || this.#growing || range.mapped >= range.end) return;
    this.#growing = true;
    try {
      range.mapped = this.#grow(range.mapped);
    } finally {
      this.#growing = false;
    }
  }
}
