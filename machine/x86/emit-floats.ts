/**
 * Floating point by the host's own, which rounds to nearest and keeps no flags: right only where no other rounding is asked
 * for and no flag would change. So numbers must be ordinary, and where a result may be inexact MXCSR must have PE already,
 * as it has after the first such operation. All else is the evaluator's. Scalars are vectors of equal lanes.
 * @source SDM vol. 1, 10.2.3 and 11.5
 */
import { MXCSR } from '../vcpu.ts';
import type { FloatOp, Floats, FloatWidth, Numeric } from './builder.ts';
import { EmitFlags } from './emit-flags.ts';
import { NotGenerated, type Value } from './emit-values.ts';
import type { HandlerOperand } from './signature.ts';
import { I32, I64, V128 } from './wasm-code.ts';

/** All exceptions masked, PE set, to nearest, denormals as they are; the other flags may be anything. */
const EASY_MASK = 0xffe0;
const EASY = 0x1fa0;
const CPU = 0;

/** Opcodes for lanes of 4 and 8 bytes. */
const by = (single: number, double: number) => (w: FloatWidth) => (w === 4 ? single : double);
const ARITHMETIC = {
  add: by(0xe4, 0xf0),
  sub: by(0xe5, 0xf1),
  mul: by(0xe6, 0xf2),
  div: by(0xe7, 0xf3),
};
const SQRT = by(0xe3, 0xef);
const EQUAL = by(0x41, 0x47);
const LESS = by(0x43, 0x49);
const LESS_EQUAL = by(0x45, 0x4b);
const NEAREST = by(0x6a, 0x94);
const SPLAT = by(0x11, 0x12);
const EXTRACT = by(0x1b, 0x1d);
const INTEGER_EQUAL = by(0x37, 0xd6);
const GREATER = by(0x3b, 0xd9);
const SMALLER = by(0x39, 0xd8);
const ALL_TRUE = by(0xa3, 0xc3);
const AND = 0x4e;
const OR = 0x50;
const XOR = 0x51;
const SELECT = 0x52;
const ABS = by(0xe0, 0xec);
const DEMOTE = 0x5e;
const PROMOTE = 0x5f;
const FROM_I32 = by(0xfa, 0xfe);
const TO_I32 = by(0xf8, 0xfc);

/** Bits of a number but its sign; those of the exponent; how many these are; the exponent's lowest. */
const MAGNITUDE = { 4: 0x7fffffffn, 8: 0x7fffffffffffffffn };
const EXPONENT = { 4: 0x7f800000n, 8: 0x7ff0000000000000n };
const EXPONENT_BITS = { 4: 8n, 8: 11n };
const UNIT = { 4: 0x800000n, 8: 0x10000000000000n };
/** 2^31 as a number; exponents: 2^63; 2^-126 and 2^127, between which a double becomes a single of the common sort. */
const LIMIT_32 = { 4: 0x4f000000n, 8: 0x41e0000000000000n };
const LIMIT_64 = 1086n << 52n;
const TINY_SINGLE = 897n << 52n;
const HUGE_SINGLE = 1150n << 52n;

export abstract class EmitFloats extends EmitFlags implements Floats<Value, HandlerOperand> {
  /** The evaluator is to do the instruction where `condition` is not zero. */
  protected abstract bailIf(condition: Value): void;
  abstract read(o: HandlerOperand): Value;

  float(op: FloatOp, w: FloatWidth, x: Value, y: Value): Value {
    if (op === 'add' || op === 'sub' || op === 'mul' || op === 'div')
      return this.#scalar(op, w, x, y);
    return this.#lowest(w, this.vecFloat(op, w, this.#splat(w, x), this.#splat(w, y)));
  }

