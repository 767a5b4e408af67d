/**
 * A virtual CPU as the hypervisor sees it: the architectural state plus what Xen keeps per vCPU
 * (mode, roots, trap table, callbacks, the place of its vcpu_info, whether it may run).
 */
import { CR0_TS } from '../machine/control-registers.ts';
import type { Pcpu } from '../machine/pcpu.ts';
import type { Alarm } from '../machine/timeline.ts';
import type { Processor } from '../machine/underneath.ts';
import { CR0, R8, R9, R10, RDI, RDX, RSI, type Vcpu } from '../machine/vcpu.ts';
import { RUNSTATE_offline } from '../protocol/vcpu.ts';
import { NR_VIRQS } from '../protocol/xen.ts';
import type { Domain } from './domain.ts';
import type { HvmVcpu } from './hvm.ts';

/** The six argument registers of a hypercall, in order. */
const ARGUMENTS = [RDI, RSI, RDX, R10, R8, R9] as const;

/**
 * One entry of the virtual IDT (trap_info): where to go, and flags (bits 0-1 DPL, bit 2 mask
 * events).
 */
export interface TrapEntry {
  flags: number;
  cs: number;
  address: number;
}

/** A registered callback: address 0 means none. */
export interface Callback {
  address: number;
  maskEvents: boolean;
}

export type VcpuState = 'offline' | 'runnable' | 'blocked';

/** Period of VIRQ_TIMER until the guest sets another: 100 Hz. */
const DEFAULT_PERIOD_NS = 10_000_000;

export class XenVcpu {
  readonly domain: Domain;
  readonly id: number;
  readonly arch: Vcpu;
  processor: Processor | undefined;
  state: VcpuState = 'offline';
  /** Host byte offset of its vcpu_info: in shared_info, or where register_vcpu_info put it. */
  info = 0;
  infoRegistered = false;
  /** The frame that holds a registered vcpu_info, kept writable until the domain dies. */
  infoMfn = -1;
  /** PV: guest-kernel mode (not CPL: both modes run at CPL 3). */
  kernelMode = true;
  kernelSs = 0;
  kernelSp = 0;
  /** PV: MFN of the L4 for kernel and user mode; 0 = no user root. */
  kernelRoot = 0;
  userRoot = 0;
  readonly traps = new Map<number, TrapEntry>();
  readonly eventCallback: Callback = { address: 0, maskEvents: true };
  readonly failsafeCallback: Callback = { address: 0, maskEvents: false };
  readonly syscallCallback: Callback = { address: 0, maskEvents: false };
  readonly syscall32Callback: Callback = { address: 0, maskEvents: false };
  readonly sysenterCallback: Callback = { address: 0, maskEvents: false };
  readonly nmiCallback: Callback = { address: 0, maskEvents: false };
  /** PV: address and number of entries of its LDT. */
  ldt = 0;
  ldtEntries = 0;
  /** VCPUOP_initialise was done (vCPU 0: by the builder). */
  initialised = false;
  /** PV: CR4 bits that the guest chose, and the bitmap of ports that its user mode may use. */
  cr4 = 0;
  ioBitmap = 0;
  ioBitmapPorts = 0;
  /** Port of each VIRQ bound to it; 0 = none. */
  readonly virqPorts = new Uint16Array(NR_VIRQS);
  /** Ports that it polls (SCHEDOP_poll), while it does. */
  pollPorts: readonly number[] | undefined;
  pollAlarm: Alarm | undefined;
  singleshot: Alarm | undefined;
  periodic: Alarm | undefined;
  periodNs = DEFAULT_PERIOD_NS;
  /** When its periodic timer last ticked, in cycles. */
  lastTick = 0;
  /** RUNSTATE_*, since when, and the cycles spent in each. */
  runstate = RUNSTATE_offline;
  runstateSince = 0;
  readonly runstateCycles = new Float64Array(4);
  /** Guest address of its registered runstate area; 0 = none. */
  runstateArea = 0;
  /**
   * The scheduler's: the CPU it is on, its neighbours in the queue, no earlier than when it may
   * run.
   */
  cpu: Pcpu | undefined;
  next: XenVcpu | undefined;
  previous: XenVcpu | undefined;
  queued = false;
  yielded = false;
  readyAt = 0;
  hvm: HvmVcpu | undefined;

  constructor(domain: Domain, id: number, arch: Vcpu) {
    this.domain = domain;
    this.id = id;
    this.arch = arch;
  }

  /** PV: CR0.TS, the one bit of CR0 that is the guest's. */
  get taskSwitched(): boolean {
    return (this.arch.lo(CR0) & CR0_TS) !== 0;
  }

  set taskSwitched(set: boolean) {
    const rest = this.arch.lo(CR0) & ~CR0_TS;
    this.arch.setHalves(CR0, set ? rest | CR0_TS : rest, 0);
  }

  /** Hypercall argument `i` (0..5) as a signed number. */
  arg(i: number): number {
    return this.arch.gpr(ARGUMENTS[i]!);
  }

  /** Its low and high halves, for values that a number cannot hold (a PTE with NX). */
  argLo(i: number): number {
    return this.arch.lo(ARGUMENTS[i]! << 3);
  }

  argHi(i: number): number {
    return this.arch.hi(ARGUMENTS[i]! << 3);
  }

  setArg(i: number, lo: number, hi: number): void {
    this.arch.setHalves(ARGUMENTS[i]! << 3, lo, hi);
  }

  /** How traces name it: d1v0. */
  get name(): string {
    return `d${this.domain.id}v${this.id}`;
  }
}
