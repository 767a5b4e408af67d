/**
 * The machine on which one check of a whole driver is made: the hypervisor, domain 0 as the driver domain, one guest,
 * and if asked a neighbour. It is also the bench: what the check sees and does from outside both guests.
 */
import { type Bench, type Held, type Look, pattern } from '../drivers/conformance/bench.ts';
import { Domain0 } from '../drivers/domain0.ts';
import { defineKernel } from '../drivers/kernel.ts';
import type { BlockBackMaker } from '../drivers/served-domain.ts';
import type { Domain } from '../hypervisor/domain.ts';
import type { Hypervisor } from '../hypervisor/hypervisor.ts';
import type { BlockStore } from '../machine/block-store.ts';
import type { Cpu, Guest } from '../machine/cpu.ts';
import type { Machine } from '../machine/machine.ts';
import { ACCESS_READ } from '../machine/page-walk.ts';
import { DEFAULT_PRESET } from '../machine/presets.ts';
import { PAGE_SIZE } from '../protocol/units.ts';
import { VIRQ_DOM_EXC } from '../protocol/xen.ts';
import { framesBeside, framesOf, newHypervisor, newMachine } from './composition.ts';

const DOMAIN0_BYTES = 16 << 20;
const GUEST_BYTES = 4 << 20;
const SECTORS = 128;
/** Virtual seconds in which a check must have come to an end. */
const SECONDS = 10;
const CYCLES_PER_NANO = DEFAULT_PRESET.mhz / 1000;

export interface HostOptions {
  readonly seed: number;
  readonly blockBack: BlockBackMaker;
  /** Whose driver is the subject. */
  readonly watch: 'domain 0' | 'guest';
}

export class ConformanceHost implements Bench {
  readonly #machine: Machine;
  readonly #xen: Hypervisor;
  readonly #options: HostOptions;
  readonly #service: Domain0;
  readonly #domain0: Domain;
  readonly #disks: readonly CachedDisk[];
  readonly #looks = new Map<number, Set<Look>>();
  #guest: Domain | undefined;
  #random: number;

