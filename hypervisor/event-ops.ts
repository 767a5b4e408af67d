/**
 * event_channel_op: how a guest makes, joins, uses and closes ports. Checks come in Xen's order, so
 * which errno wins is the same.
 * @source xen/event_channel.h
 */
import {
  EEXIST,
  EINVAL,
  ENOENT,
  ENOSPC,
  ENOSYS,
  EOPNOTSUPP,
  EPERM,
  ESRCH,
} from '../protocol/errno.ts';
import {
  EVTCHNOP_alloc_unbound,
  EVTCHNOP_bind_interdomain,
  EVTCHNOP_bind_ipi,
  EVTCHNOP_bind_pirq,
  EVTCHNOP_bind_vcpu,
  EVTCHNOP_bind_virq,
  EVTCHNOP_close,
  EVTCHNOP_expand_array,
  EVTCHNOP_init_control,
  EVTCHNOP_reset,
  EVTCHNOP_send,
  EVTCHNOP_set_priority,
  EVTCHNOP_status,
  EVTCHNOP_unmask,
  EVTCHNSTAT_closed,
  EVTCHNSTAT_interdomain,
  EVTCHNSTAT_ipi,
  EVTCHNSTAT_pirq,
  EVTCHNSTAT_unbound,
  EVTCHNSTAT_virq,
  EvtchnAllocUnbound,
  EvtchnBindInterdomain,
  EvtchnBindIpi,
  EvtchnBindPirq,
  EvtchnBindVcpu,
  EvtchnBindVirq,
  EvtchnClose,
  EvtchnExpandArray,
  EvtchnInitControl,
  EvtchnReset,
  EvtchnSend,
  EvtchnSetPriority,
  EvtchnStatus,
  EvtchnUnmask,
} from '../protocol/event-channel.ts';
import { Domid, Port, VcpuId } from '../protocol/units.ts';
import {
  DOMID_SELF,
  NR_VIRQS,
  VIRQ_DEBUG,
  VIRQ_TIMER,
  VIRQ_XENOPROF,
  VIRQ_XENPMU,
} from '../protocol/xen.ts';
import type { Domain } from './domain.ts';
import { closeAll, closePort, raise, unmask } from './events.ts';
import type { Hypervisor } from './hypervisor.ts';
import { type Handler, op, type SubOp } from './op.ts';
import { startPeriodic } from './timers.ts';
import type { XenVcpu } from './xen-vcpu.ts';

/** How many physical interrupts a domain without any can name. */
export const GUEST_PIRQS = 48;

const PER_VCPU_VIRQS: readonly number[] = [VIRQ_TIMER, VIRQ_DEBUG, VIRQ_XENOPROF, VIRQ_XENPMU];

/** Take a port of `domain`. @returns the port, or -ENOSPC. */
const allocate = (
  xen: Hypervisor,
  caller: XenVcpu,
  domain: Domain,
  state: number,
  vcpu = 0,
): number => {
  const port = domain.events.allocate(state, vcpu);
  return port < 0 ? xen.refuse(caller, ENOSPC, 'no port is free', { dom: domain.id }) : port;
};

const noPort = (xen: Hypervisor, caller: XenVcpu, port: number): number =>
  xen.refuse(caller, EINVAL, 'the port is not open, or not of that kind', { port });

/** The open channel at `port` of the caller's domain. */
const channelOf = (caller: XenVcpu, port: number) => {
  const channel = caller.domain.events.channel(port);
  return channel && channel.state !== EVTCHNSTAT_closed ? channel : undefined;
};

