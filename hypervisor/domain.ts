/**
 * A domain: an id, its vCPUs, its memory, its ports and its grants, and where it is in its life.
 *
 *     paused ──unpause──▶ running ──shutdown/crash──▶ dying ──everything freed──▶ dead
 */
import { Account } from '../machine/account.ts';
import type { DomainMemory } from './domain-memory.ts';
import type { EventTable } from './events.ts';
import type { GrantTable } from './grants.ts';
import type { HvmDomain } from './hvm.ts';
import type { XenVcpu } from './xen-vcpu.ts';

export type DomainKind = 'pv' | 'hvm';
export type DomainState = 'paused' | 'running' | 'dying' | 'dead';

/**
 * How it ended: a SHUTDOWN_* reason that the guest gave, or a crash that the hypervisor decided,
 * with the rule broken.
 */
export interface DomainEnd {
  outcome: 'poweroff' | 'reboot' | 'suspend' | 'crash' | 'watchdog' | 'destroyed';
  why: string;
}

/**
 * What a tool stack must know to serve the domain: frames of its xenstore and console rings, ports
 * unbound for domain 0.
 */
export interface DomainBoot {
  storeMfn: number;
  storePort: number;
  consoleMfn: number;
  consolePort: number;
}

export class Domain {
  readonly id: number;
  readonly kind: DomainKind;
  readonly name: string;
  /** Domain 0: may act on others, drive hardware, use console_io. */
  readonly privileged: boolean;
  readonly account = new Account();
  readonly vcpus: XenVcpu[] = [];
  /** Set by the builder before the domain first runs. */
  memory!: DomainMemory;
  events!: EventTable;
  grants!: GrantTable;
  state: DomainState = 'paused';
  end: DomainEnd | undefined;
  /** Which of its vCPUs was on the active CPU then. */
  endedOn: XenVcpu | undefined;
  /** Bits of VMASST_TYPE_*. */
  vmAssist = 0;
  /** PV: I/O privilege level, by PHYSDEVOP_set_iopl, or by iret with VMASST_TYPE_architectural_iopl. */
  iopl = 0;
  /** Frame of its shared_info. */
  sharedInfoMfn = -1;
  boot: DomainBoot = { storeMfn: 0, storePort: 0, consoleMfn: 0, consolePort: 0 };
  /** XENVER_commandline. */
  cmdline = '';
  /** How many of its vCPUs wait in SCHEDOP_poll. */
  polling = 0;
  /** Its emulated devices (hvm). */
  hvm: HvmDomain | undefined;
  /**
   * `destroy` was asked for while one of its vCPUs was on a CPU: it happens when that comes to
   * rest.
   */
  doomed = false;
  /** Whoever waits for its end has been told. */
  told = false;

  constructor(id: number, kind: DomainKind, name: string, privileged: boolean) {
    this.id = id;
    this.kind = kind;
    this.name = name;
    this.privileged = privileged;
  }
}

/** Has the domain enabled the assist VMASST_TYPE_`type`? */
export const hasAssist = (domain: Domain, type: number): boolean =>
  ((domain.vmAssist >>> type) & 1) === 1;
