/**
 * The hypercalls, typed. Each wrapper puts its argument struct into guest memory, executes SYSCALL,
 * and throws XenError where Xen returns a negative errno; frequent ones store their few words
 * without allocating.
 * @source xen/xen.h, event_channel.h, sched.h, vcpu.h, physdev.h, memory.h, version.h
 */
import type { Cpu } from '../machine/cpu.ts';
import {
  CALLBACKF_mask_events,
  CALLBACKOP_register,
  CallbackRegister,
} from '../protocol/callback.ts';
import * as ec from '../protocol/event-channel.ts';
import * as nr from '../protocol/hypercalls.ts';
import type { AnyStruct, TypeOf } from '../protocol/layout.ts';
import * as physdev from '../protocol/physdev.ts';
import * as sched from '../protocol/sched.ts';
import { type Domid, type Port, VcpuId } from '../protocol/units.ts';
import * as vcpu from '../protocol/vcpu.ts';
import * as version from '../protocol/version.ts';
import { CONSOLEIO_write, DOMID_SELF, TrapInfo } from '../protocol/xen.ts';
import { ArgumentPage, SLOT_BYTES } from './arguments.ts';
import { XenError } from './errors.ts';
import { RSP } from './layout.ts';
import { XenMemory } from './xen-memory.ts';

const EVENT_CHANNEL_OP = nr.__HYPERVISOR_event_channel_op;
const SCHED_OP = nr.__HYPERVISOR_sched_op;

/** A row of the virtual IDT. */
export interface Trap {
  readonly vector: number;
  readonly address: number;
  /** Lowest privilege that may raise it by INT: 0 or 3. */
  readonly dpl: number;
}

export type HypercallArgument = number | bigint;

export class Xen {
  readonly cpu: Cpu;
  readonly arguments: ArgumentPage;
  /** Hypercalls about memory: page tables, reservations, grants. */
  readonly memory: XenMemory;

  /**
   * @param page a writable page for arguments; by default the page that the boot stack is in, below
   * the stack.
   */
  constructor(cpu: Cpu, page = Math.floor((cpu.reg(RSP) - 1) / 4096) * 4096) {
    this.cpu = cpu;
    this.arguments = new ArgumentPage(page);
    this.memory = new XenMemory(this);
  }

  /** Any hypercall by number, unchecked. @returns what RAX held: a negative errno on failure. */
  hypercall(number: number, ...args: HypercallArgument[]): number {
    return this.cpu.syscall(number, ...(args as [HypercallArgument?]));
  }

  /** `result`, unless it is an errno. @throws XenError */
  check(call: string, result: number): number {
    if (result < 0) throw new XenError(call, -result);
    return result;
  }

  /**
   * An operation `cmd` of hypercall `number` on one struct. @returns the struct afterwards, with
   * its OUT fields.
   */
  op<S extends AnyStruct>(
    call: string,
    number: number,
    cmd: number,
    struct: S,
    value: Partial<TypeOf<S>>,
  ): TypeOf<S> {
    const bytes = new Uint8Array(struct.size);
    const view = new DataView(bytes.buffer);
    struct.set(view, 0, value);
    const { slot } = this.arguments;
    this.cpu.storeBytes(slot, bytes);
    this.check(call, this.cpu.syscall(number, cmd, slot));
    if (struct.outs.length > 0) this.cpu.loadBytes(slot, bytes);
    return struct.get(view) as TypeOf<S>;
  }

  /** @errors EINVAL for a port that is not open or has no other end. */
  send(port: Port): void {
    const { slot } = this.arguments;
    this.cpu.store32(slot, port);
    const result = this.cpu.syscall(EVENT_CHANNEL_OP, ec.EVTCHNOP_send, slot);
    if (result < 0) throw new XenError('EVTCHNOP_send', -result);
  }

  unmask(port: Port): void {
    const { slot } = this.arguments;
    this.cpu.store32(slot, port);
    this.check('EVTCHNOP_unmask', this.cpu.syscall(EVENT_CHANNEL_OP, ec.EVTCHNOP_unmask, slot));
  }