  constructor(options: HostOptions) {
    this.#options = options;
    this.#random = options.seed >>> 0;
    this.#disks = [0, 1, 2].map((n) => new CachedDisk(pattern(options.seed + n, SECTORS)));
    const guests = 2 * framesOf(GUEST_BYTES);
    const frames = guests + framesOf(DOMAIN0_BYTES) + framesBeside(guests);
    this.#machine = newMachine({ preset: DEFAULT_PRESET }, frames, 3);
    this.#xen = newHypervisor(this.#machine, this.#disks);
    const { blockBack, watch } = options;
    this.#service = new Domain0({ onConsole: () => undefined, blockBack });
    const { guest } = this.#service;
    this.#domain0 = this.#xen.create({
      ...{ name: 'domain 0', kind: 'pv', memoryBytes: DOMAIN0_BYTES, privileged: true },
      guest: watch === 'domain 0' ? this.#watched(guest) : guest,
    });
    this.#xen.unpause(this.#domain0);
  }

  /** Runs `guest` until `done`. @returns why it ended if not because of that */
  async run(guest: Guest, done: () => boolean): Promise<string> {
    const xen = this.#xen;
    const watch = this.#options.watch === 'guest';
    this.#guest = this.#start('subject', watch ? this.#watched(guest) : guest, [false, true]);
    this.#machine.limit = this.#machine.now + SECONDS * 1e9 * CYCLES_PER_NANO;
    xen.finishWhen = () => done() || this.#domain0.end !== undefined;
    const ran = await this.#machine.run(xen);
    const { end } = this.#domain0;
    if (end) return `the driver domain ended: ${end.why}`;
    if (this.#guest.end) return `the guest ended: ${this.#guest.end.why}`;
    return ran === 'limit'
      ? `the check found no end in ${SECONDS} seconds`
      : 'both ends wait for each other';
  }

  // What the bench is for.

  below(n: number): number {
    this.#random = (Math.imul(this.#random, 1664525) + 1013904223) >>> 0;
    return Math.floor((this.#random / 2 ** 32) * n);
  }

  cycles(): number {
    const { account } = this.#options.watch === 'guest' ? this.#guest! : this.#domain0;
    return account.cycles.reduce((sum, cycles) => sum + cycles, 0);
  }

  held(): Held {
    const { mappings, ports } = this.#xen.ledger(this.#domain0);
    return { mappings, ports };
  }

  stored(disk: number, sector: number, count: number): Uint8Array {
    return this.#disks[disk]!.bytes.slice(sector * 512, (sector + count) * 512);
  }

  durable(disk: number, sector: number, count: number): Uint8Array {
    return this.#disks[disk]!.durable.slice(sector * 512, (sector + count) * 512);
  }

  onAccess(frames: readonly number[], look: Look): () => void {
    for (const frame of frames) {
      const looks = this.#looks.get(frame) ?? new Set();
      this.#looks.set(frame, looks.add(look));
    }
    return () => {
      for (const frame of frames) {
        const looks = this.#looks.get(frame);
        if (looks?.delete(look) && looks.size === 0) this.#looks.delete(frame);
      }
    };
  }

  frameAt(va: number): number {
    return this.#frameOf(this.#domain0, va);
  }

  poke(frame: number, offset: number, value: number): void {
    const { memory } = this.#machine;
    memory.u32[(memory.frameAt(frame) + offset) >>> 2] = value;
  }

  peek(frame: number, offset: number): number {
    const { memory } = this.#machine;
    return memory.u32[(memory.frameAt(frame) + offset) >>> 2]!;
  }

  stopGuest(ns: number): void {
    const guest = this.#guest!;
    this.#xen.pause(guest);
    const end = this.#xen.now + ns * CYCLES_PER_NANO;
    this.#machine.timeline.at(end, () => this.#xen.unpause(guest));
  }

  neighbour(): () => number {
    let rounds = 0;
    const honest = defineKernel(async (k) => {
      const disk = await k.disk('xvda');
      for (;;) {
        await disk.write(0, await disk.read(8, 8));
        rounds++;
        await k.time.sleep(300_000);
      }
    });
    this.#start('neighbour', honest, [undefined, undefined, false]);
    return () => rounds;
  }

  /** A domain whose first disk is the first drive of which `readOnly` says something. */
  #start(name: string, guest: Guest, readOnly: readonly (boolean | undefined)[]): Domain {
    const xen = this.#xen;
    const domain = xen.create({ name, kind: 'pv', guest, memoryBytes: GUEST_BYTES });
    const disks = readOnly.flatMap((one, drive) =>
      one === undefined ? [] : { drive, readOnly: one },
    );
    this.#service.introduce({
      ...{ domid: domain.id, name, memoryBytes: GUEST_BYTES, vcpus: 1, ...domain.boot },
      disks: disks.map((disk, n) => ({ name: `xvd${'abcd'[n]}`, ...disk })),
    });
    xen.sendGlobalVirq(VIRQ_DOM_EXC);
    xen.unpause(domain);
    return domain;
  }

  /** `guest` on a processor that tells of its loads and stores before it makes them. */
  #watched(guest: Guest): Guest {
    const tell = (va: number, length: number, write: boolean): void => {
      if (this.#looks.size > 0) this.#tell(va, length, write);
    };
    return (cpu, boot) => guest(telling(cpu, tell), boot);
  }

  #frameOf(domain: Domain, va: number): number {
    const { memory, mmu } = this.#machine;
    const host = mmu.probe(domain.vcpus[0]!.arch, va, ACCESS_READ);
    return host < 0 ? -1 : Math.floor((host - memory.frameAt(0)) / PAGE_SIZE);
  }

  #tell(va: number, length: number, write: boolean): void {
    const domain = this.#options.watch === 'guest' ? this.#guest! : this.#domain0;
    for (let done = 0; done < length; ) {
      const offset = (va + done) & 4095;
      const part = Math.min(length - done, 4096 - offset);
      const frame = this.#frameOf(domain, va + done);
      for (const look of [...(this.#looks.get(frame) ?? [])]) look(frame, offset, part, write);
      done += part;
    }
  }
}

/** `cpu`, telling of each access to memory first. */
const telling = (cpu: Cpu, tell: (va: number, length: number, write: boolean) => void): Cpu => {
  const names = Object.getOwnPropertyNames(Object.getPrototypeOf(cpu)) as (keyof Cpu)[];
  const plain = Object.fromEntries(
    names.map((name) => [name, (cpu[name] as () => unknown).bind(cpu)]),
  ) as unknown as Cpu;
  const load =
    (bytes: number, name: 'load8' | 'load16' | 'load32' | 'loadNumber') => (va: number) => {
      tell(va, bytes, false);
      return plain[name](va);
    };
  const store =
    (bytes: number, name: 'store8' | 'store16' | 'store32' | 'storeNumber') =>
    (va: number, value: number) => {
      tell(va, bytes, true);
      plain[name](va, value);
    };
  return {
    ...plain,
    load8: load(1, 'load8'),
    load16: load(2, 'load16'),
    load32: load(4, 'load32'),
    loadNumber: load(8, 'loadNumber'),
    store8: store(1, 'store8'),
    store16: store(2, 'store16'),
    store32: store(4, 'store32'),
    storeNumber: store(8, 'storeNumber'),
    loadBytes: (va, into) => {
      tell(va, into.length, false);
      plain.loadBytes(va, into);
    },
    storeBytes: (va, from) => {
      tell(va, from.length, true);
      plain.storeBytes(va, from);
    },
  };
};

/** A drive with a volatile cache: what is not flushed would not survive. */
class CachedDisk implements BlockStore {
  readonly sectors: number;
  readonly readOnly = false;
  readonly bytes: Uint8Array;
  readonly durable: Uint8Array;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
    this.durable = bytes.slice();
    this.sectors = bytes.length / 512;
  }

  read(sector: number, into: Uint8Array): void {
    into.set(this.bytes.subarray(sector * 512, sector * 512 + into.length));
  }

  write(sector: number, from: Uint8Array): void {
    this.bytes.set(from, sector * 512);
  }

  flush(): void {
    this.durable.set(this.bytes);
  }
}
