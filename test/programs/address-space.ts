/**
 * A process's memory: regions with rights, whose pages get a frame and a page-table entry when they are first touched. So
 * every page of a program faults once, and its instructions are restarted.
 */
import type { Memory } from '../../machine/memory.ts';
import {
  PTE_NX_HI,
  PTE_P,
  PTE_RW,
  PTE_US,
  pteFrame,
  pteHi,
  pteLo,
  tableIndex,
} from '../../machine/pte.ts';
import { EFAULT, Errno } from './errno.ts';
import type { Frames } from './frames.ts';

export const PAGE_BYTES = 4096;
export const READ = 1;
export const WRITE = 2;
export const EXECUTE = 4;

/** The stack ends here, and mappings that ask for no address lie below the second. */
export const STACK_TOP = 0x7ffffffff000;
const MAPPING_TOP = 0x7ffff7fff000;

interface Region {
  readonly start: number;
  readonly end: number;
  readonly rights: number;
  /** What its first bytes hold; the others are zero. */
  readonly content: Uint8Array;
}

const NOTHING: Uint8Array = new Uint8Array(0);

export const pageOf = (va: number): number => va - (va & (PAGE_BYTES - 1));
export const pageUp = (va: number): number => pageOf(va + PAGE_BYTES - 1);

export class AddressSpace {
  /** The frame of the level 4 table. */
  readonly root: number;
  readonly #memory: Memory;
  readonly #frames: Frames;
  readonly #forget: (va: number) => void;
  readonly #tables: number[] = [];
  /** The frame of each page that has been touched. */
  readonly #pages = new Map<number, number>();
  /** Those whose frame is not this process's own. */
  readonly #shared = new Set<number>();
  #regions: Region[] = [];

  /** `forget`: the translation of a page is no longer what it was. */
  constructor(memory: Memory, frames: Frames, forget: (va: number) => void) {
    this.#memory = memory;
    this.#frames = frames;
    this.#forget = forget;
    this.root = this.#table();
  }

  /** Instead of what was there. */
  map(start: number, bytes: number, rights: number, content = NOTHING): void {
    this.unmap(start, bytes);
    this.#regions.push({ start, end: start + pageUp(bytes), rights, content });
    this.#regions.sort((a, b) => a.start - b.start);
  }

  unmap(start: number, bytes: number): void {
    const inside = this.#cut(start, start + pageUp(bytes));
    this.#regions = this.#regions.filter((region) => !inside.includes(region));
    for (const [page, frame] of this.#touched(inside)) {
      this.#enter(page, 0, 0);
      this.#pages.delete(page);
      this.#give(page, frame);
    }
  }

  /** @returns false when a part is not mapped. */
  protect(start: number, bytes: number, rights: number): boolean {
    const end = start + pageUp(bytes);
    const inside = this.#cut(start, end);
    let covered = start;
    for (const region of inside) if (region.start === covered) covered = region.end;
    if (covered !== end) return false;
    this.#regions = this.#regions.map((region) =>
      inside.includes(region) ? { ...region, rights } : region,
    );
    for (const [page, frame] of this.#touched(inside))
      this.#enter(page, (rights & WRITE) === 0 ? frame : this.#own(page, frame), rights);
    return true;
  }

  isFree(start: number, bytes: number): boolean {
    const end = start + pageUp(bytes);
    return this.#regions.every((region) => region.end <= start || region.start >= end);
  }

  /** The highest address at which so many bytes are free. */
  room(bytes: number): number {
    let end = MAPPING_TOP;
    for (const region of this.#regions.toReversed()) {
      if (region.start >= end) continue;
      if (end - region.end >= pageUp(bytes)) break;
      end = region.start;
    }
    return end - pageUp(bytes);
  }

  /** A page fault. @returns false when it is the program's mistake: nothing there, or not with `rights`. */
  touch(va: number, rights: number): boolean {
    return !this.#pages.has(pageOf(va)) && this.#frame(va, rights) !== undefined;
  }

