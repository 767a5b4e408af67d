/**
 * The hypervisor: what lies under the processors (exits come here) and who decides which runs. It
 * holds the domains and what they share; each kind of work has a file of its own.
 */
import { Observable, Subject } from 'rxjs';
import { CAUSE_PORT_IO } from '../machine/account.ts';
import { type Descriptor, readDescriptor } from '../machine/descriptor.ts';
import { EXIT_SYSCALL, exitName, OPS, vectorName } from '../machine/exit.ts';
import type { Machine } from '../machine/machine.ts';
import { ACCESS_WRITE } from '../machine/page-walk.ts';
import type { Pcpu } from '../machine/pcpu.ts';
import { type Platform, PORT_COM1 } from '../machine/platform.ts';
import type { TraceRecord } from '../machine/trace.ts';
import type { Dispatcher, Processor, Underneath } from '../machine/underneath.ts';
import { EXIT_REASON, type Vcpu } from '../machine/vcpu.ts';
import { errnoName } from '../protocol/errno.ts';
import { VcpuInfo } from '../protocol/shared-info.ts';
import { DOMID_SELF } from '../protocol/xen.ts';
import { Clock } from './clock.ts';
import { descriptorOf } from './descriptor-tables.ts';
import type { Domain } from './domain.ts';
import { raiseVirq } from './events.ts';
import { FrameTable } from './frames.ts';
import { hvmBoundary, hvmEnter, hvmRest } from './hvm.ts';
import { hvmExit } from './hvm-exits.ts';
import { dispatch, HYPERCALLS, hypercall } from './hypercalls.ts';
import { type Ledger, ledgerOf } from './ledger.ts';
import {
  create,
  type DomainConfig,
  destroy,
  end,
  pause,
  settle,
  shutdown,
  unpause,
} from './lifecycle.ts';
import { TYPE_WRITABLE } from './page-types.ts';
import { PhysicalInterrupts } from './physical-interrupts.ts';
import { pvExit } from './pv-exits.ts';
import { deliverUpcall } from './pv-traps.ts';
import { writeRunstate } from './runstate.ts';
import { Scheduler } from './scheduler.ts';
import { startPeriodic, stopPeriodic } from './timers.ts';
import type { XenVcpu } from './xen-vcpu.ts';

export interface HypervisorOptions {
  /** console_io of domain `domid`. */
  consoleIo?: (domid: number, bytes: Uint8Array) => void;
  /** The machine's own devices: their interrupts go to domain 0. Its `intr` must call `xen.interrupt()`. */
  platform?: Platform;
  /** Makes what executes a vCPU's machine code; without it there are no compiled kernels. */
  codeCpu?: (underneath: Underneath, vcpu: Vcpu) => Processor;
}

const UPCALL_MASK = VcpuInfo.offset.evtchnUpcallMask;

export class Hypervisor implements Underneath, Dispatcher {
  readonly machine: Machine;
  readonly clock: Clock;
  readonly frames: FrameTable;
  readonly scheduler: Scheduler;
  readonly domains = new Map<number, Domain>();
  readonly interrupts: PhysicalInterrupts | undefined;
  /** Each domain that ends, once, when none of its vCPUs is on a CPU. */
  readonly ended$: Observable<Domain>;
  /** The trace, free while nobody subscribes. */
  readonly trace$: Observable<TraceRecord>;
  /** When `machine.run` is to return: by default once every unpaused domain has ended. */
  finishWhen: () => boolean = () => this.alive === 0;
  /** Running domains, and those of them that are not privileged. */
  alive = 0;
  aliveGuests = 0;
  /** The CPU that was last active: whose time it is now. */
  active: Pcpu;
  /** Cause of the hypercall being done, and causes by number, vector and operation; 0 = not named yet. */
  currentCause = 0;
  readonly hypercallCauses = new Int16Array(HYPERCALLS + 1);
  readonly emulationCauses = new Int16Array(OPS);
  readonly notificationCause: number;
  readonly upcallCause: number;
  readonly syscallCause: number;
  readonly #faultCauses = new Int16Array(256);
  readonly #vcpus: (XenVcpu | undefined)[] = [];
  readonly #ended = new Subject<Domain>();
  readonly #options: HypervisorOptions;
  #lastId = 0;

  constructor(machine: Machine, options: HypervisorOptions = {}) {
    this.machine = machine;
    this.#options = options;
    this.active = machine.pcpus[0]!;
    this.clock = new Clock(machine.preset);
    this.frames = new FrameTable(machine.memory);
    this.scheduler = new Scheduler(machine, this.clock);
    this.ended$ = this.#ended.asObservable();
    this.trace$ = new Observable((to) => machine.trace.listen((record) => to.next(record)));
    this.notificationCause = machine.causes.id('notifications');
    this.upcallCause = machine.causes.id('events');
    this.syscallCause = machine.causes.id('system calls');
    this.interrupts = options.platform && new PhysicalInterrupts(this, options.platform);
  }

