/**
 * What rows are written in. A row calls these operations once; an evaluator computes as it is called, a compiler emits. `V` is a
 * 64-bit value, `O` an operand: a row knows neither, so no host control flow can depend on the guest. Values narrower than 64
 * bits are zero-extended, conditions are 0 or 1. What can fault comes before the first effect on memory, then registers.
 */

import type { X87 } from './builder-x87.ts';

/** Bytes; 10 is an x87 number, 16 a vector. */
export type Width = 1 | 2 | 4 | 8 | 10 | 16;

/** All that a row sees of an operand. */
export interface Sized {
  readonly width: Width;
}

/** `x op y`; the three shifts' `y` is a count that was not zero. CF and OF of inc and dec are those of add and sub. */
export type FlagKind = 'add' | 'sub' | 'logic' | 'shl' | 'shr' | 'sar';

export interface FlagOptions<V> {
  /** Which flags are written; all status flags if absent. */
  readonly mask?: number;
  /** Nothing is written where this is zero. */
  readonly when?: V;
}

/** Divides `high:low` by `divisor`: quotient and remainder. #DE when the quotient does not fit. */
export type Helper = 'div' | 'idiv';

/** Pure; the result has `w` bytes. A shift's count is below 64, a rotation's is taken modulo the width. */
export type Binary =
  | 'add'
  | 'sub'
  | 'and'
  | 'or'
  | 'xor'
  | 'mul'
  | 'mulhu'
  | 'mulhs'
  | 'shl'
  | 'shr'
  | 'sar'
  | 'rol'
  | 'ror';

export interface Arithmetic<V> extends Record<Binary, (w: Width, x: V, y: V) => V> {
  imm(value: number | bigint): V;
  /** From `w` bytes to 64 bits. */
  sext(w: Width, x: V): V;
  bswap(w: Width, x: V): V;
  /** Number of zero bits below the lowest, or above the highest, one bit; anything for zero. */
  ctz(w: Width, x: V): V;
  clz(w: Width, x: V): V;
  eq(x: V, y: V): V;
  ltu(x: V, y: V): V;
  /** `x` unless `condition` is zero. */
  select(condition: V, x: V, y: V): V;
}

/** On lanes of two vectors. `wide` multiplies even lanes, `madd` adds pairs of products, `sad` sums differences of bytes. */
export type VectorOp =
  | 'add'
  | 'sub'
  | 'addSaturateS'
  | 'addSaturateU'
  | 'subSaturateS'
  | 'subSaturateU'
  | 'eq'
  | 'gt'
  | 'minS'
  | 'minU'
  | 'maxS'
  | 'maxU'
  | 'average'
  | 'mul'
  | 'mulHighS'
  | 'mulHighU'
  | 'wide'
  | 'madd'
  | 'sad'
  | 'unpackLow'
  | 'unpackHigh'
  | 'packS'
  | 'packU'
  | 'and'
  | 'or'
  | 'xor'
  | 'andNot';

export interface Vectors<V> {
  vec(op: VectorOp, lane: Width, x: V, y: V): V;
  /** Every lane by one count; a count too large shifts everything out. */
  vecShift(op: 'shl' | 'shr' | 'sar', lane: Width, x: V, count: V): V;
  /** The top bits of the lanes. */
  vecMask(lane: Width, x: V): V;
  lane(w: Width, x: V, index: V): V;
  withLane(w: Width, x: V, index: V, value: V): V;
  /** A vector of these lanes, the lowest first. */
  join(w: Width, lanes: readonly V[]): V;
}

/** 4 bytes are single precision, 8 double. */
export type FloatWidth = 4 | 8;

/**
 * `x op y`. Those of one operand take `y`. `min` and `max` are `y` where either is a NaN or both are zeros. The approximations,
 * of single precision only, are `1 / y` and `1 / sqrt(y)`, every step rounded to nearest; they raise nothing.
 */
export type FloatOp =
  | 'add'
  | 'sub'
  | 'mul'
  | 'div'
  | 'min'
  | 'max'
  | 'sqrt'
  | 'reciprocal'
  | 'reciprocalSqrt';

/** Signed integers, and floating point, of so many bits. */
export type Numeric = 'i32' | 'i64' | 'f32' | 'f64';

/**
 * Floating point as MXCSR asks: every operation adds its exceptions there, and #XM is raised if one of them is unmasked; then
 * nothing else changes, and of a vector all lanes are looked at first. A scalar is the bits of the number.
 */
