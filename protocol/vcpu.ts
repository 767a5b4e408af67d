/**
 * Operations on one vCPU: bring it up or down, its timers, its run state and the place of its
 * vcpu_info.
 * @source xen/vcpu.h
 */
import { array, i32, out, pointer, struct, type TypeOf, u32, u64, u64n } from './layout.ts';
import { Mfn } from './units.ts';

export const VCPUOP_initialise = 0;
export const VCPUOP_up = 1;
export const VCPUOP_down = 2;
export const VCPUOP_is_up = 3;
export const VCPUOP_get_runstate_info = 4;
export const VCPUOP_register_runstate_memory_area = 5;
export const VCPUOP_set_periodic_timer = 6;
export const VCPUOP_stop_periodic_timer = 7;
export const VCPUOP_set_singleshot_timer = 8;
export const VCPUOP_stop_singleshot_timer = 9;
export const VCPUOP_register_vcpu_info = 10;
export const VCPUOP_send_nmi = 11;
export const VCPUOP_get_physid = 12;
export const VCPUOP_register_vcpu_time_memory_area = 13;

export const RUNSTATE_running = 0;
export const RUNSTATE_runnable = 1;
export const RUNSTATE_blocked = 2;
export const RUNSTATE_offline = 3;

/** Set in state_entry_time while the area is being written. */
export const XEN_RUNSTATE_UPDATE = 1n << 63n;
/** set_singleshot_timer: once refused a time that had passed; Xen 4.17 takes it all the same. */
export const VCPU_SSHOTTMR_future = 1;

export const VcpuRunstateInfo = struct('vcpu_runstate_info', {
  state: out(i32), // RUNSTATE_*
  stateEntryTime: out(u64), // nanoseconds of system time, and XEN_RUNSTATE_UPDATE
  time: out(array(u64n, 4)), // nanoseconds spent in each RUNSTATE_*
});
export type VcpuRunstateInfo = TypeOf<typeof VcpuRunstateInfo>;

export const VcpuRegisterRunstateMemoryArea = struct('vcpu_register_runstate_memory_area', {
  addr: pointer,
});
export type VcpuRegisterRunstateMemoryArea = TypeOf<typeof VcpuRegisterRunstateMemoryArea>;

export const VcpuSetPeriodicTimer = struct('vcpu_set_periodic_timer', { periodNs: u64n });
export type VcpuSetPeriodicTimer = TypeOf<typeof VcpuSetPeriodicTimer>;

export const VcpuSetSingleshotTimer = struct('vcpu_set_singleshot_timer', {
  timeoutAbsNs: u64n, // system time
  flags: u32, // VCPU_SSHOTTMR_*
});
export type VcpuSetSingleshotTimer = TypeOf<typeof VcpuSetSingleshotTimer>;

export const VcpuRegisterVcpuInfo = struct('vcpu_register_vcpu_info', {
  mfn: Mfn,
  offset: u32, // bytes into the frame
  rsvd: u32,
});
export type VcpuRegisterVcpuInfo = TypeOf<typeof VcpuRegisterVcpuInfo>;

export const VcpuGetPhysid = struct('vcpu_get_physid', { physId: out(u64n) });
export type VcpuGetPhysid = TypeOf<typeof VcpuGetPhysid>;

export const VcpuRegisterTimeMemoryArea = struct('vcpu_register_time_memory_area', {
  addr: pointer,
});
export type VcpuRegisterTimeMemoryArea = TypeOf<typeof VcpuRegisterTimeMemoryArea>;
