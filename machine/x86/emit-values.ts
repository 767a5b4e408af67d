/**
 * The pure operations as WebAssembly: each leaves its result in a local. Values are i64, but conditions are i32 until
 * someone computes with them.
 */
import type { Arithmetic, Width } from './builder.ts';
import { I32, I64, type Plain, V128, type WasmCode, type WasmType } from './wasm-code.ts';

export type Value =
  | { readonly kind: 'local'; readonly type: WasmType; readonly index: number }
  | { readonly kind: 'constant'; readonly value: bigint };

/** A row asks for what generated code does not do: the evaluator will. */
export class NotGenerated extends Error {}

const maskOf = (w: Width): bigint => (1n << BigInt(8 * w)) - 1n;

export class EmitValues implements Arithmetic<Value> {
  readonly code: WasmCode;

  constructor(code: WasmCode) {
    this.code = code;
  }

  imm(value: number | bigint): Value {
    return { kind: 'constant', value: BigInt.asUintN(64, BigInt(value)) };
  }

  add(w: Width, x: Value, y: Value): Value {
    return this.binary('i64.add', w, x, y);
  }

  sub(w: Width, x: Value, y: Value): Value {
    return this.binary('i64.sub', w, x, y);
  }

  and(w: Width, x: Value, y: Value): Value {
    return this.binary('i64.and', w, x, y);
  }

  or(w: Width, x: Value, y: Value): Value {
    return this.binary('i64.or', w, x, y);
  }

  xor(w: Width, x: Value, y: Value): Value {
    return this.binary('i64.xor', w, x, y);
  }

  mul(w: Width, x: Value, y: Value): Value {
    return this.binary('i64.mul', w, x, y);
  }

  mulhu(w: Width, x: Value, y: Value): Value {
    if (w === 8) return this.#high(x, y);
    const product = this.binary('i64.mul', 8, this.zext(w, x), this.zext(w, y));
    return this.shr(8, product, this.imm(8 * w));
  }

