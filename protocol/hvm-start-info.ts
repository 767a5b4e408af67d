/**
 * The PVH boot record: RBX holds its guest-physical address when the kernel starts.
 * @source xen/arch-x86/hvm/start_info.h
 */
import { struct, type TypeOf, u32, u64n } from './layout.ts';

export const XEN_HVM_START_MAGIC_VALUE = 0x336ec578;

export const XEN_HVM_MEMMAP_TYPE_RAM = 1;
export const XEN_HVM_MEMMAP_TYPE_RESERVED = 2;
export const XEN_HVM_MEMMAP_TYPE_ACPI = 3;
export const XEN_HVM_MEMMAP_TYPE_NVS = 4;
export const XEN_HVM_MEMMAP_TYPE_UNUSABLE = 5;
export const XEN_HVM_MEMMAP_TYPE_DISABLED = 6;
export const XEN_HVM_MEMMAP_TYPE_PMEM = 7;

export const HvmStartInfo = struct('hvm_start_info', {
  magic: u32,
  version: u32, // 1: the fields from memmapPaddr on count
  flags: u32, // SIF_*
  nrModules: u32,
  modlistPaddr: u64n,
  cmdlinePaddr: u64n,
  rsdpPaddr: u64n,
  memmapPaddr: u64n,
  memmapEntries: u32,
  reserved: u32,
});
export type HvmStartInfo = TypeOf<typeof HvmStartInfo>;

export const HvmModlistEntry = struct('hvm_modlist_entry', {
  paddr: u64n,
  size: u64n, // bytes
  cmdlinePaddr: u64n,
  reserved: u64n,
});
export type HvmModlistEntry = TypeOf<typeof HvmModlistEntry>;

export const HvmMemmapTableEntry = struct('hvm_memmap_table_entry', {
  addr: u64n,
  size: u64n, // bytes
  type: u32, // XEN_HVM_MEMMAP_TYPE_*
  reserved: u32,
});
export type HvmMemmapTableEntry = TypeOf<typeof HvmMemmapTableEntry>;
