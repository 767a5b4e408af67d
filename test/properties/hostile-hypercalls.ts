/** Hypercalls of a hostile kernel: for each number arguments that get far, and any number with anything. */
import * as cb from '../../protocol/callback.ts';
import * as ev from '../../protocol/event-channel.ts';
import * as gnt from '../../protocol/grant-table.ts';
import * as nr from '../../protocol/hypercalls.ts';
import * as mem from '../../protocol/memory.ts';
import { SchedPoll, SchedShutdown } from '../../protocol/sched.ts';
import * as vc from '../../protocol/vcpu.ts';
import { VcpuGuestContext } from '../../protocol/vcpu-context.ts';
import * as abi from '../../protocol/xen.ts';
import type { HostileGuest } from './hostile-guest.ts';

type Arguments = readonly (number | bigint)[];
type Maker = (g: HostileGuest, code: () => number, start: () => number) => Arguments;

const mmuUpdate: Maker = (g) => {
  const { c } = g;
  const count = c.pick([1, 1, 2, 3, 5]);
  const list = g.list(abi.MmuUpdate, count, () => ({
    ptr: g.mfn() * 4096 + c.below(512) * (c.once(9) ? 1 : 8) + c.below(4),
    val: g.pte(),
  }));
  return [
    list,
    c.once(9) ? g.number() : count,
    c.once(3) ? g.va() : 0,
    c.once(5) ? g.number() : 0x7ff0,
  ];
};

const mmuextOp: Maker = (g) => {
  const { c } = g;
  const count = c.pick([1, 1, 2, 4]);
  const list = g.list(abi.MmuextOp, count, () => ({
    cmd: c.once(3) ? c.below(22) : c.pick([0, 1, 2, 3, 4, 4, 5, 15]),
    arg1: { mfn: c.once(4) ? g.number() : g.mfn() },
    arg2: { srcMfn: c.once(2) ? g.number() : g.mfn() },
  }));
  return [
    list,
    c.once(9) ? g.number() : count,
    c.once(3) ? g.va() : 0,
    c.once(5) ? g.number() : 0x7ff0,
  ];
};

const updateVaMapping: Maker = (g) => [
  g.va(),
  g.pte(),
  g.c.once(3) ? g.number() : g.c.below(7),
  g.domid(),
];

/** A page of its own made read-only, writable or absent: tables can be made of it, or no longer. */
const remap: Maker = (g) => {
  const i = g.c.below(g.pages.length);
  const flags = g.c.pick([0, 0x21, 0x61, 0x21, 0x67, 0x63]);
  const entry = flags === 0 ? 0n : BigInt(g.mfns[i]!) * 4096n + BigInt(flags);
  return [g.pages[i]!, entry, g.c.below(3)];
};

const eventOp: Maker = (g) => {
  const { c } = g;
  const port = (): number => (c.once(6) ? c.bits() : c.below(10));
  const vcpu = (): number => c.below(4);
  switch (c.below(10)) {
    case 0:
      return [
        ev.EVTCHNOP_alloc_unbound,
        g.struct(ev.EvtchnAllocUnbound, { dom: g.domid(), remoteDom: g.domid() }),
      ];
    case 1:
      return [
        ev.EVTCHNOP_bind_interdomain,
        g.struct(ev.EvtchnBindInterdomain, { remoteDom: g.domid(), remotePort: port() }),
      ];
    case 2:
      return [
        ev.EVTCHNOP_bind_virq,
        g.struct(ev.EvtchnBindVirq, { virq: c.below(26), vcpu: vcpu() }),
      ];
    case 3:
      return [ev.EVTCHNOP_bind_ipi, g.struct(ev.EvtchnBindIpi, { vcpu: vcpu() })];
    case 4:
      return [ev.EVTCHNOP_close, g.struct(ev.EvtchnClose, { port: port() })];
    case 5:
      return [ev.EVTCHNOP_send, g.struct(ev.EvtchnSend, { port: port() })];
    case 6:
      return [ev.EVTCHNOP_bind_vcpu, g.struct(ev.EvtchnBindVcpu, { port: port(), vcpu: vcpu() })];
    case 7:
      return [ev.EVTCHNOP_unmask, g.struct(ev.EvtchnUnmask, { port: port() })];
    case 8:
      return [ev.EVTCHNOP_status, g.struct(ev.EvtchnStatus, { dom: g.domid(), port: port() })];
    default:
      return [c.below(16), g.noise()];
  }
};

const copyEnd = (g: HostileGuest): object => ({
  u: g.c.once(2) ? { ref: g.c.below(12) } : { gmfn: g.mfn() },
  domid: g.domid(),
  offset: g.c.once(4) ? g.c.bits() & 0xffff : g.c.below(4096),
});

