/**
 * What a kernel's main function gets: one interface over two architectures. `pv` is a modified
 * kernel on the hypercall ABI, `bare` drives real (or emulated) hardware. Parts that only one of
 * them has are optional; everything else means the same on both.
 */
import type { Observable, SchedulerLike } from 'rxjs';
import type { Cpu } from '../machine/cpu.ts';
import type { RingMemory } from '../protocol/ring.ts';
import type { Domid, Gref, Port } from '../protocol/units.ts';
import type { Xen } from './xen.ts';
import type { Xenstore } from './xenstore.ts';

export type Arch = 'pv' | 'bare';

/** What the loader said. */
export interface BootInfo {
  readonly commandLine: string;
  /** Pages of memory the machine or domain began with. */
  readonly pages: number;
  /** PV: this is the initial domain, which may act on others and drive hardware. */
  readonly privileged: boolean;
  /** PV, unprivileged: the console ring's page and its event channel. */
  readonly console?: { readonly va: number; readonly port: Port };
}

export interface FrameAllocator {
  /** A free frame, its contents whatever they were. @throws OutOfFrames */
  alloc(): number;
  /** The first of `count` frames that lie next to each other; each is freed by itself. @throws OutOfFrames */
  allocMany(count: number): number;
  free(pfn: number): void;
  readonly available: number;
}

/** What an access may do; absent means no, except `execute`, where absent means yes. */
export interface MapOptions {
  readonly write?: boolean;
  /**
   * Reachable from user mode. A 512 GiB slot is all user or all kernel (in PV, privilege is per
   * root, not per page).
   */
  readonly user?: boolean;
  readonly execute?: boolean;
}

/** Mappings of the lower half (va >= 0); the kernel half is the same in all. */
export interface AddressSpace {
  map(va: number, pfn: number, options?: MapOptions): void;
  /** Many pages at once, as few hypercalls as it takes. */
  mapMany(va: number, pfns: readonly number[], options?: MapOptions): void;
  /** @returns the frame that was mapped, or -1. */
  unmap(va: number): number;
  unmapMany(va: number, pages: number): void;
  protect(va: number, options: MapOptions): void;
  /** The frame behind `va`, or -1. */
  translate(va: number): number;
  activate(): void;
  /** Frees the tables, not the frames mapped; an active space is left first. */
  destroy(): void;
}

export interface Fault {
  readonly vector: number;
  readonly error: number;
  /** The address that faulted, for #PF; else 0. */
  readonly address: number;
  readonly rip: number;
  readonly user: boolean;
}

/** Returning means fixed: the access is made again. Throwing makes the access throw. */
export type FaultHandler = (fault: Fault) => void;
export type SyscallHandler = (
  nr: number,
  a1: number,
  a2: number,
  a3: number,
  a4: number,
  a5: number,
  a6: number,
) => number;

export interface Traps {
  /**
   * Replaces the handler. @returns a function that puts the earlier one back. Without one, a fault
   * throws KernelFault at the access.
   */
  onFault(handler: FaultHandler): () => void;
  onSyscall(handler: SyscallHandler): void;
}

export interface Clock {
  /** Nanoseconds since boot (PV: system time). */
  nanos(): number;
  sleep(ns: number): Promise<void>;
  /** Calls back at `ns` on this clock, in interrupt context. @returns a function that cancels. */
  at(ns: number, callback: () => void): () => void;
  /** For RxJS operators: milliseconds, like every RxJS scheduler. */
  readonly scheduler: SchedulerLike;
}

export interface Thread {
  readonly name: string;
  /**
   * Settles with the thread's function. If nobody looks at it, an error there is a kernel panic.
   */
  readonly done: Promise<void>;
}

export interface Threads {
  spawn(name: string, body: () => Promise<void>): Thread;
  /** Lets the other threads that are ready run first. */
  yield(): Promise<void>;
}

export interface Interrupts {
  /** @returns whether they were enabled. */
  disable(): boolean;
  enable(): void;
}

/** Event channels: handlers run in the upcall, one Subject for each bound port. */
export interface EventChannels {
  /**
   * Emits for each time the port was found pending. Subscribing looks at the pending bit once, so
   * an event sent before is not lost.
   */
  events(port: Port): Observable<void>;
  allocUnbound(remote: Domid): Port;
  bindInterdomain(remote: Domid, remotePort: Port): Port;
  bindVirq(virq: number): Port;
  bindIpi(): Port;
  /**
   * Domain 0: a physical interrupt line; each event is followed by an EOI after the handlers ran.
   */
  bindPirq(pirq: number): Port;
  send(port: Port): void;
  mask(port: Port): void;
  unmask(port: Port): void;
  /** Closes the port and completes its Observable. */
  close(port: Port): void;
}

/** Pages of others, mapped one after the other from `va` on. */
export interface GrantArea {
  readonly va: number;
  unmap(): void;
}

export interface GrantMapping extends GrantArea {
  readonly handle: number;
}

/** One end of a copy: an own frame, or a frame that a domain granted. */
export type CopyEnd =
  | { readonly pfn: number; readonly offset: number }
  | { readonly gref: Gref; readonly domid: Domid; readonly offset: number };

export interface CopySegment {
  readonly from: CopyEnd;
  readonly to: CopyEnd;
  /** Bytes; neither end may cross a page. */
  readonly length: number;
}

export interface Grants {
  grant(domid: Domid, pfn: number, readonly: boolean): Gref;
  /** Withdraws a grant: false while the other side still has it mapped (then it stays granted). */
  end(gref: Gref): boolean;
  /** @throws GrantError */
  map(domid: Domid, gref: Gref, readonly?: boolean): GrantMapping;
  /** Maps all of `grefs` at contiguous addresses, or none. @throws GrantError */
  mapMany(domid: Domid, grefs: readonly Gref[], readonly?: boolean): GrantArea;
  /** @returns a GNTST_* status for each segment, 0 = done. */
  copy(segments: readonly CopySegment[]): number[];
}

export interface Kernel {
  readonly cpu: Cpu;
  readonly arch: Arch;
  readonly boot: BootInfo;
  /** PV only. */
  readonly xen?: Xen;
  readonly frames: FrameAllocator;
  /** Where the direct map has frame `pfn`. */
  virt(pfn: number): number;
  /** What page tables and other domains call the frame: its MFN in PV. */
  machineFrame(pfn: number): number;
  newAddressSpace(): AddressSpace;
  readonly traps: Traps;
  /** Runs `code` in user mode until it returns; an error it throws is thrown here. */
  runUser(code: () => void): void;
  readonly time: Clock;
  readonly threads: Threads;
  readonly interrupts: Interrupts;
  readonly events?: EventChannels;
  /**
   * Bare only: emits for each interrupt of a PIC line (0..15), after the EOI; the line is unmasked
   * while somebody listens.
   */
  irq?(line: number): Observable<void>;
  readonly grants?: Grants;
  /** PV, unless this domain is the one that runs xenstored. */
  readonly xenstore?: Xenstore;
  /** A ring page at `va`, through this CPU. */
  sharedPage(va: number): RingMemory;
  /**
   * Writes without drivers or interrupts: the hypervisor's console, the raw console ring, or the
   * UART by polling.
   */
  earlyWrite(text: string): void;
  poweroff(): never;
  reboot(): never;
  crash(why: string): never;
}
