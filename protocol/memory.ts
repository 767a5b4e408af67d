/**
 * Memory operations: change how much a domain has, exchange frames, place things in its
 * pseudo-physical space, and find the machine-to-physical table.
 * @source xen/memory.h; ACPI 6.4 section 15 (address range types)
 */
import { out, pointer, struct, type TypeOf, u16, u32, u64n } from './layout.ts';
import { Domid, Gfn, Va } from './units.ts';

export const XENMEM_increase_reservation = 0;
export const XENMEM_decrease_reservation = 1;
export const XENMEM_maximum_ram_page = 2;
export const XENMEM_current_reservation = 3;
export const XENMEM_maximum_reservation = 4;
export const XENMEM_machphys_mfn_list = 5;
export const XENMEM_populate_physmap = 6;
export const XENMEM_add_to_physmap = 7;
export const XENMEM_memory_map = 9;
export const XENMEM_machine_memory_map = 10;
export const XENMEM_exchange = 11;
export const XENMEM_machphys_mapping = 12;
export const XENMEM_set_memory_map = 13;
export const XENMEM_maximum_gpfn = 14;
export const XENMEM_remove_from_physmap = 15;
export const XENMEM_set_pod_target = 16;
export const XENMEM_get_pod_target = 17;
export const XENMEM_add_to_physmap_batch = 23;
export const XENMEM_machphys_compat_mfn_list = 25;
export const XENMEM_get_vnumainfo = 26;
export const XENMEM_acquire_resource = 28;

export const XENMEMF_populate_on_demand = 0x10000;
export const XENMEMF_exact_node_request = 0x20000;
export const XENMEMF_vnode = 0x40000;

export const XENMAPSPACE_shared_info = 0;
export const XENMAPSPACE_grant_table = 1;
export const XENMAPSPACE_gmfn = 2;
export const XENMAPSPACE_gmfn_range = 3;
export const XENMAPSPACE_gmfn_foreign = 4;
export const XENMAPSPACE_dev_mmio = 5;
export const XENMAPIDX_grant_table_status = 0x80000000;

export const XENMEM_resource_ioreq_server = 0;
export const XENMEM_resource_grant_table = 1;

// Types of a memory map entry, as ACPI numbers them.
export const E820_RAM = 1;
export const E820_RESERVED = 2;

export const XenMemoryReservation = struct('xen_memory_reservation', {
  extentStart: pointer, // xen_pfn_t[nrExtents]
  nrExtents: u64n,
  extentOrder: u32, // log2 of the frames in one extent
  memFlags: u32, // XENMEMF_*; address bits in 0-7
  domid: Domid,
});
export type XenMemoryReservation = TypeOf<typeof XenMemoryReservation>;

export const XenMemoryExchange = struct('xen_memory_exchange', {
  in: XenMemoryReservation,
  out: XenMemoryReservation,
  nrExchanged: out(u64n),
});
export type XenMemoryExchange = TypeOf<typeof XenMemoryExchange>;

export const XenMemoryDomain = struct('xen_memory_domain', { domid: Domid });
export type XenMemoryDomain = TypeOf<typeof XenMemoryDomain>;

export const XenMachphysMfnList = struct('xen_machphys_mfn_list', {
  maxExtents: u32,
  extentStart: pointer, // xen_pfn_t[maxExtents], filled in
  nrExtents: out(u32),
});
export type XenMachphysMfnList = TypeOf<typeof XenMachphysMfnList>;

export const XenMachphysMapping = struct('xen_machphys_mapping', {
  vStart: out(Va),
  vEnd: out(Va),
  maxMfn: out(u64n),
});
export type XenMachphysMapping = TypeOf<typeof XenMachphysMapping>;

export const XenAddToPhysmap = struct('xen_add_to_physmap', {
  domid: Domid,
  size: u16, // pages left, for XENMAPSPACE_gmfn_range
  space: u32, // XENMAPSPACE_*
  idx: u64n,
  gpfn: Gfn,
});
export type XenAddToPhysmap = TypeOf<typeof XenAddToPhysmap>;

export const XenAddToPhysmapBatch = struct('xen_add_to_physmap_batch', {
  domid: Domid,
  space: u16, // XENMAPSPACE_*
  size: u16, // how many
  u: Domid, // foreign domain, for XENMAPSPACE_gmfn_foreign
  idxs: pointer,
  gpfns: pointer,
  errs: pointer,
});
export type XenAddToPhysmapBatch = TypeOf<typeof XenAddToPhysmapBatch>;

export const XenRemoveFromPhysmap = struct('xen_remove_from_physmap', { domid: Domid, gpfn: Gfn });
export type XenRemoveFromPhysmap = TypeOf<typeof XenRemoveFromPhysmap>;

export const XenMemoryMap = struct('xen_memory_map', {
  nrEntries: out(u32), // in: room in the buffer; out: entries written
  buffer: pointer, // E820Entry[nrEntries]
});
export type XenMemoryMap = TypeOf<typeof XenMemoryMap>;

/** One range of a memory map: 20 bytes, so the 64-bit fields of every other entry lie unaligned. */
export const E820Entry = struct('e820entry', {
  addr: { ...u64n, align: 4 },
  size: { ...u64n, align: 4 }, // bytes
  type: u32, // E820_*
});
export type E820Entry = TypeOf<typeof E820Entry>;

export const XenForeignMemoryMap = struct('xen_foreign_memory_map', {
  domid: Domid,
  map: XenMemoryMap,
});
export type XenForeignMemoryMap = TypeOf<typeof XenForeignMemoryMap>;
