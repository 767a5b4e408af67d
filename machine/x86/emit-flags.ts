/**
 * Status flags, computed when they are asked for. An operation leaves two words: its result, sign-extended, and its
 * carries; from these each flag is a few shifts.
 *
 *     ZF  result = 0                     carries: bit 63 CF, bit 62 CF xor OF, bit 3 AF,
 *     SF  sign of result xor bit 1                bit 2 PF turned, bit 1 SF turned
 *     PF  even parity of its low byte xor bit 2
 */

import { RFLAGS } from '../vcpu.ts';
import type { FlagKind, FlagOptions, Width } from './builder.ts';
import type { Value } from './emit-values.ts';
import { EmitVectors } from './emit-vectors.ts';
import { AF, CF, OF, PF, SF, STATUS, ZF } from './flags.ts';
import { BOUNCE, FLAG_CARRIES, FLAG_RESULT } from './record.ts';
import { I32, I64, type WasmCode } from './wasm-code.ts';

const AUX_CF = 1n << 63n;
const AUX_OF = 1n << 62n;
const AUX_AF = 8n;
const AUX_PF = 4n;
const AUX_SF = 2n;

/** The vCPU block. */
const CPU = 0;

/** What the flags were last made of, if that is known: a condition need not ask them, then. */
interface Known {
  readonly kind: 'sub' | 'logic';
  readonly w: Width;
  readonly result: Value;
  readonly x: Value;
  readonly y: Value;
}

export class EmitFlags extends EmitVectors {
  protected known: Known | undefined;

  constructor(code: WasmCode) {
    super(code, BOUNCE);
  }

  flags(
    kind: FlagKind,
    w: Width,
    result: Value,
    x: Value,
    y: Value,
    { mask = STATUS, when }: FlagOptions<Value> = {},
  ): void {
    const whole = mask === STATUS && when === undefined;
    const compares = kind === 'sub' || kind === 'logic';
    this.known = whole && compares ? { kind, w, result, x, y } : undefined;
    if (when !== undefined) this.#if(when);
    const carries = this.#carries(kind, w, result, x, y);
    const kept = mask === STATUS ? carries : this.#keepCf(carries);
    this.#put(FLAG_CARRIES, kept);
    this.#put(FLAG_RESULT, this.sext(w, result));
    if (when !== undefined) this.code.end();
  }

  setFlags(flags: ReadonlyArray<readonly [flag: number, value: Value]>, when?: Value): void {
    this.known = undefined;
    const values = new Map(flags);
    if (when !== undefined) this.#if(when);
    if (values.has(ZF) || values.has(SF) || values.has(PF)) this.#explicit(values);
    const overflow = values.get(OF) ?? (values.has(CF) ? this.flag(OF) : undefined);
    if (overflow !== undefined) {
      const carry = values.get(CF) ?? this.flag(CF);
      this.#replace(AUX_CF, carry, 63);
      this.#replace(AUX_OF, this.xor(8, carry, overflow), 62);
    }
    if (values.has(AF)) this.#replace(AUX_AF, values.get(AF)!, 3);
    for (const [flag, value] of flags) if ((flag & STATUS) === 0) this.#setSystemFlag(flag, value);
    if (when !== undefined) this.code.end();
  }

  flag(flag: number): Value {
    const { code } = this;
    switch (flag) {
      case CF:
        this.#word(FLAG_CARRIES).i64(0n).plain('i64.lt_s');
        return this.result(I32);
      case OF:
        this.#overflow().i64(0n).plain('i64.lt_s');
        return this.result(I32);
      case ZF:
        this.#word(FLAG_RESULT).plain('i64.eqz');
        return this.result(I32);
      case SF:
        this.#word(FLAG_CARRIES).i64(62n).plain('i64.shl');
        this.#word(FLAG_RESULT).plain('i64.xor').i64(0n).plain('i64.lt_s');
        return this.result(I32);
      case PF:
        this.#word(FLAG_RESULT).i64(0xffn).plain('i64.and').plain('i64.popcnt');
        this.#word(FLAG_CARRIES).i64(2n).plain('i64.shr_u').plain('i64.xor');
        code.i64(1n).plain('i64.and').plain('i64.eqz');
        return this.result(I32);
      case AF:
        this.#word(FLAG_CARRIES).i64(3n).plain('i64.shr_u').i64(1n).plain('i64.and');
        return this.result(I64);
      default:
        return this.#systemFlag(flag);
    }
  }

