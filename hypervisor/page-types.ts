/**
 * Page types: a frame is at most one of L1..L4 table, descriptor page or writable, with a count of
 * its uses. Going from 0 to 1 as a table validates all 512 entries, each taking references on what
 * it names, so nobody who can write a page can have it walked by the MMU. Failure gives back every
 * reference it took.
 * @source xen/arch/x86/mm.c (rules and errno), SDM vol. 3, 4.5
 */
import type { Memory } from '../machine/memory.ts';
import { PTE_A, PTE_D, PTE_G, PTE_P, PTE_RW, PTE_US, pteFrame } from '../machine/pte.ts';
import { EBUSY, EINVAL, EPERM } from '../protocol/errno.ts';
import { sanitizeDescriptors } from './descriptors.ts';

export const TYPE_NONE = 0;
/** Page tables have their level as type: 1 to 4. */
export const TYPE_L1 = 1;
export const TYPE_L2 = 2;
export const TYPE_L3 = 3;
export const TYPE_L4 = 4;
export const TYPE_SEG_DESC = 5;
export const TYPE_WRITABLE = 6;

/** Bits of FrameTable.flags. */
export const FRAME_ALLOCATED = 1;
export const FRAME_PINNED = 2;
export const FRAME_VALIDATED = 4;
/** Somebody may have written it since it was last zeroed. */
export const FRAME_USED = 8;
/**
 * A page of Xen's that it shares with the domain: permanently writable, not part of its
 * reservation.
 */
export const FRAME_SHARED = 16;

/** L4 slots 256 to 271 are Xen's. */
export const XEN_SLOT_FIRST = 256;
export const XEN_SLOT_END = 272;

/** PWT, PCD and PAT of an L1 entry: cacheability is for domains with hardware. */
export const L1_CACHE_BITS = 0x98;
/** PWT, PCD, PS and G of an upper entry. */
export const TABLE_DISALLOWED = 0x198;
/** Bit 52, in the high half: Xen's mark for a page that the guest mapped for its kernel. */
export const PTE_GUEST_KERNEL_HI = 0x100000;
/** The frame of an entry of all ones. */
const INVALID_FRAME = 0xffffffffff;

/** What the validation needs of a frame table. */
export interface TypedFrames {
  readonly memory: Memory;
  readonly count: number;
  readonly owner: Uint16Array;
  readonly type: Uint8Array;
  readonly typeCount: Uint32Array;
  readonly refs: Uint32Array;
  readonly flags: Uint8Array;
  /**
   * Linear page tables: above 0, how many entries name tables of the same level; below, how many
   * such name this one.
   */
  readonly linear: Int32Array;
  /** Present entries looked at, for whoever charges for them. */
  validated: number;
  /** Why the last request was refused. */
  rule: string;
  readonly m2pL3: number;
  mayCacheAttributes(owner: number): boolean;
  putRef(mfn: number): void;
}

const refuse = (frames: TypedFrames, errno: number, rule: string): number => {
  frames.rule = rule;
  return -errno;
};

/**
 * Take one type reference; the caller holds or takes the general one. @errors -EINVAL, and those of
 * the entries.
 */
export const getPageType = (frames: TypedFrames, mfn: number, type: number): number => {
  const { typeCount } = frames;
  if (typeCount[mfn]! > 0) {
    if (frames.type[mfn] !== type)
      return refuse(frames, EINVAL, 'the frame is in use as another type');
    typeCount[mfn]! += 1;
    return 0;
  }

  frames.type[mfn] = type;
  typeCount[mfn] = 1;
  if (type === TYPE_WRITABLE) return 0;
  frames.flags[mfn]! |= FRAME_USED;
  const result =
    type === TYPE_SEG_DESC
      ? promoteDescriptors(frames, mfn)
      : type === TYPE_L1
        ? promoteL1(frames, mfn)
        : promoteTable(frames, mfn, type);
  if (result === 0) {
    frames.flags[mfn]! |= FRAME_VALIDATED;
  } else {
    typeCount[mfn] = 0;
    frames.type[mfn] = TYPE_NONE;
  }
  return result;
};

