/**
 * Executes rows at once, on BigInt: the reference that every faster builder must equal. `step` runs one instruction (of a
 * repeated string instruction one iteration) and leaves all state unchanged when it faults; a row that would let a
 * fault follow an effect is our mistake and throws.
 * @source SDM vol. 3, chapter 6
 */

import { VECTOR_DE, VECTOR_GP, VECTOR_XM } from '../exit.ts';
import { RCX } from '../vcpu.ts';
import type { Builder, FlagKind, FlagOptions, Helper, Width } from './builder.ts';
import type { Operation } from './decoder.ts';
import { condition, divided, statusFlags, truncate } from './eval-arithmetic.ts';
import { BigMemory } from './eval-memory.ts';
import { fetchOperation } from './fetch.ts';
import { AC, DF, ID, IF, IOPL, NT, RF, STATUS, TF, VM, ZF } from './flags.ts';
import type { MemoryOperand, Operand, RegisterOperand, VectorOperand } from './operands.ts';
import { Fault, isCanonical, type LinearMemory, type Outcome, type State } from './state.ts';

const DONE: Outcome = { kind: 'done' };
const REPE = 0xf3;
/** Bits of MXCSR that exist. */
const MXCSR = 0xffffn;
const LOADED = STATUS | TF | DF | NT | AC | ID;

export class Evaluator extends BigMemory implements Builder<bigint, Operand> {
  /** What the last instruction left undefined. */
  undefinedMask = 0;
  resultUndefined = false;
  readonly state: State;
  #to = 0n;

  constructor(state: State, memory: LinearMemory) {
    super(memory);
    this.state = state;
  }

  step(): Outcome {
    this.undefinedMask = 0;
    this.resultUndefined = false;
    this.effects = false;
    try {
      return this.#execute(fetchOperation(this.memory, this.state.rip, this.state.mode));
    } catch (thrown) {
      if (!(thrown instanceof Fault)) throw thrown;
      return { kind: 'fault', fault: thrown };
    }
  }