  /** Where all three numbers are of the common sort, that is all there is to look at. */
  #scalar(op: keyof typeof ARITHMETIC, w: FloatWidth, x: Value, y: Value): Value {
    const { code } = this;
    this.#requireEasy();
    const result = this.#operation(op, w, x, y);
    const usual = this.and(8, this.#usual(w, x, 1n), this.#usual(w, y, 1n));
    this.pushCondition(this.and(8, usual, this.#usual(w, result, 2n)));
    code.plain('i32.eqz').if();
    const [left, right, both] = [x, y, result].map((each) => this.#splat(w, each));
    this.#requireRight(op, w, both!, left!, right!);
    code.end();
    return result;
  }

  #operation(op: keyof typeof ARITHMETIC, w: FloatWidth, x: Value, y: Value): Value {
    const { code } = this;
    for (const each of [x, y]) {
      this.push(each);
      if (w === 4) code.plain('i32.wrap_i64').plain('f32.reinterpret_i32');
      else code.plain('f64.reinterpret_i64');
    }
    if (w === 8) code.plain(`f64.${op}`).plain('i64.reinterpret_f64');
    else code.plain(`f32.${op}`).plain('i32.reinterpret_f32').plain('i64.extend_i32_u');
    return this.result(I64);
  }

  /** The exponent is not below `least` and not the highest, which infinity and NaN have. */
  #usual(w: FloatWidth, x: Value, least: bigint): Value {
    const bits = EXPONENT_BITS[w];
    const unit = 1n << (64n - bits);
    const exponent = this.shl(8, x, this.imm(65 - 8 * w));
    const above = this.sub(8, exponent, this.imm(least * unit));
    return this.ltu(above, this.imm(((1n << bits) - 1n - least) * unit));
  }

  vecFloat(op: FloatOp, w: FloatWidth, x: Value, y: Value): Value {
    if (op === 'reciprocal' || op === 'reciprocalSqrt') throw new NotGenerated(op);
    if (op === 'min' || op === 'max') return this.#extreme(op, w, x, y);
    this.#requireEasy();
    if (op === 'sqrt') return this.#sqrt(w, y);
    const result = this.#vec(ARITHMETIC[op](w), x, y);
    this.#requireRight(op, w, result, x, y);
    return result;
  }

  floatCompare(predicate: HandlerOperand, w: FloatWidth, x: Value, y: Value): Value {
    return this.#lowest(
      w,
      this.vecFloatCompare(predicate, w, this.#splat(w, x), this.#splat(w, y)),
    );
  }

  vecFloatCompare(predicate: HandlerOperand, w: FloatWidth, x: Value, y: Value): Value {
    this.#require(w, this.#vec(AND, this.#ordinary(w, x), this.#ordinary(w, y)));
    const code = this.read(predicate);
    const chosen = [EQUAL, LESS, LESS_EQUAL].map((op, i) => {
      const is = this.eq(this.and(8, code, this.imm(3)), this.imm(i));
      return this.#vec(AND, this.#vec(op(w), x, y), this.#mask(is));
    });
    const found = this.#vec(OR, this.#vec(OR, chosen[0]!, chosen[1]!), chosen[2]!);
    return this.#vec(
      XOR,
      found,
      this.#mask(this.and(8, this.shr(8, code, this.imm(2)), this.imm(1))),
    );
  }

