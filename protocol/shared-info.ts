/**
 * The page that every domain shares with Xen: pending and mask bits of its event channels, one
 * vcpu_info for each of the first 32 vCPUs, and the clock. Both sides use `offset` in place;
 * a struct copy of the whole page would tear.
 * @source xen/xen.h:643 (vcpu_time_info, vcpu_info, shared_info), arch-x86/xen.h:217
 */
import { array, i8, i64n, pad, struct, type TypeOf, u8, u32, u64, u64n } from './layout.ts';
import { Mfn, Pfn } from './units.ts';

export const XEN_LEGACY_MAX_VCPUS = 32;
export const XEN_PVCLOCK_TSC_STABLE_BIT = 1;
export const XEN_PVCLOCK_GUEST_STOPPED = 2;

export const ArchVcpuInfo = struct('arch_vcpu_info', {
  cr2: i64n, // the address of the last page fault
  pad: u64n,
});
export type ArchVcpuInfo = TypeOf<typeof ArchVcpuInfo>;

/** The clock of one vCPU: readers retry while `version` is odd or has changed. */
export const VcpuTimeInfo = struct('vcpu_time_info', {
  version: u32,
  pad0: pad(4, 4),
  tscTimestamp: u64n, // cycles
  systemTime: u64n, // nanoseconds since boot, when the TSC was tscTimestamp
  tscToSystemMul: u32,
  tscShift: i8,
  flags: u8, // XEN_PVCLOCK_*
  pad1: pad(2),
});
export type VcpuTimeInfo = TypeOf<typeof VcpuTimeInfo>;

export const VcpuInfo = struct('vcpu_info', {
  evtchnUpcallPending: u8,
  evtchnUpcallMask: u8,
  evtchnPendingSel: u64, // one bit for each word of shared_info.evtchn_pending
  arch: ArchVcpuInfo,
  time: VcpuTimeInfo,
});
export type VcpuInfo = TypeOf<typeof VcpuInfo>;

export const ArchSharedInfo = struct('arch_shared_info', {
  maxPfn: Pfn,
  pfnToMfnFrameListList: Mfn,
  nmiReason: u64n,
  p2mCr3: u64n,
  p2mVaddr: i64n,
  p2mGeneration: u64n,
});
export type ArchSharedInfo = TypeOf<typeof ArchSharedInfo>;

export const SharedInfo = struct('shared_info', {
  vcpuInfo: array(VcpuInfo, XEN_LEGACY_MAX_VCPUS),
  evtchnPending: array(u64, 64),
  evtchnMask: array(u64, 64),
  wcVersion: u32, // odd while the wall clock is being written
  wcSec: u32,
  wcNsec: u32,
  wcSecHi: u32,
  arch: ArchSharedInfo,
});
export type SharedInfo = TypeOf<typeof SharedInfo>;
