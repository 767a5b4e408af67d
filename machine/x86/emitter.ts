/**
 * The builder that writes the interpreter's handlers: an operand is a field of the record, a register lies in the vCPU
 * block, an access looks into the TLB first. Whatever is rare leaves the instruction, with nothing done, to the evaluator.
 */
import { RCX, RFLAGS } from "../vcpu.ts";
import { TLB_ARRAY_BYTES, TLB_ENTRIES, TLB_ENTRY_BYTES } from '../memory.ts';
import type { Builder, Helper, Width } from './builder.ts';
import { EmitFlags } from './emit-flags.ts';
import { NotGenerated, type Value } from './emit-values.ts';
import { RF, STATUS, VM, ZF } from './flags.ts';
import type { MemoryOperand } from './operands.ts';
import {
  BASE,
  DEBT,
  DISPLACEMENT,
  type HandlerOperand,
  IMMEDIATE,
  INDEX,
  MASK,
  OPERAND,
  RECORD_BYTES_LOG,
  SCALE,
  SEGMENT,
  type Signature,
  STRIDE,
} from './record.ts';
import { type Access, I32, I64, V128, type WasmCode } from './wasm-code.ts';

/** The locals of the interpreter's function; 0 is the vCPU block. */
export interface Registers {
  /** Instructions left. */
  readonly budget: number;
  readonly record: number;
  /** Where the records of the executing page begin, and the page's address. */
  readonly records: number;
  readonly page: number;
  readonly tlb: number;
  /** Where a jump out of the page goes. */
  readonly target: number;
  readonly flagResult: number;
  readonly flagCarries: number;
}

/** Where handlers end, and what they call. */
export interface Places {
  /** The next record is to be executed; `target` is to be. */
  readonly next: number;
  readonly jump: number;
  /** The evaluator is to execute this instruction; an access failed. */
  readonly bail: number;
  readonly failed: number;
  /** (address's low half, high half, bytes, write) to the host's offset, or 0: the access failed. */
  readonly slow: number;
}

const CPU = 0;
const LOADS: Readonly<Record<number, Access>> = {
  1: 'i64.load8_u',
  2: 'i64.load16_u',
  4: 'i64.load32_u',
  8: 'i64.load',
};
const STORES: Readonly<Record<number, Access>> = {
  1: 'i64.store8',
  2: 'i64.store16',
  4: 'i64.store32',
  8: 'i64.store',
};
const INDEX_BITS = (TLB_ENTRIES - 1) * TLB_ENTRY_BYTES;
const INDEX_SHIFT = 12 - Math.log2(TLB_ENTRY_BYTES);
const READ = 0;
const WRITE = 1;

type Target = { readonly near: true } | { readonly near: false; readonly value: Value };

export class Emitter extends EmitFlags implements Builder<Value, HandlerOperand> {
  readonly #at: Registers;
  readonly #places: Places;
  readonly #signature: Signature;
  /** The handler has been left on every path. */
  #left = false;
  #near = new Set<Value>();

  constructor(code: WasmCode, at: Registers, places: Places, scratch: number, signature: Signature) {
    super(code, { result: at.flagResult, carries: at.flagCarries }, scratch);
    this.#at = at;
    this.#places = places;
    this.#signature = signature;
  }

