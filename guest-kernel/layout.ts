/**
 * Where a kernel of this library finds things: the virtual layout that loaders of TypeScript guests
 * set up, page-table bits and register numbers.
 * @source SDM vol. 3, 4.5 (paging), vol. 2, table 3-1 (register numbers)
 */

/** The direct map: frame p lies at VIRT_BASE + p * 4096 (0xffffffff80000000). */
export const VIRT_BASE = -0x80000000;
/** The direct map ends where code addresses begin (0xffffffffc0000000). */
export const DIRECT_MAP_PAGES = 0x40000;
/**
 * Where the kernel maps what is not its own memory (grant tables, granted frames): 64 GiB, under
 * the same L3 as the direct map.
 */
export const MAP_AREA = -0x4000000000;
/** The end of the user half. */
export const USER_END = 0x800000000000;

export const virt = (pfn: number): number => VIRT_BASE + pfn * 4096;
export const directPfn = (va: number): number => Math.floor((va - VIRT_BASE) / 4096);

export const PTE_P = 1;
export const PTE_RW = 2;
export const PTE_US = 4;
export const PTE_A = 32;
export const PTE_D = 64;
/** NX, in the high half of an entry. */
export const PTE_NX_HI = 0x80000000;

/** Flags of an entry that points to a lower table which may lead to user pages. */
export const TABLE_FLAGS = PTE_P | PTE_RW | PTE_US | PTE_A | PTE_D;

/** The index of `va` in its table of `level` 1..4. */
export const tableIndex = (va: number, level: number): number =>
  Math.floor(va / 2 ** (3 + 9 * level)) & 511;

/** The machine frame in an entry given as its halves. */
export const entryFrame = (lo: number, hi: number): number =>
  (hi & 0xfffff) * 0x100000 + (lo >>> 12);
export const entryLo = (frame: number, flags: number): number => ((frame << 12) | flags) >>> 0;
export const entryHi = (frame: number): number => Math.floor(frame / 0x100000);

export const RAX = 0;
export const RCX = 1;
export const RDX = 2;
export const RSP = 4;
export const RSI = 6;
export const RDI = 7;
export const R8 = 8;
export const R9 = 9;
export const R10 = 10;
export const R11 = 11;

export const RFLAGS_IF = 0x200;
/** IF and the bit that is always set. */
export const RFLAGS_USER = 0x202;

/** The system call with which user code ends: runUser's own. */
export const SYS_EXIT = -1;

/** Vectors for which an error code is pushed. */
export const hasErrorCode = (vector: number): boolean =>
  vector === 8 || (vector >= 10 && vector <= 14) || vector === 17;
export const VECTOR_PF = 14;
