/**
 * The timers of a vCPU, all raising VIRQ_TIMER: one single-shot (set_timer_op,
 * VCPUOP_set_singleshot_timer), and one periodic that ticks only while the vCPU is on a CPU, as in
 * Xen. It is armed only while VIRQ_TIMER is bound: an unbound VIRQ raises nothing, so no guest can
 * tell.
 * @source xen/vcpu.h
 */
import { VIRQ_TIMER } from '../protocol/xen.ts';
import { raiseVirq } from './events.ts';
import type { Hypervisor } from './hypervisor.ts';
import type { Handler } from './op.ts';
import type { XenVcpu } from './xen-vcpu.ts';

/** A deadline further ahead is taken for an overflow of the guest's and rings after 100 ms. */
const FAR_NS = 2 ** 50;
const OVERFLOW_NS = 100_000_000;

/** Raise VIRQ_TIMER when system time reaches `ns`. */
export const setSingleshot = (xen: Hypervisor, vcpu: XenVcpu, ns: number): void => {
  stopSingleshot(xen, vcpu);
  const now = vcpu.cpu ? vcpu.cpu.now : xen.now;
  const time = Math.max(xen.clock.cycles(ns), now);
  vcpu.singleshot = xen.machine.timeline.at(time, () => raiseVirq(xen, vcpu, VIRQ_TIMER));
};

export const stopSingleshot = (xen: Hypervisor, vcpu: XenVcpu): void => {
  xen.machine.timeline.cancel(vcpu.singleshot);
  vcpu.singleshot = undefined;
};

/**
 * The vCPU got a CPU, or its period changed, or VIRQ_TIMER was bound: tick if one is due, arm the
 * next.
 */
export const startPeriodic = (xen: Hypervisor, vcpu: XenVcpu): void => {
  if (!vcpu.cpu || vcpu.periodNs === 0 || vcpu.virqPorts[VIRQ_TIMER] === 0) return;
  const { timeline } = xen.machine;
  timeline.cancel(vcpu.periodic);
  const period = xen.clock.cycles(vcpu.periodNs);
  if (vcpu.cpu.now - vcpu.lastTick >= period) {
    vcpu.lastTick = vcpu.cpu.now;
    raiseVirq(xen, vcpu, VIRQ_TIMER);
  }
  vcpu.periodic = timeline.at(vcpu.lastTick + period, () => startPeriodic(xen, vcpu));
};

/** The vCPU left its CPU, or wants no ticks. */
export const stopPeriodic = (xen: Hypervisor, vcpu: XenVcpu): void => {
  if (!vcpu.periodic) return;
  xen.machine.timeline.cancel(vcpu.periodic);
  vcpu.periodic = undefined;
};

/** set_timer_op(ns): 0 cancels; a time past rings at once. */
export const setTimerOp: Handler = (xen, caller) => {
  const ns = caller.arg(0);
  if (ns === 0) {
    stopSingleshot(xen, caller);
    return 0;
  }
  const now = xen.clock.nanos(caller.arch.pcpu.now);
  setSingleshot(xen, caller, ns < 0 || ns - now > FAR_NS ? now + OVERFLOW_NS : ns);
  return 0;
};
