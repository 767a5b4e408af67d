/**
 * A domain's grant table, version 1: the shared entries that the guest writes, what Xen knows of
 * those in use, and the mappings that this domain has of others' frames. GTF_reading and
 * GTF_writing stand in the shared entry exactly while somebody maps it.
 * @source xen/grant_table.h, xen/common/grant_table.c
 */
import {
  GNTST_bad_gntref,
  GNTST_bad_page,
  GNTST_general_error,
  GTF_permit_access,
  GTF_reading,
  GTF_readonly,
  GTF_sub_page,
  GTF_type_mask,
  GTF_writing,
} from '../protocol/grant-table.ts';
import type { DomainMemory } from './domain-memory.ts';
import type { FrameTable } from './frames.ts';

/** Shared entries in one frame, and the most frames of one table. */
const ENTRIES_PER_FRAME = 512;
export const MAX_GRANT_FRAMES = 64;
/** The most mappings that one domain may have. */
const MAX_MAPPINGS = 32768;

/** A frame of another domain that this one has mapped. */
export interface Mapping {
  readonly granter: GrantTable;
  readonly ref: number;
  readonly mfn: number;
  readonly readonly: boolean;
}

export class GrantTable {
  readonly memory: DomainMemory;
  /** Shared frames; the table always has the first. */
  readonly shared: number[] = [];
  /** Refs of this table that others have mapped, and mappings that this domain has. */
  pinned = 0;
  mapped = 0;
  readonly #frames: FrameTable;
  /**
   * For each ref: mappings that only read, mappings that may write, the frame and the mapper while
   * there are any.
   */
  #readers = new Uint32Array(0);
  #writers = new Uint32Array(0);
  #frame = new Uint32Array(0);
  #mapper = new Uint16Array(0);
  readonly #mappings: (Mapping | undefined)[] = [];
  readonly #freeHandles: number[] = [];
  #dead = false;

  /** @throws RangeError when there is no frame for the table. */
  constructor(frames: FrameTable, memory: DomainMemory) {
    this.#frames = frames;
    this.memory = memory;
    if (!this.grow(1)) throw new RangeError('not enough memory for the grant table');
  }

  get entries(): number {
    return this.shared.length * ENTRIES_PER_FRAME;
  }

  /**
   * Have at least `count` shared frames. @returns false beyond the limit, or without memory (then
   * there may be more than before).
   */
  grow(count: number): boolean {
    if (count > MAX_GRANT_FRAMES) return false;
    while (this.shared.length < count) {
      const mfn = this.#frames.allocateShared(this.memory);
      if (mfn < 0) return false;
      this.shared.push(mfn);
    }
    if (this.#readers.length < this.entries) {
      this.#readers = extend(this.#readers, new Uint32Array(this.entries));
      this.#writers = extend(this.#writers, new Uint32Array(this.entries));
      this.#frame = extend(this.#frame, new Uint32Array(this.entries));
      this.#mapper = extend(this.#mapper, new Uint16Array(this.entries));
    }
    return true;
  }

  /** Write an entry on the guest's behalf, as the builder does for its rings. */
  seed(ref: number, domid: number, gfn: number): void {
    const { u32 } = this.#frames.memory;
    const word = this.#word(ref);
    u32[word + 1] = gfn;
    u32[word] = GTF_permit_access | (domid << 16);
  }

  /** The machine frame that `ref` lets domain `mapper` use, or a GNTST_* status (negative). */
  lookup(ref: number, mapper: number, readonly: boolean): number {
    if (ref >= this.entries) return GNTST_bad_gntref;
    const inUse = this.#readers[ref]! + this.#writers[ref]! > 0;
    if (inUse && this.#mapper[ref] !== mapper) return GNTST_general_error;
    if (!inUse || (!readonly && this.#writers[ref] === 0)) {
      const entry = this.#frames.memory.u32[this.#word(ref)]!;
      if (entry >>> 16 !== mapper || (entry & GTF_type_mask) !== GTF_permit_access)
        return GNTST_general_error;
      if (!readonly && (entry & GTF_readonly) !== 0) return GNTST_general_error;
    }
    if (inUse)
      return this.#frames.belongs(this.#frame[ref]!, this.memory.id)
        ? this.#frame[ref]!
        : GNTST_general_error;
    const mfn = this.memory.frameOf(this.#frames.memory.u32[this.#word(ref) + 1]!);
    return mfn < 0 ? GNTST_bad_page : mfn;
  }

  /** As lookup, and count one mapping of it, marking the shared entry. */
  pin(ref: number, mapper: number, readonly: boolean): number {
    const mfn = this.lookup(ref, mapper, readonly);
    if (mfn < 0) return mfn;
    const { u32 } = this.#frames.memory;
    const word = this.#word(ref);
    if ((u32[word]! & GTF_sub_page) !== 0 && this.#readers[ref]! + this.#writers[ref]! === 0)
      return GNTST_general_error;

    if (this.#readers[ref]! + this.#writers[ref]! === 0) {
      this.pinned++;
      this.#frame[ref] = mfn;
      this.#mapper[ref] = mapper;
    }
    if (readonly) this.#readers[ref]! += 1;
    else this.#writers[ref]! += 1;
    u32[word]! |= readonly ? GTF_reading : GTF_reading | GTF_writing;
    return mfn;
  }

  /** Count one mapping less; the last one clears the marks. */
  unpin(ref: number, readonly: boolean): void {
    if (readonly) this.#readers[ref]! -= 1;
    else this.#writers[ref]! -= 1;
    const unused = this.#readers[ref]! + this.#writers[ref]! === 0;
    if (unused) this.pinned--;
    if (this.#dead) return;
    const cleared = (this.#writers[ref] === 0 ? GTF_writing : 0) | (unused ? GTF_reading : 0);
    this.#frames.memory.u32[this.#word(ref)]! &= ~cleared;
  }

  /** Remember a mapping. @returns its handle, or -1 when there are too many. */
  addMapping(mapping: Mapping): number {
    const handle = this.#freeHandles.pop() ?? this.#mappings.length;
    this.#mappings[handle] = mapping;
    this.mapped++;
    return handle;
  }

  get full(): boolean {
    return this.mapped === MAX_MAPPINGS;
  }

  mapping(handle: number): Mapping | undefined {
    return this.#mappings[handle];
  }

  /** Forget a mapping and its count at the granter. */
  dropMapping(handle: number): void {
    const mapping = this.#mappings[handle]!;
    this.#mappings[handle] = undefined;
    this.#freeHandles.push(handle);
    this.mapped--;
    mapping.granter.unpin(mapping.ref, mapping.readonly);
  }

  /**
   * The domain dies: its mappings end (the frames' references go with its page tables), its own
   * table is no more.
   */
  destroy(): void {
    for (let handle = 0; handle < this.#mappings.length; handle++) {
      if (this.#mappings[handle]) this.dropMapping(handle);
    }
    this.#dead = true;
  }

  /** Index in memory.u32 of {flags u16, domid u16}; the frame follows. */
  #word(ref: number): number {
    return (
      (this.#frames.memory.frameAt(this.shared[ref >>> 9]!) >>> 2) +
      2 * (ref & (ENTRIES_PER_FRAME - 1))
    );
  }
}

const extend = <A extends Uint32Array | Uint16Array>(from: A, to: A): A => {
  to.set(from);
  return to;
};
