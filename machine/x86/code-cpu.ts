/**
 * A processor of machine code: the engine runs it; what faults or leaves the engine is done here, by the IDT of the guest, or
 * by whoever is underneath. The same exits are made as by TypeScript code.
 */
import { EXIT_EPT_VIOLATION, VECTOR_DB, VECTOR_GP, VECTOR_NM } from '../exit.ts';
import { leave, takeException } from '../leave.ts';
import type { Machine } from '../machine.ts';
import { FAULT_EPT } from '../page-walk.ts';
import { turn } from '../turn.ts';
import type { Processor, Underneath } from '../underneath.ts';
import { CR0, DR0, EXIT_D, RFLAGS, RIP, type Vcpu } from '../vcpu.ts';
import { type Act, CodeControl, Unsupported } from './code-control.ts';
import { systemActs } from './code-system.ts';
import { transferActs } from './code-transfers.ts';
import { type Debugger, NO_BREAKPOINTS } from './debugger.ts';
import { decode, type Operation } from './decoder.ts';
import { disassemble } from './disassembler.ts';
import type { Engine } from './engine.ts';
import { TF } from './flags.ts';
import { executeOffering, type Offer } from './offered-store.ts';
import { MAX_LENGTH } from './operands.ts';
import { privilegedOp } from './privileged-op.ts';
import { fpuRows } from './rows.ts';
import { Fault, type Outcome } from './state.ts';
import { signedNumber } from './vcpu-memory.ts';

const ACTS: ReadonlyMap<string, Act> = new Map([...systemActs, ...transferActs]);
const CR0_TS = 8;
const DR6 = DR0 + 6 * 8;
/** DR6.BS: a single step. */
const DR6_STEP = 0x4000;

export class CodeCpu implements Processor {
  readonly vcpu: Vcpu;
  readonly #machine: Machine;
  readonly #underneath: Underneath;
  readonly #engine: Engine;
  readonly #control: CodeControl;
  #debugger: Debugger | undefined;

  constructor(machine: Machine, vcpu: Vcpu, underneath: Underneath, engine: Engine) {
    this.vcpu = vcpu;
    this.#machine = machine;
    this.#underneath = underneath;
    this.#engine = engine;
    this.#control = new CodeControl(machine, vcpu, underneath);
  }

  async run(): Promise<void> {
    this.#underneath.enter(this.vcpu);
    if (this.#debugger) await this.#watched(this.#debugger);
    else while (this.#runs) this.#advance(Number.POSITIVE_INFINITY, NO_BREAKPOINTS);
    await turn();
  }

  /** From now on `by` is asked between two instructions. */
  debug(by: Debugger): void {
    this.#debugger = by;
    const heard = (va: number, bytes: number, write: boolean): void =>
      by.accessed(this.vcpu, va, bytes, write);
    this.#engine.watch(this.vcpu, heard);
    this.#control.memory.onAccess = heard;
  }

  instruction(): string {
    const bytes = this.#bytes();
    const op = decode(bytes);
    if (typeof op !== 'string') return disassemble(op, this.vcpu.getBig(RIP));
    if (bytes.length === 0) return 'no code';
    const shown = Array.from(bytes.subarray(0, 8), (byte) => byte.toString(16).padStart(2, '0'));
    return `no known instruction, bytes ${shown.join(' ')}`;
  }

  executeOffering(offer: Offer): boolean {
    return executeOffering(this.#machine, this.vcpu, offer);
  }

  get #runs(): boolean {
    return !this.vcpu.stopped && !this.#underneath.preempted(this.vcpu);
  }

  /** The guest itself looks up after the next instruction. */
  get #single(): boolean {
    return (this.vcpu.lo(RFLAGS) & TF) !== 0 || this.#switched || this.#control.shadow;
  }

  /** CR0.TS is set, and rarely for long: each instruction is looked at (SDM vol. 3, 2.5). */
  get #switched(): boolean {
    return (this.vcpu.lo(CR0) & CR0_TS) !== 0;
  }

