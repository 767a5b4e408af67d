/**
 * The frame table: for each machine frame its owner, its references and its page type, in typed
 * arrays. A frame is freed when its last reference goes: the allocation is one, each mapping is
 * one. Frames of one owner form a list (links are MFNs, 0 ends it: MFN 0 is Xen's). Free frames are
 * zero, so only those that were used are cleared.
 */
import type { Memory } from '../machine/memory.ts';
import { EINVAL } from '../protocol/errno.ts';
import { DOMID_INVALID, DOMID_XEN } from '../protocol/xen.ts';
import { buildM2p, m2pFrames } from './m2p.ts';
import {
  FRAME_ALLOCATED,
  FRAME_SHARED,
  FRAME_USED,
  getPageType,
  putPageType,
  TYPE_NONE,
  TYPE_WRITABLE,
  type TypedFrames,
} from './page-types.ts';

/** Owner of a free frame. */
export const OWNER_NONE = 0xffff;
/** Owner of what a dead domain leaves because others still map it. */
export const OWNER_DEAD: number = DOMID_INVALID;

/** Whoever frames belong to: a domain's memory. */
export interface FrameOwner {
  readonly id: number;
  /** May set cacheability bits in its L1 entries. */
  readonly privileged: boolean;
  /** Its frames are written behind the page tables' back (EPT, DMA), so all count as used. */
  readonly scrubAll: boolean;
  /** First frame of its list. */
  head: number;
  /** Frames of its reservation, and Xen's frames shared with it. */
  pages: number;
  shared: number;
}

/** What all frames together are; the sum of the parts is always `total`. */
export interface FrameLedger {
  total: number;
  free: number;
  xen: number;
  owned: number;
  dead: number;
}

export class FrameTable implements TypedFrames {
  readonly memory: Memory;
  readonly count: number;
  readonly owner: Uint16Array;
  readonly type: Uint8Array;
  readonly typeCount: Uint32Array;
  readonly refs: Uint32Array;
  readonly flags: Uint8Array;
  readonly linear: Int32Array;
  validated = 0;
  rule = '';
  /**
   * Set when an entry that was present lost rights: TLBs may hold what the tables no longer grant.
   */
  stale = false;
  /** First frame of the machine-to-physical table (contiguous), and the L3 table that maps it. */
  readonly m2pBase: number;
  readonly m2pL3: number;
  readonly #owners: (FrameOwner | undefined)[] = [];
  readonly #next: Uint32Array;
  readonly #previous: Uint32Array;
  readonly #freed: Uint32Array;
  #freedCount = 0;
  /** Frames from here on were never allocated. */
  #fresh: number;
  #xen: number;
  #dead = 0;