  /** Condition `code` of jcc, setcc and cmovcc: pairs, of which the odd one is the contrary. */
  condition(code: number): Value {
    const pair = code >> 1;
    const known = this.known && this.#knownCondition(pair, this.known);
    if (known !== undefined) this.pushCondition(known);
    else if (pair === 6 || pair === 7) this.#less(pair === 7);
    else if (pair === 3) {
      this.#pushFlag(CF);
      this.#pushFlag(ZF);
      this.code.plain('i32.or');
    } else this.#pushFlag([OF, CF, ZF, 0, SF, PF][pair]!);
    if ((code & 1) === 1) this.code.plain('i32.eqz');
    return this.result(I32);
  }

  /** The pairs of conditions 1 to 4, 6 and 7 from what was compared. */
  #knownCondition(pair: number, { kind, w, result, x, y }: Known): Value | undefined {
    const [left, right] = kind === 'sub' ? [x, y] : [result, this.imm(0)];
    switch (pair) {
      case 1:
        return this.ltu(this.zext(w, left), this.zext(w, right));
      case 2:
        return this.eq(result, this.imm(0));
      case 3:
        return this.compare('i64.le_u', this.zext(w, left), this.zext(w, right));
      case 4:
        return this.compare('i64.lt_s', this.sext(w, result), this.imm(0));
      case 6:
      case 7:
        return this.compare(
          pair === 6 ? 'i64.lt_s' : 'i64.le_s',
          this.sext(w, left),
          this.sext(w, right),
        );
      default:
        return undefined;
    }
  }

  /** All status flags in their places. */
  statusFlags(): Value {
    let all = this.imm(0);
    for (const flag of [CF, PF, AF, ZF, SF, OF])
      all = this.or(8, all, this.shl(8, this.flag(flag), this.imm(Math.log2(flag))));
    return all;
  }

  /** From RFLAGS in `value` to the two words. */
  loadStatus(value: Value): void {
    const bit = (flag: number): Value =>
      this.and(8, this.shr(8, value, this.imm(Math.log2(flag))), this.imm(1));
    this.setFlags([CF, PF, AF, ZF, SF, OF].map((flag) => [flag, bit(flag)] as const));
  }

  /** A flag that is no status flag: in the block's RFLAGS. */
  #systemFlag(flag: number): Value {
    this.code.get(CPU).access('i32.load', RFLAGS).i32(Math.log2(flag)).plain('i32.shr_u');
    this.code.i32(1).plain('i32.and');
    return this.result(I32);
  }

  #setSystemFlag(flag: number, value: Value): void {
    const { code } = this;
    code.get(CPU);
    code.get(CPU).access('i32.load', RFLAGS).i32(~flag).plain('i32.and');
    this.push(this.shl(8, value, this.imm(Math.log2(flag))));
    code.plain('i32.wrap_i64').plain('i32.or').access('i32.store', RFLAGS);
  }

  #pushFlag(flag: number): void {
    const value = this.flag(flag);
    this.pushCondition(value);
  }

  /** SF differs from OF; or ZF, if `orEqual`. */
  #less(orEqual: boolean): void {
    const { code } = this;
    this.#overflow();
    this.#word(FLAG_CARRIES).i64(62n).plain('i64.shl').plain('i64.xor');
    this.#word(FLAG_RESULT).plain('i64.xor').i64(0n).plain('i64.lt_s');
    if (orEqual) {
      this.#word(FLAG_RESULT).plain('i64.eqz');
      code.plain('i32.or');
    }
  }

  /** OF, in bit 63 of what is on the stack. */
  #overflow(): WasmCode {
    this.#word(FLAG_CARRIES);
    return this.#word(FLAG_CARRIES).i64(1n).plain('i64.shl').plain('i64.xor');
  }

  /** A word onto the stack. */
  #word(field: number): WasmCode {
    return this.code.get(CPU).access('i64.load', field);
  }

  #put(field: number, value: Value): void {
    this.code.get(CPU);
    this.push(value);
    this.code.access('i64.store', field);
  }

  #if(condition: Value): void {
    this.pushCondition(condition);
    this.code.if();
  }

  #carries(kind: FlagKind, w: Width, r: Value, x: Value, y: Value): Value {
    if (kind === 'logic') return this.imm(0);
    if (kind === 'add' || kind === 'sub') return this.#spread(w, this.#carryOut(kind, r, x, y));
    const last = this.#lastOut(kind, w, x, y);
    const carry = this.and(8, last, this.imm(1));
    const top = this.shr(8, this.xor(8, r, x), this.imm(8 * w - 1));
    const turned = kind === 'sar' ? carry : this.xor(8, carry, this.and(8, top, this.imm(1)));
    return this.or(8, this.shl(8, carry, this.imm(63)), this.shl(8, turned, this.imm(62)));
  }

  /** In a sum bit i of the carries is that out of bit i, whatever came in below; in a difference the borrows. */
  #carryOut(kind: 'add' | 'sub', r: Value, x: Value, y: Value): Value {
    const differ = this.xor(8, x, y);
    if (kind === 'add') {
      // (x & y) | ((x | y) & ~r) is x where they are equal, else ~r
      const away = this.xor(8, this.xor(8, r, x), this.imm(-1));
      return this.xor(8, x, this.and(8, differ, away));
    }
    // (~x & y) | ((~x | y) & r) is y where they differ, else r
    return this.xor(8, r, this.and(8, differ, this.xor(8, r, y)));
  }

  /** The top two carries to bits 63 and 62, the fourth stays. */
  #spread(w: Width, carries: Value): Value {
    if (w === 8) return this.and(8, carries, this.imm(AUX_CF | AUX_OF | AUX_AF));
    const up = this.shl(8, carries, this.imm(64 - 8 * w));
    return this.or(8, up, this.and(8, carries, this.imm(AUX_AF)));
  }

  /** The last bit shifted out, lowest. */
  #lastOut(kind: 'shl' | 'shr' | 'sar', w: Width, x: Value, y: Value): Value {
    if (kind === 'shl' && w === 8) return this.shr(8, x, this.sub(8, this.imm(64), y));
    if (kind === 'shl') return this.shr(8, this.shl(8, x, y), this.imm(8 * w));
    const less = this.sub(8, y, this.imm(1));
    return kind === 'shr' ? this.shr(8, x, less) : this.sar(8, this.sext(w, x), less);
  }

  /** CF stays as it is, OF becomes that of `carries`. */
  #keepCf(carries: Value): Value {
    const overflow = this.shl(8, carries, this.imm(1));
    this.#word(FLAG_CARRIES).i64(AUX_CF).plain('i64.and');
    const carry = this.result(I64);
    const turned = this.xor(8, this.xor(8, carries, overflow), carry); // bit 63: CF xor OF
    const second = this.and(8, this.shr(8, turned, this.imm(1)), this.imm(AUX_OF));
    const rest = this.and(8, carries, this.imm(AUX_AF));
    return this.or(8, this.or(8, carry, second), rest);
  }

  /** ZF, SF and PF, given or as they are, in words that say exactly that. */
  #explicit(values: ReadonlyMap<number, Value>): void {
    const [zero, sign, parity] = [ZF, SF, PF].map((flag) => values.get(flag) ?? this.flag(flag));
    this.#put(FLAG_RESULT, this.select(zero!, this.imm(0), this.imm(0x100)));
    this.#replace(AUX_SF, sign!, 1);
    this.#replace(AUX_PF, this.xor(8, parity!, this.imm(1)), 2);
  }

  /** One bit of the carries. */
  #replace(bit: bigint, value: Value, shift: number): void {
    this.code.get(CPU);
    this.#word(FLAG_CARRIES).i64(~bit).plain('i64.and');
    this.push(value);
    this.code.i64(BigInt(shift)).plain('i64.shl').plain('i64.or').access('i64.store', FLAG_CARRIES);
  }
}
