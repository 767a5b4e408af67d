/**
 * vcpu_op: bringing vCPUs up and down, their timers, and where they want their information.
 * @source xen/vcpu.h
 */
import { EFAULT, EINVAL, ENOENT, ENOSYS, ENXIO } from '../protocol/errno.ts';
import type { AnyStruct, TypeOf } from '../protocol/layout.ts';
import { SHUTDOWN_poweroff } from '../protocol/sched.ts';
import { VcpuInfo, VcpuTimeInfo } from '../protocol/shared-info.ts';
import {
  VCPUOP_down,
  VCPUOP_get_physid,
  VCPUOP_get_runstate_info,
  VCPUOP_initialise,
  VCPUOP_is_up,
  VCPUOP_register_runstate_memory_area,
  VCPUOP_register_vcpu_info,
  VCPUOP_register_vcpu_time_memory_area,
  VCPUOP_set_periodic_timer,
  VCPUOP_set_singleshot_timer,
  VCPUOP_stop_periodic_timer,
  VCPUOP_stop_singleshot_timer,
  VCPUOP_up,
  VcpuGetPhysid,
  VcpuRegisterRunstateMemoryArea,
  VcpuRegisterTimeMemoryArea,
  VcpuRegisterVcpuInfo,
  VcpuRunstateInfo,
  VcpuSetPeriodicTimer,
  VcpuSetSingleshotTimer,
} from '../protocol/vcpu.ts';
import { kick } from './events.ts';
import { guestRange } from './guest-range.ts';
import type { Hypervisor } from './hypervisor.ts';
import { shutdown } from './lifecycle.ts';
import type { Handler } from './op.ts';
import { runstateOf, writeRunstate } from './runstate.ts';
import { setSingleshot, startPeriodic, stopPeriodic, stopSingleshot } from './timers.ts';
import { initialise } from './vcpu-context.ts';
import type { XenVcpu } from './xen-vcpu.ts';

/** Acts on `vcpu`, which may not be the caller, with the argument at `va`. */
type VcpuOp = (xen: Hypervisor, caller: XenVcpu, vcpu: XenVcpu, va: number) => number;

const MIN_PERIOD_NS = 1_000_000;
/** Xen's own limit is 2^62 - 1, the sense of which is that sums do not overflow. */
const MAX_PERIOD_NS = 2 ** 62 - 1024;

/** As `op`, for an argument of a call that names a vCPU. @errors -EFAULT */
const withArgument = <S extends AnyStruct>(
  struct: S,
  act: (xen: Hypervisor, caller: XenVcpu, vcpu: XenVcpu, arg: TypeOf<S>) => number,
): VcpuOp => {
  const bytes = new Uint8Array(struct.size);
  const view = new DataView(bytes.buffer);
  return (xen, caller, vcpu, va) => {
    if (!xen.copyFromGuest(caller, va, bytes)) {
      return xen.refuse(caller, EFAULT, `${struct.name} is not readable`, { va });
    }
    const arg = struct.get(view, 0) as TypeOf<S>;
    const result = act(xen, caller, vcpu, arg);
    if (result < 0 || struct.outs.length === 0) return result;
    struct.setOuts(view, 0, arg);
    if (xen.copyToGuest(caller, va, bytes)) return result;
    return xen.refuse(caller, EFAULT, `${struct.name} is not writable`, { va });
  };
};

/** An operation that a vCPU does only to itself. @errors -EINVAL */
const ofItself =
  (act: VcpuOp): VcpuOp =>
  (xen, caller, vcpu, va) =>
    caller === vcpu
      ? act(xen, caller, vcpu, va)
      : xen.refuse(caller, EINVAL, 'only a vCPU itself does this', { vcpu: vcpu.id });

/** Start an initialised vCPU. @errors -EINVAL */
const up: VcpuOp = (xen, caller, vcpu) => {
  if (!vcpu.initialised)
    return xen.refuse(caller, EINVAL, 'the vCPU is not initialised', { vcpu: vcpu.id });
  if (vcpu.state !== 'offline') return 0;

  vcpu.state = 'runnable';
  if (vcpu.domain.state === 'running') xen.scheduler.admit(vcpu, xen.now);
  return 0;
};

/** Stop a vCPU; the last one's stop is the domain's power-off. */
const down: VcpuOp = (xen, _caller, vcpu) => {
  if (vcpu.domain.vcpus.every((other) => other === vcpu || other.state === 'offline')) {
    shutdown(xen, vcpu.domain, SHUTDOWN_poweroff);
    return 0;
  }
  vcpu.state = 'offline';
  xen.scheduler.remove(vcpu, xen.now);
  return 0;
};

const isUp: VcpuOp = (_xen, _caller, vcpu) => (vcpu.state === 'offline' ? 0 : 1);

const getRunstate = withArgument(VcpuRunstateInfo, (xen, _caller, vcpu, arg) => {
  Object.assign(arg, runstateOf(xen, vcpu));
  return 0;
});

const registerRunstate = withArgument(VcpuRegisterRunstateMemoryArea, (xen, caller, vcpu, arg) => {
  if (!guestRange(arg.addr, VcpuRunstateInfo.size))
    return xen.refuse(caller, EFAULT, 'the runstate area is not in the guest', { va: arg.addr });

  vcpu.runstateArea = arg.addr;
  if (vcpu.cpu) writeRunstate(xen, vcpu);
  return 0;
});

/**
 * The clock never changes its rate here, so one copy lasts; an area that is not mapped just gets
 * none. @errors -EFAULT for an address that cannot be the guest's
 */
