/**
 * A domain's life: created paused, run, ended by itself or by the hypervisor, destroyed. Ending
 * stops its vCPUs at once and for ever; destroying gives back everything that it had, and the
 * ledger shows that nothing is left.
 */
import type { BlockStore } from '../machine/block-store.ts';
import type { Code, Cpu, Guest } from '../machine/cpu.ts';
import { ScriptCpu } from '../machine/script-cpu.ts';
import { ScriptText } from '../machine/script-text.ts';
import { EVTCHNSTAT_unbound } from '../protocol/event-channel.ts';
import {
  SHUTDOWN_crash,
  SHUTDOWN_poweroff,
  SHUTDOWN_reboot,
  SHUTDOWN_suspend,
  SHUTDOWN_watchdog,
} from '../protocol/sched.ts';
import { SharedInfo, VcpuInfo } from '../protocol/shared-info.ts';
import { PAGE_SIZE } from '../protocol/units.ts';
import { VIRQ_DOM_EXC } from '../protocol/xen.ts';
import { buildHvm } from './builder-hvm.ts';
import { buildPv, type PvConfig, scriptImage } from './builder-pv.ts';
import { BOOT_SECONDS } from './clock.ts';
import { Domain, type DomainEnd, type DomainKind } from './domain.ts';
import { closeAll, EventTable, endPoll } from './events.ts';
import { createHvmDomain, createHvmVcpu } from './hvm.ts';
import type { Hypervisor } from './hypervisor.ts';
import type { Image } from './image.ts';
import { preparePvVcpu, startPv } from './pv-start.ts';
import { hex } from './pv-traps.ts';
import { stopPeriodic, stopSingleshot } from './timers.ts';
import { XenVcpu } from './xen-vcpu.ts';

/** What to make. */
export interface DomainConfig {
  name: string;
  kind: DomainKind;
  /** A kernel in TypeScript, or (pv) a compiled one. */
  guest?: Guest;
  image?: Image;
  /** pv, compiled: an initial ram disk. */
  ramdisk?: Uint8Array;
  /** Rounded down to whole pages. */
  memoryBytes: number;
  vcpus?: number;
  /** Domain 0: the first of its kind gets id 0. */
  privileged?: boolean;
  cmdline?: string;
  /** hvm: emulated IDE drives, primary master first. */
  disks?: readonly (BlockStore | undefined)[];
  /** hvm: a byte left the emulated serial port. */
  serial?: (byte: number) => void;
}

const MAX_VCPUS = 32;

/**
 * Make a domain, paused. @throws RangeError when memory or vCPUs are out; nothing is left behind
 * then
 */
export const create = (xen: Hypervisor, config: DomainConfig): Domain => {
  const vcpus = config.vcpus ?? 1;
  if (!Number.isInteger(vcpus) || vcpus < 1 || vcpus > MAX_VCPUS) {
    throw new RangeError(`vcpus: ${vcpus} is not a number from 1 to ${MAX_VCPUS}`);
  }
  if (config.kind === 'hvm' && vcpus > 1)
    throw new RangeError('vcpus: a hardware-assisted domain has one');
  if (config.kind === 'hvm' && config.image)
    throw new RangeError('image: a compiled kernel runs in a pv domain');
  const privileged = config.privileged ?? false;
  if (privileged && xen.domains.has(0))
    throw new RangeError('privileged: there is a domain 0 already');
  const id = privileged ? 0 : xen.nextId();
  const domain = new Domain(id, config.kind, config.name, privileged);
  domain.cmdline = config.cmdline ?? '';
  xen.domains.set(id, domain);
  try {
    furnish(xen, domain, config, vcpus);
  } catch (error) {
    release(xen, domain);
    throw error;
  }
  xen.traceDomain(domain, 'created');
  return domain;
};

const furnish = (xen: Hypervisor, domain: Domain, config: DomainConfig, vcpus: number): void => {
  const { machine } = xen;
  const pages = Math.floor(config.memoryBytes / PAGE_SIZE);
  domain.events = new EventTable(machine.memory);
  for (let i = 0; i < vcpus; i++) {
    const vcpu = new XenVcpu(domain, i, machine.allocateVcpu());
    domain.vcpus.push(vcpu);
    xen.attach(vcpu);
  }
  const first = domain.vcpus[0]!;
  if (config.image) {
    const { image, ramdisk } = config;
    furnishPv(xen, domain, { image, pages, ...(ramdisk ? { ramdisk } : {}) });
    for (const vcpu of domain.vcpus) vcpu.processor = xen.codeCpu(vcpu.arch);
  } else if (config.guest) {
    furnishScript(xen, domain, config, config.guest);
  } else {
    throw new TypeError('guest, image: a domain needs a kernel');
  }
  first.initialised = true;
  first.state = 'runnable';
};

