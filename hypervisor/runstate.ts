/**
 * How long a vCPU has run, waited and slept, as its guest may read it.
 * @source xen/vcpu.h:61
 */
import { VcpuRunstateInfo, XEN_RUNSTATE_UPDATE } from '../protocol/vcpu.ts';
import { VMASST_TYPE_runstate_update_flag } from '../protocol/xen.ts';
import type { Hypervisor } from './hypervisor.ts';
import type { XenVcpu } from './xen-vcpu.ts';

const bytes = new Uint8Array(VcpuRunstateInfo.size);
const view = new DataView(bytes.buffer);

/** The vcpu_runstate_info of `vcpu` as of now. */
export const runstateOf = (xen: Hypervisor, vcpu: XenVcpu) => {
  xen.scheduler.enterSameState(vcpu, xen.now);
  return {
    state: vcpu.runstate,
    stateEntryTime: BigInt(xen.clock.nanos(vcpu.runstateSince)),
    time: Array.from(vcpu.runstateCycles, (cycles) => xen.clock.nanos(cycles)),
  };
};

/** Write it to the registered area, if there is one, through the tables that are current. */
export const writeRunstate = (xen: Hypervisor, vcpu: XenVcpu): void => {
  if (vcpu.runstateArea === 0) return;
  const info = runstateOf(xen, vcpu);
  VcpuRunstateInfo.set(view, 0, info);
  const at = vcpu.runstateArea;
  if (vcpu.domain.vmAssist & (1 << VMASST_TYPE_runstate_update_flag)) {
    VcpuRunstateInfo.set(view, 0, { stateEntryTime: info.stateEntryTime | XEN_RUNSTATE_UPDATE });
    xen.copyToGuest(vcpu, at, bytes);
    VcpuRunstateInfo.set(view, 0, { stateEntryTime: info.stateEntryTime });
  }
  xen.copyToGuest(vcpu, at, bytes);
};