const registerTime = withArgument(VcpuRegisterTimeMemoryArea, (xen, caller, vcpu, arg) => {
  if (!guestRange(arg.addr, VcpuTimeInfo.size))
    return xen.refuse(caller, EFAULT, 'the time area is not in the guest', { va: arg.addr });

  const { u8 } = xen.machine.memory;
  const time = vcpu.info + VcpuInfo.offset.time;
  xen.copyToGuest(caller, arg.addr, u8.subarray(time, time + VcpuTimeInfo.size));
  return 0;
});

/** @errors -EINVAL for a period below 1 ms or beyond all sense */
const setPeriodic = withArgument(VcpuSetPeriodicTimer, (xen, caller, vcpu, arg) => {
  if (arg.periodNs < MIN_PERIOD_NS || arg.periodNs > MAX_PERIOD_NS) {
    return xen.refuse(caller, EINVAL, 'no period that a timer can have', { ns: arg.periodNs });
  }

  vcpu.periodNs = arg.periodNs;
  vcpu.lastTick = xen.now;
  stopPeriodic(xen, vcpu);
  startPeriodic(xen, vcpu);
  return 0;
});

const stopPeriodicOp: VcpuOp = (xen, _caller, vcpu) => {
  vcpu.periodNs = 0;
  stopPeriodic(xen, vcpu);
  return 0;
};

/** The flag VCPU_SSHOTTMR_future changes nothing any more: a time past rings at once. */
const setSingleshotOp = ofItself(
  withArgument(VcpuSetSingleshotTimer, (xen, _caller, vcpu, arg) => {
    setSingleshot(xen, vcpu, arg.timeoutAbsNs);
    return 0;
  }),
);

const stopSingleshotOp = ofItself((xen, _caller, vcpu) => {
  stopSingleshot(xen, vcpu);
  return 0;
});

/**
 * Move the vCPU's vcpu_info to a frame of the guest's choice. @errors -ENXIO -EINVAL
 */
const registerInfo = withArgument(VcpuRegisterVcpuInfo, (xen, caller, vcpu, arg) => {
  if (arg.offset > 4096 - VcpuInfo.size || (arg.offset & 7) !== 0) {
    return xen.refuse(caller, ENXIO, 'vcpu_info would cross its page or be misaligned', {
      offset: arg.offset,
    });
  }
  if (vcpu.infoRegistered)
    return xen.refuse(caller, EINVAL, 'it was registered already', { vcpu: vcpu.id });
  if (vcpu !== caller && vcpu.state !== 'offline') {
    return xen.refuse(caller, EINVAL, 'only of itself or of an offline vCPU', { vcpu: vcpu.id });
  }
  const mfn = xen.holdWritable(vcpu.domain, arg.mfn);
  if (mfn < 0) return xen.refuse(caller, EINVAL, 'the frame cannot be written', { mfn: arg.mfn });

  const { u8, u32 } = xen.machine.memory;
  const to = xen.machine.memory.frameAt(mfn) + arg.offset;
  u8.copyWithin(to, vcpu.info, vcpu.info + VcpuInfo.size);
  vcpu.info = to;
  vcpu.infoRegistered = true;
  vcpu.infoMfn = mfn;
  // Whatever was pending in the old place must be looked for again.
  const selector = (to + VcpuInfo.offset.evtchnPendingSel) >>> 2;
  u32[selector] = 0xffffffff;
  u32[selector + 1] = 0xffffffff;
  u8[to] = 1;
  kick(xen, vcpu);
  return 0;
});

const readPhysid = withArgument(VcpuGetPhysid, (_xen, _caller, vcpu, arg) => {
  const { index } = vcpu.arch.pcpu;
  arg.physId = index * 2 ** 32 + index;
  return 0;
});

/** Which CPU it is on, for the domain that may know. @errors -EINVAL */
const getPhysid: VcpuOp = (xen, caller, vcpu, va) =>
  caller.domain.privileged
    ? readPhysid(xen, caller, vcpu, va)
    : xen.refuse(caller, EINVAL, 'its vCPUs are not pinned');

const OPS: (VcpuOp | undefined)[] = [];
OPS[VCPUOP_initialise] = initialise;
OPS[VCPUOP_up] = up;
OPS[VCPUOP_down] = down;
OPS[VCPUOP_is_up] = isUp;
OPS[VCPUOP_get_runstate_info] = getRunstate;
OPS[VCPUOP_register_runstate_memory_area] = registerRunstate;
OPS[VCPUOP_set_periodic_timer] = setPeriodic;
OPS[VCPUOP_stop_periodic_timer] = stopPeriodicOp;
OPS[VCPUOP_set_singleshot_timer] = setSingleshotOp;
OPS[VCPUOP_stop_singleshot_timer] = stopSingleshotOp;
OPS[VCPUOP_register_vcpu_info] = registerInfo;
OPS[VCPUOP_get_physid] = getPhysid;
OPS[VCPUOP_register_vcpu_time_memory_area] = registerTime;

/**
 * vcpu_op(cmd, vcpu, arg). @errors -ENOENT for a vCPU that there is none of, -ENOSYS for an unknown
 * command
 */
export const vcpuOp: Handler = (xen, caller) => {
  const cmd = caller.argLo(0);
  const vcpu = caller.domain.vcpus[caller.argLo(1)];
  if (!vcpu) return xen.refuse(caller, ENOENT, 'no such vCPU', { vcpu: caller.argLo(1) });
  const act = OPS[cmd];
  if (!act) return xen.refuse(caller, ENOSYS, 'no such vcpu_op', { cmd });
  return act(xen, caller, vcpu, caller.arg(2));
};
