/**
 * Control flow of TypeScript code on a vCPU: charging, boundaries, exits, faults, and the nesting of activations.
 * Whoever delivers something only sets RIP and pushes a frame; `follow` sees that RIP moved and calls the code there. Code
 * leaves by an instruction that moves RIP back (IRET, SYSRET, a hypercall); JMP to interrupted code unwinds to it.
 */
import { Account, CAUSE_WORK } from './account.ts';
import type { Code } from './cpu.ts';
import { VECTOR_PF } from './exit.ts';
import { leave, softwareInterrupt, takeException } from './leave.ts';
import type { Machine } from './machine.ts';
import { ACCESS_READ } from './page-walk.ts';
import { Pcpu } from './pcpu.ts';
import { PF_FETCH, PF_PRESENT, PF_USER } from './pte.ts';
import type { ScriptText } from './script-text.ts';
import type { Underneath } from './underneath.ts';
import { EXIT_REASON, type Vcpu } from './vcpu.ts';

/** Deeper nesting than any kernel's, shallower than the host's stack. */
const MAX_DEPTH = 200;

/** Thrown through guest code whose vCPU executes nothing more. */
export const HALTED = Object.freeze(new Error('this virtual CPU has stopped'));
/** Thrown through guest code that was abandoned by a jump to code below it. */
const ABANDONED = Object.freeze(new Error('this code was abandoned by a jump'));

/** The clock of whoever is not running: its horizon is always reached, so every instruction takes the slow path. */
const PARKED = new Pcpu(-1, new Account());
PARKED.horizon = Number.NEGATIVE_INFINITY;

export class ScriptControl {
  readonly machine: Machine;
  readonly vcpu: Vcpu;
  readonly text: ScriptText;
  /** The CPU to charge: the vCPU's while it runs, else PARKED. */
  pcpu: Pcpu = PARKED;
  readonly #underneath: Underneath;
  readonly #instruction: number;
  readonly #live: number[] = [];
  /** RIP of the code that now executes. */
  #rip = 0;
  #running = false;
  #unwinding = false;
  #window = false;

  constructor(machine: Machine, vcpu: Vcpu, underneath: Underneath, text: ScriptText) {
    this.machine = machine;
    this.vcpu = vcpu;
    this.text = text;
    this.#underneath = underneath;
    this.#instruction = machine.costs.instruction;
  }

  /** RIP of the code that executes this. */
  get here(): number {
    return this.#rip;
  }

  /** The code that executes this may not: its vCPU stopped or does not run, or it was abandoned. */
  get lost(): boolean {
    return this.vcpu.stopped || this.pcpu === PARKED;
  }

  /** Begin to execute the base activation, whose RIP the loader set. */
  begin(): void {
    this.#rip = this.vcpu.rip;
    this.#live.push(this.#rip);
  }

  /** The vCPU got its CPU: deliver what is pending. */
  resume(): void {
    this.#running = true;
    this.pcpu = this.vcpu.pcpu;
    this.#underneath.enter(this.vcpu);
    this.follow();
  }

  /** The vCPU gave its CPU up. */
  park(): void {
    this.#running = false;
    this.pcpu = PARKED;
  }

  preempted(): boolean {
    return this.#underneath.preempted(this.vcpu);
  }

  fail(why: string): void {
    this.#underneath.fail(this.vcpu, why);
  }

