/**
 * The bare machine: one processor, its devices, no hypervisor. The baseline that every mode is compared with.
 */
import { Account, CAUSE_INTERRUPT } from './account.ts';
import { loadBare } from './bare-loader.ts';
import type { BlockStore } from './block-store.ts';
import type { Guest } from './cpu.ts';
import { type Descriptor, readDescriptor } from './descriptor.ts';
import { deliver } from './exceptions.ts';
import { EXIT_HLT, EXIT_TRIPLE_FAULT, exitName } from './exit.ts';
import type { Machine } from './machine.ts';
import { physicalMemory } from './physical-memory.ts';
import { Platform } from './platform.ts';
import { ScriptCpu } from './script-cpu.ts';
import { ScriptText } from './script-text.ts';
import type { Dispatcher, Processor, Underneath } from './underneath.ts';
import { EXIT_REASON, RFLAGS, RFLAGS_IF, type Vcpu } from './vcpu.ts';

export interface BoardOptions {
  /** Drives in order: primary master, primary slave, secondary master, secondary slave. */
  disks: ReadonlyArray<BlockStore | undefined>;
  /** A byte left the serial port. */
  serial: (byte: number) => void;
}

/** How a run on the bare machine ended. */
export interface BoardEnd {
  outcome: 'poweroff' | 'reboot' | 'crash' | 'limit' | 'hang';
  why: string;
}

export class Board implements Underneath, Dispatcher {
  readonly machine: Machine;
  readonly account = new Account();
  readonly platform: Platform;
  readonly #vcpu: Vcpu;
  #processor: Processor | undefined;
  #halted = false;
  #end: BoardEnd | undefined;

  constructor(machine: Machine, options: BoardOptions) {
    this.machine = machine;
    this.#vcpu = machine.allocateVcpu();
    this.platform = new Platform({
      timeline: machine.timeline,
      preset: machine.preset,
      bus: machine.bus,
      dma: physicalMemory(machine.memory),
      disks: options.disks,
      serial: options.serial,
      intr: () => this.machine.pcpus[0]!.limitHorizon(0),
      powerOff: (reason) => this.#stop({ outcome: reason, why: `the kernel asked for ${reason}` }),
    });
  }

  get finished(): boolean {
    return this.#end !== undefined;
  }

  /** Boot `guest` with all of memory and run it to its end. @throws RangeError when memory is too small. */
  async run(guest: Guest, cmdline = ''): Promise<BoardEnd> {
    const { machine } = this;
    const { memory } = machine;
    const text = new ScriptText();
    this.#vcpu.rip = text.entry(() => {});
    const startInfo = loadBare(
      {
        frames: memory.frames,
        store32: (pa, value) => {
          memory.u32[(memory.frameBase + pa) >>> 2] = value;
        },
      },
      this.#vcpu,
      cmdline,
    );
    const processor = new ScriptCpu(machine, this.#vcpu, this, text);
    processor.boot(guest, { startInfo });
    this.#processor = processor;
    const end = await machine.run(this);
    return (
      this.#end ??
      (end === 'limit'
        ? { outcome: 'limit', why: 'the cycle limit was reached' }
        : {
            outcome: 'hang',
            why: 'the kernel waits, and nothing can wake it',
          })
    );
  }

  pick(): Processor | undefined {
    if (this.#halted && !this.#interruptible()) return undefined;
    const pcpu = this.machine.pcpus[0]!;
    this.#halted = false;
    pcpu.account = this.account;
    this.#vcpu.pcpu = pcpu;
    this.#setHorizon();
    return this.#processor;
  }

  rest(): void {}

  enter(vcpu: Vcpu): void {
    if (!this.#interruptible()) return;
    const vector = this.platform.pic.acknowledge();
    vcpu.pcpu.charge(CAUSE_INTERRUPT, this.machine.costs.interrupt);
    const { trace } = this.machine;
    if (trace.on)
      trace.emit({ time: vcpu.pcpu.now, who: `cpu${vcpu.index}`, kind: 'interrupt', vector });
    if (!deliver(this.machine.mmu, vcpu, vector)) this.exit(vcpu);
  }

  exit(vcpu: Vcpu): void {
    const reason = vcpu.lo(EXIT_REASON);
    if (reason === EXIT_HLT) {
      vcpu.retire();
      if (this.#interruptible()) this.enter(vcpu);
      else this.#halted = true;
    } else if (reason === EXIT_TRIPLE_FAULT) {
      this.#stop({
        outcome: 'crash',
        why: 'triple fault: an exception could not be delivered, nor the double fault after it',
      });
    } else {
      throw new Error(`board: no exit ${exitName(reason)} without a hypervisor`);
    }
  }

  boundary(vcpu: Vcpu): void {
    this.machine.timeline.fire(vcpu.pcpu.now);
    this.#setHorizon();
    this.enter(vcpu);
  }

  preempted(): boolean {
    return this.#halted;
  }

  descriptor(vcpu: Vcpu, selector: number): Descriptor | undefined {
    return readDescriptor(this.machine.mmu, vcpu, selector);
  }

  fail(_vcpu: Vcpu, why: string): void {
    this.crash(why);
  }

  /** End the run from outside: its kernel failed where no processor saw it. */
  crash(why: string): void {
    this.#stop({ outcome: 'crash', why });
  }

  #interruptible(): boolean {
    return this.platform.pic.pending && (this.#vcpu.lo(RFLAGS) & RFLAGS_IF) !== 0;
  }

  #setHorizon(): void {
    this.machine.pcpus[0]!.horizon = Math.min(this.machine.timeline.next, this.machine.limit);
  }

  #stop(end: BoardEnd): void {
    this.#end ??= end;
    this.#vcpu.stopped = true;
    this.machine.pcpus[0]!.limitHorizon(0);
  }
}
