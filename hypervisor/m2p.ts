/**
 * The machine-to-physical table: for each MFN the PFN that its owner knows it by, all ones when
 * there is none. Guests read it at MACH2PHYS_VIRT_START, through tables that every L4 shares in
 * slot 256.
 * @source xen/arch-x86/xen-x86_64.h:65
 */
import type { Memory } from '../machine/memory.ts';
import { PTE_A, PTE_P, PTE_US, pteLo } from '../machine/pte.ts';

const READ_ONLY = PTE_P | PTE_US | PTE_A;
const PER_TABLE = 512;

/** Frames of the table itself for `count` frames of memory. */
const dataFrames = (count: number): number => Math.ceil(count / PER_TABLE);

/** Frames of the table and of the page tables that map it. */
export const m2pFrames = (count: number): number =>
  dataFrames(count) + Math.ceil(dataFrames(count) / PER_TABLE) + 2;

/** Write table and page tables from frame `base` on. @returns the L3 table's frame. */
export const buildM2p = (memory: Memory, base: number): number => {
  const { u32 } = memory;
  const data = dataFrames(memory.frames);
  const l1 = base + data;
  const l1Count = Math.ceil(data / PER_TABLE);
  const l2 = l1 + l1Count;
  const l3 = l2 + 1;
  u32.fill(0xffffffff, memory.frameAt(base) >>> 2, memory.frameAt(l1) >>> 2);
  u32.fill(0, memory.frameAt(l1) >>> 2, memory.frameAt(l3 + 1) >>> 2);
  const put = (table: number, index: number, frame: number): void => {
    u32[(memory.frameAt(table) >>> 2) + 2 * index] = pteLo(frame, READ_ONLY);
  };
  for (let i = 0; i < data; i++) put(l1 + Math.floor(i / PER_TABLE), i % PER_TABLE, base + i);
  for (let i = 0; i < l1Count; i++) put(l2, i, l1 + i);
  put(l3, 0, l2);
  return l3;
};