/** Give back one type reference; the last one of a table gives back what its entries hold. */
export const putPageType = (frames: TypedFrames, mfn: number): void => {
  const { typeCount } = frames;
  if (typeCount[mfn] === 1) {
    const type = frames.type[mfn]!;
    if (type === TYPE_L1) dropL1(frames, mfn, 512);
    else if (type >= TYPE_L2 && type <= TYPE_L4) dropTable(frames, mfn, type, 512);
    frames.type[mfn] = TYPE_NONE;
    frames.flags[mfn]! &= ~FRAME_VALIDATED;
  }
  typeCount[mfn]! -= 1;
};

/**
 * Take what a present L1 entry holds. @errors -EINVAL for its bits or a frame of all ones, -EPERM
 * for another that is not memory, -EBUSY for one of another owner or, writable, of another type
 */
export const getL1Entry = (
  frames: TypedFrames,
  lo: number,
  hi: number,
  tableOwner: number,
  pageOwner: number,
): number => {
  if ((lo & L1_CACHE_BITS) !== 0 && !frames.mayCacheAttributes(tableOwner)) {
    return refuse(frames, EINVAL, 'cacheability bits in an L1 entry');
  }
  const mfn = pteFrame(lo, hi);
  if (mfn >= frames.count) {
    return refuse(
      frames,
      mfn === INVALID_FRAME ? EINVAL : EPERM,
      'L1 entry names a frame that is not memory',
    );
  }
  if (frames.owner[mfn] !== pageOwner)
    return refuse(frames, EBUSY, 'L1 entry names a frame of another owner');
  if ((lo & PTE_RW) !== 0) {
    if (frames.typeCount[mfn]! > 0 && frames.type[mfn] !== TYPE_WRITABLE) {
      return refuse(frames, EBUSY, 'writable mapping of a frame with another type');
    }
    frames.type[mfn] = TYPE_WRITABLE;
    frames.typeCount[mfn]! += 1;
  }
  frames.refs[mfn]! += 1;
  return 0;
};

/** Give back what an L1 entry holds. */
export const putL1Entry = (frames: TypedFrames, lo: number, hi: number): void => {
  if ((lo & PTE_P) === 0) return;
  const mfn = pteFrame(lo, hi);
  if ((lo & PTE_D) !== 0) frames.flags[mfn]! |= FRAME_USED;
  if ((lo & PTE_RW) !== 0) putPageType(frames, mfn);
  frames.putRef(mfn);
};

/**
 * Take what a present entry of table `table`, of `level` 2 to 4, holds. @errors -EINVAL, and those
 * of a lower table.
 */
export const getTableEntry = (
  frames: TypedFrames,
  lo: number,
  hi: number,
  table: number,
  level: number,
): number => {
  if ((lo & TABLE_DISALLOWED) !== 0)
    return refuse(frames, EINVAL, 'forbidden flags in an upper entry');
  const mfn = pteFrame(lo, hi);
  if (frames.owner[mfn] !== frames.owner[table])
    return refuse(frames, EINVAL, 'upper entry names a frame of another owner');
  const result = getPageType(frames, mfn, level - 1);
  if (result === 0) {
    frames.refs[mfn]! += 1;
    return 0;
  }
  return result === -EINVAL && getLinear(frames, lo, mfn, table, level) ? 0 : result;
};

/** Give back what an entry of table `table` holds. */
export const putTableEntry = (
  frames: TypedFrames,
  lo: number,
  hi: number,
  table: number,
  level: number,
): void => {
  if ((lo & PTE_P) === 0) return;
  const mfn = pteFrame(lo, hi);
  if (mfn === table) return;
  if (frames.type[mfn] === level) {
    frames.linear[mfn]! += 1;
    frames.linear[table]! -= 1;
  }
  putPageType(frames, mfn);
  frames.putRef(mfn);
};

/** A read-only entry that names a table of the same level; naming itself takes no reference. */
const getLinear = (
  frames: TypedFrames,
  lo: number,
  mfn: number,
  table: number,
  level: number,
): boolean => {
  if ((lo & PTE_RW) !== 0) return false;
  if (mfn === table) return true;
  const validated = frames.type[mfn] === level && (frames.flags[mfn]! & FRAME_VALIDATED) !== 0;
  // A table is either used by others or uses others, so that references never form a ring.
  if (!validated || frames.linear[table]! < 0 || frames.linear[mfn]! > 0) return false;
  frames.linear[table]! += 1;
  frames.linear[mfn]! -= 1;
  frames.typeCount[mfn]! += 1;
  frames.refs[mfn]! += 1;
  return true;
};

