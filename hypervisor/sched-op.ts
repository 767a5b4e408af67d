/**
 * sched_op: giving the CPU away. A call only marks the vCPU; it leaves its CPU when its code has
 * drained.
 * @source xen/sched.h
 */
import { EFAULT, EINVAL, ENOSYS, EPERM, ESRCH } from '../protocol/errno.ts';
import { EVTCHNSTAT_closed } from '../protocol/event-channel.ts';
import {
  SCHEDOP_block,
  SCHEDOP_poll,
  SCHEDOP_remote_shutdown,
  SCHEDOP_shutdown,
  SCHEDOP_yield,
  SchedPoll,
  SchedRemoteShutdown,
  SchedShutdown,
} from '../protocol/sched.ts';
import { VcpuInfo } from '../protocol/shared-info.ts';
import { endPoll } from './events.ts';
import { shutdown } from './lifecycle.ts';
import { type Handler, op, type SubOp } from './op.ts';

const UPCALL_MASK = VcpuInfo.offset.evtchnUpcallMask;
const MAX_POLL_PORTS = 128;
const portList = new Uint8Array(MAX_POLL_PORTS * 4);
const portView = new DataView(portList.buffer);

/** Let others run. */
const yieldCpu: SubOp = (_xen, caller) => {
  caller.yielded = true;
  return 0;
};

/** Unmask upcalls and wait for one. */
const block: SubOp = (xen, caller) => {
  const { u8 } = xen.machine.memory;
  u8[caller.info + UPCALL_MASK] = 0;
  if (u8[caller.info] === 0) caller.state = 'blocked';
  return 0;
};

/**
 * Wait, upcalls as they are, for one of up to 128 ports to be pending, or until `timeout`. @errors
 * -EINVAL -EFAULT
 */
const poll = op(SchedPoll, (xen, caller, arg) => {
  const { events } = caller.domain;
  if (arg.nrPorts > MAX_POLL_PORTS)
    return xen.refuse(caller, EINVAL, 'more than 128 ports', { nr: arg.nrPorts });
  const list = portList.subarray(0, arg.nrPorts * 4);
  if (arg.nrPorts > 0 && !xen.copyFromGuest(caller, arg.ports, list)) {
    return xen.refuse(caller, EFAULT, 'the port list is not readable', { va: arg.ports });
  }
  const { u8 } = xen.machine.memory;
  if (u8[caller.info] !== 0 && u8[caller.info + UPCALL_MASK] === 0) return 0;
  const ports: number[] = [];
  for (let i = 0; i < arg.nrPorts; i++) {
    const port = portView.getUint32(i * 4, true);
    const state = events.channel(port)?.state ?? EVTCHNSTAT_closed;
    if (state === EVTCHNSTAT_closed) return xen.refuse(caller, EINVAL, 'no such port', { port });
    if (events.isPending(port)) return 0;
    ports.push(port);
  }

  const deadline = xen.clock.cycles(arg.timeout);
  if (arg.timeout !== 0 && deadline <= caller.arch.pcpu.now) return 0;
  // A call only marks the vCPU, so its code may poll again before it waits.
  endPoll(xen, caller);
  caller.state = 'blocked';
  caller.pollPorts = ports;
  caller.domain.polling++;
  if (arg.timeout !== 0) {
    caller.pollAlarm = xen.machine.timeline.at(deadline, (time) => {
      endPoll(xen, caller);
      xen.scheduler.wake(caller, time);
    });
  }
  return 0;
});

/** End the domain for a SHUTDOWN_* reason. */
const shutdownOp = op(SchedShutdown, (xen, caller, arg) => {
  shutdown(xen, caller.domain, arg.reason & 0xff);
  return 0;
});

/** End another domain. @errors -ESRCH -EPERM */
const remoteShutdown = op(SchedRemoteShutdown, (xen, caller, arg) => {
  const domain = xen.domains.get(arg.domainId);
  if (!domain) return xen.refuse(caller, ESRCH, 'no such domain', { dom: arg.domainId });
  if (!caller.domain.privileged)
    return xen.refuse(caller, EPERM, 'it is not privileged', { dom: arg.domainId });

  shutdown(xen, domain, arg.reason & 0xff);
  return 0;
});

const OPS: (SubOp | undefined)[] = [];
OPS[SCHEDOP_yield] = yieldCpu;
OPS[SCHEDOP_block] = block;
OPS[SCHEDOP_shutdown] = shutdownOp;
OPS[SCHEDOP_poll] = poll;
OPS[SCHEDOP_remote_shutdown] = remoteShutdown;

/** sched_op(cmd, arg). @errors -ENOSYS for an unknown command */
export const schedOp: Handler = (xen, caller) => {
  const act = OPS[caller.argLo(0)];
  if (!act) return xen.refuse(caller, ENOSYS, 'no such sched_op', { cmd: caller.argLo(0) });
  return act(xen, caller, caller.arg(1));
};
