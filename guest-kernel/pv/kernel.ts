/**
 * The paravirtual back end: a kernel whose page tables, interrupts, time and devices are
 * hypercalls.
 * @source xen/xen.h (start_info)
 */
import type { BootRecord, Cpu } from '../../machine/cpu.ts';
import { ByteProducer } from '../../protocol/byte-ring.ts';
import { CONSOLE_OUT } from '../../protocol/console-ring.ts';
import { SHUTDOWN_crash, SHUTDOWN_poweroff, SHUTDOWN_reboot } from '../../protocol/sched.ts';
import { VcpuInfo } from '../../protocol/shared-info.ts';
import { SIF_INITDOMAIN, SIF_PRIVILEGED, type StartInfo } from '../../protocol/start-info.ts';
import { MACH2PHYS_VIRT_START, UVMF_INVLPG } from '../../protocol/xen.ts';
import { KernelSpace } from '../address-space.ts';
import { describe } from '../describe.ts';
import { Frames } from '../frames.ts';
import type { AddressSpace, BootInfo, Clock, Interrupts, Kernel, Threads } from '../kernel.ts';
import { DIRECT_MAP_PAGES, directPfn, PTE_A, PTE_D, PTE_P, PTE_RW, virt } from '../layout.ts';
import { CpuRingMemory } from '../ring-memory.ts';
import { AsyncThreads } from '../threads.ts';
import { TrapHandlers } from '../traps.ts';
import { Xen } from '../xen.ts';
import { Xenstore } from '../xenstore.ts';
import { RingLink } from '../xenstore-ring.ts';
import { firstFree, mappedEnd, readStartInfo } from './boot-memory.ts';
import { PvEvents } from './events.ts';
import { PvGrants } from './grants.ts';
import { PvSpaces } from './spaces.ts';
import { PvTables } from './tables.ts';
import { pvClock } from './time.ts';
import { PvTraps } from './traps.ts';
import { PvUserMode } from './user-mode.ts';

/** Frames mapped at a time when the direct map grows: what one L1 table holds. */
const CHUNK = 512;

export class PvKernel implements Kernel {
  readonly arch = 'pv';
  readonly cpu: Cpu;
  readonly boot: BootInfo;
  readonly xen: Xen;
  readonly frames: Frames;
  readonly traps = new TrapHandlers();
  readonly time: Clock;
  readonly threads: Threads;
  readonly interrupts: Interrupts;
  readonly events: PvEvents;
  readonly grants: PvGrants;
  readonly #tables: PvTables;
  readonly #spaces: PvSpaces;
  readonly #user: PvUserMode;
  readonly #store: { va: number; info: StartInfo } | undefined;
  #xenstore: Xenstore | undefined;