  floatOrder(w: FloatWidth, x: Value, y: Value) {
    const [left, right] = [this.#splat(w, x), this.#splat(w, y)];
    this.#require(w, this.#vec(AND, this.#ordinary(w, left), this.#ordinary(w, right)));
    const all = (op: number): Value => {
      this.pushVector(this.#vec(op, left, right));
      this.code.simd(ALL_TRUE(w));
      return this.result(I32);
    };
    return { unordered: this.imm(0), less: all(LESS(w)), equal: all(EQUAL(w)) };
  }

  convert(from: Numeric, to: Numeric, x: Value, truncate?: 'truncate'): Value {
    if (from === 'i64' || to === 'i64') return this.#long(from, to, x, truncate);
    const lanes = this.#splat(widthOf(from), x);
    return this.#lowest(widthOf(to), this.vecConvert(from, to, lanes, truncate));
  }

  vecConvert(from: Numeric, to: Numeric, x: Value, truncate?: 'truncate'): Value {
    const [m, n] = [widthOf(from), widthOf(to)];
    if (from === 'i32') {
      if (to === 'f32') this.#requireEasy();
      return this.#unary(FROM_I32(n), x);
    }
    this.#require(m, this.#ordinary(m, x));
    if (to === 'f64') return this.#unary(PROMOTE, x);
    this.#requireEasy();
    if (to === 'i32') {
      const whole = truncate ? x : this.#unary(NEAREST(m), x);
      const limit = this.#constant(m, LIMIT_32[m]);
      this.#require(m, this.#vec(LESS(m), this.#unary(ABS(m), whole), limit));
      return this.#unary(TO_I32(m), whole);
    }
    const exponents = this.#exponents(8, x);
    const fits = this.#vec(
      AND,
      this.#vec(GREATER(8), exponents, this.#constant(8, TINY_SINGLE)),
      this.#vec(SMALLER(8), exponents, this.#constant(8, HUGE_SINGLE)),
    );
    this.#require(8, this.#vec(OR, fits, this.#zeros(8, x)));
    return this.#unary(DEMOTE, x);
  }

  mxcsr(): Value {
    this.code.get(CPU).access('i64.load32_u', MXCSR);
    return this.result(I64);
  }

  loadMxcsr(): void {
    throw new NotGenerated('LDMXCSR');
  }

  /** To and from 64-bit integers, of which there are no vectors. */
  #long(from: Numeric, to: Numeric, x: Value, truncate?: 'truncate'): Value {
    const { code } = this;
    this.#requireEasy();
    if (from === 'i64') {
      this.push(x);
      if (to === 'f64') code.plain('f64.convert_i64_s').plain('i64.reinterpret_f64');
      else code.plain('f32.convert_i64_s').plain('i32.reinterpret_f32').plain('i64.extend_i32_u');
      return this.result(I64);
    }
    const w = widthOf(from);
    this.#require(w, this.#ordinary(w, this.#splat(w, x)));
    this.push(x);
    if (w === 4) {
      code.plain('i32.wrap_i64').plain('f32.reinterpret_i32').plain('f64.promote_f32');
      code.plain('i64.reinterpret_f64');
    }
    const bits = this.result(I64);
    const fits = this.ltu(this.and(8, bits, this.imm(EXPONENT[8])), this.imm(LIMIT_64));
    this.bailIf(this.eq(fits, this.imm(0)));
    this.push(bits);
    code.plain('f64.reinterpret_i64');
    if (!truncate) code.plain('f64.nearest');
    code.plain('i64.trunc_f64_s');
    return this.result(I64);
  }