  /** @throws RangeError when memory does not even hold Xen's own tables. */
  constructor(memory: Memory) {
    const count = memory.frames;
    this.memory = memory;
    this.count = count;
    this.owner = new Uint16Array(count).fill(OWNER_NONE);
    this.type = new Uint8Array(count);
    this.typeCount = new Uint32Array(count);
    this.refs = new Uint32Array(count);
    this.flags = new Uint8Array(count);
    this.linear = new Int32Array(count);
    this.#next = new Uint32Array(count);
    this.#previous = new Uint32Array(count);
    this.#freed = new Uint32Array(count);
    this.#xen = 1 + m2pFrames(count);
    if (this.#xen > count)
      throw new RangeError(`memory: ${count} frames do not hold the hypervisor's ${this.#xen}`);
    this.#fresh = this.#xen;
    for (let mfn = 0; mfn < this.#xen; mfn++) {
      this.owner[mfn] = DOMID_XEN;
      this.refs[mfn] = 1;
      this.flags[mfn] = FRAME_ALLOCATED | FRAME_USED;
    }
    this.m2pBase = 1;
    this.m2pL3 = buildM2p(memory, this.m2pBase);
  }

  register(owner: FrameOwner): void {
    this.#owners[owner.id] = owner;
  }

  unregister(owner: FrameOwner): void {
    if (this.#owners[owner.id] === owner) this.#owners[owner.id] = undefined;
  }

  get free(): number {
    return this.count - this.#fresh + this.#freedCount;
  }

  ledger(): FrameLedger {
    let owned = 0;
    for (const owner of this.#owners) if (owner) owned += owner.pages + owner.shared;
    return { total: this.count, free: this.free, xen: this.#xen, owned, dead: this.#dead };
  }

  /**
   * A zeroed frame with one reference, for `owner` or (undefined) for Xen itself; -1 when there is
   * none.
   */
  allocate(owner: FrameOwner | undefined): number {
    const mfn = this.#take();
    if (mfn < 0) return -1;
    this.refs[mfn] = 1;
    if (owner) {
      this.flags[mfn] = owner.scrubAll ? FRAME_ALLOCATED | FRAME_USED : FRAME_ALLOCATED;
      this.owner[mfn] = owner.id;
      owner.pages++;
      this.#link(owner, mfn);
    } else {
      this.flags[mfn] = FRAME_ALLOCATED | FRAME_USED;
      this.owner[mfn] = DOMID_XEN;
      this.#xen++;
    }
    return mfn;
  }

  /**
   * A zeroed frame of Xen's that `owner` may map writable but never use otherwise (shared_info,
   * grant table).
   */
  allocateShared(owner: FrameOwner): number {
    const mfn = this.allocate(owner);
    if (mfn < 0) return -1;
    owner.pages--;
    owner.shared++;
    this.flags[mfn] = FRAME_ALLOCATED | FRAME_USED | FRAME_SHARED;
    this.type[mfn] = TYPE_WRITABLE;
    this.typeCount[mfn] = 1;
    return mfn;
  }

  /** True when `mfn`, whatever a guest passed for it, is a frame of domain `id`. */
  belongs(mfn: number, id: number): boolean {
    return this.owner[mfn] === id;
  }

  mayCacheAttributes(owner: number): boolean {
    return this.#owners[owner]?.privileged === true;
  }

  /**
   * Take a type and a general reference. Writable means that the hypervisor itself writes it.
   * @errors -EINVAL, and those of a table's entries.
   */
  getType(mfn: number, owner: { readonly id: number }, type: number): number {
    if (this.owner[mfn] !== owner.id) {
      this.rule = 'the frame is not yours';
      return -EINVAL;
    }
    const result = getPageType(this, mfn, type);
    if (result !== 0) return result;
    if (type === TYPE_WRITABLE) this.flags[mfn]! |= FRAME_USED;
    this.refs[mfn]! += 1;
    return 0;
  }

  putType(mfn: number): void {
    putPageType(this, mfn);
    this.putRef(mfn);
  }

  getRef(mfn: number): void {
    this.refs[mfn]! += 1;
  }

  /** Give back one reference; the last one frees the frame. */
  putRef(mfn: number): void {
    const refs = this.refs[mfn]! - 1;
    if (refs < 0) throw new Error(`frame ${mfn}: reference count below zero`);
    this.refs[mfn] = refs;
    if (refs === 0) this.#release(mfn);
  }

  /** Drop the reference of the allocation. @returns false when that happened before. */
  deallocate(mfn: number): boolean {
    if ((this.flags[mfn]! & FRAME_ALLOCATED) === 0) return false;
    this.flags[mfn]! &= ~FRAME_ALLOCATED;
    this.putRef(mfn);
    return true;
  }

  /**
   * Whoever writes a frame other than through page tables says so, or it would be handed on
   * unscrubbed.
   */
  markUsed(mfn: number): void {
    this.flags[mfn]! |= FRAME_USED;
    this.memory.wrote(mfn);
  }

  /** The frames of `owner`, as they are now. */
  list(owner: FrameOwner): Uint32Array {
    const mfns = new Uint32Array(owner.pages + owner.shared);
    let at = 0;
    for (let mfn = owner.head; mfn !== 0; mfn = this.#next[mfn]!) mfns[at++] = mfn;
    return mfns;
  }

  /** Take a frame that others still map away from its dying owner. */
  abandon(owner: FrameOwner, mfn: number): void {
    this.#unlink(owner, mfn);
    this.owner[mfn] = OWNER_DEAD;
    this.#dead++;
  }

  /** The M2P entry of `mfn` as u32 halves in linear memory: its word index. */
  m2pWord(mfn: number): number {
    return (this.memory.frameAt(this.m2pBase) >>> 2) + 2 * mfn;
  }

  setM2p(mfn: number, lo: number, hi: number): void {
    const word = this.m2pWord(mfn);
    this.memory.u32[word] = lo;
    this.memory.u32[word + 1] = hi;
  }

  #take(): number {
    if (this.#freedCount > 0) return this.#freed[--this.#freedCount]!;
    return this.#fresh < this.count ? this.#fresh++ : -1;
  }

  #release(mfn: number): void {
    if (this.typeCount[mfn] !== 0) throw new Error(`frame ${mfn}: freed with type references`);
    const id = this.owner[mfn]!;
    if (id === OWNER_DEAD) this.#dead--;
    else if (id === DOMID_XEN) this.#xen--;
    else this.#unlink(this.#owners[id]!, mfn);
    this.memory.wrote(mfn);
    if ((this.flags[mfn]! & FRAME_USED) !== 0) {
      const word = this.memory.frameAt(mfn) >>> 2;
      this.memory.u32.fill(0, word, word + 1024);
    }
    this.owner[mfn] = OWNER_NONE;
    this.type[mfn] = TYPE_NONE;
    this.flags[mfn] = 0;
    this.linear[mfn] = 0;
    this.setM2p(mfn, 0xffffffff, 0xffffffff);
    this.#freed[this.#freedCount++] = mfn;
  }

  #link(owner: FrameOwner, mfn: number): void {
    const { head } = owner;
    this.#next[mfn] = head;
    this.#previous[mfn] = 0;
    if (head !== 0) this.#previous[head] = mfn;
    owner.head = mfn;
  }

  #unlink(owner: FrameOwner, mfn: number): void {
    const next = this.#next[mfn]!;
    const previous = this.#previous[mfn]!;
    if (previous === 0) owner.head = next;
    else this.#next[previous] = next;
    if (next !== 0) this.#previous[next] = previous;
    if ((this.flags[mfn]! & FRAME_SHARED) !== 0) owner.shared--;
    else owner.pages--;
  }
}
