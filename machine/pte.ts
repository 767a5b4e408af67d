/**
 * A page-table entry as two u32 halves, all four levels alike (SDM vol. 3, 4.5).
 *
 *     63  62..52   51 ................ 12  11..9  8  7  6  5   4   3   2   1  0
 *     NX  avail    frame number            avail  G  PS D  A  PCD PWT US  RW P
 */

export const PTE_P = 1;
export const PTE_RW = 2;
export const PTE_US = 4;
export const PTE_PWT = 8;
export const PTE_PCD = 16;
export const PTE_A = 32;
export const PTE_D = 64;
export const PTE_PS = 128;
export const PTE_G = 256;
/** NX, in the high half. */
export const PTE_NX_HI = 0x80000000;

/** Frame number in bits 51..12. */
export const pteFrame = (lo: number, hi: number): number => (hi & 0xfffff) * 0x100000 + (lo >>> 12);

/** Low half of an entry for `frame` with the flags of bits 0..11. */
export const pteLo = (frame: number, flags: number): number => ((frame << 12) | flags) >>> 0;

/** High half of an entry for `frame`, without NX. */
export const pteHi = (frame: number): number => Math.floor(frame / 0x100000);

/** Index into the table of `level` (1 = page table … 4 = PML4) that `va` selects. */
export const tableIndex = (va: number, level: number): number =>
  level === 1
    ? (va >> 12) & 511
    : level === 2
      ? (va >> 21) & 511
      : Math.floor(va / (level === 3 ? 0x40000000 : 0x8000000000)) & 511;

/** True when bits 63..47 of `va`, a signed number, are equal. */
export const isCanonical = (va: number): boolean => va >= -0x800000000000 && va < 0x800000000000;

/** Bits of a #PF error code. */
export const PF_PRESENT = 1;
export const PF_WRITE = 2;
export const PF_USER = 4;
export const PF_RESERVED = 8;
export const PF_FETCH = 16;

/** Bits of an EPT entry (SDM vol. 3, 29.3.2); PTE_PS marks a large page there too. */
export const EPT_READ = 1;
export const EPT_WRITE = 2;
export const EPT_EXECUTE = 4;
export const EPT_MEMORY_WB = 6 << 3;