  constructor(cpu: Cpu, record: BootRecord) {
    this.cpu = cpu;
    const info = readStartInfo(cpu, record.startInfo);
    const m2p = (mfn: number): number => cpu.loadNumber(MACH2PHYS_VIRT_START + mfn * 8);
    const first = firstFree(cpu, info, record.startInfo, m2p);
    this.xen = new Xen(cpu, virt(first));
    const sharedInfo = virt(first + 1);
    this.xen.memory.updateVaMapping(
      sharedInfo,
      info.sharedInfo + (PTE_P | PTE_RW | PTE_A | PTE_D),
      UVMF_INVLPG,
    );

    const tables = new PvTables(this.xen, info.mfnList, info.nrPages);
    const bootRoot = directPfn(info.ptBase);
    const nothing = (): void => {};
    const hooks = { active: true, activate: nothing, drop: nothing };
    const half = new KernelSpace(tables, { kernel: bootRoot, user: -1 }, hooks);
    this.frames = makeFrames(cpu, half, first + 2, info.nrPages);
    tables.frames = this.frames;
    tables.kernel = half;
    this.#tables = tables;
    this.#spaces = new PvSpaces(this.xen, tables, bootRoot);

    this.events = new PvEvents(this.xen, sharedInfo);
    this.grants = new PvGrants(this.xen, tables, half);
    this.time = pvClock(this.xen, sharedInfo, this.events);
    const panic = (why: string, error: unknown): void => this.crash(`${why}: ${describe(error)}`);
    this.threads = new AsyncThreads(panic);
    this.interrupts = new PvInterrupts(this.xen, sharedInfo);
    this.#user = new PvUserMode(this.xen, this.interrupts, () => this.#spaces.needUser());
    const upcall = (): void => this.events.dispatch();
    new PvTraps(this.xen, sharedInfo, { handlers: this.traps, user: this.#user, upcall, panic });

    this.boot = bootInfo(info, m2p);
    this.#store = this.boot.console ? { va: virt(m2p(info.storeMfn)), info } : undefined;
    this.xen.stopPeriodicTimer();
    cpu.idle(() => this.xen.block());
    this.interrupts.enable();
  }

  /** Connected at first use. */
  get xenstore(): Xenstore {
    if (!this.#xenstore) {
      if (!this.#store) throw new Error('the domain that runs xenstored has no ring to it');
      const { va, info } = this.#store;
      const port = info.storeEvtchn;
      const notify = (): void => this.events.send(port);
      this.#xenstore = new Xenstore(
        new RingLink(this.sharedPage(va), this.events.events(port), notify),
      );
    }
    return this.#xenstore;
  }

  virt(pfn: number): number {
    return virt(pfn);
  }

  machineFrame(pfn: number): number {
    return this.#tables.machineFrame(pfn);
  }

  newAddressSpace(): AddressSpace {
    return this.#spaces.create();
  }

  runUser(code: () => void): void {
    this.#user.run(code);
  }

  sharedPage(va: number): CpuRingMemory {
    return new CpuRingMemory(this.cpu, va);
  }

  earlyWrite(text: string): void {
    const bytes = new TextEncoder().encode(text);
    if (this.boot.privileged) {
      this.xen.consoleWrite(bytes);
    } else if (this.boot.console) {
      // What does not fit is lost: nobody can wait for the other end here.
      const { va, port } = this.boot.console;
      new ByteProducer(this.sharedPage(va), CONSOLE_OUT).write(bytes);
      this.xen.send(port);
    }
  }

  poweroff(): never {
    return this.#shutdown(SHUTDOWN_poweroff);
  }

  reboot(): never {
    return this.#shutdown(SHUTDOWN_reboot);
  }

  crash(why: string): never {
    this.earlyWrite(`panic: ${why}\n`);
    return this.#shutdown(SHUTDOWN_crash);
  }

  #shutdown(reason: number): never {
    this.xen.shutdown(reason);
    throw new Error(`SCHEDOP_shutdown(${reason}) returned`);
  }
}

/**
 * Upcalls masked and unmasked in vcpu_info; what came meanwhile needs a hypercall to be delivered.
 */
class PvInterrupts implements Interrupts {
  readonly #xen: Xen;
  readonly #pending: number;
  readonly #mask: number;

  constructor(xen: Xen, sharedInfo: number) {
    this.#xen = xen;
    this.#pending = sharedInfo + VcpuInfo.offset.evtchnUpcallPending;
    this.#mask = sharedInfo + VcpuInfo.offset.evtchnUpcallMask;
  }

  disable(): boolean {
    const { cpu } = this.#xen;
    const enabled = cpu.load8(this.#mask) === 0;
    cpu.store8(this.#mask, 1);
    return enabled;
  }

  enable(): void {
    const { cpu } = this.#xen;
    cpu.store8(this.#mask, 0);
    if (cpu.load8(this.#pending) !== 0) this.#xen.version();
  }
}

function makeFrames(cpu: Cpu, half: KernelSpace, first: number, pages: number): Frames {
  const end = Math.min(pages, DIRECT_MAP_PAGES);
  const mapped = mappedEnd(cpu, half, first, pages);
  return new Frames({ first, mapped, end }, (from) => {
    const to = Math.min(end, (Math.floor(from / CHUNK) + 1) * CHUNK);
    const pfns = Array.from({ length: to - from }, (_, i) => from + i);
    half.mapMany(virt(from), pfns, { write: true });
    return to;
  });
}

function bootInfo(info: StartInfo, m2p: (mfn: number) => number): BootInfo {
  const { cmdLine: commandLine, nrPages: pages, flags } = info;
  const privileged = (flags & SIF_PRIVILEGED) !== 0;
  if ((flags & SIF_INITDOMAIN) !== 0) return { commandLine, pages, privileged };
  const { mfn, evtchn: port } = info.console.domU!;
  return { commandLine, pages, privileged, console: { va: virt(m2p(mfn)), port } };
}