  /** One ordinary instruction: charge it, and look up if the horizon is reached. */
  tick(): void {
    const { pcpu } = this;
    if (pcpu.clock[0]! >= pcpu.clock[1]!) this.boundary();
    this.charge(CAUSE_WORK, this.#instruction);
  }

  charge(cause: number, cycles: number): void {
    this.pcpu.charge(cause, cycles);
  }

  /** The slow path of an instruction's start: see what stands in the way, or let time's alarms ring. */
  boundary(): void {
    if (this.vcpu.stopped) throw HALTED;
    if (!this.#running) {
      throw new Error(
        'an instruction was executed while its vCPU was not running: a kernel may wait only for its machine, not for host timers',
      );
    }
    if (this.#unwinding || this.vcpu.rip !== this.#rip) throw ABANDONED;
    if (this.pcpu.now >= this.machine.limit) {
      this.vcpu.stopped = true;
      throw HALTED;
    }
    this.#underneath.boundary(this.vcpu);
    this.follow();
  }

  /** Leave the guest for whoever is underneath, and go on where it says. */
  exit(reason: number, a = 0, b = 0, c = 0, d = 0): void {
    leave(this.#underneath, this.vcpu, 0, reason, a, b, c, d);
    this.follow();
  }

  /** As exit, for SYSCALL and VMCALL: their operands are in registers, so the exit record holds the reason alone. */
  call(reason: number): void {
    const { vcpu } = this;
    vcpu.setHalves(EXIT_REASON, reason, 0);
    this.#underneath.exit(vcpu);
    if (vcpu.stopped || vcpu.rip !== this.#rip) this.follow();
  }

  /** Raise an exception at this instruction: `detail` is a #PF's address or the operand of `op`, the instruction behind a #GP. */
  raise(vector: number, error = 0, detail = 0, op = 0): void {
    this.#except(vector, error, detail, op);
    this.follow();
  }

  /** INT n: delivered through the IDT, or to whoever is underneath. */
  interrupt(vector: number): void {
    softwareInterrupt(this.machine, this.#underneath, this.vcpu, 0, vector);
    this.follow();
  }

  /** Interrupts were just enabled: look for one before the next instruction of the code gone to. */
  openWindow(): void {
    this.#window = true;
  }

  /** JMP to live code: abandon all that was entered since. To an entry: go there. */
  jump(rip: number): void {
    this.vcpu.rip = rip;
    if (this.#live.includes(rip) && rip !== this.#rip) this.#abandon();
    this.follow();
  }

  /** Execute whatever RIP was moved to, until it is back at the code that executes this. */
  follow(): void {
    const from = this.#rip;
    for (;;) {
      const { rip } = this.vcpu;
      if (this.vcpu.stopped) throw HALTED;
      if (rip === from) {
        if (!this.#window) return;
        this.#window = false;
        this.#underneath.enter(this.vcpu);
        if (this.vcpu.rip === from) return;
      } else if (this.#live.includes(rip)) {
        // This code has left (IRET, SYSRET): it returns now; if it executes anything more, it is abandoned.
        this.pcpu = PARKED;
        return;
      } else {
        this.#enter(rip, from);
      }
    }
  }

  #enter(rip: number, from: number): void {
    const code = this.text.code(rip);
    if (!code) {
      this.#fetchFault(rip);
      return;
    }
    if (this.#live.length >= MAX_DEPTH) {
      this.#stop(`its handlers nest more than ${MAX_DEPTH} deep`);
    }
    this.#activate(code, rip + this.#live.length, from);
  }

  /** Control went to `rip`, where no code is. */
  #fetchFault(rip: number): void {
    const { vcpu } = this;
    this.#except(VECTOR_PF, PF_FETCH | this.#fetchRights(rip), rip, 0);
    if (vcpu.stopped) return;
    if (vcpu.rip === rip) this.#stop(`control reached ${rip}, where no code is`);
    // A handler that is itself nowhere would be looked for again and again.
    if (vcpu.pcpu.now >= this.machine.limit) vcpu.stopped = true;
  }

  /** Of a fetch fault's error code: user mode, and whether a page is there (no page of memory has code in it). */
  #fetchRights(rip: number): number {
    const { mmu } = this.machine;
    const mapped = mmu.probe(this.vcpu, rip, ACCESS_READ) >= 0;
    const present = mapped || (mmu.faultVector === VECTOR_PF && (mmu.faultCode & PF_PRESENT) !== 0);
    return (this.vcpu.cpl === 3 ? PF_USER : 0) | (present ? PF_PRESENT : 0);
  }

  #except(vector: number, error: number, detail: number, op: number): void {
    takeException(this.machine, this.#underneath, this.vcpu, 0, vector, error, detail, op);
  }

  #activate(code: Code, rip: number, from: number): void {
    this.#live.push(rip);
    this.#rip = rip;
    this.vcpu.rip = rip;
    let thrown: unknown;
    let threw = false;
    try {
      code();
    } catch (error) {
      thrown = error;
      threw = true;
    }
    this.#live.pop();
    this.#rip = from;
    if (this.vcpu.stopped) throw HALTED;
    if (this.vcpu.rip === rip) {
      this.#stop(
        threw ? `its handler threw: ${describe(thrown)}` : 'its handler returned without IRET',
      );
    }
    if (this.#unwinding && this.vcpu.rip !== from) throw ABANDONED;
    this.pcpu = this.vcpu.pcpu;
    if (this.#unwinding) {
      this.#unwinding = false;
      return;
    }
    if (!threw || thrown === ABANDONED) return;
    // A handler that threw after its IRET: the error appears at the instruction that was interrupted.
    if (this.vcpu.rip === from) throw thrown;
    this.#stop(`its handler threw: ${describe(thrown)}`);
  }

  #abandon(): never {
    this.#unwinding = true;
    this.pcpu = PARKED;
    throw ABANDONED;
  }

  #stop(why: string): never {
    this.#underneath.fail(this.vcpu, why);
    this.vcpu.stopped = true;
    throw HALTED;
  }
}

/** An error as one line for a crash reason. */
export const describe = (error: unknown): string =>
  error instanceof Error ? `${error.name}: ${error.message}` : String(error);
