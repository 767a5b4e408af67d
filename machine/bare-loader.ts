/**
 * What firmware and boot loader leave for a bare kernel, by the PVH contract: `hvm_start_info` with a memory map. The CPU is
 * in long mode at CPL 0, interrupts off, and all memory is mapped at `BARE_VIRT_BASE` by 4 KiB pages, the same layout
 * that a PV domain of TypeScript code starts with.
 *
 *     frame 0            hvm_start_info, memory map, command line
 *     frames 1..n        page tables: L4, L3, L2s, L1s
 *     next               boot stack, one page
 *     the rest           free RAM: the second entry of the memory map
 */
import { PTE_A, PTE_D, PTE_P, PTE_RW, PTE_US, pteHi, pteLo, tableIndex } from './pte.ts';
import { CR0, CR3, CR4, CS, EFER, RBX, RFLAGS, RFLAGS_FIXED, RSP, SS, type Vcpu } from './vcpu.ts';

/** 0xffffffff80000000. */
export const BARE_VIRT_BASE = -0x80000000;
/** The window at BARE_VIRT_BASE ends at ScriptText's addresses: 1 GiB. */
export const BARE_MAX_FRAMES = 0x40000;

const HVM_START_MAGIC = 0x336ec578;
const MEMMAP_AT = 64;
const CMDLINE_AT = 256;
const CMDLINE_MAX = 1024;
const E820_RAM = 1;
const E820_RESERVED = 2;

/** CR0: PG, WP, NE, ET, MP, PE; CR4: PAE, OSFXSR; EFER: SCE, LME, LMA, NXE. */
const BOOT_CR0 = 0x80010033;
const BOOT_CR4 = 0x220;
const BOOT_EFER = 0xd01;

/** Guest-physical memory as the loader writes it. */
export interface PhysicalMemory {
  readonly frames: number;
  /** Store a little-endian 32-bit word at physical address `pa`. */
  store32(pa: number, value: number): void;
}

/** Frames that the loader uses for `frames` frames of memory, from 0. */
export const bareBootFrames = (frames: number): number => {
  const l1 = Math.ceil(frames / 512);
  return 1 + 2 + Math.ceil(l1 / 512) + l1 + 1;
};

/** Fill memory and registers. @returns the boot record's address. @throws RangeError when it does not fit. */
export const loadBare = (memory: PhysicalMemory, vcpu: Vcpu, cmdline = ''): number => {
  const { frames } = memory;
  const used = bareBootFrames(frames);
  if (frames > BARE_MAX_FRAMES)
    throw new RangeError(
      `memory: ${frames} pages exceed the ${BARE_MAX_FRAMES} that a TypeScript kernel's window maps`,
    );
  if (frames < used + 1)
    throw new RangeError(`memory: ${frames} pages do not hold the ${used} that booting takes`);
  writeStartInfo(memory, used, cmdline);
  writeTables(memory);

  vcpu.set(CR0, BOOT_CR0);
  vcpu.set(CR3, 4096);
  vcpu.set(CR4, BOOT_CR4);
  vcpu.set(EFER, BOOT_EFER);
  vcpu.set(RFLAGS, RFLAGS_FIXED);
  vcpu.set(CS, 0x10);
  vcpu.set(SS, 0x18);
  vcpu.cpl = 0;
  vcpu.selectTlb(0);
  vcpu.setGpr(RSP, BARE_VIRT_BASE + used * 4096);
  vcpu.setGpr(RBX, BARE_VIRT_BASE);
  return BARE_VIRT_BASE;
};

const store64 = (memory: PhysicalMemory, pa: number, value: number): void => {
  memory.store32(pa, value >>> 0);
  memory.store32(pa + 4, Math.floor(value / 4294967296));
};

const writeStartInfo = (memory: PhysicalMemory, used: number, cmdline: string): void => {
  memory.store32(0, HVM_START_MAGIC);
  memory.store32(4, 1);
  store64(memory, 24, CMDLINE_AT);
  store64(memory, 40, MEMMAP_AT);
  memory.store32(48, 2);
  const entry = (index: number, from: number, to: number, type: number): void => {
    store64(memory, MEMMAP_AT + index * 24, from * 4096);
    store64(memory, MEMMAP_AT + index * 24 + 8, (to - from) * 4096);
    memory.store32(MEMMAP_AT + index * 24 + 16, type);
  };
  entry(0, 0, used, E820_RESERVED);
  entry(1, used, memory.frames, E820_RAM);
  const text = new TextEncoder().encode(cmdline).subarray(0, CMDLINE_MAX - 1);
  for (let i = 0; i <= text.length; i += 4) {
    memory.store32(
      CMDLINE_AT + i,
      (text[i] ?? 0) |
        ((text[i + 1] ?? 0) << 8) |
        ((text[i + 2] ?? 0) << 16) |
        ((text[i + 3] ?? 0) << 24),
    );
  }
};

const writeTables = (memory: PhysicalMemory): void => {
  const flags = PTE_P | PTE_RW | PTE_A;
  const table = flags | PTE_D | PTE_US;
  const l1Count = Math.ceil(memory.frames / 512);
  const l2 = 3;
  const l1 = l2 + Math.ceil(l1Count / 512);
  const put = (frame: number, index: number, target: number, bits: number): void => {
    memory.store32(frame * 4096 + index * 8, pteLo(target, bits));
    memory.store32(frame * 4096 + index * 8 + 4, pteHi(target));
  };
  put(1, tableIndex(BARE_VIRT_BASE, 4), 2, table);
  for (let i = 0; i < Math.ceil(l1Count / 512); i++)
    put(2, tableIndex(BARE_VIRT_BASE, 3) + i, l2 + i, table);
  for (let i = 0; i < l1Count; i++) put(l2 + (i >> 9), i & 511, l1 + i, table);
  for (let frame = 0; frame < memory.frames; frame++)
    put(l1 + (frame >> 9), frame & 511, frame, flags);
};