  #execute(op: Operation): Outcome {
    const { row } = op.form;
    const { privilege, exit } = row.traits;
    const allowed = privilege === 'iopl' ? (this.state.rflags & IOPL) >> 12 : 0;
    if (privilege !== undefined && this.state.cpl > allowed) throw new Fault(VECTOR_GP);
    if (exit !== undefined) return { kind: 'exit', reason: exit, operation: op };
    this.attend(op);
    this.#to = this.after;
    row.semantics!(this, op.width, ...op.operands);
    this.state.rip = this.#to;
    return DONE;
  }

  /** Make `op` the instruction at RIP, whose operands are then read and written; of one that leaves, by whoever does it. */
  attend(op: Operation): void {
    this.op = op;
    this.after = truncate(op.mode === 64 ? 8 : 4, this.state.rip + BigInt(op.length));
    this.effects = false;
  }

  read(o: Operand, at = 0n): bigint {
    switch (o.kind) {
      case 'register':
        return truncate(o.width, this.get(o.register) >> (o.high ? 8n : 0n));
      case 'vector':
        return truncate(o.width, this.state.vectors[o.register]!);
      case 'mmx':
        return truncate(o.width, this.state.x87.register(o.register));
      case 'stack':
        return this.readStack(o.register);
      case 'memory':
        return this.readAt(this.place(o, 'read', at), o.width, false);
      default:
        return truncate(o.width, 'value' in o ? o.value : 0n);
    }
  }

  write(o: Operand, value: bigint, when = 1n): void {
    if (when === 0n) return;
    if (this.blocked) {
      if (o.kind === 'memory') this.readAt(this.place(o, 'write'), o.width, true);
    } else if (o.kind === 'register') this.#writeRegister(o, truncate(o.width, value));
    else if (o.kind === 'vector') this.#writeVector(o, truncate(o.width, value));
    else if (o.kind === 'stack') this.writeStack(o.register, value);
    else if (o.kind === 'mmx') this.writeMmx(o.register, truncate(o.width, value));
    else if (o.kind === 'memory') this.writeAt(this.place(o, 'write'), o.width, value);
    else throw new TypeError(`a row writes to ${o.kind}`);
  }

  update(o: Operand, change: (old: bigint) => bigint, at = 0n): bigint {
    if (o.kind !== 'memory') {
      const old = this.read(o);
      this.write(o, change(old));
      return old;
    }
    const address = this.place(o, 'write', at);
    const old = this.readAt(address, o.width, true);
    this.memory.write(address, o.width, truncate(o.width, change(old)));
    this.effects = true;
    return old;
  }

  updatePair(
    o: Operand,
    change: (low: bigint, high: bigint) => readonly [bigint, bigint],
  ): readonly [bigint, bigint] {
    if (o.kind !== 'memory') throw new TypeError(`a row writes a pair to ${o.kind}`);
    if ((this.linear(o) & 15n) !== 0n) this.fault(new Fault(VECTOR_GP));
    const address = this.place(o, 'write');
    const old = this.readAt(address, 16, true);
    const halves = [truncate(8, old), old >> 64n] as const;
    const [low, high] = change(...halves);
    this.memory.write(address, 16, (high << 64n) | low);
    this.effects = true;
    return halves;
  }

  flags(
    kind: FlagKind,
    w: Width,
    result: bigint,
    x: bigint,
    y: bigint,
    { mask = STATUS, when = 1n }: FlagOptions<bigint> = {},
  ): void {
    if (when !== 0n) this.#setFlags(mask, statusFlags(kind, w, result, x, y));
  }

  setFlags(flags: ReadonlyArray<readonly [number, bigint]>, when = 1n): void {
    if (when === 0n) return;
    for (const [flag, value] of flags) this.#setFlags(flag, value === 0n ? 0 : flag);
  }

  undefinedFlags(flags: number, when = 1n): void {
    if (when !== 0n) this.undefinedMask |= flags;
  }

  undefinedResult(when: bigint): void {
    if (when !== 0n) this.resultUndefined = true;
  }

  flag(flag: number): bigint {
    return (this.state.rflags & flag) === 0 ? 0n : 1n;
  }

  cond(code: Operand): bigint {
    return condition(Number(this.read(code)), this.state.rflags) ? 1n : 0n;
  }

  flagBits(): bigint {
    return BigInt(this.state.rflags & ~(RF | VM));
  }

  loadFlags(w: Width, value: bigint): void {
    const { cpl, rflags } = this.state;
    const mask = LOADED | (cpl === 0 ? IOPL : 0) | (cpl <= (rflags & IOPL) >> 12 ? IF : 0);
    this.#setFlags(w === 2 ? mask & 0xffff : mask | RF, Number(value & 0xffffffffn) & ~RF);
  }

  next(): bigint {
    return this.after;
  }

  target(o: Operand): bigint {
    if (o.kind !== 'relative') return this.canonical(this.read(o));
    return this.canonical(truncate(this.op.width, this.after + o.value));
  }

  canonical(address: bigint): bigint {
    if (!isCanonical(address)) this.fault(new Fault(VECTOR_GP));
    return address;
  }

  jump(address: bigint): void {
    this.#to = address;
  }

  branch(taken: bigint, o: Operand, effects?: () => void): void {
    if (taken !== 0n) this.#to = this.target(o);
    effects?.();
  }

  repeat(body: () => void, whileZF: boolean): void {
    const { repeat } = this.op;
    const count = repeat === 0 ? 1n : this.getIndex(RCX);
    if (count !== 0n) body();
    if (count === 0n || repeat === 0) return;
    this.setIndex(RCX, count - 1n);
    const stop = whileZF && (this.flag(ZF) === 1n) !== (repeat === REPE);
    if (count > 1n && !stop) this.#to = this.state.rip;
  }

  helper(name: Helper, w: Width, high: bigint, low: bigint, divisor: bigint) {
    const result = divided(name === 'idiv', w, (high << BigInt(w * 8)) | low, divisor);
    if (result === undefined) this.fault(new Fault(VECTOR_DE));
    return result;
  }

  raise(vector: number, kind: 'fault' | 'trap', when = 1n): void {
    if (when === 0n) return;
    if (kind === 'trap') this.state.rip = this.after;
    this.fault(new Fault(vector));
  }

  loadMxcsr(value: bigint): void {
    if ((value & ~MXCSR) !== 0n) this.fault(new Fault(VECTOR_GP));
    this.effects = true;
    this.state.mxcsr = Number(value);
  }

  protected floatExceptions(flags: number): void {
    const { state } = this;
    const unmasked = flags & ~(state.mxcsr >> 7);
    if (unmasked !== 0) this.mayFault();
    state.mxcsr |= flags;
    if (unmasked !== 0) throw new Fault(VECTOR_XM);
    if (flags !== 0) this.effects = true;
  }

  #writeRegister(o: RegisterOperand, value: bigint): void {
    const shift = o.high ? 8n : 0n;
    const mask = (1n << BigInt(o.width * 8)) - 1n;
    const old = o.width >= 4 ? 0n : this.get(o.register); // 32 bits clear the upper half
    this.set(o.register, (old & ~(mask << shift)) | (value << shift));
  }

  #writeVector(o: VectorOperand, value: bigint): void {
    this.effects = true;
    const old = this.state.vectors[o.register]!;
    this.state.vectors[o.register] = ((old >> BigInt(o.width * 8)) << BigInt(o.width * 8)) | value;
  }

  protected effect(): void {
    this.effects = true;
  }

  protected refuse(fault: Fault): never {
    this.fault(fault);
  }

  protected point(): void {
    const { x87 } = this.state;
    const { form, modrm, operands } = this.op;
    x87.opcode = ((form.opcode & 7) << 8) | modrm;
    x87.ip = this.state.rip;
    const memory = operands.find((o): o is MemoryOperand => o.kind === 'memory');
    if (memory !== undefined) x87.dp = this.offset(memory, 0n);
  }

  #setFlags(mask: number, flags: number): void {
    this.effects = true;
    this.state.rflags = (this.state.rflags & ~mask) | (flags & mask);
  }
}
