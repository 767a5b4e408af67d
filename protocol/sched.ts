/**
 * Scheduling operations: give the processor away, wait for events, or end the domain.
 * @source xen/sched.h
 */
import { i32, pointer, struct, type TypeOf, u32, u64n } from './layout.ts';
import { Domid } from './units.ts';

export const SCHEDOP_yield = 0;
export const SCHEDOP_block = 1; // unmasks events first, so that no wake-up is lost
export const SCHEDOP_shutdown = 2;
export const SCHEDOP_poll = 3;
export const SCHEDOP_remote_shutdown = 4;
export const SCHEDOP_shutdown_code = 5;
export const SCHEDOP_watchdog = 6;
export const SCHEDOP_pin_override = 7;

export const SHUTDOWN_poweroff = 0;
export const SHUTDOWN_reboot = 1;
export const SHUTDOWN_suspend = 2;
export const SHUTDOWN_crash = 3;
export const SHUTDOWN_watchdog = 4;
export const SHUTDOWN_soft_reset = 5;
export const SHUTDOWN_MAX = 5;

export const SchedShutdown = struct('sched_shutdown', { reason: u32 });
export type SchedShutdown = TypeOf<typeof SchedShutdown>;

export const SchedPoll = struct('sched_poll', {
  ports: pointer, // evtchn_port_t[nrPorts]
  nrPorts: u32,
  timeout: u64n, // absolute system time in nanoseconds; 0 waits for ever
});
export type SchedPoll = TypeOf<typeof SchedPoll>;

export const SchedRemoteShutdown = struct('sched_remote_shutdown', {
  domainId: Domid,
  reason: u32,
});
export type SchedRemoteShutdown = TypeOf<typeof SchedRemoteShutdown>;

export const SchedWatchdog = struct('sched_watchdog', {
  id: u32,
  timeout: u32, // seconds; 0 disarms
});
export type SchedWatchdog = TypeOf<typeof SchedWatchdog>;

export const SchedPinOverride = struct('sched_pin_override', { pcpu: i32 });
export type SchedPinOverride = TypeOf<typeof SchedPinOverride>;