  /** The present instant, in cycles. */
  get now(): number {
    return this.active.now;
  }

  get finished(): boolean {
    return this.finishWhen();
  }

  /** What executes a vCPU's machine code. @throws RangeError where nothing can */
  codeCpu(arch: Vcpu): Processor {
    const processor = this.#options.codeCpu?.(this, arch);
    if (!processor) throw new RangeError('image: this hypervisor was given no engine');
    return processor;
  }

  // What the processors call.

  enter(arch: Vcpu): void {
    const vcpu = this.#of(arch);
    if (vcpu.hvm) hvmEnter(this, vcpu);
    else this.#deliver(vcpu);
  }

  exit(arch: Vcpu): void {
    const vcpu = this.#of(arch);
    if (vcpu.hvm) {
      hvmExit(this, vcpu);
      return;
    }
    if (vcpu.kernelMode && arch.lo(EXIT_REASON) === EXIT_SYSCALL) hypercall(this, vcpu);
    else pvExit(this, vcpu);
    this.#deliver(vcpu);
  }

  boundary(arch: Vcpu): void {
    const vcpu = this.#of(arch);
    if (vcpu.hvm) hvmBoundary(this, vcpu);
    this.fireAlarms(arch.pcpu);
    if (!vcpu.hvm) this.#deliver(vcpu);
    this.scheduler.setHorizon(arch.pcpu);
  }