/** Reserve a port in `dom` that only `remoteDom` may bind. @errors -ESRCH -EPERM -ENOSPC */
const allocUnbound = op(EvtchnAllocUnbound, (xen, caller, arg) => {
  const owner = xen.resolve(caller, arg.dom);
  if (!owner) return xen.refuse(caller, ESRCH, 'no such domain', { dom: arg.dom });
  if (owner !== caller.domain && !caller.domain.privileged) {
    return xen.refuse(caller, EPERM, 'only a privileged domain gives ports to others', {
      dom: arg.dom,
    });
  }
  const port = allocate(xen, caller, owner, EVTCHNSTAT_unbound);
  if (port < 0) return port;

  const remote = arg.remoteDom === DOMID_SELF ? caller.domain.id : arg.remoteDom;
  owner.events.channel(port)!.remoteDomid = remote;
  arg.port = Port(port);
  return 0;
});

/** Join a port that another domain reserved for the caller. @errors -ESRCH -EINVAL -ENOSPC */
const bindInterdomain = op(EvtchnBindInterdomain, (xen, caller, arg) => {
  const { domain } = caller;
  const remote = xen.resolve(caller, arg.remoteDom);
  if (!remote) return xen.refuse(caller, ESRCH, 'no such domain', { dom: arg.remoteDom });
  const offered = remote.events.channel(arg.remotePort);
  if (offered?.state !== EVTCHNSTAT_unbound || offered.remoteDomid !== domain.id) {
    return xen.refuse(caller, EINVAL, 'the remote port was not reserved for this domain', {
      dom: remote.id,
      port: arg.remotePort,
    });
  }
  const port = allocate(xen, caller, domain, EVTCHNSTAT_interdomain);
  if (port < 0) return port;

  const local = domain.events.channel(port)!;
  local.remoteDomid = remote.id;
  local.remotePort = arg.remotePort;
  offered.state = EVTCHNSTAT_interdomain;
  offered.remoteDomid = domain.id;
  offered.remotePort = port;
  arg.localPort = Port(port);
  // A send while the other end was unbound went nowhere: tell the binder to look.
  raise(xen, domain, port);
  return 0;
});

/**
 * Bind a virtual interrupt; a global one only to vCPU 0. @errors -EINVAL -ENOENT -EEXIST -ENOSPC
 */
const bindVirq = op(EvtchnBindVirq, (xen, caller, arg) => {
  const { domain } = caller;
  if (arg.virq >= NR_VIRQS) return xen.refuse(caller, EINVAL, 'no such VIRQ', { virq: arg.virq });
  if (!PER_VCPU_VIRQS.includes(arg.virq) && arg.vcpu !== 0) {
    return xen.refuse(caller, EINVAL, 'a global VIRQ binds to vCPU 0', { virq: arg.virq });
  }
  const vcpu = domain.vcpus[arg.vcpu];
  if (!vcpu) return xen.refuse(caller, ENOENT, 'no such vCPU', { vcpu: arg.vcpu });
  if (vcpu.virqPorts[arg.virq] !== 0) {
    return xen.refuse(caller, EEXIST, 'the VIRQ is bound already', { virq: arg.virq });
  }
  const port = allocate(xen, caller, domain, EVTCHNSTAT_virq, arg.vcpu);
  if (port < 0) return port;

  domain.events.channel(port)!.irq = arg.virq;
  vcpu.virqPorts[arg.virq] = port;
  if (arg.virq === VIRQ_TIMER) startPeriodic(xen, vcpu);
  arg.port = Port(port);
  return 0;
});

/** Bind a physical interrupt line. @errors -EINVAL -EPERM -EEXIST -ENOSPC */
const bindPirq = op(EvtchnBindPirq, (xen, caller, arg) => {
  const { domain } = caller;
  if (!domain.privileged && arg.pirq >= GUEST_PIRQS)
    return xen.refuse(caller, EINVAL, 'no such physical interrupt', { pirq: arg.pirq });
  if (!domain.privileged)
    return xen.refuse(caller, EPERM, 'it owns no physical interrupts', { pirq: arg.pirq });
  if (!xen.interrupts?.exists(arg.pirq)) {
    return xen.refuse(caller, EINVAL, 'no such physical interrupt', { pirq: arg.pirq });
  }
  if (xen.interrupts.bound(arg.pirq)) {
    return xen.refuse(caller, EEXIST, 'the physical interrupt is bound already', {
      pirq: arg.pirq,
    });
  }
  const port = allocate(xen, caller, domain, EVTCHNSTAT_pirq);
  if (port < 0) return port;

  domain.events.channel(port)!.irq = arg.pirq;
  xen.interrupts.bind(arg.pirq, domain, port);
  arg.port = Port(port);
  return 0;
});

