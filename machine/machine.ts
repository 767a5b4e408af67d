/**
 * The machine: memory, MMU, physical CPUs, time, ports, and the loop that runs whoever its dispatcher picks.
 * Deterministic: the CPU whose clock is behind runs next, alarms ring at their instants, and nothing asks the host.
 */
import { Account, CAUSE_WAIT, Causes } from './account.ts';
import { type Costs, costsOf, type Preset } from './costs.ts';
import { Memory } from './memory.ts';
import { Mmu } from './mmu.ts';
import { Pcpu } from './pcpu.ts';
import { PortBus } from './port-bus.ts';
import { Timeline } from './timeline.ts';
import { Trace } from './trace.ts';
import type { Dispatcher, Processor } from './underneath.ts';
import { Vcpu } from './vcpu.ts';

export interface MachineOptions {
  preset: Preset;
  /** 4 KiB frames of memory. */
  frames: number;
  /** The most vCPUs that may exist at once. */
  vcpus: number;
  pcpus: number;
}

/** Why `run` returned: the dispatcher had finished, nothing can ever run again, or the cycle limit was reached. */
export type RunEnd = 'finished' | 'stuck' | 'limit';

export class Machine {
  readonly preset: Preset;
  readonly costs: Costs;
  readonly memory: Memory;
  readonly mmu: Mmu;
  readonly timeline = new Timeline();
  readonly causes = new Causes();
  readonly trace = new Trace();
  /** The physical I/O ports. */
  readonly bus = new PortBus();
  readonly idleAccount = new Account();
  readonly pcpus: Pcpu[] = [];
  /** No CPU's clock goes beyond it, in cycles. */
  limit = Number.POSITIVE_INFINITY;
  readonly #freeBlocks: number[] = [];
  /** Instant of whoever ran last: an idle CPU that is given something begins no earlier. */
  #latest = 0;
  readonly #idle: boolean[] = [];

  constructor(options: MachineOptions) {
    this.preset = options.preset;
    this.costs = costsOf(options.preset);
    this.memory = new Memory(options);
    this.mmu = new Mmu(this.memory, this.costs);
    for (let index = 0; index < options.pcpus; index++) {
      const pcpu = new Pcpu(index, this.idleAccount);
      this.pcpus.push(pcpu);
      this.#idle.push(false);
      this.timeline.watch(pcpu);
    }
    for (let index = options.vcpus - 1; index >= 0; index--) this.#freeBlocks.push(index);
  }

  /** The instant of the CPU that is furthest on. */
  get now(): number {
    let now = 0;
    for (const pcpu of this.pcpus) now = Math.max(now, pcpu.now);
    return now;
  }

  /** A vCPU in a free block, reset, its TLB empty. @throws RangeError when all are taken. */
  allocateVcpu(): Vcpu {
    const index = this.#freeBlocks.pop();
    if (index === undefined) throw new RangeError(`vcpus: all ${this.memory.vcpus} are in use`);
    const vcpu = new Vcpu(this.memory, index, this.pcpus[0]!);
    this.mmu.flush(vcpu);
    return vcpu;
  }

  freeVcpu(vcpu: Vcpu): void {
    vcpu.stopped = true;
    this.mmu.flush(vcpu);
    this.#freeBlocks.push(vcpu.index);
  }

  async run(dispatcher: Dispatcher): Promise<RunEnd> {
    while (!dispatcher.finished) {
      const processor = this.#pick(dispatcher);
      if (processor) {
        const { pcpu } = processor.vcpu;
        await processor.run();
        this.#latest = pcpu.now;
        dispatcher.rest(pcpu.index, processor);
        pcpu.account = this.idleAccount;
        if (pcpu.now >= this.limit) return 'limit';
      } else if (!dispatcher.finished) {
        if (this.now >= this.limit) return 'limit';
        if (!this.#wait()) return 'stuck';
      }
    }
    return 'finished';
  }

  /** Whoever runs next: the CPU that is furthest behind is asked first. An idle one has waited until now. */
  #pick(dispatcher: Dispatcher): Processor | undefined {
    for (const pcpu of this.#byClock()) {
      if (this.#idle[pcpu.index]) pcpu.advanceTo(this.#latest, CAUSE_WAIT);
      this.timeline.fire(pcpu.now);
      const processor = dispatcher.pick(pcpu.index);
      this.#idle[pcpu.index] = processor === undefined;
      if (processor) return processor;
    }
    return undefined;
  }

  #byClock(): readonly Pcpu[] {
    if (this.pcpus.length === 1) return this.pcpus;
    const start = (pcpu: Pcpu): number =>
      this.#idle[pcpu.index] ? Math.max(pcpu.now, this.#latest) : pcpu.now;
    // Between two at the same instant the idle one, so that work waits for no CPU that has none.
    const busy = (pcpu: Pcpu): number => (this.#idle[pcpu.index] ? 0 : 1);
    return [...this.pcpus].sort(
      (a, b) => start(a) - start(b) || busy(a) - busy(b) || a.index - b.index,
    );
  }

  /** Nothing can run: let time pass to the next alarm. @returns false when there is none. */
  #wait(): boolean {
    if (this.timeline.next === Number.POSITIVE_INFINITY) return false;
    const next = Math.min(this.timeline.next, this.limit);
    for (const pcpu of this.pcpus) {
      pcpu.account = this.idleAccount;
      pcpu.advanceTo(next, CAUSE_WAIT);
    }
    this.#latest = Math.max(this.#latest, next);
    this.timeline.fire(next);
    return true;
  }
}
