/**
 * Changing one entry of a validated page table: take what the new entry needs, store it, give back
 * what the old one held. `frames.stale` says that rights were lost, so that the caller flushes
 * before it returns to the guest.
 * @source xen/arch/x86/mm.c (mod_l1_entry … mod_l4_entry)
 */
import { PTE_A, PTE_D, PTE_G, PTE_NX_HI, PTE_P, PTE_RW, PTE_US, pteFrame } from '../machine/pte.ts';
import { EINVAL } from '../protocol/errno.ts';
import type { FrameTable } from './frames.ts';
import {
  adjustL1Hi,
  adjustL1Lo,
  adjustTableLo,
  FRAME_PINNED,
  getL1Entry,
  getTableEntry,
  L1_CACHE_BITS,
  putL1Entry,
  putTableEntry,
  TABLE_DISALLOWED,
  TYPE_L1,
  TYPE_L4,
  XEN_SLOT_END,
  XEN_SLOT_FIRST,
} from './page-types.ts';

/**
 * Bits that may change without looking at the frame again: US, A, D, G, available; NX and available
 * above.
 */
const SAME_LO = ~(PTE_US | PTE_A | PTE_D | PTE_G | 0xe00);
const FRAME_HI = 0x000fffff;

/**
 * Set the L1 entry at `word` (index into memory.u32) of a table of domain `tableOwner`, to a frame
 * of `pageOwner`.
 * @errors -EINVAL -EPERM -EBUSY
 */
export const setL1Entry = (
  frames: FrameTable,
  word: number,
  lo: number,
  hi: number,
  tableOwner: number,
  pageOwner: number,
  keepAd: boolean,
): number => {
  const { u32 } = frames.memory;
  const oldLo = u32[word]!;
  const oldHi = u32[word + 1]!;
  let newLo = lo;
  let newHi = hi;
  if ((lo & PTE_P) !== 0) {
    frames.validated++;
    if ((lo & L1_CACHE_BITS) !== 0 && !frames.mayCacheAttributes(tableOwner)) {
      frames.rule = 'cacheability bits in an L1 entry';
      return -EINVAL;
    }
    newLo = adjustL1Lo(lo, hi);
    newHi = adjustL1Hi(lo, hi);
    if (((oldLo ^ newLo) & SAME_LO) === 0 && ((oldHi ^ newHi) & FRAME_HI) === 0) {
      if ((oldLo & PTE_D) !== 0) frames.markUsed(pteFrame(oldLo, oldHi));
      if ((newHi & ~oldHi & PTE_NX_HI) !== 0) frames.stale = true;
      store(frames, word, newLo, newHi, oldLo, keepAd);
      return 0;
    }
    const result = getL1Entry(frames, newLo, newHi, tableOwner, pageOwner);
    if (result !== 0) return result;
  }

  store(frames, word, newLo, newHi, oldLo, keepAd);
  if ((oldLo & PTE_P) !== 0) {
    if (losesRights(oldLo, oldHi, newLo, newHi)) frames.stale = true;
    putL1Entry(frames, oldLo, oldHi);
  }
  return 0;
};

/**
 * Set entry `index` of the validated table `table` of `level` 2 to 4. @errors -EINVAL, and those of
 * a lower table
 */
export const setTableEntry = (
  frames: FrameTable,
  table: number,
  index: number,
  level: number,
  lo: number,
  hi: number,
  keepAd: boolean,
): number => {
  if (level === TYPE_L4 && index >= XEN_SLOT_FIRST && index < XEN_SLOT_END) {
    frames.rule = "L4 slots 256 to 271 are the hypervisor's";
    return -EINVAL;
  }
  const { u32 } = frames.memory;
  const word = (frames.memory.frameAt(table) >>> 2) + 2 * index;
  const oldLo = u32[word]!;
  const oldHi = u32[word + 1]!;
  let newLo = lo;
  if ((lo & PTE_P) !== 0) {
    frames.validated++;
    if ((lo & TABLE_DISALLOWED) !== 0) {
      frames.rule = 'forbidden flags in an upper entry';
      return -EINVAL;
    }
    newLo = adjustTableLo(lo, level);
    if (((oldLo ^ newLo) & SAME_LO) === 0 && ((oldHi ^ hi) & FRAME_HI) === 0) {
      if ((hi & ~oldHi & PTE_NX_HI) !== 0) frames.stale = true;
      store(frames, word, newLo, hi, oldLo, keepAd);
      return 0;
    }
    const result = getTableEntry(frames, newLo, hi, table, level);
    if (result !== 0) return result;
  }

  store(frames, word, newLo, hi, oldLo, keepAd);
  if ((oldLo & PTE_P) !== 0) {
    frames.stale = true;
    putTableEntry(frames, oldLo, oldHi, table, level);
  }
  return 0;
};

/**
 * Word index of the L1 entry for `va` under `root`, when it lies in an L1 table of domain `owner`;
 * -1 otherwise.
 * @param at what Mmu.leaf found: a byte offset, or -1
 */
export const ownL1Word = (frames: FrameTable, at: number, owner: number): number => {
  if (at < 0) return -1;
  const table = frameOfOffset(frames, at);
  return frames.owner[table] === owner &&
    frames.type[table] === TYPE_L1 &&
    frames.typeCount[table]! > 0
    ? at >>> 2
    : -1;
};

/**
 * True when the L1 entry at byte offset `at` may be reached at another address too: its table has
 * another use than one.
 */
export const mayBeAliased = (frames: FrameTable, at: number, root: number, va: number): boolean => {
  const { u32 } = frames.memory;
  const l4e = (frames.memory.frameAt(root) >>> 2) + 2 * (Math.floor(va / 0x8000000000) & 511);
  const l3 = pteFrame(u32[l4e]!, u32[l4e + 1]!);
  const l3e = (frames.memory.frameAt(l3) >>> 2) + 2 * (Math.floor(va / 0x40000000) & 511);
  const l2 = pteFrame(u32[l3e]!, u32[l3e + 1]!);
  return (
    uses(frames, frameOfOffset(frames, at)) > 1 || uses(frames, l2) > 1 || uses(frames, l3) > 1
  );
};

const uses = (frames: FrameTable, table: number): number =>
  frames.typeCount[table]! - ((frames.flags[table]! & FRAME_PINNED) !== 0 ? 1 : 0);

const frameOfOffset = (frames: FrameTable, at: number): number =>
  Math.floor((at - frames.memory.frameBase) / 4096);

const store = (
  { memory }: FrameTable,
  word: number,
  lo: number,
  hi: number,
  oldLo: number,
  keepAd: boolean,
): void => {
  memory.u32[word] = keepAd ? lo | (oldLo & (PTE_A | PTE_D)) : lo;
  memory.u32[word + 1] = hi;
  memory.wrote(memory.frameOf(word * 4));
};

/** The new entry allows less than the old one, or leads elsewhere. */
const losesRights = (oldLo: number, oldHi: number, newLo: number, newHi: number): boolean =>
  (newLo & PTE_P) === 0 ||
  pteFrame(oldLo, oldHi) !== pteFrame(newLo, newHi) ||
  (oldLo & ~newLo & PTE_RW) !== 0 ||
  (newHi & ~oldHi & PTE_NX_HI) !== 0;