const grantOp: Maker = (g) => {
  const { c } = g;
  const count = c.pick([1, 1, 1, 2, 3]);
  switch (c.below(6)) {
    case 0:
    case 1:
      return [
        gnt.GNTTABOP_map_grant_ref,
        g.list(gnt.GnttabMapGrantRef, count, () => ({
          hostAddr: g.va(),
          flags: c.once(4) ? c.bits() : c.pick([2, 2, 6, 18, 22]),
          ref: c.once(9) ? c.bits() : c.below(12),
          dom: c.below(3),
        })),
        count,
      ];
    case 2:
      return [
        gnt.GNTTABOP_unmap_grant_ref,
        g.list(gnt.GnttabUnmapGrantRef, count, () => ({ hostAddr: g.va(), handle: c.below(5) })),
        count,
      ];
    case 3:
      return [
        gnt.GNTTABOP_copy,
        g.list(gnt.GnttabCopy, count, () => ({
          source: copyEnd(g),
          dest: copyEnd(g),
          len: c.once(4) ? c.bits() & 0xffff : c.below(4096),
          flags: c.below(4),
        })),
        count,
      ];
    case 4:
      return [
        gnt.GNTTABOP_setup_table,
        g.struct(gnt.GnttabSetupTable, {
          dom: g.domid(),
          nrFrames: c.once(5) ? c.bits() : c.below(5),
          frameList: g.va(),
        }),
        1,
      ];
    default:
      return [c.below(13), g.noise(), c.once(5) ? g.number() : count];
  }
};

/** Give a page of its own, or something else, to somebody, through a grant frame that is mapped if it is. */
const memoryOp: Maker = (g) => {
  const { c } = g;
  if (c.once(3)) return [c.once(4) ? g.number() : c.below(30), g.noise()];
  const list = g.place();
  const { cpu } = g.raw;
  for (let i = 0; i < 3; i++) cpu.store64(list + 8 * i, BigInt(g.mfn()));
  const start = c.once(6) ? c.below(4) << 6 : 0;
  return [
    c.pick([mem.XENMEM_increase_reservation, mem.XENMEM_decrease_reservation, 6]) + start,
    g.struct(mem.XenMemoryReservation, {
      extentStart: c.once(5) ? g.va() : list,
      nrExtents: c.once(9) ? Math.abs(g.number()) : c.below(4),
      extentOrder: c.once(5) ? c.below(12) : 0,
      memFlags: 0,
      domid: g.domid(),
    }),
  ];
};

const schedOp: Maker = (g) => {
  const { c } = g;
  switch (c.below(8)) {
    case 0:
    case 1:
    case 2: {
      const ports = g.write(Uint8Array.from([c.below(9), 0, 0, 0, c.below(9), 0, 0, 0]));
      return [
        3,
        g.struct(SchedPoll, {
          ports,
          nrPorts: c.once(5) ? g.small() : c.below(3),
          timeout: c.once(3) ? Math.abs(g.number()) : c.below(1e6),
        }),
      ];
    }
    case 3:
    case 4:
      return [0, 0];
    case 5:
      return [1, 0];
    case 6:
      return c.once(4) ? [2, g.struct(SchedShutdown, { reason: c.below(8) })] : [0, 0];
    default:
      return [c.pick([3, 4, 5, 6, 7, 1000]), g.noise()];
  }
};

const context = (g: HostileGuest, code: () => number, start: () => number): number => {
  const { c } = g;
  const root = c.once(3) ? g.mfn() : g.tables[0]!;
  const address = (): number => (c.once(4) ? g.va() : code());
  return g.struct(VcpuGuestContext, {
    flags: c.once(3) ? c.below(64) : 0x24,
    userRegs: {
      rip: c.once(4) ? address() : start(),
      rsp: c.once(3) ? g.va() : c.pick(g.pages) + 4096,
      cs: c.bits() & 0xffff,
      ss: c.bits() & 0xffff,
      rflags: c.bits(),
    },
    gdtEnts: c.once(3) ? c.below(8000) : 0,
    gdtFrames: Array.from({ length: 16 }, () => g.mfn()),
    kernelSp: g.va(),
    ctrlreg: [0, c.once(3) ? g.mfn() * 4096 : 0, 0, root * 4096, 0, 0, 0, 0],
    eventCallbackEip: address(),
    failsafeCallbackEip: address(),
    syscallCallbackEip: address(),
  });
};