export interface Floats<V, O extends Sized> {
  float(op: FloatOp, w: FloatWidth, x: V, y: V): V;
  vecFloat(op: FloatOp, w: FloatWidth, x: V, y: V): V;
  /** All ones where the predicate holds that bits 2 to 0 of an immediate name: eq lt le unord, and their contraries. */
  floatCompare(predicate: O, w: FloatWidth, x: V, y: V): V;
  vecFloatCompare(predicate: O, w: FloatWidth, x: V, y: V): V;
  /** `signalling`: a quiet NaN is invalid, too. */
  floatOrder(
    w: FloatWidth,
    x: V,
    y: V,
    signalling: boolean,
  ): { readonly unordered: V; readonly less: V; readonly equal: V };
  /** Rounds to zero if `truncate`. An integer that does not fit is the most negative one, and invalid. */
  convert(from: Numeric, to: Numeric, x: V, truncate?: 'truncate'): V;
  /** The lowest lanes, as many as both types have; those of the result that are left are zero. */
  vecConvert(from: Numeric, to: Numeric, x: V, truncate?: 'truncate'): V;
  mxcsr(): V;
  /** #GP(0) if reserved bits are set. */
  loadMxcsr(value: V): void;
}

export interface Builder<V, O extends Sized>
  extends Arithmetic<V>,
    Vectors<V>,
    Floats<V, O>,
    X87<V, O> {
  /** A whole general register. */
  get(register: number): V;
  set(register: number, value: V): void;
  vector(register: number): V;
  setVector(register: number, value: V): void;
  /** A general register in the address size: counters and indexes of strings. */
  getIndex(register: number): V;
  setIndex(register: number, value: V): void;
  /** RSP, or RBP as the frame's pointer, as wide as the stack is: 8 bytes in 64-bit mode, else 4. */
  getStack(register: number): V;
  setStack(register: number, value: V): void;

  /** `at`: bytes added to a memory operand's address. */
  read(operand: O, at?: V): V;
  /**
   * Only where `when`, if given, is not zero. A vector register keeps what lies above the operand's width.
   */
  write(operand: O, value: V, when?: V): void;
  /** Read, modify, write with one translation, atomically under LOCK; @returns the old value. */
  update(operand: O, change: (old: V) => V, at?: V): V;
  /** Words of `w` bytes, the lowest first, all or nothing. */
  readBlock(operand: O, w: Width, count: number): V[];
  /** `bytes`: so many must be there, if more than are written. */
  writeBlock(operand: O, w: Width, words: readonly V[], bytes?: number): void;
  /** As `update` on 16 bytes that must be aligned, as two halves. */
  updatePair(operand: O, change: (low: V, high: V) => readonly [V, V]): readonly [V, V];
  /** The effective address, without segment. */
  address(operand: O): V;
  /** The stack: relative to SS. */
  load(w: Width, address: V): V;
  store(w: Width, address: V, value: V): void;
  /** As `readBlock` and `writeBlock`, on the stack. */
  loadBlock(w: Width, address: V, count: number): V[];
  storeBlock(w: Width, address: V, words: readonly V[]): void;
  /** Memory as ENTER leaves it, with frame pointers of `level` frames and `size` bytes; @returns frame and stack pointer. */
  pushFrames(w: Width, level: O, size: V): readonly [V, V];

  /** The status flags of `result = x kind y`. */
  flags(kind: FlagKind, w: Width, result: V, x: V, y: V, options?: FlagOptions<V>): void;
  /** Flags one by one, keyed by bit. */
  setFlags(flags: ReadonlyArray<readonly [flag: number, value: V]>, when?: V): void;
  /** The architecture leaves these `flags` undefined where `when` is not zero. Only tests care. */
  undefinedFlags(flags: number, when?: V): void;
  /** The architecture leaves the destination undefined where `when` is not zero. */
  undefinedResult(when: V): void;
  flag(flag: number): V;
  /** The condition that an operand `+c` encodes. */
  cond(code: O): V;
  /** RFLAGS whole; loading honours CPL and IOPL (POPF). */
  flagBits(): V;
  loadFlags(w: Width, value: V): void;

  /** The address of the next instruction. */
  next(): V;
  /** Where a near transfer to `operand` goes; #GP(0) if that is not canonical. */
  target(operand: O): V;
  canonical(address: V): V;
  jump(address: V): void;
  /** `effects` happen taken or not, after the target was found good. */
  branch(condition: V, operand: O, effects?: () => void): void;
  /** One iteration as the repeat prefix asks; `whileZF`: REPE and REPNE look at ZF, too. */
  repeat(body: () => void, whileZF: boolean): void;

  helper(name: Helper, w: Width, high: V, low: V, divisor: V): readonly [V, V];
  /** A fault, or after int3 and into a trap: then RIP is that of the next instruction. Nothing where `when`, if given, is zero. */
  raise(vector: number, kind: 'fault' | 'trap', when?: V): void;
}