  /** The whole handler. @throws NotGenerated */
  handler(): void {
    const { operation, operands } = this.#signature;
    operation.form.row.semantics!(this, operation.width, ...operands);
    if (!this.#left) this.#advance();
  }

  get(register: number): Value {
    this.code.get(CPU).access('i64.load', 8 * register);
    return this.result(I64);
  }

  set(register: number, value: Value): void {
    this.code.get(CPU);
    this.push(value);
    this.code.access('i64.store', 8 * register);
  }

  getIndex(register: number): Value {
    return this.get(register);
  }

  setIndex(register: number, value: Value): void {
    this.set(register, value);
  }

  read(o: HandlerOperand, at?: Value): Value {
    const { code } = this;
    if (isMemory(o)) return this.#load(this.#host(o, READ, at), o.width);
    if (o.shape === 'immediate') {
      code.get(this.#at.record).access('i64.load', IMMEDIATE);
      return this.result(I64);
    }
    const offset = this.#pushRegister(o);
    if (o.width === 16) {
      code.simdAccess('v128.load', offset);
      return this.result(V128);
    }
    code.access(LOADS[o.width]!, offset);
    return this.result(I64);
  }

  write(o: HandlerOperand, value: Value, when?: Value): void {
    const { code } = this;
    if (when !== undefined) {
      this.pushCondition(when);
      code.if();
    }
    if (isMemory(o)) this.#store(this.#host(o, WRITE), o.width, value);
    else if (o.width === 4 && o.shape !== 'vector') {
      const offset = this.#pushRegister(o);
      this.push(this.zext(4, value)); // 32 bits clear the upper half
      code.access('i64.store', offset);
    } else {
      const offset = this.#pushRegister(o);
      this.#pushAs(o.width, value);
      this.#storeAs(o.width, offset);
    }
    if (when !== undefined) code.end();
  }

  update(o: HandlerOperand, change: (old: Value) => Value, at?: Value): Value {
    if (!isMemory(o)) {
      const old = this.read(o);
      this.write(o, change(old));
      return old;
    }
    const host = this.#host(o, WRITE, at);
    const old = this.#load(host, o.width);
    this.#store(host, o.width, change(old));
    return old;
  }

  updatePair(
    o: HandlerOperand,
    change: (low: Value, high: Value) => readonly [Value, Value],
  ): readonly [Value, Value] {
    const address = this.#linear(o);
    this.#requireAligned(address);
    const host = this.#translate(address, 16, WRITE);
    const { code } = this;
    const half = (offset: number): Value => {
      code.get(host).access('i64.load', offset);
      return this.result(I64);
    };
    const old = [half(0), half(8)] as const;
    for (const [i, value] of change(...old).entries()) {
      code.get(host);
      this.push(value);
      code.access('i64.store', 8 * i);
    }
    return old;
  }

  address(o: HandlerOperand): Value {
    return this.#effective(o);
  }

  load(w: Width, address: Value): Value {
    return this.#load(this.#translate(address, w, READ), w);
  }

  store(w: Width, address: Value, value: Value): void {
    this.#store(this.#translate(address, w, WRITE), w, value);
  }

  undefinedFlags(): void {}

  undefinedResult(): void {}

  cond(o: HandlerOperand): Value {
    return this.condition(Number(o.shape.slice(1)));
  }

  flagBits(): Value {
    this.code.get(CPU).access('i64.load32_u', RFLAGS);
    const all = this.result(I64);
    const others = this.and(8, all, this.imm(0xffffffff & ~(STATUS | RF | VM)));
    return this.or(8, others, this.statusFlags());
  }

  loadFlags(): void {
    throw new NotGenerated('what POPF loads depends on privilege');
  }

  next(): Value {
    const { code } = this;
    const { record, records, page } = this.#at;
    code.get(page).get(record).get(records).plain('i32.sub');
    code.get(record).access('i32.load16_u', STRIDE).plain('i32.add');
    code.i32(RECORD_BYTES_LOG).plain('i32.shr_u').plain('i64.extend_i32_u').plain('i64.add');
    return this.result(I64);
  }

  target(o: HandlerOperand): Value {
    if (o.shape === 'near') {
      const near: Value = { kind: 'constant', value: 0n };
      this.#near.add(near);
      return near;
    }
    if (o.shape !== 'far') return this.canonical(this.read(o));
    const { code } = this;
    code.get(this.#at.page).get(this.#at.record).access('i64.load', IMMEDIATE).plain('i64.add');
    return this.canonical(this.result(I64));
  }

  canonical(address: Value): Value {
    const { code } = this;
    this.push(address);
    code.i64(16n).plain('i64.shl').i64(16n).plain('i64.shr_s');
    this.push(address);
    code.plain('i64.ne').brIf(this.#places.bail);
    return address;
  }

  jump(address: Value): void {
    this.#go(this.#near.has(address) ? { near: true } : { near: false, value: address });
    this.#left = true;
  }

  branch(taken: Value, o: HandlerOperand, effects?: () => void): void {
    const { code } = this;
    if (o.shape === 'near') {
      effects?.();
      this.pushCondition(taken);
      code.if();
      this.#go({ near: true });
      code.end();
      return;
    }
    // whether it is canonical matters only where it is taken, but before any effect
    const to = this.select(taken, this.#far(), this.next());
    this.canonical(to);
    effects?.();
    this.pushCondition(taken);
    code.if();
    this.#go({ near: false, value: to });
    code.end();
  }

  repeat(body: () => void, whileZF: boolean): void {
    const { repeat } = this.#signature.operation;
    if (repeat === 0) {
      body();
      return;
    }
    const { code } = this;
    const count = this.get(RCX);
    this.pushCondition(count);
    code.if();
    body();
    const left = this.sub(8, count, this.imm(1));
    this.set(RCX, left);
    this.pushCondition(left);
    if (whileZF) {
      this.pushCondition(this.flag(ZF));
      if (repeat === 0xf2) code.plain('i32.eqz');
      code.plain('i32.and');
    }
    code.brIf(this.#places.next); // the same record again
    code.end();
  }

  helper(name: Helper, w: Width, high: Value, low: Value, divisor: Value): readonly [Value, Value] {
    const isSigned = name === 'idiv';
    this.#bailIf(this.eq(divisor, this.imm(0)));
    const [dividend, by] = isSigned
      ? this.#signedDividend(w, high, low, divisor)
      : this.#dividend(w, high, low, divisor);
    const quotient = this.binary(isSigned ? 'i64.div_s' : 'i64.div_u', 8, dividend, by);
    const remainder = this.binary(isSigned ? 'i64.rem_s' : 'i64.rem_u', 8, dividend, by);
    const kept = isSigned ? this.sext(w, quotient) : this.zext(w, quotient);
    if (w < 8) this.#bailIf(this.compare('i64.ne', kept, quotient));
    return [this.zext(w, quotient), this.zext(w, remainder)];
  }

  raise(): void {
    throw new NotGenerated('exceptions are raised by the evaluator');
  }

  override systemFlag(flag: number): Value {
    this.code.get(CPU).access('i32.load', RFLAGS).i32(Math.log2(flag)).plain('i32.shr_u');
    this.code.i32(1).plain('i32.and');
    return this.result(I32);
  }

  override setSystemFlag(flag: number, value: Value): void {
    const { code } = this;
    code.get(CPU);
    code.get(CPU).access('i32.load', RFLAGS).i32(~flag).plain('i32.and');
    this.push(this.shl(8, value, this.imm(Math.log2(flag))));
    code.plain('i32.wrap_i64').plain('i32.or').access('i32.store', RFLAGS);
  }

  /** To the next record of the page. */
  #advance(): void {
    const { record } = this.#at;
    this.code.get(record).get(record).access('i32.load16_u', STRIDE).plain('i32.add').set(record);
    this.code.br(this.#places.next);
  }

  #go(to: Target): void {
    const { code } = this;
    const { record, records, target } = this.#at;
    if (to.near) {
      code.get(records).get(record).access('i32.load', IMMEDIATE).plain('i32.add').set(record);
      code.br(this.#places.next);
    } else {
      this.push(to.value);
      code.set(target).br(this.#places.jump);
    }
  }

  #far(): Value {
    const { code } = this;
    code.get(this.#at.page).get(this.#at.record).access('i64.load', IMMEDIATE).plain('i64.add');
    return this.result(I64);
  }

  #bailIf(condition: Value): void {
    this.pushCondition(condition);
    this.code.brIf(this.#places.bail);
  }

  #dividend(w: Width, high: Value, low: Value, divisor: Value): readonly [Value, Value] {
    if (w === 8) {
      this.#bailIf(high);
      return [low, divisor];
    }
    return [this.or(8, this.shl(8, high, this.imm(8 * w)), low), divisor];
  }

  #signedDividend(w: Width, high: Value, low: Value, divisor: Value): readonly [Value, Value] {
    const by = this.sext(w, divisor);
    if (w === 8) {
      const extension = this.binary('i64.shr_s', 8, low, this.imm(63));
      this.#bailIf(this.compare('i64.ne', high, extension));
    }
    const joined = w === 8 ? low : this.or(8, this.shl(8, high, this.imm(8 * w)), low);
    const dividend = w === 8 || w === 4 ? joined : this.sext((2 * w) as Width, joined);
    // the one signed quotient that does not fit 64 bits
    const least = this.eq(dividend, this.imm(1n << 63n));
    this.#bailIf(this.and(8, least, this.eq(by, this.imm(-1))));
    return [dividend, by];
  }

  /** The vCPU block, or the address in it, onto the stack. @returns the offset to add. */
  #pushRegister(o: HandlerOperand): number {
    const { code } = this;
    code.get(CPU);
    if (o.shape.startsWith('%')) return Number(o.shape.slice(1));
    if (o.shape !== 'register' && o.shape !== 'vector')
      throw new NotGenerated(`an operand ${o.shape}`);
    code.get(this.#at.record).access('i32.load16_u', OPERAND + 2 * o.slot).plain('i32.add');
    return 0;
  }

  #pushSlot(field: number): void {
    this.code.get(CPU).get(this.#at.record).access('i32.load16_u', field).plain('i32.add');
    this.code.access('i64.load');
  }

  /** The offset in the segment. */
  #effective(o: HandlerOperand, at?: Value): Value {
    const { code } = this;
    if (o.shape.startsWith('@')) {
      const pointer = this.get(Number(o.shape.slice(1)));
      return at === undefined ? pointer : this.add(8, pointer, at);
    }
    this.#pushSlot(BASE);
    code.get(this.#at.record).access('i64.load32_s', DISPLACEMENT).plain('i64.add');
    if (o.shape === 'indexed') {
      this.#pushSlot(INDEX);
      code.get(this.#at.record).access('i64.load8_u', SCALE).plain('i64.shl').plain('i64.add');
    }
    if (at !== undefined) {
      this.push(at);
      code.plain('i64.add');
    }
    if (o.shape === 'indexed') {
      this.#pushSlot(MASK);
      code.plain('i64.and');
    }
    return this.result(I64);
  }

  #linear(o: HandlerOperand, at?: Value): Value {
    const offset = this.#effective(o, at);
    if (o.shape !== 'indexed') return offset;
    this.push(offset);
    this.#pushSlot(SEGMENT);
    this.code.plain('i64.add');
    return this.result(I64);
  }

  /** The local with the host's offset of a memory operand. */
  #host(o: HandlerOperand, access: number, at?: Value): number {
    const address = this.#linear(o, at);
    const operand = this.#signature.operation.operands[o.slot] as MemoryOperand;
    if (operand.aligned) this.#requireAligned(address);
    return this.#translate(address, o.width, access);
  }

  #requireAligned(address: Value): void {
    this.#bailIf(this.and(8, address, this.imm(15)));
  }

  /**
   * Where `address` lies for an access of `w` bytes: the tag of the last byte's page, so that a crossing access misses.
   */
  #translate(address: Value, w: Width, access: number): number {
    const { code } = this;
    const array = access * TLB_ARRAY_BYTES;
    const low = code.local(I32);
    const entry = code.local(I32);
    const host = low;
    this.push(address);
    code.plain('i32.wrap_i64').tee(low);
    code.i32(INDEX_SHIFT).plain('i32.shr_u').i32(INDEX_BITS).plain('i32.and');
    code.get(this.#at.tlb).plain('i32.add').tee(entry).access('i64.load', array);
    this.push(address);
    if (w > 1) code.i64(BigInt(w - 1)).plain('i64.add');
    code.i64(-4096n).plain('i64.and').plain('i64.eq');
    code.if();
    code.get(low).get(entry).access('i32.load', array + 8).plain('i32.add').set(host);
    code.else();
    code.get(low);
    this.push(address);
    code.i64(32n).plain('i64.shr_u').plain('i32.wrap_i64');
    code.i32(w).i32(access).call(this.#places.slow).tee(host);
    code.plain('i32.eqz').brIf(this.#places.failed);
    const { budget } = this.#at;
    code.get(budget).get(CPU).access('i32.load', DEBT).plain('i32.sub').set(budget);
    code.end();
    return host;
  }

  #load(host: number, w: Width): Value {
    this.code.get(host);
    if (w === 16) {
      this.code.simdAccess('v128.load', 0);
      return this.result(V128);
    }
    this.code.access(LOADS[w]!);
    return this.result(I64);
  }

  #store(host: number, w: Width, value: Value): void {
    this.code.get(host);
    this.#pushAs(w, value);
    this.#storeAs(w, 0);
  }

  #pushAs(w: Width, value: Value): void {
    if (w === 16) this.pushVector(value);
    else this.push(value);
  }

  #storeAs(w: Width, offset: number): void {
    if (w === 16) this.code.simdAccess('v128.store', offset);
    else this.code.access(STORES[w]!, offset);
  }
}

const isMemory = ({ shape }: HandlerOperand): boolean =>
  shape === 'memory' || shape === 'indexed' || shape.startsWith('@');

