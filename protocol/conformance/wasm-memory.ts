/**
 * The memory of a module under test: its own part, below __heap_base, and the kit's areas above, each
 * with at least 64 KiB of guard around it, so that a store that runs past one does not reach another.
 * Memory can be put back as it was after instantiation, for the price of what was changed.
 */
import { BUFFER_BYTES, PeerFault } from './peer.ts';

const PAGE_BYTES = 65536;

/** The largest ring: sixteen pages of 4 KiB. */
export const MOST_RING_BYTES = 65536;
/** How far memory.grow goes: 64 MiB. */
const MOST_GROWTH = 1024;

/** Further from memory than this, an address is said as it is. */
const FAR = 2 ** 24;

/** Own memory is put back in blocks of 4 KiB. */
export const BLOCK_SHIFT = 12;
/** A store is noted where it begins and may run into the next block: none is longer than this. */
const LONGEST_STORE = 16;

/** Where things lie, as addresses. */
export interface MemoryMap {
  readonly heapBase: number;
  /** The i32 that loops and functions count down. */
  readonly fuel: number;
  /** The i32 that memory.size reads. */
  readonly pages: number;
  /** A byte for each block of own memory: whether it was stored to. */
  readonly dirty: number;
  readonly ring: number;
  readonly buffer: number;
  /** The end of the kit's areas: where memory.grow begins. */
  readonly total: number;
  readonly totalPages: number;
}

export function memoryMap(heapBase: number): MemoryMap {
  const control = Math.ceil(heapBase / PAGE_BYTES) * PAGE_BYTES;
  const ring = control + PAGE_BYTES;
  const buffer = ring + MOST_RING_BYTES + PAGE_BYTES;
  const total = buffer + 2 * PAGE_BYTES;
  return {
    heapBase,
    fuel: control,
    pages: control + 4,
    dirty: control + 64,
    ring,
    buffer,
    total,
    totalPages: total / PAGE_BYTES,
  };
}

export class PeerMemory {
  readonly map: MemoryMap;
  readonly memory: WebAssembly.Memory;
  /** Counts how often `bytes` became another array. */
  generation = 0;
  /** How much of the ring there is; the start function has none. */
  ringBytes = 0;
  #bytes: Uint8Array<ArrayBuffer>;
  #words: Int32Array;
  #snapshot = new Uint8Array(0);
  #pages: number;
  #isAllDirty = false;
  /** The end of what may have been stored to above the kit's areas. */
  #grownTo: number;

  constructor(map: MemoryMap) {
    this.map = map;
    this.memory = new WebAssembly.Memory({
      initial: map.totalPages,
      maximum: map.totalPages + MOST_GROWTH,
    });
    this.#bytes = new Uint8Array(this.memory.buffer as ArrayBuffer);
    this.#words = new Int32Array(this.memory.buffer, map.fuel, 2);
    this.#pages = map.totalPages;
    this.#words[1] = map.totalPages;
    this.#grownTo = map.total;
  }

  get bytes(): Uint8Array<ArrayBuffer> {
    return this.#bytes;
  }

  /** The end of memory, as the module knows it. */
  get end(): number {
    return this.#pages * PAGE_BYTES;
  }

  set fuel(units: number) {
    this.#words[0] = units;
  }

  /** Takes fuel; whether some is left. */
  burn(units: number): boolean {
    const left = this.#words[0]! - units;
    this.#words[0] = left;
    return left >= 0;
  }

  /** memory.grow: the pages before it, or -1. Real memory cannot shrink, so it may be there already. */
  grow(pages: number): number {
    const before = this.#pages;
    const after = before + (pages >>> 0);
    if (after > this.map.totalPages + MOST_GROWTH) return -1;
    const missing = after - this.#bytes.length / PAGE_BYTES;
    if (missing > 0) {
      try {
        this.memory.grow(missing);
      } catch {
        return -1; // the host has no more
      }
      this.#bytes = new Uint8Array(this.memory.buffer as ArrayBuffer);
      this.#words = new Int32Array(this.memory.buffer, this.map.fuel, 2);
      this.generation++;
    }
    this.#pages = after;
    this.#words[1] = after;
    return before;
  }