  close(port: Port): void {
    this.op('EVTCHNOP_close', EVENT_CHANNEL_OP, ec.EVTCHNOP_close, ec.EvtchnClose, { port });
  }

  allocUnbound(remoteDom: Domid, dom: Domid = DOMID_SELF): Port {
    const arg = { dom, remoteDom };
    return this.op(
      'EVTCHNOP_alloc_unbound',
      EVENT_CHANNEL_OP,
      ec.EVTCHNOP_alloc_unbound,
      ec.EvtchnAllocUnbound,
      arg,
    ).port;
  }

  bindInterdomain(remoteDom: Domid, remotePort: Port): Port {
    const arg = { remoteDom, remotePort };
    return this.op(
      'EVTCHNOP_bind_interdomain',
      EVENT_CHANNEL_OP,
      ec.EVTCHNOP_bind_interdomain,
      ec.EvtchnBindInterdomain,
      arg,
    ).localPort;
  }

  bindVirq(virq: number, id: VcpuId = VcpuId(0)): Port {
    const arg = { virq, vcpu: id };
    return this.op(
      'EVTCHNOP_bind_virq',
      EVENT_CHANNEL_OP,
      ec.EVTCHNOP_bind_virq,
      ec.EvtchnBindVirq,
      arg,
    ).port;
  }

  bindIpi(id: VcpuId = VcpuId(0)): Port {
    return this.op('EVTCHNOP_bind_ipi', EVENT_CHANNEL_OP, ec.EVTCHNOP_bind_ipi, ec.EvtchnBindIpi, {
      vcpu: id,
    }).port;
  }

  bindPirq(pirq: number, flags = ec.BIND_PIRQ__WILL_SHARE): Port {
    return this.op(
      'EVTCHNOP_bind_pirq',
      EVENT_CHANNEL_OP,
      ec.EVTCHNOP_bind_pirq,
      ec.EvtchnBindPirq,
      { pirq, flags },
    ).port;
  }

  status(port: Port, dom: Domid = DOMID_SELF): ec.EvtchnStatus {
    return this.op('EVTCHNOP_status', EVENT_CHANNEL_OP, ec.EVTCHNOP_status, ec.EvtchnStatus, {
      dom,
      port,
    });
  }

  /** Gives the processor to another vCPU. */
  yield(): void {
    this.cpu.syscall(SCHED_OP, sched.SCHEDOP_yield, 0);
  }

  /** Unmasks upcalls and waits for one. */
  block(): void {
    this.cpu.syscall(SCHED_OP, sched.SCHEDOP_block, 0);
  }

  /**
   * Waits until one of `ports` is pending or system time reaches `timeout` (ns, 0 = never). At most
   * 64 ports.
   */
  poll(ports: readonly Port[], timeout = 0): void {
    const list = new Uint32Array(ports);
    const { slot } = this.arguments;
    const at = slot + sched.SchedPoll.size;
    this.cpu.storeBytes(at, new Uint8Array(list.buffer));
    this.op('SCHEDOP_poll', SCHED_OP, sched.SCHEDOP_poll, sched.SchedPoll, {
      ports: at,
      nrPorts: ports.length,
      timeout,
    });
  }

  /** Ends the domain; returns only if Xen refuses. */
  shutdown(reason: number): void {
    this.op('SCHEDOP_shutdown', SCHED_OP, sched.SCHEDOP_shutdown, sched.SchedShutdown, { reason });
  }

  /** VIRQ_TIMER at system time `ns`; 0 cancels. */
  setTimer(ns: number): void {
    const result = this.cpu.syscall(nr.__HYPERVISOR_set_timer_op, ns);
    if (result < 0) throw new XenError('set_timer_op', -result);
  }

  stopPeriodicTimer(id = 0): void {
    this.check(
      'VCPUOP_stop_periodic_timer',
      this.cpu.syscall(nr.__HYPERVISOR_vcpu_op, vcpu.VCPUOP_stop_periodic_timer, id, 0),
    );
  }

