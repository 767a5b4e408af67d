/** What emulating a port access has in common, whoever's ports they are: the trace, and faults of a string's memory. */
import { VECTOR_PF } from '../machine/exit.ts';
import type { Hypervisor } from './hypervisor.ts';
import type { XenVcpu } from './xen-vcpu.ts';

export const traceIo = (
  xen: Hypervisor,
  vcpu: XenVcpu,
  access: { port: number; size: number; value: number; dir: 'in' | 'out' },
): void => {
  const { trace } = xen.machine;
  if (trace.on) trace.emit({ time: vcpu.arch.pcpu.now, who: vcpu.name, kind: 'io', ...access });
};

/** Time passes while a string moves. @returns a `moved` of io-access.ts that costs `charge` for each element */
export const movedAt = (xen: Hypervisor, vcpu: XenVcpu, charge: () => void): (() => boolean) => {
  let elements = 0;
  return () => {
    charge();
    if ((++elements & 63) === 0) xen.checkPreempt(vcpu);
    return vcpu.arch.stopped;
  };
};

/** Was the last access refused by a page, not for its address? */
export const wasPageFault = (xen: Hypervisor): boolean => xen.machine.mmu.faultVector === VECTOR_PF;
