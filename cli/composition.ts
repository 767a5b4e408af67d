/**
 * What the compositions of all modes share: what they are asked for, what they give back, and the machine that
 * they build on.
 */
import type { Domain } from '../hypervisor/domain.ts';
import { Hypervisor, type HypervisorOptions } from '../hypervisor/hypervisor.ts';
import type { BlockStore } from '../machine/block-store.ts';
import type { Preset } from '../machine/costs.ts';
import type { Guest } from '../machine/cpu.ts';
import { Machine, type RunEnd } from '../machine/machine.ts';
import { physicalMemory } from '../machine/physical-memory.ts';
import { Platform } from '../machine/platform.ts';
import type { TraceRecord } from '../machine/trace.ts';
import { PAGE_SIZE } from '../protocol/units.ts';
import type { Billed } from './bill.ts';
import type { DebuggedGuest, DebugSession } from './debugged-guest.ts';
import type { CompiledKernel } from './load-image.ts';
import type { Outcome } from './result.ts';

export interface RunRequest {
  /** A kernel in TypeScript, or (pv) a compiled one. */
  readonly guest: Guest | CompiledKernel;
  readonly preset: Preset;
  readonly memoryBytes: number;
  /** Virtual CPUs of the guest (pv). */
  readonly vcpus: number;
  /** Command line of the kernel (pv). */
  readonly cmdline?: string;
  /** Drives in order: xvda is the first. */
  readonly disks: ReadonlyArray<BlockStore | undefined>;
  /** Cycles from the guest's first instruction on; Infinity for none. */
  readonly limit: number;
  readonly trace?: (record: TraceRecord) => void;
  /** Bytes that `speaker` (`guest`, `domain 0`) wrote to its console. */
  readonly onConsole?: (speaker: string, bytes: Uint8Array) => void;
  /** Where another thread watches the CPUs' clocks: {now, horizon} as doubles for each. */
  readonly clocks?: SharedArrayBuffer;
  /** A compiled guest is about to begin: who debugs it, if anyone. */
  readonly debug?: (guest: DebuggedGuest) => DebugSession;
  /** Text about the run, for people. */
  readonly onNote?: (text: string) => void;
  /** Told how to crash the guest from outside, once it exists. */
  readonly onGuest?: (crash: (why: string) => void) => void;
}

/** What a mode's composition gives back: how it ended, and the accounts that were charged since the guest began. */
export interface Ending {
  readonly outcome: Outcome;
  readonly why: string;
  readonly causes: readonly string[];
  readonly parts: readonly Billed[];
}

/** A request as the compositions get it: the guest's console apart from others'. */
export type Composition = RunRequest & {
  readonly say: (speaker: string, bytes: Uint8Array) => void;
};

/** The kernel of a mode that runs only TypeScript. @throws RangeError */
export const scriptOf = ({ guest }: Pick<RunRequest, 'guest'>): Guest => {
  if (typeof guest === 'function') return guest;
  throw new RangeError('a compiled kernel runs in mode pv');
};

/** What a hypervisor on `machine` needs for `guest`: the engine is loaded only for compiled kernels. */
export const engineFor = async (
  { guest }: Pick<RunRequest, 'guest'>,
  machine: Machine,
): Promise<Pick<HypervisorOptions, 'codeCpu'>> => {
  if (typeof guest === 'function') return {};
  const { CodeCpu } = await import('../machine/x86/code-cpu.ts');
  const { Engine } = await import('../machine/x86/engine.ts');
  const engine = new Engine(machine);
  return { codeCpu: (underneath, vcpu) => new CodeCpu(machine, vcpu, underneath, engine) };
};

/** A machine for `request` with `frames` of memory and one physical CPU, traced and watched as asked. */
export const newMachine = (
  request: Pick<RunRequest, 'preset' | 'trace' | 'clocks'>,
  frames: number,
  vcpus: number,
): Machine => {
  const machine = new Machine({ preset: request.preset, frames, vcpus, pcpus: 1 });
  if (request.trace) machine.trace.listen(request.trace);
  if (request.clocks) shareClocks(machine, request.clocks);
  return machine;
};

/** The hypervisor on `machine`, which has a PC's devices and `disks` of its own. */
export const newHypervisor = (
  machine: Machine,
  disks: RunRequest['disks'],
  options: Omit<HypervisorOptions, 'platform'> = {},
): Hypervisor => {
  const platform = new Platform({
    timeline: machine.timeline,
    preset: machine.preset,
    bus: machine.bus,
    dma: physicalMemory(machine.memory),
    disks,
    serial: () => {},
    intr: () => xen.interrupt(),
    powerOff: () => {},
  });
  const xen: Hypervisor = new Hypervisor(machine, { ...options, platform });
  return xen;
};

/** How `domain` ended, or why its machine stopped before it did. */
export const endOf = (domain: Domain, ran: RunEnd): Pick<Ending, 'outcome' | 'why'> => {
  if (domain.end) return domain.end;
  return ran === 'limit'
    ? { outcome: 'limit', why: 'the cycle limit was reached' }
    : { outcome: 'hang', why: 'the kernel waits, and nothing can wake it' };
};

/** Frames for what a hypervisor keeps beside the memory of its domains: the M2P table, EPT tables, shared pages. */
export const framesBeside = (domainFrames: number): number => 256 + Math.ceil(domainFrames / 128);

export const framesOf = (bytes: number): number => Math.floor(bytes / PAGE_SIZE);

/** Move the CPUs' clocks into `shared`, before anything has seen them. */
const shareClocks = (machine: Machine, shared: SharedArrayBuffer): void => {
  for (const pcpu of machine.pcpus) {
    const clock = new Float64Array(shared, pcpu.index * 16, 2);
    clock.set(pcpu.clock);
    Object.assign(pcpu, { clock });
  }
};

/** Bytes of a serial line, gathered into lines so that a console is not told of every byte. */
export class SerialSink {
  readonly #say: (bytes: Uint8Array) => void;
  #bytes: number[] = [];

  constructor(say: (bytes: Uint8Array) => void) {
    this.#say = say;
  }

  readonly put = (byte: number): void => {
    this.#bytes.push(byte);
    if (byte === 10) this.flush();
  };

  flush(): void {
    if (this.#bytes.length > 0) this.#say(Uint8Array.from(this.#bytes));
    this.#bytes = [];
  }
}