  mulhs(w: Width, x: Value, y: Value): Value {
    if (w !== 8) {
      const product = this.binary('i64.mul', 8, this.sext(w, x), this.sext(w, y));
      return this.zext(w, this.shr(8, product, this.imm(8 * w)));
    }
    // high(x, y) of signed numbers is that of unsigned ones, less y where x is negative and x where y is
    const sign = (z: Value): Value => this.binary('i64.shr_s', 8, z, this.imm(63));
    const less = this.add(8, this.and(8, sign(x), y), this.and(8, sign(y), x));
    return this.sub(8, this.#high(x, y), less);
  }

  shl(w: Width, x: Value, y: Value): Value {
    return this.binary('i64.shl', w, x, y);
  }

  shr(w: Width, x: Value, y: Value): Value {
    return this.binary('i64.shr_u', 8, this.zext(w, x), y);
  }

  sar(w: Width, x: Value, y: Value): Value {
    return this.zext(w, this.binary('i64.shr_s', 8, this.sext(w, x), y));
  }

  rol(w: Width, x: Value, y: Value): Value {
    return this.#rotate('rotl', w, x, y);
  }

  ror(w: Width, x: Value, y: Value): Value {
    return this.#rotate('rotr', w, x, y);
  }

  sext(w: Width, x: Value): Value {
    if (w === 8) return x;
    this.push(x);
    this.code.plain(w === 1 ? 'i64.extend8_s' : w === 2 ? 'i64.extend16_s' : 'i64.extend32_s');
    return this.result(I64);
  }

  bswap(w: Width, x: Value): Value {
    const swap = (value: Value, mask: bigint, by: number): Value => {
      const up = this.shl(8, this.and(8, value, this.imm(mask)), this.imm(by));
      const down = this.and(8, this.shr(8, value, this.imm(by)), this.imm(mask));
      return this.or(8, up, down);
    };
    const bytes = swap(x, 0x00ff00ff00ff00ffn, 8);
    const words = swap(bytes, 0x0000ffff0000ffffn, 16);
    const whole = this.binary('i64.rotl', 8, words, this.imm(32));
    return this.shr(8, whole, this.imm(64 - 8 * w));
  }

  ctz(_w: Width, x: Value): Value {
    return this.#unary('i64.ctz', x);
  }

  clz(w: Width, x: Value): Value {
    return this.sub(8, this.#unary('i64.clz', x), this.imm(64 - 8 * w));
  }

  eq(x: Value, y: Value): Value {
    if (isZero(y)) {
      this.push(x);
      this.code.plain('i64.eqz');
      return this.result(I32);
    }
    return this.compare('i64.eq', x, y);
  }

  ltu(x: Value, y: Value): Value {
    return this.compare('i64.lt_u', x, y);
  }

  select(condition: Value, x: Value, y: Value): Value {
    this.push(x);
    this.push(y);
    this.pushCondition(condition);
    this.code.plain('select');
    return this.result(I64);
  }

  /** Onto the stack as i64. */
  push(x: Value): void {
    if (x.kind === 'constant') {
      this.code.i64(x.value);
      return;
    }
    this.code.get(x.index);
    if (x.type === I32) this.code.plain('i64.extend_i32_u');
    if (x.type === V128) this.code.simd(0x1d, 0); // i64x2.extract_lane
  }

  /** Onto the stack as an i32 that is not zero where the value is not. */
  pushCondition(x: Value): void {
    if (x.kind === 'local' && x.type === I32) this.code.get(x.index);
    else {
      this.push(x);
      this.code.i64(0n).plain('i64.ne');
    }
  }

  /** What is on the stack, in a new local. */
  result(type: WasmType): Value {
    const index = this.code.local(type);
    this.code.set(index);
    return { kind: 'local', type, index };
  }

  binary(op: Plain, w: Width, x: Value, y: Value): Value {
    this.push(x);
    this.push(y);
    this.code.plain(op);
    if (w < 8) this.code.i64(maskOf(w)).plain('i64.and');
    return this.result(I64);
  }

  compare(op: Plain, x: Value, y: Value): Value {
    this.push(x);
    this.push(y);
    this.code.plain(op);
    return this.result(I32);
  }

  /** The low `w` bytes. */
  zext(w: Width, x: Value): Value {
    return w === 8 ? x : this.and(w, x, this.imm(-1));
  }

  #unary(op: Plain, x: Value): Value {
    this.push(x);
    this.code.plain(op);
    return this.result(I64);
  }

  #rotate(op: 'rotl' | 'rotr', w: Width, x: Value, y: Value): Value {
    if (w === 8) return this.binary(`i64.${op}`, 8, x, y);
    if (w === 4) {
      const { code } = this;
      for (const each of [x, y]) {
        this.push(each);
        code.plain('i32.wrap_i64');
      }
      code.plain(`i32.${op}`).plain('i64.extend_i32_u');
      return this.result(I64);
    }
    // a byte or word repeated in a doubleword rotates as it does alone
    const twice = this.or(8, x, this.shl(8, x, this.imm(8 * w)));
    const four = w === 1 ? this.or(8, twice, this.shl(8, twice, this.imm(16))) : twice;
    return this.zext(w, this.#rotate(op, 4, four, y));
  }

  /** The upper half of an unsigned product, from four products of halves. */
  #high(x: Value, y: Value): Value {
    const half = this.imm(32);
    const low = (z: Value): Value => this.zext(4, z);
    const high = (z: Value): Value => this.shr(8, z, half);
    const product = (a: Value, b: Value): Value => this.mul(8, a, b);
    const [xl, xh, yl, yh] = [low(x), high(x), low(y), high(y)];
    const middle = this.add(8, product(xh, yl), high(product(xl, yl)));
    const carry = this.add(8, product(xl, yh), low(middle));
    return this.add(8, product(xh, yh), this.add(8, high(middle), high(carry)));
  }
}

const isZero = (x: Value): boolean => x.kind === 'constant' && x.value === 0n;