/**
 * Low and high half of an L1 entry as Xen stores it: user pages global, kernel pages user with the
 * mark.
 */
export const adjustL1Lo = (lo: number, hi: number): number =>
  ((lo & PTE_US) === 0 || (hi & PTE_GUEST_KERNEL_HI) !== 0 ? lo | PTE_US : lo | PTE_US | PTE_G) >>>
  0;

export const adjustL1Hi = (lo: number, hi: number): number =>
  (lo & PTE_US) === 0 ? (hi | PTE_GUEST_KERNEL_HI) >>> 0 : hi;

/** Low half of an upper entry as Xen stores it. */
export const adjustTableLo = (lo: number, level: number): number =>
  (level === TYPE_L4 ? lo | PTE_US | PTE_A : lo | PTE_US) >>> 0;

const promoteDescriptors = (frames: TypedFrames, mfn: number): number =>
  sanitizeDescriptors(frames.memory, mfn) ? 0 : refuse(frames, EINVAL, 'forbidden descriptor');

const promoteL1 = (frames: TypedFrames, table: number): number => {
  const { u32 } = frames.memory;
  const base = frames.memory.frameAt(table) >>> 2;
  const owner = frames.owner[table]!;
  for (let i = 0; i < 512; i++) {
    const word = base + 2 * i;
    const lo = u32[word]!;
    if ((lo & PTE_P) === 0) continue;
    frames.validated++;
    const hi = u32[word + 1]!;
    const result = getL1Entry(frames, lo, hi, owner, owner);
    if (result !== 0) {
      dropL1(frames, table, i);
      return result;
    }
    u32[word] = adjustL1Lo(lo, hi);
    u32[word + 1] = adjustL1Hi(lo, hi);
  }
  return 0;
};

const promoteTable = (frames: TypedFrames, table: number, level: number): number => {
  const { u32 } = frames.memory;
  const base = frames.memory.frameAt(table) >>> 2;
  for (let i = 0; i < 512; i++) {
    if (level === TYPE_L4 && i === XEN_SLOT_FIRST) i = XEN_SLOT_END;
    const word = base + 2 * i;
    const lo = u32[word]!;
    if ((lo & PTE_P) === 0) continue;
    frames.validated++;
    const result = getTableEntry(frames, lo, u32[word + 1]!, table, level);
    if (result !== 0) {
      dropTable(frames, table, level, i);
      return result;
    }
    u32[word] = adjustTableLo(lo, level);
  }
  if (level === TYPE_L4) u32.fill(0, base + 2 * XEN_SLOT_FIRST, base + 2 * XEN_SLOT_END);
  return 0;
};

/**
 * Slot 256 of a root of kernel mode leads to the machine-to-physical table. One that only user mode has
 * lacks it: VMASST_TYPE_m2p_strict, which is not offered, is about roots that both have.
 */
export const showM2p = (frames: TypedFrames, mfn: number): void => {
  const word = (frames.memory.frameAt(mfn) >>> 2) + 2 * XEN_SLOT_FIRST;
  frames.memory.u32[word] = (frames.m2pL3 << 12) | PTE_P | PTE_US | PTE_A;
};

const dropL1 = (frames: TypedFrames, table: number, end: number): void => {
  const { u32 } = frames.memory;
  const base = frames.memory.frameAt(table) >>> 2;
  for (let i = 0; i < end; i++) putL1Entry(frames, u32[base + 2 * i]!, u32[base + 2 * i + 1]!);
};

const dropTable = (frames: TypedFrames, table: number, level: number, end: number): void => {
  const { u32 } = frames.memory;
  const base = frames.memory.frameAt(table) >>> 2;
  for (let i = 0; i < end; i++) {
    if (level === TYPE_L4 && i === XEN_SLOT_FIRST) i = XEN_SLOT_END;
    if (i < end) putTableEntry(frames, u32[base + 2 * i]!, u32[base + 2 * i + 1]!, table, level);
  }
};
