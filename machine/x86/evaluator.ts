/**
 * Executes rows at once, on BigInt: the reference that every faster builder must equal. `step` runs one instruction (of a
 * repeated string instruction one iteration) and leaves all state unchanged when it faults; a row that would let a
 * fault follow an effect is our mistake and throws.
 * @source SDM vol. 3, chapter 6
 */

import { VECTOR_DE, VECTOR_GP, VECTOR_SS, VECTOR_XM } from '../exit.ts';
import { RBP, RCX, RSP } from '../vcpu.ts';
import type { Builder, FlagKind, FlagOptions, Helper, Width } from './builder.ts';
import type { Operation } from './decoder.ts';
import { condition, divided, overlay, statusFlags, truncate } from './eval-arithmetic.ts';
import { BigX87 } from './eval-x87.ts';
import { fetchOperation } from './fetch.ts';
import { AC, DF, ID, IF, IOPL, NT, RF, STATUS, TF, VM, ZF } from './flags.ts';
import {
  BASE_RIP,
  type MemoryOperand,
  type Operand,
  type RegisterOperand,
  type VectorOperand,
} from './operands.ts';
import { Fault, isCanonical, type LinearMemory, type Outcome, type State } from './state.ts';

const DONE: Outcome = { kind: 'done' };
const REPE = 0xf3;
/** Bits of MXCSR that exist. */
const MXCSR = 0xffffn;
const LOADED = STATUS | TF | DF | NT | AC | ID;

export class Evaluator extends BigX87 implements Builder<bigint, Operand> {
  /** What the last instruction left undefined. */
  undefinedMask = 0;
  resultUndefined = false;
  readonly state: State;
  readonly memory: LinearMemory;
  #op: Operation | undefined;
  #next = 0n;
  #to = 0n;
  /** Something has changed: from here on nothing may fault. */
  #effects = false;

  constructor(state: State, memory: LinearMemory) {
    super();
    this.state = state;
    this.memory = memory;
  }