  preempted(arch: Vcpu): boolean {
    return this.scheduler.preempted(this.#of(arch));
  }

  descriptor(arch: Vcpu, selector: number): Descriptor | undefined {
    const vcpu = this.#of(arch);
    return vcpu.hvm
      ? readDescriptor(this.machine.mmu, arch, selector)
      : descriptorOf(this, vcpu, selector);
  }

  fail(arch: Vcpu, why: string): void {
    const vcpu = this.#of(arch);
    this.crash(vcpu.domain, `${vcpu.name}: ${why}`);
  }

  // What the machine's run loop calls.

  pick(index: number): Processor | undefined {
    const cpu = this.machine.pcpus[index]!;
    const vcpu = this.scheduler.pick(cpu);
    if (!vcpu) return undefined;
    this.active = cpu;
    startPeriodic(this, vcpu);
    writeRunstate(this, vcpu);
    return vcpu.processor;
  }

  rest(index: number, processor: Processor): void {
    const vcpu = this.#of(processor.vcpu);
    this.active = this.machine.pcpus[index]!;
    if (vcpu.hvm) hvmRest(this, vcpu);
    stopPeriodic(this, vcpu);
    this.scheduler.rest(vcpu);
    settle(this, vcpu.domain);
  }

  // Domains.

  /** Make a domain, paused. @throws RangeError when memory or vCPUs are out */
  create(config: DomainConfig): Domain {
    return create(this, config);
  }

  unpause(domain: Domain): void {
    unpause(this, domain);
  }

  pause(domain: Domain): void {
    pause(this, domain);
  }

  destroy(domain: Domain): void {
    destroy(this, domain);
  }

  /** A domain ends itself for a SHUTDOWN_* reason. */
  shutdown(domain: Domain, reason: number): void {
    shutdown(this, domain, reason);
  }

  /** End a domain that broke a rule, and say which. */
  crash(domain: Domain, why: string): void {
    end(this, domain, { outcome: 'crash', why });
  }

  onEnd(domain: Domain, then: () => void): void {
    const subscription = this.#ended.subscribe((ended) => {
      if (ended !== domain) return;
      subscription.unsubscribe();
      then();
    });
  }

  announceEnd(domain: Domain): void {
    this.#ended.next(domain);
  }

  domain(id: number): Domain | undefined {
    return this.domains.get(id);
  }

  /** The domain that a guest named: DOMID_SELF or a number. */
  resolve(caller: XenVcpu, domid: number): Domain | undefined {
    return domid === DOMID_SELF ? caller.domain : this.domains.get(domid);
  }

  /** An id for a new unprivileged domain; ids are not used again. */
  nextId(): number {
    return ++this.#lastId;
  }

  attach(vcpu: XenVcpu): void {
    this.#vcpus[vcpu.arch.index] = vcpu;
  }

  detach(vcpu: XenVcpu): void {
    this.#vcpus[vcpu.arch.index] = undefined;
    this.scheduler.forget(vcpu);
  }

  /** What is in use: everywhere, or by one domain. */
  ledger(domain?: Domain): Ledger {
    return ledgerOf(this, domain);
  }

  // What handlers use.

  /** Do hypercall `number` for `caller`, its arguments in registers. */
  dispatch(caller: XenVcpu, number: number, cycles: number): number {
    return dispatch(this, caller, number, cycles);
  }

  /** Copy from the caller's memory through its tables. @returns false when it is not readable */
  copyFromGuest(caller: XenVcpu, va: number, into: Uint8Array): boolean {
    return this.machine.mmu.read(caller.arch, va, into);
  }

  copyToGuest(caller: XenVcpu, va: number, from: Uint8Array): boolean {
    return this.machine.mmu.write(caller.arch, va, from);
  }

  /** May `size` bytes (a word at most) at `va` be written? */
  mayWrite(caller: XenVcpu, va: number, size: number): boolean {
    const { mmu } = this.machine;
    return (
      mmu.probe(caller.arch, va, ACCESS_WRITE) >= 0 &&
      mmu.probe(caller.arch, va + size - 1, ACCESS_WRITE) >= 0
    );
  }

  /** Keep the domain's frame `gfn` writable for Xen's own writes. @returns its machine frame, or -1 */
  holdWritable(domain: Domain, gfn: number): number {
    const mfn = domain.memory.frameOf(gfn);
    return mfn >= 0 && this.frames.getType(mfn, domain, TYPE_WRITABLE) === 0 ? mfn : -1;
  }

  /** The errno for the guest, and why for whoever listens. */
  refuse(
    caller: XenVcpu,
    errno: number,
    rule: string,
    detail?: Record<string, number | string>,
  ): number {
    const { trace } = this.machine;
    if (trace.on) {
      const time = caller.arch.pcpu.now;
      trace.emit({
        time,
        who: caller.name,
        kind: 'refuse',
        // A grant status is refused in band, with no errno.
        ...(errno === 0 ? {} : { errno: errnoName(errno) }),
        rule,
        ...detail,
      });
    }
    return -errno;
  }

  /** Spend `cycles` on the hypercall being done. */
  chargeHypercall(caller: XenVcpu, cycles: number): void {
    caller.arch.pcpu.chargeMany(this.currentCause, 0, cycles);
  }

  /** The cause `fault NAME` of an exception. */
  faultCause(vector: number): number {
    const known = this.#faultCauses[vector]!;
    if (known !== 0) return known;
    const cause = this.machine.causes.id(`fault ${vectorName(vector)}`);
    this.#faultCauses[vector] = cause;
    return cause;
  }

  /** In long loops: let time's alarms ring. @returns true when the caller was stopped and the loop is to end */
  checkPreempt(caller: XenVcpu): boolean {
    const { pcpu } = caller.arch;
    if (pcpu.now >= pcpu.horizon) {
      this.fireAlarms(pcpu);
      this.scheduler.setHorizon(pcpu);
      if (pcpu.now >= this.machine.limit) caller.arch.stopped = true;
    }
    return caller.arch.stopped;
  }

  /** Ring what is due on the clock of `pcpu`. */
  fireAlarms(pcpu: Pcpu): void {
    this.active = pcpu;
    if (this.machine.timeline.next <= pcpu.now) this.machine.timeline.fire(pcpu.now);
  }

  /** The real interrupt controller's output rose. */
  interrupt(): void {
    this.interrupts?.service();
  }

  /** Raise a global VIRQ, which domain 0 may have bound. */
  sendGlobalVirq(virq: number): void {
    const vcpu = this.domains.get(0)?.vcpus[0];
    if (vcpu) raiseVirq(this, vcpu, virq);
  }

  console(caller: XenVcpu, bytes: Uint8Array): void {
    const { trace } = this.machine;
    if (trace.on) {
      const text = String.fromCharCode(...bytes);
      trace.emit({ time: caller.arch.pcpu.now, who: caller.name, kind: 'console', text });
    }
    for (const byte of bytes) this.putSerial(byte);
    this.#options.consoleIo?.(caller.domain.id, bytes);
  }

  /** A byte out of the machine's serial port, where Xen's console is, if the machine has one. */
  putSerial(byte: number): void {
    if (!this.#options.platform) return;
    const { machine, active } = this;
    active.charge(CAUSE_PORT_IO, machine.costs.portIo);
    machine.bus.write(PORT_COM1, 1, byte, active.now);
  }

  traceExit(vcpu: XenVcpu, reason: number): void {
    const { trace } = this.machine;
    if (!trace.on) return;
    trace.emit({
      time: vcpu.arch.pcpu.now,
      who: vcpu.name,
      kind: 'exit',
      reason: exitName(reason),
      rip: vcpu.arch.rip,
    });
  }

  traceDomain(domain: Domain, state: string, why?: string): void {
    const { trace } = this.machine;
    if (!trace.on) return;
    const { id, name } = domain;
    const record = { time: this.now, who: `d${id}`, kind: 'domain', name, state };
    trace.emit(why === undefined ? record : { ...record, why });
  }

  /** The hypervisor's vCPU for the machine's; its CPU is the active one from now on. */
  #of(arch: Vcpu): XenVcpu {
    this.active = arch.pcpu;
    return this.#vcpus[arch.index]!;
  }

  /** On the way back to a PV guest: an upcall if one is pending and unmasked. */
  #deliver(vcpu: XenVcpu): void {
    const { u8 } = this.machine.memory;
    if (u8[vcpu.info] !== 0 && u8[vcpu.info + UPCALL_MASK] === 0 && !vcpu.arch.stopped)
      deliverUpcall(this, vcpu);
  }
}
