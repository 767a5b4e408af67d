/**
 * Physical devices: interrupts as pirqs, and I/O port rights, for domains that drive hardware.
 * @source xen/physdev.h
 */
import { i32, out, pointer, struct, type TypeOf, u8, u16, u32, u64n } from './layout.ts';
import { Domid, Gfn } from './units.ts';

export const PHYSDEVOP_irq_status_query = 5;
export const PHYSDEVOP_set_iopl = 6;
export const PHYSDEVOP_set_iobitmap = 7;
export const PHYSDEVOP_apic_read = 8;
export const PHYSDEVOP_apic_write = 9;
export const PHYSDEVOP_alloc_irq_vector = 10;
export const PHYSDEVOP_free_irq_vector = 11;
export const PHYSDEVOP_eoi = 12;
export const PHYSDEVOP_map_pirq = 13;
export const PHYSDEVOP_unmap_pirq = 14;
export const PHYSDEVOP_manage_pci_add = 15;
export const PHYSDEVOP_manage_pci_remove = 16;
export const PHYSDEVOP_pirq_eoi_gmfn_v1 = 17;
export const PHYSDEVOP_setup_gsi = 21;
export const PHYSDEVOP_get_free_pirq = 23;
export const PHYSDEVOP_pci_mmcfg_reserved = 24;
export const PHYSDEVOP_pci_device_add = 25;
export const PHYSDEVOP_pci_device_remove = 26;
export const PHYSDEVOP_pirq_eoi_gmfn_v2 = 28;

export const XENIRQSTAT_needs_eoi = 1;
export const XENIRQSTAT_shared = 2;

export const MAP_PIRQ_TYPE_MSI = 0;
export const MAP_PIRQ_TYPE_GSI = 1;
export const MAP_PIRQ_TYPE_UNKNOWN = 2;
export const MAP_PIRQ_TYPE_MSI_SEG = 3;
export const MAP_PIRQ_TYPE_MULTI_MSI = 4;

export const PhysdevEoi = struct('physdev_eoi', { irq: u32 });
export type PhysdevEoi = TypeOf<typeof PhysdevEoi>;

export const PhysdevPirqEoiGmfn = struct('physdev_pirq_eoi_gmfn', { gmfn: Gfn });
export type PhysdevPirqEoiGmfn = TypeOf<typeof PhysdevPirqEoiGmfn>;

export const PhysdevIrqStatusQuery = struct('physdev_irq_status_query', {
  irq: u32,
  flags: out(u32), // XENIRQSTAT_*
});
export type PhysdevIrqStatusQuery = TypeOf<typeof PhysdevIrqStatusQuery>;

export const PhysdevSetIopl = struct('physdev_set_iopl', { iopl: u32 });
export type PhysdevSetIopl = TypeOf<typeof PhysdevSetIopl>;

export const PhysdevSetIobitmap = struct('physdev_set_iobitmap', {
  bitmap: pointer, // one bit for each port: 1 forbids it
  nrPorts: u32,
});
export type PhysdevSetIobitmap = TypeOf<typeof PhysdevSetIobitmap>;

export const PhysdevApic = struct('physdev_apic', {
  apicPhysbase: u64n,
  reg: u32,
  value: out(u32),
});
export type PhysdevApic = TypeOf<typeof PhysdevApic>;

export const PhysdevIrq = struct('physdev_irq', { irq: u32, vector: out(u32) });
export type PhysdevIrq = TypeOf<typeof PhysdevIrq>;

export const PhysdevMapPirq = struct('physdev_map_pirq', {
  domid: Domid,
  type: i32, // MAP_PIRQ_TYPE_*
  index: i32,
  pirq: out(i32), // in: the wanted one, or -1
  bus: i32,
  devfn: i32,
  entryNr: i32,
  tableBase: u64n,
});
export type PhysdevMapPirq = TypeOf<typeof PhysdevMapPirq>;

export const PhysdevUnmapPirq = struct('physdev_unmap_pirq', { domid: Domid, pirq: i32 });
export type PhysdevUnmapPirq = TypeOf<typeof PhysdevUnmapPirq>;

export const PhysdevSetupGsi = struct('physdev_setup_gsi', {
  gsi: i32,
  triggering: u8, // 0 edge, 1 level
  polarity: u8, // 0 active high, 1 active low
});
export type PhysdevSetupGsi = TypeOf<typeof PhysdevSetupGsi>;

export const PhysdevGetFreePirq = struct('physdev_get_free_pirq', { type: i32, pirq: out(u32) });
export type PhysdevGetFreePirq = TypeOf<typeof PhysdevGetFreePirq>;

export const PhysdevPciDevice = struct('physdev_pci_device', { seg: u16, bus: u8, devfn: u8 });
export type PhysdevPciDevice = TypeOf<typeof PhysdevPciDevice>;