  /** @errors ENOENT for a vCPU that does not exist. */
  isUp(id: VcpuId): boolean {
    return (
      this.check(
        'VCPUOP_is_up',
        this.cpu.syscall(nr.__HYPERVISOR_vcpu_op, vcpu.VCPUOP_is_up, id, 0),
      ) === 1
    );
  }

  /** Writes to the hypervisor's console. @errors EPERM outside a privileged domain. */
  consoleWrite(bytes: Uint8Array): void {
    const { slot } = this.arguments;
    for (let at = 0; at < bytes.length; at += SLOT_BYTES) {
      const part = bytes.subarray(at, at + SLOT_BYTES);
      this.cpu.storeBytes(slot, part);
      this.check(
        'CONSOLEIO_write',
        this.cpu.syscall(nr.__HYPERVISOR_console_io, CONSOLEIO_write, part.length, slot),
      );
    }
  }

  /**
   * Major version << 16 | minor. The cheapest hypercall: pending events are delivered on its
   * return.
   */
  version(): number {
    return this.cpu.syscall(nr.__HYPERVISOR_xen_version, version.XENVER_version, 0);
  }

  /** The XENFEAT_* bits of `submapIdx`. @errors EINVAL for a submap that does not exist. */
  features(submapIdx = 0): number {
    return this.op(
      'XENVER_get_features',
      nr.__HYPERVISOR_xen_version,
      version.XENVER_get_features,
      version.XenFeatureInfo,
      { submapIdx },
    ).submap;
  }

  /**
   * Sets virtual IDT entries; every handler begins with upcalls masked. @errors EINVAL for a non-
   * canonical address.
   */
  setTrapTable(traps: readonly Trap[]): void {
    const bytes = new Uint8Array((traps.length + 1) * TrapInfo.size);
    const view = new DataView(bytes.buffer);
    for (const [i, { vector, address, dpl }] of traps.entries()) {
      TrapInfo.set(view, i * TrapInfo.size, {
        vector,
        flags: dpl | TRAP_MASKS_EVENTS,
        cs: KERNEL_CS,
        address,
      });
    }
    const { slot } = this.arguments;
    this.cpu.storeBytes(slot, bytes);
    this.check('set_trap_table', this.cpu.syscall(nr.__HYPERVISOR_set_trap_table, slot));
  }

  /**
   * Registers a CALLBACKTYPE_*; upcalls are masked when it begins. @errors EINVAL for a non-
   * canonical address.
   */
  registerCallback(type: number, address: number): void {
    const arg = { type, flags: CALLBACKF_mask_events, address };
    this.op(
      'CALLBACKOP_register',
      nr.__HYPERVISOR_callback_op,
      CALLBACKOP_register,
      CallbackRegister,
      arg,
    );
  }

  /** Where frames of traps from user mode are pushed. */
  stackSwitch(ss: number, sp: number): void {
    this.check('stack_switch', this.cpu.syscall(nr.__HYPERVISOR_stack_switch, ss, sp));
  }

  /** @errors EINVAL for an unknown type. */
  vmAssist(cmd: number, type: number): void {
    this.check('vm_assist', this.cpu.syscall(nr.__HYPERVISOR_vm_assist, cmd, type));
  }

  /** @errors EINVAL above 3. */
  setIopl(iopl: number): void {
    this.op(
      'PHYSDEVOP_set_iopl',
      nr.__HYPERVISOR_physdev_op,
      physdev.PHYSDEVOP_set_iopl,
      physdev.PhysdevSetIopl,
      { iopl },
    );
  }

  eoi(irq: number): void {
    this.op(
      'PHYSDEVOP_eoi',
      nr.__HYPERVISOR_physdev_op,
      physdev.PHYSDEVOP_eoi,
      physdev.PhysdevEoi,
      { irq },
    );
  }
}

/** trap_info.flags, bit 2. */
const TRAP_MASKS_EVENTS = 4;
const KERNEL_CS = 0xe033;