const furnishScript = (
  xen: Hypervisor,
  domain: Domain,
  config: DomainConfig,
  guest: Guest,
): void => {
  const pages = Math.floor(config.memoryBytes / PAGE_SIZE);
  const text = new ScriptText();
  const entry = text.entry(guest as unknown as Code);
  const startInfo =
    domain.kind === 'pv'
      ? furnishPv(xen, domain, { image: scriptImage(entry), pages })
      : furnishHvm(xen, domain, pages, entry, config);
  for (const vcpu of domain.vcpus) {
    const processor = new ScriptCpu(xen.machine, vcpu.arch, xen, text);
    processor.boot(vcpu.id === 0 ? guest : secondary(xen, vcpu, text), { startInfo });
    vcpu.processor = processor;
  }
};

/** A further vCPU executes the code that its context named; that code is given its own Cpu. */
const secondary =
  (xen: Hypervisor, vcpu: XenVcpu, text: ScriptText): Guest =>
  async (cpu) => {
    const { rip } = vcpu.arch;
    const code = text.code(rip) as ((cpu: Cpu) => unknown) | undefined;
    if (code) await code(cpu);
    else xen.fail(vcpu.arch, `it began at ${hex(rip)}, where no code is`);
  };

const furnishPv = (
  xen: Hypervisor,
  domain: Domain,
  kernel: Pick<PvConfig, 'image' | 'ramdisk' | 'pages'>,
): number => {
  const { boot } = domain;
  if (!domain.privileged) {
    boot.storePort = offerPort(domain);
    boot.consolePort = offerPort(domain);
  }
  const built = buildPv(xen, domain, {
    ...kernel,
    cmdline: domain.cmdline,
    storePort: boot.storePort,
    consolePort: boot.consolePort,
  });
  boot.storeMfn = built.storeMfn;
  boot.consoleMfn = built.consoleMfn;
  shareInfo(xen, domain, built.sharedInfoMfn);
  for (const vcpu of domain.vcpus) preparePvVcpu(vcpu);
  startPv(xen, domain.vcpus[0]!, built);
  return built.startInfo;
};

const furnishHvm = (
  xen: Hypervisor,
  domain: Domain,
  pages: number,
  entry: number,
  config: DomainConfig,
): number => {
  const vcpu = domain.vcpus[0]!;
  vcpu.arch.rip = entry;
  const built = buildHvm(xen, domain, { pages, cmdline: domain.cmdline });
  shareInfo(xen, domain, xen.frames.allocateShared(domain.memory));
  vcpu.hvm = createHvmVcpu(xen, vcpu, built.eptpMfn);
  domain.hvm = createHvmDomain(xen, domain, {
    disks: config.disks ?? [],
    serial: config.serial ?? (() => {}),
  });
  return built.startInfo;
};

/** A port that domain 0 will bind. */
const offerPort = (domain: Domain): number => {
  const port = domain.events.allocate(EVTCHNSTAT_unbound, 0);
  domain.events.channel(port)!.remoteDomid = 0;
  return port;
};

/** Fill a new domain's shared_info: upcalls masked, clocks valid before its first instruction. */
const shareInfo = (xen: Hypervisor, domain: Domain, mfn: number): void => {
  if (mfn < 0) throw new RangeError('not enough memory for shared_info');
  const { memory } = xen.machine;
  const base = memory.frameAt(mfn);
  domain.sharedInfoMfn = mfn;
  domain.events.sharedInfo = base;
  SharedInfo.set(memory.view, base, { wcVersion: 2, wcSec: BOOT_SECONDS, wcNsec: 0, wcSecHi: 0 });
  for (const vcpu of domain.vcpus) {
    vcpu.info = base + vcpu.id * VcpuInfo.size;
    memory.u8[vcpu.info + VcpuInfo.offset.evtchnUpcallMask] = 1;
    xen.clock.writeTimeInfo(memory.view, vcpu.info + VcpuInfo.offset.time);
  }
};

