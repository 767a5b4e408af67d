/**
 * A machine with the hypervisor and nothing else, for guests that meet each other: several PV kernels, who owns what,
 * and what was refused to whom. An expectation that fails in a guest is thrown by `run`.
 */
import { defineKernel } from '../../drivers/index.ts';
import type { Domain } from '../../hypervisor/domain.ts';
import { Hypervisor } from '../../hypervisor/hypervisor.ts';
import type { DomainConfig } from '../../hypervisor/lifecycle.ts';
import { Machine } from '../../machine/machine.ts';
import type { TraceRecord } from '../../machine/trace.ts';
import { isFailure, type Kernel, type Main, MILLISECOND, PRESET } from './guests.ts';

const FRAMES = 8192;
const VCPUS = 8;
const MEMORY = 4 << 20;
const LIMIT = 5 * PRESET.mhz * 1_000_000;

export class GuestHost {
  readonly machine = new Machine({ preset: PRESET, frames: FRAMES, vcpus: VCPUS, pcpus: 1 });
  readonly xen = new Hypervisor(this.machine);
  readonly trace: TraceRecord[] = [];
  #failure: unknown;

  constructor() {
    this.machine.limit = LIMIT;
    this.machine.trace.listen((record) => this.trace.push(record));
  }

  /** A running PV domain. */
  add(main: Main, config: Partial<DomainConfig> = {}): Domain {
    const guest = defineKernel(async (k) => {
      try {
        await main(k);
      } catch (error) {
        if (isFailure(error)) this.#failure ??= error;
        throw error;
      }
    });
    const domain = this.xen.create({
      ...{ name: `guest ${this.xen.domains.size}`, kind: 'pv', guest, memoryBytes: MEMORY },
      ...config,
    });
    this.xen.unpause(domain);
    return domain;
  }

  /** Until every domain has ended, or none can go on. */
  async run(): Promise<void> {
    await this.machine.run(this.xen);
    if (this.#failure) throw this.#failure;
  }

  /** What the hypervisor refused to `domain`, in order. */
  refusals(domain: Domain): TraceRecord[] {
    return this.trace.filter(
      ({ kind, who }) => kind === 'refuse' && who.startsWith(`d${domain.id}v`),
    );
  }
}

/** Something that one domain tells another outside the machine. */
export class Mailbox<T> {
  #value: T | undefined;

  put(value: T): void {
    this.#value = value;
  }

  get full(): boolean {
    return this.#value !== undefined;
  }

  async take(k: Pick<Kernel, 'time'>): Promise<T> {
    while (this.#value === undefined) await k.time.sleep(MILLISECOND / 10);
    return this.#value;
  }
}