  step(): Outcome {
    this.undefinedMask = 0;
    this.resultUndefined = false;
    this.#effects = false;
    try {
      return this.#execute(fetchOperation(this.memory, this.state.rip));
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
    this.#to = this.#next;
    row.semantics!(this, op.width, ...op.operands);
    this.state.rip = this.#to;
    return DONE;
  }

  /** Make `op` the instruction at RIP, whose operands are then read and written; of one that leaves, by whoever does it. */
  attend(op: Operation): void {
    this.#op = op;
    this.#next = BigInt.asUintN(64, this.state.rip + BigInt(op.length));
    this.#effects = false;
  }

  get(register: number): bigint {
    return this.state.gpr[register]!;
  }

  set(register: number, value: bigint): void {
    this.#effects = true;
    this.state.gpr[register] = value;
  }

  getIndex(register: number): bigint {
    return truncate(this.#op!.addressWidth, this.get(register));
  }

  setIndex(register: number, value: bigint): void {
    this.set(register, truncate(this.#op!.addressWidth, value));
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
        return this.#read(this.#linear(o, at), o.width, false);
      default:
        return truncate(o.width, 'value' in o ? o.value : 0n);
    }
  }

  write(o: Operand, value: bigint, when = 1n): void {
    if (when === 0n) return;
    if (this.blocked) {
      if (o.kind === 'memory') this.#read(this.#linear(o, 0n), o.width, true);
    } else if (o.kind === 'register') this.#writeRegister(o, truncate(o.width, value));
    else if (o.kind === 'vector') this.#writeVector(o, truncate(o.width, value));
    else if (o.kind === 'stack') this.writeStack(o.register, value);
    else if (o.kind === 'mmx') this.writeMmx(o.register, truncate(o.width, value));
    else if (o.kind === 'memory') this.#write(this.#linear(o, 0n), o.width, value);
    else throw new TypeError(`a row writes to ${o.kind}`);
  }

  update(o: Operand, change: (old: bigint) => bigint, at = 0n): bigint {
    if (o.kind !== 'memory') {
      const old = this.read(o);
      this.write(o, change(old));
      return old;
    }
    const address = this.#linear(o, at);
    const old = this.#read(address, o.width, true);
    this.memory.write(address, o.width, truncate(o.width, change(old)));
    this.#effects = true;
    return old;
  }

  readBlock(o: Operand, w: Width, count: number): bigint[] {
    const all = this.#read(this.#block(o, w * count), w * count, false);
    return Array.from({ length: count }, (_, i) => truncate(w, all >> BigInt(8 * w * i)));
  }

  writeBlock(o: Operand, w: Width, words: readonly bigint[], bytes = w * words.length): void {
    const all = words.reduceRight((sum, word) => (sum << BigInt(8 * w)) | truncate(w, word), 0n);
    const address = this.#block(o, bytes);
    this.#read(address, bytes, true);
    this.memory.write(address, w * words.length, all);
    this.#effects = true;
  }

  #block(o: Operand, bytes: number): bigint {
    if (o.kind !== 'memory') throw new TypeError(`a row takes ${o.kind} for a block`);
    return this.#linear(o, 0n, bytes);
  }

  updatePair(
    o: Operand,
    change: (low: bigint, high: bigint) => readonly [bigint, bigint],
  ): readonly [bigint, bigint] {
    if (o.kind !== 'memory') throw new TypeError(`a row writes a pair to ${o.kind}`);
    if ((this.#segmented(o, 0n) & 15n) !== 0n) this.#fault(new Fault(VECTOR_GP));
    const address = this.#linear(o, 0n);
    const old = this.#read(address, 16, true);
    const halves = [truncate(8, old), old >> 64n] as const;
    const [low, high] = change(...halves);
    this.memory.write(address, 16, (high << 64n) | low);
    this.#effects = true;
    return halves;
  }

  address(o: Operand): bigint {
    return o.kind === 'memory' ? this.#offset(o, 0n) : 0n;
  }

  /** The linear address of an operand in memory, canonical or not. */
  linear(o: Operand): bigint {
    return o.kind === 'memory' ? this.#segmented(o, 0n) : 0n;
  }

  load(w: Width, address: bigint): bigint {
    return this.#read(this.#checked(address, w, true), w, false);
  }

  store(w: Width, address: bigint, value: bigint): void {
    this.#write(this.#checked(address, w, true), w, value);
  }

  pushFrames(w: Width, level: Operand, size: bigint): readonly [bigint, bigint] {
    const [sp, bp] = [this.get(RSP), this.get(RBP)];
    const below = (base: bigint, bytes: number): bigint => BigInt.asUintN(64, base - BigInt(bytes));
    const frame = below(sp, w);
    const outer = Number(this.read(level)) & 31;
    let pushed = truncate(w, bp);
    for (let i = 1; i <= outer; i++) {
      const copied = (): bigint => {
        const address = below(bp, w * i);
        const old = this.#read(this.#checked(address, w, true), w, false);
        return truncate(w, overlay(old, pushed, w * i, address - below(sp, w * i)));
      };
      pushed = (pushed << BigInt(8 * w)) | (i < outer ? copied() : truncate(w, frame));
    }
    const bytes = w * (outer + 1);
    const top = below(below(sp, bytes), Number(size));
    this.#read(this.#checked(top, w, true), w, true);
    const lowest = this.#checked(below(sp, bytes), bytes, true);
    this.#read(lowest, bytes, true);
    this.memory.write(lowest, bytes, pushed);
    this.#effects = true;
    return [frame, top];
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
    return this.#next;
  }

  target(o: Operand): bigint {
    if (o.kind !== 'relative') return this.canonical(this.read(o));
    return this.canonical(BigInt.asUintN(64, this.#next + o.value));
  }

  canonical(address: bigint): bigint {
    if (!isCanonical(address)) this.#fault(new Fault(VECTOR_GP));
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
    const { repeat } = this.#op!;
    const count = repeat === 0 ? 1n : this.getIndex(RCX);
    if (count !== 0n) body();
    if (count === 0n || repeat === 0) return;
    this.setIndex(RCX, count - 1n);
    const stop = whileZF && (this.flag(ZF) === 1n) !== (repeat === REPE);
    if (count > 1n && !stop) this.#to = this.state.rip;
  }

  helper(name: Helper, w: Width, high: bigint, low: bigint, divisor: bigint) {
    const result = divided(name === 'idiv', w, (high << BigInt(w * 8)) | low, divisor);
    if (result === undefined) this.#fault(new Fault(VECTOR_DE));
    return result;
  }

  raise(vector: number, trap?: 'trap'): void {
    if (trap) this.state.rip = this.#next;
    this.#fault(new Fault(vector));
  }

  loadMxcsr(value: bigint): void {
    if ((value & ~MXCSR) !== 0n) this.#fault(new Fault(VECTOR_GP));
    this.#effects = true;
    this.state.mxcsr = Number(value);
  }

  protected floatExceptions(flags: number): void {
    const { state } = this;
    const unmasked = flags & ~(state.mxcsr >> 7);
    if (unmasked !== 0) this.#mayFault();
    state.mxcsr |= flags;
    if (unmasked !== 0) throw new Fault(VECTOR_XM);
    if (flags !== 0) this.#effects = true;
  }

  #writeRegister(o: RegisterOperand, value: bigint): void {
    const shift = o.high ? 8n : 0n;
    const mask = (1n << BigInt(o.width * 8)) - 1n;
    const old = o.width >= 4 ? 0n : this.get(o.register); // 32 bits clear the upper half
    this.set(o.register, (old & ~(mask << shift)) | (value << shift));
  }

  #writeVector(o: VectorOperand, value: bigint): void {
    this.#effects = true;
    const old = this.state.vectors[o.register]!;
    this.state.vectors[o.register] = ((old >> BigInt(o.width * 8)) << BigInt(o.width * 8)) | value;
  }

  protected effect(): void {
    this.#effects = true;
  }

  protected refuse(fault: Fault): never {
    this.#fault(fault);
  }

  protected point(): void {
    const { x87 } = this.state;
    const { form, modrm, operands } = this.#op!;
    x87.opcode = ((form.opcode & 7) << 8) | modrm;
    x87.ip = this.state.rip;
    const memory = operands.find((o): o is MemoryOperand => o.kind === 'memory');
    if (memory !== undefined) x87.dp = this.#offset(memory, 0n);
  }

  #setFlags(mask: number, flags: number): void {
    this.#effects = true;
    this.state.rflags = (this.state.rflags & ~mask) | (flags & mask);
  }

  #offset(o: MemoryOperand, at: bigint): bigint {
    const base =
      o.base < 0 ? 0n : o.base === BASE_RIP ? this.#next : this.get(o.base) + BigInt(o.bias);
    const index = o.index < 0 ? 0n : this.get(o.index) * BigInt(o.scale);
    return truncate(o.addressWidth, base + index + o.displacement + at);
  }

  #segmented(o: MemoryOperand, at: bigint): bigint {
    const { fsBase, gsBase } = this.state;
    const base = o.segment === 0 ? 0n : o.segment === 0x64 ? fsBase : gsBase;
    return BigInt.asUintN(64, base + this.#offset(o, at));
  }

  #linear(o: MemoryOperand, at: bigint, bytes: number = o.width): bigint {
    if (o.aligned && (this.#segmented(o, at) & 15n) !== 0n) this.#fault(new Fault(VECTOR_GP));
    const stack = o.segment === 0 && (o.base === RSP || o.base === RBP);
    return this.#checked(this.#segmented(o, at), bytes, stack);
  }

  #checked(address: bigint, bytes: number, stack: boolean): bigint {
    const last = BigInt.asUintN(64, address + BigInt(bytes - 1));
    if (!isCanonical(address) || !isCanonical(last))
      this.#fault(new Fault(stack ? VECTOR_SS : VECTOR_GP));
    return address;
  }

  #read(address: bigint, bytes: number, intent: boolean): bigint {
    this.#mayFault();
    return this.memory.read(address, bytes, intent);
  }

  #write(address: bigint, w: Width, value: bigint): void {
    this.#mayFault();
    this.memory.write(address, w, truncate(w, value));
    this.#effects = true;
  }

  #fault(fault: Fault): never {
    this.#mayFault();
    throw fault;
  }

  #mayFault(): void {
    if (this.#effects)
      throw new Error(`${this.#op!.form.row.name}: something that may fault follows an effect`);
  }
}
