/**
 * The builder that writes the interpreter's handlers: how they begin, what control flow becomes, and what is left to the
 * evaluator because it is rare.
 */
import { RCX, RFLAGS } from '../vcpu.ts';
import type { Builder, Helper, Width } from './builder.ts';
import { EmitOperands } from './emit-operands.ts';
import { NotGenerated, type Value } from './emit-values.ts';
import type { WithoutX87 } from './emit-x87.ts';
import { RF, STATUS, VM, ZF } from './flags.ts';
import { IMMEDIATE, OFFSET, PAGE_VA, RECORD_SIZE, VECTORS_OFF } from './record.ts';
import type { HandlerOperand, Signature } from './signature.ts';
import { isVector } from './units.ts';
import { I64 } from './wasm-code.ts';

/** The vCPU block. */
const CPU = 0;
/** A target within the page: the record says where. */
const NEAR: Value = { kind: 'constant', value: 0n };

export class Emitter extends EmitOperands implements WithoutX87 {
  /** The handler has been left on every path. */
  #left = false;

  /** The whole handler. @throws NotGenerated */
  handler(): void {
    this.#perform();
    if (!this.#left) this.#advance();
  }

  /** The handler of this instruction and of the one after it, which is as if each had its own. `alone`: where only this one is done. */
  fused(following: Signature, alone: number): void {
    const { code, at } = this;
    code.get(at.budget).i32(1).plain('i32.le_s').brIf(alone);
    this.#perform();
    this.#step();
    const next = new Emitter(code, at, this.places, following);
    next.known = this.known;
    next.handler();
  }

  #perform(): void {
    const { operation, operands } = this.signature;
    if (isVector(operation.form))
      this.code.get(CPU).access('i32.load', VECTORS_OFF).brIf(this.places.bail);
    const builder = this as unknown as Builder<Value, HandlerOperand>;
    operation.form.row.semantics!(builder, operation.width, ...operands);
  }

  pushFrames(): never {
    throw new NotGenerated('ENTER');
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
    code.get(CPU).access('i64.load', PAGE_VA);
    code
      .get(this.at.record)
      .access('i64.load16_u', RECORD_SIZE + OFFSET)
      .plain('i64.add');
    return this.result(I64);
  }

  target(o: HandlerOperand): Value {
    if (o.shape === 'near') return NEAR;
    if (o.shape !== 'far') return this.canonical(this.read(o));
    return this.canonical(this.#far());
  }

  canonical(address: Value): Value {
    const { code } = this;
    this.push(address);
    code.i64(16n).plain('i64.shl').i64(16n).plain('i64.shr_s');
    this.push(address);
    code.plain('i64.ne').brIf(this.places.bail);
    return address;
  }

  jump(address: Value): void {
    this.#go(address);
    this.#left = true;
  }

  branch(taken: Value, o: HandlerOperand, effects?: () => void): void {
    const { code } = this;
    if (o.shape === 'near') {
      effects?.();
      this.pushCondition(taken);
      code.if();
      this.#go(NEAR);
      code.end();
      return;
    }
    // whether it is canonical matters only where it is taken, but before any effect
    const to = this.select(taken, this.#far(), this.next());
    this.canonical(to);
    effects?.();
    this.pushCondition(taken);
    code.if();
    this.#go(to);
    code.end();
  }

  repeat(body: () => void, whileZF: boolean): void {
    const { repeat } = this.signature.operation;
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
    code.if();
    this.#count();
    code.br(this.places.next).end(); // the same record again
    code.end();
  }

  helper(name: Helper, w: Width, high: Value, low: Value, divisor: Value): readonly [Value, Value] {
    const isSigned = name === 'idiv';
    this.bailIf(this.eq(divisor, this.imm(0)));
    const [dividend, by] = isSigned
      ? this.#signedDividend(w, high, low, divisor)
      : this.#dividend(w, high, low, divisor);
    const quotient = this.binary(isSigned ? 'i64.div_s' : 'i64.div_u', 8, dividend, by);
    const remainder = this.binary(isSigned ? 'i64.rem_s' : 'i64.rem_u', 8, dividend, by);
    const kept = isSigned ? this.sext(w, quotient) : this.zext(w, quotient);
    if (w < 8) this.bailIf(this.compare('i64.ne', kept, quotient));
    return [this.zext(w, quotient), this.zext(w, remainder)];
  }

  raise(): void {
    throw new NotGenerated('exceptions are raised by the evaluator');
  }

  /** One instruction is done. At the end, as a compiler then keeps the budget in a register until there. */
  #count(): void {
    const { budget } = this.at;
    this.code.get(budget).i32(-1).plain('i32.add').set(budget);
  }

  /** To the record after this one. */
  #step(): void {
    const { record } = this.at;
    this.#count();
    this.code.get(record).i32(RECORD_SIZE).plain('i32.add').set(record);
  }

  #advance(): void {
    this.#step();
    this.code.br(this.places.next);
  }

  #go(to: Value): void {
    const { code } = this;
    const { record, target } = this.at;
    this.#count();
    if (to === NEAR) {
      code.get(record).get(record).access('i32.load', IMMEDIATE).plain('i32.add').set(record);
      code.br(this.places.next);
    } else {
      this.push(to);
      code.set(target).br(this.places.jump);
    }
  }

  #far(): Value {
    const { code } = this;
    code.get(CPU).access('i64.load', PAGE_VA);
    code.get(this.at.record).access('i64.load', IMMEDIATE).plain('i64.add');
    return this.result(I64);
  }

  #dividend(w: Width, high: Value, low: Value, divisor: Value): readonly [Value, Value] {
    if (w === 8) {
      this.bailIf(high);
      return [low, divisor];
    }
    return [this.or(8, this.shl(8, high, this.imm(8 * w)), low), divisor];
  }

  #signedDividend(w: Width, high: Value, low: Value, divisor: Value): readonly [Value, Value] {
    const by = this.sext(w, divisor);
    if (w === 8) {
      const extension = this.binary('i64.shr_s', 8, low, this.imm(63));
      this.bailIf(this.compare('i64.ne', high, extension));
    }
    const joined = w === 8 ? low : this.or(8, this.shl(8, high, this.imm(8 * w)), low);
    const dividend = w === 8 || w === 4 ? joined : this.sext((2 * w) as Width, joined);
    // the one signed quotient that does not fit 64 bits
    const least = this.eq(dividend, this.imm(1n << 63n));
    this.bailIf(this.and(8, least, this.eq(by, this.imm(-1))));
    return [dividend, by];
  }
}