const vcpuOp: Maker = (g, code, start) => {
  const { c } = g;
  const id = c.once(6) ? g.number() : c.below(4);
  switch (c.below(8)) {
    case 0:
      return [vc.VCPUOP_initialise, id, context(g, code, start)];
    case 1:
      return [c.once(4) ? vc.VCPUOP_down : vc.VCPUOP_up, c.once(4) ? id : 1 + c.below(2), 0];
    case 2:
      return [
        vc.VCPUOP_register_vcpu_info,
        id,
        g.struct(vc.VcpuRegisterVcpuInfo, { mfn: g.mfn(), offset: c.below(70) * 64 }),
      ];
    case 3:
      return [
        vc.VCPUOP_register_runstate_memory_area,
        id,
        g.struct(vc.VcpuRegisterRunstateMemoryArea, { addr: g.va() }),
      ];
    case 4:
      return [
        vc.VCPUOP_set_singleshot_timer,
        id,
        g.struct(vc.VcpuSetSingleshotTimer, {
          timeoutAbsNs: c.once(3) ? Math.abs(g.number()) : c.below(1e6),
          flags: c.below(3),
        }),
      ];
    case 5:
      return [
        vc.VCPUOP_set_periodic_timer,
        id,
        g.struct(vc.VcpuSetPeriodicTimer, { periodNs: c.once(3) ? Math.abs(g.number()) : 1e6 }),
      ];
    default:
      return [c.below(16), id, g.noise()];
  }
};

const traps: Maker = (g, code) => {
  const { c } = g;
  const count = 1 + c.below(3);
  const entries: number[] = [];
  for (let i = 0; i < count; i++) entries.push(c.once(3) ? g.va() : code());
  let i = 0;
  return [
    g.list(abi.TrapInfo, count + 1, () => ({
      vector: c.pick([3, 6, 13, 14, 0x80, c.below(256)]),
      flags: c.below(8),
      cs: c.bits() & 0xffff,
      address: i < count ? entries[i++]! : 0,
    })),
  ];
};

const callbackOp: Maker = (g, code) => [
  g.c.once(6) ? g.c.below(4) : 0,
  g.struct(cb.CallbackRegister, {
    type: g.c.below(8),
    flags: g.c.below(2),
    address: g.c.once(2) ? code() : g.va(),
  }),
];

const MAKERS: readonly (readonly [number, Maker])[] = [
  [nr.__HYPERVISOR_mmu_update, mmuUpdate],
  [nr.__HYPERVISOR_mmu_update, mmuUpdate],
  [nr.__HYPERVISOR_mmuext_op, mmuextOp],
  [nr.__HYPERVISOR_mmuext_op, mmuextOp],
  [nr.__HYPERVISOR_update_va_mapping, updateVaMapping],
  [nr.__HYPERVISOR_update_va_mapping, remap],
  [nr.__HYPERVISOR_update_va_mapping, remap],
  [nr.__HYPERVISOR_update_va_mapping_otherdomain, updateVaMapping],
  [nr.__HYPERVISOR_event_channel_op, eventOp],
  [nr.__HYPERVISOR_grant_table_op, grantOp],
  [nr.__HYPERVISOR_grant_table_op, grantOp],
  [nr.__HYPERVISOR_memory_op, memoryOp],
  [nr.__HYPERVISOR_sched_op, schedOp],
  [nr.__HYPERVISOR_vcpu_op, vcpuOp],
  [nr.__HYPERVISOR_set_trap_table, traps],
  [nr.__HYPERVISOR_callback_op, callbackOp],
  [nr.__HYPERVISOR_set_gdt, (g) => [gdtList(g), g.c.once(4) ? g.number() : g.c.below(2000)]],
  [nr.__HYPERVISOR_update_descriptor, (g) => [g.mfn() * 4096 + g.c.below(512) * 8, g.pte()]],
  [nr.__HYPERVISOR_set_timer_op, (g) => [g.c.once(2) ? g.number() : g.c.below(1e7)]],
  [nr.__HYPERVISOR_vm_assist, (g) => [g.c.below(3), g.c.below(8)]],
  [nr.__HYPERVISOR_physdev_op, (g) => [g.c.below(30), g.noise()]],
  [nr.__HYPERVISOR_xen_version, (g) => [g.c.below(14), g.va()]],
];

const gdtList = (g: HostileGuest): number => {
  const list = new BigUint64Array(4);
  for (let i = 0; i < 4; i++) list[i] = BigInt(g.mfn());
  return g.write(new Uint8Array(list.buffer));
};

/** A hypercall number and its arguments; `code` gives the address of some code of the guest's. */
export const hostileCall = (
  g: HostileGuest,
  code: () => number,
  start: () => number,
): readonly [number, Arguments] => {
  const { c } = g;
  if (c.once(4)) {
    const args = Array.from({ length: 6 }, () => (c.once(3) ? g.noise() : g.number()));
    return [c.once(20) ? g.number() : c.below(65), args];
  }
  const [number, maker] = c.pick(MAKERS);
  return [number, maker(g, code, start)];
};

/** The same for one entry of a multicall. */
export const multicallList = (
  g: HostileGuest,
  code: () => number,
  start: () => number,
  count: number,
): number => {
  const calls = Array.from({ length: count }, () => hostileCall(g, code, start));
  let i = 0;
  return g.list(abi.MulticallEntry, count, () => {
    const [op, args] = calls[i++]!;
    const words = Array.from({ length: 6 }, (_, a) => BigInt.asIntN(64, BigInt(args[a] ?? 0)));
    return { op, args: words };
  });
};