/** A port by which the domain's vCPUs notify `vcpu`. @errors -ENOENT -ENOSPC */
const bindIpi = op(EvtchnBindIpi, (xen, caller, arg) => {
  if (!caller.domain.vcpus[arg.vcpu])
    return xen.refuse(caller, ENOENT, 'no such vCPU', { vcpu: arg.vcpu });
  const port = allocate(xen, caller, caller.domain, EVTCHNSTAT_ipi, arg.vcpu);
  if (port < 0) return port;

  arg.port = Port(port);
  return 0;
});

/** @errors -EINVAL */
const close = op(EvtchnClose, (xen, caller, arg) => {
  if (!channelOf(caller, arg.port)) return noPort(xen, caller, arg.port);

  closePort(xen, caller.domain, arg.port);
  return 0;
});

/** Notify the other end; into an unbound port a send is lost. @errors -EINVAL */
const send = op(EvtchnSend, (xen, caller, arg) => {
  const channel = channelOf(caller, arg.port);
  if (!channel) return noPort(xen, caller, arg.port);
  const { state } = channel;
  if (
    state !== EVTCHNSTAT_interdomain &&
    state !== EVTCHNSTAT_ipi &&
    state !== EVTCHNSTAT_unbound
  ) {
    return noPort(xen, caller, arg.port);
  }

  caller.arch.pcpu.charge(xen.notificationCause, xen.machine.costs.eventSend);
  if (state === EVTCHNSTAT_ipi) {
    raise(xen, caller.domain, arg.port);
  } else if (state === EVTCHNSTAT_interdomain) {
    const remote = xen.domains.get(channel.remoteDomid);
    if (remote) raise(xen, remote, channel.remotePort);
  }
  return 0;
});

/** What a port is; of another domain's only for the privileged. @errors -ESRCH -EPERM -EINVAL */
const status = op(EvtchnStatus, (xen, caller, arg) => {
  const domain = xen.resolve(caller, arg.dom);
  if (!domain) return xen.refuse(caller, ESRCH, 'no such domain', { dom: arg.dom });
  const channel = domain.events.channel(arg.port);
  if (!channel) return xen.refuse(caller, EINVAL, 'no such port', { port: arg.port });
  if (domain !== caller.domain && !caller.domain.privileged) {
    return xen.refuse(caller, EPERM, "only a privileged domain sees another's ports", {
      dom: arg.dom,
    });
  }

  arg.status = channel.state;
  arg.vcpu = VcpuId(channel.vcpu);
  if (channel.state === EVTCHNSTAT_unbound) {
    arg.u = { unbound: { dom: Domid(channel.remoteDomid) } };
  } else if (channel.state === EVTCHNSTAT_interdomain) {
    arg.u = { interdomain: { dom: Domid(channel.remoteDomid), port: Port(channel.remotePort) } };
  } else if (channel.state === EVTCHNSTAT_pirq) {
    arg.u = { pirq: channel.irq };
  } else if (channel.state === EVTCHNSTAT_virq) {
    arg.u = { virq: channel.irq };
  }
  return 0;
});

