/**
 * A processor whose instructions are called by TypeScript code. The code runs until its microtasks have drained; then
 * long work goes on, or waiters resume, or the kernel's idle routine executes.
 */
import type { BootRecord, Guest } from './cpu.ts';
import { GuestCpu, type IdleRoutine } from './guest-cpu.ts';
import type { Machine } from './machine.ts';
import { describe, HALTED, ScriptControl } from './script-control.ts';
import { ScriptIo } from './script-io.ts';
import { ScriptMemory } from './script-memory.ts';
import type { ScriptText } from './script-text.ts';
import { ScriptWork } from './script-work.ts';
import { turn } from './turn.ts';
import type { Processor, Underneath } from './underneath.ts';
import type { Vcpu } from './vcpu.ts';

export class ScriptCpu implements Processor {
  readonly vcpu: Vcpu;
  readonly #control: ScriptControl;
  readonly #work: ScriptWork;
  readonly #cpu: GuestCpu;
  readonly #idle: IdleRoutine;
  #start: (() => unknown) | undefined;

  constructor(machine: Machine, vcpu: Vcpu, underneath: Underneath, text: ScriptText) {
    this.vcpu = vcpu;
    this.#control = new ScriptControl(machine, vcpu, underneath, text);
    const memory = new ScriptMemory(this.#control);
    const io = new ScriptIo(this.#control, memory);
    this.#work = new ScriptWork(this.#control);
    this.#idle = {
      routine: () => {
        io.sti();
        io.hlt();
      },
    };
    this.#cpu = new GuestCpu(this.#control, memory, io, this.#work, this.#idle);
    this.#start = () => this.#control.text.code(vcpu.rip)?.();
  }

  /** Make `guest` the code at the entry point; without this, the code at RIP is (a secondary vCPU's). */
  boot(guest: Guest, record: BootRecord): void {
    const boot = Object.freeze({ startInfo: record.startInfo });
    this.#start = () => guest(this.#cpu, boot);
  }

  async run(): Promise<void> {
    // A microtask of ours, so that turn() comes after the guest's.
    await undefined;
    if (this.#attempt(() => this.#resume())) {
      for (;;) {
        await turn();
        if (this.vcpu.stopped || this.#control.preempted()) break;
        if (!this.#attempt(() => this.#proceed())) break;
      }
    }
    this.#control.park();
  }

  #resume(): void {
    const start = this.#start;
    if (start) this.#control.begin();
    this.#control.resume();
    if (!start) {
      this.#work.wake();
      return;
    }
    this.#start = undefined;
    const running = start();
    if (running instanceof Promise) running.catch((error: unknown) => this.#escaped(error));
  }

  /** The code has drained: go on with long work, or wake who waits, or idle. */
  #proceed(): void {
    if (this.#work.advance()) return;
    if (this.#work.wake()) return;
    this.#idle.routine();
  }

  /** @returns false when the guest ended in it. */
  #attempt(act: () => void): boolean {
    try {
      act();
    } catch (error) {
      this.#escaped(error);
    }
    return !this.vcpu.stopped;
  }

  #escaped(error: unknown): void {
    if (error !== HALTED && !this.vcpu.stopped) {
      this.#control.fail(`its kernel threw: ${describe(error)}`);
      this.vcpu.stopped = true;
    }
  }
}