/** Let a paused domain run. */
export const unpause = (xen: Hypervisor, domain: Domain): void => {
  if (domain.state !== 'paused') return;
  domain.state = 'running';
  xen.alive++;
  if (!domain.privileged) xen.aliveGuests++;
  for (const vcpu of domain.vcpus) xen.scheduler.admit(vcpu, xen.now);
  xen.traceDomain(domain, 'running');
};

/**
 * Stop a running domain until it is unpaused; one that is on a CPU leaves it at its next safe
 * point.
 */
export const pause = (xen: Hypervisor, domain: Domain): void => {
  if (domain.state !== 'running') return;
  domain.state = 'paused';
  xen.alive--;
  if (!domain.privileged) xen.aliveGuests--;
  for (const vcpu of domain.vcpus) xen.scheduler.remove(vcpu, xen.now);
  xen.traceDomain(domain, 'paused');
};

/** The domain asked to end, for a SHUTDOWN_* reason. */
export const shutdown = (xen: Hypervisor, domain: Domain, reason: number): void => {
  end(
    xen,
    domain,
    REASONS.get(reason) ?? { outcome: 'crash', why: `it gave the shutdown reason ${reason}` },
  );
};

const REASONS = new Map<number, DomainEnd>([
  [SHUTDOWN_poweroff, { outcome: 'poweroff', why: 'the guest powered itself off' }],
  [SHUTDOWN_reboot, { outcome: 'reboot', why: 'the guest asked to be rebooted' }],
  [SHUTDOWN_suspend, { outcome: 'suspend', why: 'the guest suspended itself' }],
  [SHUTDOWN_crash, { outcome: 'crash', why: 'the guest reported a crash of its own' }],
  [SHUTDOWN_watchdog, { outcome: 'watchdog', why: 'the watchdog of the guest expired' }],
]);

/** End the domain: its vCPUs execute nothing more. What it has stays until it is destroyed. */
export const end = (xen: Hypervisor, domain: Domain, how: DomainEnd): void => {
  if (domain.state === 'dying' || domain.state === 'dead') return;
  if (domain.state === 'running') {
    xen.alive--;
    if (!domain.privileged) xen.aliveGuests--;
  }
  domain.state = 'dying';
  domain.end = { ...how };
  domain.endedOn = domain.vcpus.find(({ cpu }) => cpu === xen.active);
  for (const vcpu of domain.vcpus) {
    vcpu.arch.stopped = true;
    vcpu.cpu?.limitHorizon(vcpu.cpu.now);
    endPoll(xen, vcpu);
    stopSingleshot(xen, vcpu);
    stopPeriodic(xen, vcpu);
    xen.scheduler.remove(vcpu, xen.now);
  }
  domain.hvm?.platform.stop();
  xen.traceDomain(domain, how.outcome, how.why);
  xen.sendGlobalVirq(VIRQ_DOM_EXC);
  settle(xen, domain);
};

/**
 * Tell of a domain's end once none of its vCPUs is on a CPU, and destroy it if that was asked for.
 */
export const settle = (xen: Hypervisor, domain: Domain): void => {
  if (domain.state !== 'dying' || domain.vcpus.some((vcpu) => vcpu.cpu)) return;
  if (!domain.told) {
    domain.told = true;
    xen.announceEnd(domain);
  }
  if (domain.doomed) destroy(xen, domain);
};

/**
 * Give back everything that the domain has; while one of its vCPUs is on a CPU, as soon as it
 * rests.
 */
export const destroy = (xen: Hypervisor, domain: Domain): void => {
  if (domain.state === 'dead') return;
  domain.doomed = true;
  end(xen, domain, { outcome: 'destroyed', why: 'it was destroyed from outside' });
  if (domain.vcpus.some((vcpu) => vcpu.cpu) || xen.domains.get(domain.id) !== domain) return;

  release(xen, domain);
  xen.traceDomain(domain, 'dead');
};

/** Undo `furnish`, however far it came. */
const release = (xen: Hypervisor, domain: Domain): void => {
  domain.state = 'dead';
  xen.domains.delete(domain.id);
  domain.hvm?.platform.stop();
  if (domain.events) closeAll(xen, domain);
  domain.grants?.destroy();
  for (const vcpu of domain.vcpus) {
    if (vcpu.infoMfn >= 0) xen.frames.putType(vcpu.infoMfn);
    if (vcpu.hvm) xen.frames.putRef(vcpu.hvm.vmcs.mfn);
  }
  domain.memory?.destroy();
  for (const vcpu of domain.vcpus) {
    xen.detach(vcpu);
    xen.machine.freeVcpu(vcpu.arch);
  }
};