  /** Notes that bytes of own or of grown memory change otherwise than by a plain store. */
  touch(at: number, length: number): void {
    const { dirty, total } = this.map;
    if (at >= total) {
      this.#grownTo = Math.max(this.#grownTo, at + length);
    } else {
      const last = (at + length - 1) >>> BLOCK_SHIFT;
      this.#bytes.fill(1, dirty + (at >>> BLOCK_SHIFT), dirty + last + 1);
    }
  }

  /** Notes that any byte of own memory may change. */
  touchAll(): void {
    this.#isAllDirty = true;
  }

  /** Keeps own memory as it is now as what `restore` gives back. */
  keep(): void {
    this.#snapshot = this.#bytes.slice(0, this.map.heapBase);
    this.ringBytes = MOST_RING_BYTES; // a data segment may have reached that far
    this.#clean();
  }

  /** Makes own memory zero, as an instance that is yet to be made finds it. */
  clear(): void {
    this.#bytes.fill(0, 0, this.map.heapBase);
    this.#clean();
    this.ringBytes = 0;
  }

  restore(): void {
    const { dirty, heapBase } = this.map;
    const bytes = this.#bytes;
    const blocks = dirty + Math.ceil(heapBase / (1 << BLOCK_SHIFT));
    for (let at = dirty; at < blocks; at++) {
      if (bytes[at] === 0 && !this.#isAllDirty) continue;
      const from = at;
      while (at < blocks && (bytes[at] !== 0 || this.#isAllDirty)) at++;
      const start = (from - dirty) << BLOCK_SHIFT;
      const end = Math.min(heapBase, ((at - dirty) << BLOCK_SHIFT) + LONGEST_STORE);
      bytes.set(this.#snapshot.subarray(start, end), start);
    }
    this.#clean();
  }

  #clean(): void {
    const { dirty, heapBase, ring, buffer, total, totalPages } = this.map;
    const bytes = this.#bytes;
    bytes.fill(0, dirty, dirty + Math.ceil(heapBase / (1 << BLOCK_SHIFT)));
    bytes.fill(0, total, this.#grownTo);
    bytes.fill(0, ring, ring + this.ringBytes);
    bytes.fill(0, buffer, buffer + BUFFER_BYTES);
    this.#isAllDirty = false;
    this.#grownTo = total;
    this.#pages = totalPages;
    this.#words[1] = totalPages;
  }
}

/** The fault of an access that lies in none of the places where a verb may read or write. */
export function outside(
  { map, end, ringBytes }: PeerMemory,
  verb: string,
  at: number,
  length: number,
  write: boolean,
): PeerFault {
  const what = `${verb} ${write ? 'writes' : 'reads'} ${length} byte${length === 1 ? '' : 's'}`;
  if (at > end + FAR) {
    return new PeerFault(`${what} at the address 0x${at.toString(16)}, past the end of memory`);
  }
  const areas = [
    { name: 'its own memory, which ends at __heap_base', from: 0, to: map.heapBase },
    { name: 'the ring', from: map.ring, to: map.ring + ringBytes },
    { name: 'the message buffer', from: map.buffer, to: map.buffer + BUFFER_BYTES },
    {
      name: end > map.total ? 'the memory that it grew' : 'the end of memory',
      from: map.total,
      to: end,
    },
  ].filter(({ name, from, to }) => name !== 'the ring' || to > from);
  const inside = areas.find(({ from, to }) => at >= from && at < to);
  if (inside && at + length > inside.to) {
    return new PeerFault(`${what} at ${inside.to - at} bytes before the end of ${inside.name}`);
  }
  if (inside)
    return new PeerFault(
      `${what} at ${at - inside.from} bytes into ${inside.name}, which it may only read`,
    );
  const distance = ({ from, to }: { from: number; to: number }) => (at >= to ? at - to : from - at);
  const nearest = areas.reduce((best, area) => (distance(area) < distance(best) ? area : best));
  const side = at >= nearest.to ? 'past' : 'before';
  return new PeerFault(`${what} at ${distance(nearest)} bytes ${side} ${nearest.name}`);
}
