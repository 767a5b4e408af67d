/** A machine whose every figure costs one cycle, and tables to walk, for tests. */

import { FIGURES, type Figure, type FigureName, type Preset } from '../../machine/costs.ts';
import type { BootRecord, Cpu, Guest } from '../../machine/cpu.ts';
import { type Descriptor, readDescriptor } from '../../machine/descriptor.ts';
import { Machine } from '../../machine/machine.ts';
import { pteHi, pteLo, tableIndex } from '../../machine/pte.ts';
import { ScriptCpu } from '../../machine/script-cpu.ts';
import { ScriptText } from '../../machine/script-text.ts';
import type { Dispatcher, Processor, Underneath } from '../../machine/underneath.ts';
import { CR0, CR3, EFER, RFLAGS, type Vcpu } from '../../machine/vcpu.ts';

export const flatPreset: Preset = {
  name: 'flat',
  title: 'every figure is one cycle',
  mhz: 1000,
  vpid: true,
  figures: Object.fromEntries(
    FIGURES.map((name): [FigureName, Figure] => [name, { cycles: 1, source: 'test' }]),
  ) as Record<FigureName, Figure>,
};

export const flatMachine = (frames = 64, vcpus = 2): Machine =>
  new Machine({ preset: flatPreset, frames, vcpus, pcpus: 1 });

/** Write the entry of table frame `table` that `va` selects at `level`. */
export const setEntry = (
  machine: Machine,
  table: number,
  va: number,
  level: number,
  frame: number,
  flags: number,
  high = 0,
): void => {
  const word = (machine.memory.frameAt(table) >>> 2) + 2 * tableIndex(va, level);
  machine.memory.u32[word] = pteLo(frame, flags);
  machine.memory.u32[word + 1] = (pteHi(frame) | high) >>> 0;
};

export const entryLo = (machine: Machine, table: number, va: number, level: number): number =>
  machine.memory.u32[(machine.memory.frameAt(table) >>> 2) + 2 * tableIndex(va, level)]!;

/** A vCPU at CPL 0 with an L4 in frame 1, paging as after boot. */
export const pagingVcpu = (machine: Machine): Vcpu => {
  const vcpu = machine.allocateVcpu();
  vcpu.set(CR0, 0x80010033);
  vcpu.set(CR3, 4096);
  vcpu.set(EFER, 0xd01);
  vcpu.set(RFLAGS, 2);
  return vcpu;
};

/** Somebody underneath who records exits and does nothing about them. */
export class Recorder implements Underneath, Dispatcher {
  readonly machine: Machine;
  readonly failures: string[] = [];
  processor: Processor | undefined;
  finished = false;
  onExit: (vcpu: Vcpu) => void = () => {};
  onEnter: (vcpu: Vcpu) => void = () => {};

  constructor(machine: Machine) {
    this.machine = machine;
  }

  enter(vcpu: Vcpu): void {
    this.onEnter(vcpu);
  }

  exit(vcpu: Vcpu): void {
    this.onExit(vcpu);
  }

  boundary(vcpu: Vcpu): void {
    this.machine.timeline.fire(vcpu.pcpu.now);
    vcpu.pcpu.horizon = Math.min(this.machine.timeline.next, this.machine.limit);
    this.onEnter(vcpu);
  }

  preempted(): boolean {
    return this.finished;
  }

  descriptor(vcpu: Vcpu, selector: number): Descriptor | undefined {
    return readDescriptor(this.machine.mmu, vcpu, selector);
  }

  fail(vcpu: Vcpu, why: string): void {
    this.failures.push(why);
    vcpu.stopped = true;
    this.finished = true;
  }

  pick(): Processor | undefined {
    const pcpu = this.machine.pcpus[0]!;
    pcpu.horizon = Math.min(this.machine.timeline.next, this.machine.limit);
    return this.finished ? undefined : this.processor;
  }

  rest(): void {}
}

/** Run `guest` on `vcpu` until its promise settles (or it fails). */
export const runGuest = async (
  recorder: Recorder,
  vcpu: Vcpu,
  guest: (cpu: Cpu, boot: BootRecord) => Promise<void> | void,
  text = new ScriptText(),
): Promise<void> => {
  const whole: Guest = async (cpu, boot) => {
    await guest(cpu, boot);
    recorder.finished = true;
  };
  vcpu.rip = text.entry(() => {});
  const processor = new ScriptCpu(recorder.machine, vcpu, recorder, text);
  processor.boot(whole, { startInfo: 0 });
  recorder.processor = processor;
  await recorder.machine.run(recorder);
};