  #sqrt(w: FloatWidth, y: Value): Value {
    const positive = this.#vec(GREATER(w), y, this.#constant(w, -1n));
    const real = this.#vec(OR, positive, this.#zeros(w, y));
    this.#require(w, this.#vec(AND, this.#ordinary(w, y), real));
    return this.#unary(SQRT(w), y);
  }

  #extreme(op: 'min' | 'max', w: FloatWidth, x: Value, y: Value): Value {
    this.#require(w, this.#vec(AND, this.#ordinary(w, x), this.#ordinary(w, y)));
    const first = op === 'min' ? this.#vec(LESS(w), x, y) : this.#vec(LESS(w), y, x);
    this.pushVector(x);
    this.pushVector(y);
    this.pushVector(first);
    this.code.simd(SELECT);
    return this.result(V128);
  }

  /** No lane's operation had a flag to set but PE. */
  #requireRight(
    op: keyof typeof ARITHMETIC,
    w: FloatWidth,
    result: Value,
    x: Value,
    y: Value,
  ): void {
    const operands = this.#vec(AND, this.#ordinary(w, x), this.#ordinary(w, y));
    this.#require(w, this.#vec(AND, operands, this.#exact(op, w, result, x, y)));
  }

  #requireEasy(): void {
    const easy = this.eq(this.and(8, this.mxcsr(), this.imm(EASY_MASK)), this.imm(EASY));
    this.bailIf(this.eq(easy, this.imm(0)));
  }

  /** Lanes of ones where no exception but PE can have been: neither too large nor, if that may be inexact, tiny. */
  #exact(op: keyof typeof ARITHMETIC, w: FloatWidth, result: Value, x: Value, y: Value): Value {
    // a sum that is tiny is exact
    if (op === 'add' || op === 'sub')
      return this.#vec(SMALLER(w), this.#exponents(w, result), this.#constant(w, EXPONENT[w]));
    const zero = this.#zeros(w, x);
    const from = op === 'mul' ? this.#vec(OR, zero, this.#zeros(w, y)) : zero;
    const exactly = this.#vec(AND, this.#zeros(w, result), from);
    return this.#vec(OR, this.#normal(w, result), exactly);
  }

  /** Zero, or neither tiny nor infinite nor NaN. */
  #ordinary(w: FloatWidth, x: Value): Value {
    const exponents = this.#exponents(w, x);
    const normal = this.#vec(
      AND,
      this.#vec(GREATER(w), exponents, this.#constant(w, 0n)),
      this.#vec(SMALLER(w), exponents, this.#constant(w, EXPONENT[w])),
    );
    return this.#vec(OR, normal, this.#zeros(w, x));
  }

  /** Finite and more than the least normal number, to which something tiny may have been rounded. */
  #normal(w: FloatWidth, x: Value): Value {
    const exponents = this.#exponents(w, x);
    return this.#vec(
      AND,
      this.#vec(GREATER(w), exponents, this.#constant(w, UNIT[w])),
      this.#vec(SMALLER(w), exponents, this.#constant(w, EXPONENT[w])),
    );
  }

  #exponents(w: FloatWidth, x: Value): Value {
    return this.#vec(AND, x, this.#constant(w, EXPONENT[w]));
  }

  #zeros(w: FloatWidth, x: Value): Value {
    const magnitude = this.#vec(AND, x, this.#constant(w, MAGNITUDE[w]));
    return this.#vec(INTEGER_EQUAL(w), magnitude, this.#constant(w, 0n));
  }

  /** All lanes of `lanes` are ones, or else the evaluator. */
  #require(w: FloatWidth, lanes: Value): void {
    this.pushVector(lanes);
    this.code.simd(ALL_TRUE(w));
    this.bailIf(this.eq(this.result(I32), this.imm(0)));
  }

  #vec(op: number, x: Value, y: Value): Value {
    this.pushVector(x);
    this.pushVector(y);
    this.code.simd(op);
    return this.result(V128);
  }

  #unary(op: number, x: Value): Value {
    this.pushVector(x);
    this.code.simd(op);
    return this.result(V128);
  }

  #splat(w: FloatWidth, x: Value): Value {
    this.push(x);
    if (w === 4) this.code.plain('i32.wrap_i64');
    this.code.simd(SPLAT(w));
    return this.result(V128);
  }

  #constant(w: FloatWidth, value: bigint): Value {
    return this.#splat(w, this.imm(value));
  }

  /** All ones where `condition`, else zero. */
  #mask(condition: Value): Value {
    return this.#splat(8, this.sub(8, this.imm(0), condition));
  }

  #lowest(w: FloatWidth, x: Value): Value {
    this.pushVector(x);
    this.code.simd(EXTRACT(w), 0);
    return this.result(w === 4 ? I32 : I64);
  }
}

const widthOf = (type: Numeric): FloatWidth => (type.endsWith('32') ? 4 : 8);
