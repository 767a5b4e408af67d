/**
 * Event channels: asynchronous one-bit notifications between domains, from virtual and physical
 * interrupts, and between vCPUs. The bit says "look again"; shared memory says what happened.
 * @source xen/event_channel.h
 */
import { array, bytes, out, struct, type TypeOf, u8, u32, union } from './layout.ts';
import { Domid, Gfn, Port, VcpuId } from './units.ts';

export const EVTCHNOP_bind_interdomain = 0;
export const EVTCHNOP_bind_virq = 1;
export const EVTCHNOP_bind_pirq = 2;
export const EVTCHNOP_close = 3;
export const EVTCHNOP_send = 4;
export const EVTCHNOP_status = 5;
export const EVTCHNOP_alloc_unbound = 6;
export const EVTCHNOP_bind_ipi = 7;
export const EVTCHNOP_bind_vcpu = 8;
export const EVTCHNOP_unmask = 9;
export const EVTCHNOP_reset = 10;
export const EVTCHNOP_init_control = 11;
export const EVTCHNOP_expand_array = 12;
export const EVTCHNOP_set_priority = 13;

export const BIND_PIRQ__WILL_SHARE = 1;

export const EVTCHNSTAT_closed = 0;
export const EVTCHNSTAT_unbound = 1;
export const EVTCHNSTAT_interdomain = 2;
export const EVTCHNSTAT_pirq = 3;
export const EVTCHNSTAT_virq = 4;
export const EVTCHNSTAT_ipi = 5;

/** How many ports the two-level ABI has room for. */
export const EVTCHN_2L_NR_CHANNELS = 4096;

export const EVTCHN_FIFO_PRIORITY_MAX = 0;
export const EVTCHN_FIFO_PRIORITY_DEFAULT = 7;
export const EVTCHN_FIFO_PRIORITY_MIN = 15;
export const EVTCHN_FIFO_MAX_QUEUES = 16;
export const EVTCHN_FIFO_PENDING = 31;
export const EVTCHN_FIFO_MASKED = 30;
export const EVTCHN_FIFO_LINKED = 29;
export const EVTCHN_FIFO_BUSY = 28;
export const EVTCHN_FIFO_LINK_BITS = 17;
export const EVTCHN_FIFO_LINK_MASK = 0x1ffff;
export const EVTCHN_FIFO_NR_CHANNELS = 0x20000;

export const EvtchnAllocUnbound = struct('evtchn_alloc_unbound', {
  dom: Domid, // whose port table the new port joins
  remoteDom: Domid, // the only domain that may bind it
  port: out(Port),
});
export type EvtchnAllocUnbound = TypeOf<typeof EvtchnAllocUnbound>;

export const EvtchnBindInterdomain = struct('evtchn_bind_interdomain', {
  remoteDom: Domid,
  remotePort: Port,
  localPort: out(Port),
});
export type EvtchnBindInterdomain = TypeOf<typeof EvtchnBindInterdomain>;

export const EvtchnBindVirq = struct('evtchn_bind_virq', {
  virq: u32, // VIRQ_*
  vcpu: VcpuId,
  port: out(Port),
});
export type EvtchnBindVirq = TypeOf<typeof EvtchnBindVirq>;

export const EvtchnBindPirq = struct('evtchn_bind_pirq', {
  pirq: u32,
  flags: u32, // BIND_PIRQ__*
  port: out(Port),
});
export type EvtchnBindPirq = TypeOf<typeof EvtchnBindPirq>;

export const EvtchnBindIpi = struct('evtchn_bind_ipi', { vcpu: VcpuId, port: out(Port) });
export type EvtchnBindIpi = TypeOf<typeof EvtchnBindIpi>;

export const EvtchnClose = struct('evtchn_close', { port: Port });
export type EvtchnClose = TypeOf<typeof EvtchnClose>;

export const EvtchnSend = struct('evtchn_send', { port: Port });
export type EvtchnSend = TypeOf<typeof EvtchnSend>;

export const EvtchnStatus = struct('evtchn_status', {
  dom: Domid,
  port: Port,
  status: out(u32), // EVTCHNSTAT_*: says which member of `u` counts
  vcpu: out(VcpuId),
  u: out(
    union('u', {
      unbound: struct('unbound', { dom: Domid }),
      interdomain: struct('interdomain', { dom: Domid, port: Port }),
      pirq: u32,
      virq: u32,
    }),
  ),
});
export type EvtchnStatus = TypeOf<typeof EvtchnStatus>;

export const EvtchnBindVcpu = struct('evtchn_bind_vcpu', { port: Port, vcpu: VcpuId });
export type EvtchnBindVcpu = TypeOf<typeof EvtchnBindVcpu>;

export const EvtchnUnmask = struct('evtchn_unmask', { port: Port });
export type EvtchnUnmask = TypeOf<typeof EvtchnUnmask>;

export const EvtchnReset = struct('evtchn_reset', { dom: Domid });
export type EvtchnReset = TypeOf<typeof EvtchnReset>;

export const EvtchnInitControl = struct(
  'evtchn_init_control',
  { controlGfn: Gfn, offset: u32, vcpu: VcpuId, linkBits: out(u8), pad: bytes(7) },
  { pad: '_pad' },
);
export type EvtchnInitControl = TypeOf<typeof EvtchnInitControl>;

export const EvtchnExpandArray = struct('evtchn_expand_array', { arrayGfn: Gfn });
export type EvtchnExpandArray = TypeOf<typeof EvtchnExpandArray>;

export const EvtchnSetPriority = struct('evtchn_set_priority', { port: Port, priority: u32 });
export type EvtchnSetPriority = TypeOf<typeof EvtchnSetPriority>;

export const EvtchnFifoControlBlock = struct(
  'evtchn_fifo_control_block',
  { ready: u32, rsvd: u32, head: array(u32, EVTCHN_FIFO_MAX_QUEUES) },
  { rsvd: '_rsvd' },
);
export type EvtchnFifoControlBlock = TypeOf<typeof EvtchnFifoControlBlock>;