  read(va: number, bytes: number): Uint8Array {
    const all = new Uint8Array(bytes);
    for (const { at, part } of this.#parts(va, bytes, READ)) all.set(part, at);
    return all;
  }

  write(va: number, bytes: Uint8Array): void {
    for (const { at, part, frame } of this.#parts(va, bytes.length, WRITE)) {
      this.#memory.wrote(frame);
      part.set(bytes.subarray(at, at + part.length));
    }
  }

  /** The text that ends with a zero byte. */
  text(va: number): string {
    const bytes: number[] = [];
    for (let at = va; ; at++) {
      const [byte] = this.read(at, 1);
      if (byte === 0) return Buffer.from(bytes).toString();
      bytes.push(byte!);
    }
  }

  release(): void {
    for (const [page, frame] of this.#pages) this.#give(page, frame);
    for (const frame of this.#tables) this.#frames.give(frame);
  }

  #table(): number {
    const frame = this.#frames.take();
    this.#tables.push(frame);
    return frame;
  }

  #parts(va: number, bytes: number, rights: number) {
    const parts: { at: number; frame: number; part: Uint8Array }[] = [];
    for (let at = 0; at < bytes; ) {
      const frame = this.#frame(va + at, rights);
      if (frame === undefined) throw new Errno(EFAULT);
      const from = (va + at) & (PAGE_BYTES - 1);
      const part = this.#memory.frame(frame).subarray(from, from + bytes - at);
      parts.push({ at, frame, part });
      at += part.length;
    }
    return parts;
  }

  /** The frame of the page of `va`, given one if need be, when its region has one of `rights`. */
  #frame(va: number, rights: number): number | undefined {
    const page = pageOf(va);
    const region = this.#regions.find(({ start, end }) => start <= page && page < end);
    if (region === undefined || !allows(region.rights, rights)) return undefined;
    const known = this.#pages.get(page);
    if (known !== undefined) return known;
    const from = page - region.start;
    const part = region.content.subarray(from, from + PAGE_BYTES);
    const cached = (region.rights & WRITE) === 0 ? this.#frames.cached(part) : undefined;
    const frame = cached ?? this.#frames.take();
    if (cached === undefined) this.#memory.frame(frame).set(part);
    else this.#shared.add(page);
    this.#pages.set(page, frame);
    this.#enter(page, frame, region.rights);
    return frame;
  }

  /** A frame of its own for a page that may be written from now on. */
  #own(page: number, frame: number): number {
    if (!this.#shared.delete(page)) return frame;
    const copy = this.#frames.take();
    this.#memory.frame(copy).set(this.#memory.frame(frame));
    this.#pages.set(page, copy);
    return copy;
  }

  #give(page: number, frame: number): void {
    if (!this.#shared.delete(page)) this.#frames.give(frame);
  }

  #enter(page: number, frame: number, rights: number): void {
    let table = this.root;
    for (let level = 4; level > 1; level--) {
      const word = this.#word(table, page, level);
      const { u32 } = this.#memory;
      if (u32[word] === 0) this.#put(word, this.#table(), EXECUTE | WRITE);
      table = pteFrame(u32[word]!, u32[word + 1]!);
    }
    this.#put(this.#word(table, page, 1), frame, rights);
    this.#forget(page);
  }

  #word(table: number, page: number, level: number): number {
    return (this.#memory.frameAt(table) >>> 2) + 2 * tableIndex(page, level);
  }

  #put(word: number, frame: number, rights: number): void {
    const { u32 } = this.#memory;
    const flags = PTE_P | PTE_US | ((rights & WRITE) === 0 ? 0 : PTE_RW);
    const high = (pteHi(frame) | ((rights & EXECUTE) === 0 ? PTE_NX_HI : 0)) >>> 0;
    u32[word] = rights === 0 ? 0 : pteLo(frame, flags);
    u32[word + 1] = rights === 0 ? 0 : high;
  }

  /** The regions between two addresses, of which none reaches beyond them any longer. */
  #cut(start: number, end: number): Region[] {
    for (const at of [start, end])
      this.#regions = this.#regions.flatMap((region) => {
        if (at <= region.start || region.end <= at) return [region];
        const content = region.content.subarray(at - region.start);
        return [
          { ...region, end: at },
          { ...region, start: at, content },
        ];
      });
    return this.#regions.filter((region) => region.start >= start && region.end <= end);
  }

  *#touched(regions: readonly Region[]): Generator<readonly [number, number]> {
    for (const { start, end } of regions)
      for (let page = start; page < end; page += PAGE_BYTES) {
        const frame = this.#pages.get(page);
        if (frame !== undefined) yield [page, frame];
      }
  }
}

/** Whatever may be written or executed may be read. */
const allows = (rights: number, wanted: number): boolean =>
  wanted === READ ? rights !== 0 : (rights & wanted) !== 0;