  async #watched(by: Debugger): Promise<void> {
    while (this.#runs) {
      if (this.#due && !this.#single) {
        this.#lookUp();
        continue;
      }
      const asked = by.before(this.vcpu);
      const most = typeof asked === 'number' ? asked : await asked;
      if (!this.vcpu.stopped) this.#advance(most, by.breakpoints);
    }
  }

  /** Up to `most` instructions, or to what leaves the engine. */
  #advance(most: number, breakpoints: ReadonlySet<number>): void {
    const { vcpu } = this;
    const control = this.#control;
    const before = vcpu.rip;
    const stepping = (vcpu.lo(RFLAGS) & TF) !== 0;
    const single = this.#single || most === 1 || breakpoints.has(before);
    control.shadow = false;
    const engine = this.#engine;
    if (this.#switched && this.#usesFpu()) this.#take(0, VECTOR_NM, 0, 0, 0);
    else this.#finish(single ? engine.step(vcpu) : engine.run(vcpu, most, breakpoints));
    if (stepping && !vcpu.stopped && vcpu.rip !== before) this.#singleStep();
    if (control.window && !control.shadow && !vcpu.stopped) {
      control.window = false;
      this.#underneath.enter(vcpu);
    }
  }

  #usesFpu(): boolean {
    const op = this.#decoded();
    return op !== undefined && fpuRows.has(op.form.row);
  }

  #finish(outcome: Outcome): void {
    if (outcome.kind === 'done') {
      this.#lookUp();
      return;
    }
    try {
      if (outcome.kind === 'fault') throw outcome.fault;
      this.#control.operands.attend(outcome.operation);
      ACTS.get(outcome.reason)!(this.#control, outcome.operation);
    } catch (thrown) {
      if (thrown instanceof Fault) this.#fault(thrown);
      else if (thrown instanceof Unsupported) this.#fail(thrown.message);
      else throw thrown;
    }
  }

  /** The horizon is reached. */
  get #due(): boolean {
    const { clock } = this.vcpu.pcpu;
    return clock[0]! >= clock[1]!;
  }

  /** Between two instructions: is the horizon reached? */
  #lookUp(): void {
    if (!this.#due) return;
    const { vcpu } = this;
    if (vcpu.pcpu.now >= this.#machine.limit) vcpu.stopped = true;
    else this.#underneath.boundary(vcpu);
  }

  #fault(fault: Fault): void {
    const { vcpu } = this;
    const { vector, error } = fault;
    const address = signedNumber(fault.address);
    if (vector === FAULT_EPT) {
      this.#eptViolation(error, address);
      return;
    }
    const op = vector === VECTOR_GP && error === 0 && vcpu.cpl !== 0 ? this.#decoded() : undefined;
    const { op: number, operand } = op ? privilegedOp(op, vcpu) : { op: 0, operand: 0 };
    const length = number === 0 ? 0 : op!.length;
    const detail = number === 0 ? address : operand;
    this.#take(length, vector, error, detail, number);
  }

  #take(length: number, vector: number, error: number, detail: number, op: number): void {
    takeException(this.#machine, this.#underneath, this.vcpu, length, vector, error, detail, op);
  }

  /** The instruction at RIP, if there is one. */
  #decoded(): Operation | undefined {
    const op = decode(this.#bytes());
    return typeof op === 'string' ? undefined : op;
  }

  /** Whoever has no memory there cannot hand a value to the engine. */
  #eptViolation(qualification: number, va: number): void {
    const { vcpu } = this;
    const gpa = this.#machine.mmu.faultGpa;
    leave(this.#underneath, vcpu, 0, EXIT_EPT_VIOLATION, gpa, qualification, va);
    if (!vcpu.stopped && vcpu.lo(EXIT_D) === 1)
      this.#fail(`it accessed guest-physical 0x${gpa.toString(16)}, where no memory is`);
  }

  #singleStep(): void {
    const { vcpu } = this;
    vcpu.setHalves(DR6, vcpu.lo(DR6) | DR6_STEP, 0);
    this.#take(0, VECTOR_DB, 0, 0, 0);
  }

  #fail(why: string): void {
    this.#underneath.fail(this.vcpu, why);
    this.vcpu.stopped = true;
  }

  #bytes(): Uint8Array {
    return this.#control.memory.fetch(this.vcpu.getBig(RIP), MAX_LENGTH);
  }
}