/** Choose the vCPU that a port notifies. @errors -ENOENT -EINVAL */
const bindVcpu = op(EvtchnBindVcpu, (xen, caller, arg) => {
  if (!caller.domain.vcpus[arg.vcpu])
    return xen.refuse(caller, ENOENT, 'no such vCPU', { vcpu: arg.vcpu });
  const channel = channelOf(caller, arg.port);
  if (!channel || channel.state === EVTCHNSTAT_ipi) return noPort(xen, caller, arg.port);
  if (channel.state === EVTCHNSTAT_virq && PER_VCPU_VIRQS.includes(channel.irq)) {
    return xen.refuse(caller, EINVAL, 'a per-vCPU VIRQ stays where it is', { port: arg.port });
  }

  channel.vcpu = arg.vcpu;
  return 0;
});

/** Clear the mask bit and notify what waited behind it. @errors -EINVAL */
const unmaskOp = op(EvtchnUnmask, (xen, caller, arg) => {
  if (!caller.domain.events.channel(arg.port)) return noPort(xen, caller, arg.port);

  unmask(xen, caller.domain, arg.port);
  return 0;
});

/** Close every port. @errors -ESRCH -EPERM */
const reset = op(EvtchnReset, (xen, caller, arg) => {
  const domain = xen.resolve(caller, arg.dom);
  if (!domain) return xen.refuse(caller, ESRCH, 'no such domain', { dom: arg.dom });
  if (domain !== caller.domain && !caller.domain.privileged) {
    return xen.refuse(caller, EPERM, "only a privileged domain resets another's ports", {
      dom: arg.dom,
    });
  }

  closeAll(xen, domain);
  return 0;
});

/**
 * The FIFO ABI is not offered: every control frame is refused, and the guest stays with two levels.
 * @errors -ENOENT -EINVAL
 */
const initControl = op(EvtchnInitControl, (xen, caller, arg) => {
  if (!caller.domain.vcpus[arg.vcpu])
    return xen.refuse(caller, ENOENT, 'no such vCPU', { vcpu: arg.vcpu });
  return xen.refuse(caller, EINVAL, 'no frame can be a FIFO control block here', {
    gfn: arg.controlGfn,
  });
});

/** @errors -EOPNOTSUPP: there is no FIFO array to expand */
const expandArray = op(EvtchnExpandArray, (xen, caller) =>
  xen.refuse(caller, EOPNOTSUPP, 'event channels are two-level here'),
);

/** Two-level channels have no priorities. @errors -EINVAL for a port that there is none of, -ENOSYS */
const setPriority = op(EvtchnSetPriority, (xen, caller, arg) =>
  caller.domain.events.channel(arg.port)
    ? xen.refuse(caller, ENOSYS, 'two-level channels have no priorities', { port: arg.port })
    : noPort(xen, caller, arg.port),
);

const OPS: (SubOp | undefined)[] = [];
OPS[EVTCHNOP_bind_interdomain] = bindInterdomain;
OPS[EVTCHNOP_bind_virq] = bindVirq;
OPS[EVTCHNOP_bind_pirq] = bindPirq;
OPS[EVTCHNOP_close] = close;
OPS[EVTCHNOP_send] = send;
OPS[EVTCHNOP_status] = status;
OPS[EVTCHNOP_alloc_unbound] = allocUnbound;
OPS[EVTCHNOP_bind_ipi] = bindIpi;
OPS[EVTCHNOP_bind_vcpu] = bindVcpu;
OPS[EVTCHNOP_unmask] = unmaskOp;
OPS[EVTCHNOP_reset] = reset;
OPS[EVTCHNOP_init_control] = initControl;
OPS[EVTCHNOP_expand_array] = expandArray;
OPS[EVTCHNOP_set_priority] = setPriority;

/** event_channel_op(cmd, arg). @errors -ENOSYS for an unknown command */
export const eventChannelOp: Handler = (xen, caller) => {
  const act = OPS[caller.argLo(0)];
  if (!act) return xen.refuse(caller, ENOSYS, 'no such event_channel_op', { cmd: caller.argLo(0) });
  return act(xen, caller, caller.arg(1));
};
