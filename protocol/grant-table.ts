/**
 * Grant tables: a domain's permissions on its frames for others, written in memory that it shares
 * with Xen. A reference can be mapped, copied through or (once) transferred.
 * @source xen/grant_table.h
 */
import { i16, out, pointer, struct, type TypeOf, u16, u32, u64n, union } from './layout.ts';
import { Domid, Gref, Mfn } from './units.ts';

export const GNTTABOP_map_grant_ref = 0;
export const GNTTABOP_unmap_grant_ref = 1;
export const GNTTABOP_setup_table = 2;
export const GNTTABOP_dump_table = 3;
export const GNTTABOP_transfer = 4;
export const GNTTABOP_copy = 5;
export const GNTTABOP_query_size = 6;
export const GNTTABOP_unmap_and_replace = 7;
export const GNTTABOP_set_version = 8;
export const GNTTABOP_get_status_frames = 9;
export const GNTTABOP_get_version = 10;
export const GNTTABOP_swap_grant_ref = 11;
export const GNTTABOP_cache_flush = 12;

export const GNTTAB_NR_RESERVED_ENTRIES = 8;
export const GNTTAB_RESERVED_CONSOLE = 0;
export const GNTTAB_RESERVED_XENSTORE = 1;

// Flags of an entry: the type in bits 0-1, the state above. @source grant_table.h:146
export const GTF_invalid = 0;
export const GTF_permit_access = 1;
export const GTF_accept_transfer = 2;
export const GTF_transitive = 3;
export const GTF_type_mask = 3;
export const GTF_readonly = 0x4;
export const GTF_reading = 0x8; // set by Xen while a mapping or copy reads
export const GTF_writing = 0x10; // set by Xen while a mapping or copy may write
export const GTF_PWT = 0x20;
export const GTF_PCD = 0x40;
export const GTF_PAT = 0x80;
export const GTF_sub_page = 0x100;
export const GTF_transfer_committed = 0x4;
export const GTF_transfer_completed = 0x8;

export const GNTMAP_device_map = 0x1;
export const GNTMAP_host_map = 0x2;
export const GNTMAP_readonly = 0x4;
export const GNTMAP_application_map = 0x8;
export const GNTMAP_contains_pte = 0x10;
export const GNTMAP_guest_avail_mask = 0xffff0000;

export const GNTCOPY_source_gref = 1;
export const GNTCOPY_dest_gref = 2;

// Status of one element, beside the return value of the hypercall. @source grant_table.h:626
export const GNTST_okay = 0;
export const GNTST_general_error = -1;
export const GNTST_bad_domain = -2;
export const GNTST_bad_gntref = -3;
export const GNTST_bad_handle = -4;
export const GNTST_bad_virt_addr = -5;
export const GNTST_bad_dev_addr = -6;
export const GNTST_no_device_space = -7;
export const GNTST_permission_denied = -8;
export const GNTST_bad_page = -9;
export const GNTST_bad_copy_arg = -10;
export const GNTST_address_too_big = -11;
export const GNTST_eagain = -12;
export const GNTST_no_space = -13;

const STATUS_NAMES = [
  'okay',
  'general_error',
  'bad_domain',
  'bad_gntref',
  'bad_handle',
  'bad_virt_addr',
  'bad_dev_addr',
  'no_device_space',
  'permission_denied',
  'bad_page',
  'bad_copy_arg',
  'address_too_big',
  'eagain',
  'no_space',
] as const;

/** The name of a grant status, e.g. `GNTST_bad_gntref` for -3. */
export function grantStatusName(status: number): string {
  const name = STATUS_NAMES[-status];
  return name === undefined ? `grant status ${status}` : `GNTST_${name}`;
}

export const GrantEntryV1 = struct('grant_entry_v1', {
  flags: u16, // written last when granting, cleared first (by compare-and-exchange) when ending
  domid: Domid,
  frame: u32,
});
export type GrantEntryV1 = TypeOf<typeof GrantEntryV1>;

export const GnttabMapGrantRef = struct('gnttab_map_grant_ref', {
  hostAddr: u64n,
  flags: u32, // GNTMAP_*
  ref: Gref,
  dom: Domid,
  status: out(i16),
  handle: out(u32),
  devBusAddr: out(u64n),
});
export type GnttabMapGrantRef = TypeOf<typeof GnttabMapGrantRef>;

export const GnttabUnmapGrantRef = struct('gnttab_unmap_grant_ref', {
  hostAddr: u64n,
  devBusAddr: u64n,
  handle: u32,
  status: out(i16),
});
export type GnttabUnmapGrantRef = TypeOf<typeof GnttabUnmapGrantRef>;

export const GnttabSetupTable = struct('gnttab_setup_table', {
  dom: Domid,
  nrFrames: u32,
  status: out(i16),
  frameList: pointer, // xen_pfn_t[nrFrames], filled in
});
export type GnttabSetupTable = TypeOf<typeof GnttabSetupTable>;

export const GnttabDumpTable = struct('gnttab_dump_table', { dom: Domid, status: out(i16) });
export type GnttabDumpTable = TypeOf<typeof GnttabDumpTable>;

export const GnttabTransfer = struct('gnttab_transfer', {
  mfn: Mfn,
  domid: Domid,
  ref: Gref,
  status: out(i16),
});
export type GnttabTransfer = TypeOf<typeof GnttabTransfer>;

export const GnttabCopyPtr = struct('gnttab_copy_ptr', {
  u: union('u', { ref: Gref, gmfn: Mfn }), // GNTCOPY_*_gref says which
  domid: Domid,
  offset: u16,
});
export type GnttabCopyPtr = TypeOf<typeof GnttabCopyPtr>;

export const GnttabCopy = struct('gnttab_copy', {
  source: GnttabCopyPtr,
  dest: GnttabCopyPtr,
  len: u16,
  flags: u16, // GNTCOPY_*
  status: out(i16),
});
export type GnttabCopy = TypeOf<typeof GnttabCopy>;

export const GnttabQuerySize = struct('gnttab_query_size', {
  dom: Domid,
  nrFrames: out(u32),
  maxNrFrames: out(u32),
  status: out(i16),
});
export type GnttabQuerySize = TypeOf<typeof GnttabQuerySize>;

export const GnttabUnmapAndReplace = struct('gnttab_unmap_and_replace', {
  hostAddr: u64n,
  newAddr: u64n,
  handle: u32,
  status: out(i16),
});
export type GnttabUnmapAndReplace = TypeOf<typeof GnttabUnmapAndReplace>;

export const GnttabSetVersion = struct('gnttab_set_version', { version: out(u32) });
export type GnttabSetVersion = TypeOf<typeof GnttabSetVersion>;

export const GnttabGetStatusFrames = struct('gnttab_get_status_frames', {
  nrFrames: u32,
  dom: Domid,
  status: out(i16),
  frameList: pointer,
});
export type GnttabGetStatusFrames = TypeOf<typeof GnttabGetStatusFrames>;

export const GnttabGetVersion = struct('gnttab_get_version', {
  dom: Domid,
  pad: u16,
  version: out(u32),
});
export type GnttabGetVersion = TypeOf<typeof GnttabGetVersion>;

export const GnttabSwapGrantRef = struct('gnttab_swap_grant_ref', {
  refA: Gref,
  refB: Gref,
  status: out(i16),
});
export type GnttabSwapGrantRef = TypeOf<typeof GnttabSwapGrantRef>;
