/**
 * What rows are written in. A row calls these operations once; an evaluator computes as it is called, a compiler emits. `V` is a
 * 64-bit value, `O` an operand: a row knows neither, so no host control flow can depend on the guest. Values narrower than 64
 * bits are zero-extended, conditions are 0 or 1. What can fault comes before the first effect on memory, then registers.
 */

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

/** How a number lies in memory: two of floating point, three signed integers, packed decimal; `extended` is the registers' own. */
export type X87Format = 'extended' | 'single' | 'double' | 'word' | 'dword' | 'qword' | 'decimal';

/** `scale`: x * 2^y; `remainder` truncates the quotient, `remainder1` rounds it; `log`: y * log2(x); `log1`: y * log2(x + 1); `atan`: of y / x. */
export type X87Binary =
  | 'add'
  | 'sub'
  | 'mul'
  | 'div'
  | 'scale'
  | 'remainder'
  | 'remainder1'
  | 'log'
  | 'log1'
  | 'atan';
/** `exp1`: 2^x - 1. */
export type X87Unary = 'abs' | 'chs' | 'sqrt' | 'round' | 'exp1' | 'sin' | 'cos';
/** `extract`: exponent and significand; `tan`: of x, and 1. */
export type X87Pair = 'extract' | 'sincos' | 'tan';

export type X87Field = 'control' | 'status' | 'valid' | 'opcode' | 'ip' | 'dp';

/**
 * The x87 and its stack. ST(i) is an operand: reading one that is empty is a stack fault, writing makes it valid. Operations
 * raise exceptions and set C0 to C3; an invalid one, if masked, gives the indefinite value of its format. All but the
 * last seven stand in the body of `x87` only.
 */
export interface X87<V, O extends Sized> {
  /**
   * A waiting instruction that is no control instruction: #MF first if an unmasked exception is pending, then `body`. Once that has raised
   * an unmasked one that keeps the result from being stored, writing, pushing and popping do nothing. What was raised
   * enters the status word at the end, and FOP, FIP, and FDP are this instruction's.
   */
  x87(body: () => void): void;
  /** Only where `when`, if given, is not zero. */
  x87Push(value: V, when?: V): void;
  x87Pop(): void;
  /** ST(i) becomes empty. */
  x87Free(register: O): void;
  /** To and from 80 bits. Rounding to integers as the control word says, or truncating. */
  x87From(format: X87Format, bits: V): V;
  x87To(format: X87Format, value: V): V;
  /** `y` may be in any format but `decimal`. */
  x87Binary(op: X87Binary, x: V, y: V, format?: X87Format): V;
  /** With `x` and `y` exchanged. */
  x87Reversed(op: X87Binary, x: V, y: V, format?: X87Format): V;
  x87Unary(op: X87Unary, x: V): V;
  /** The third is whether there are results: else `x` was out of range, and C2 is set. */
  x87Pair(op: X87Pair, x: V): readonly [V, V, V];
  /** Condition codes as bits of the status word; C0 to C3 are CF, (C1), PF and ZF. A quiet comparison takes a quiet NaN. */
  x87Compare(kind: 'quiet' | 'signalling', x: V, y: V, format?: X87Format): V;
  /** What fxam says of ST(0), empty or not. */
  x87Examine(): V;
  /** Sets condition codes: those in `mask`. */
  x87Codes(mask: number, codes: V): void;

  /** #MF if an unmasked exception is pending. */
  x87Pending(): void;
  x87Field(field: X87Field): V;
  /** The error summary follows from control and status word. */
  setX87Field(field: X87Field, value: V): void;
  /** All 16 bits of the tag word. */
  x87Tags(): V;
  /** ST(i), empty or not. */
  x87Raw(i: number): V;
  setX87Raw(i: number, value: V): void;
  /** A waiting MMX instruction: TOP becomes 0 and no register is empty. */
  mmx(body: () => void): void;
}

export interface Builder<V, O extends Sized> extends Arithmetic<V>, Vectors<V>, X87<V, O> {
  /** A whole general register. */
  get(register: number): V;
  set(register: number, value: V): void;
  /** A general register in the address size: counters and indexes of strings. */
  getIndex(register: number): V;
  setIndex(register: number, value: V): void;

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
  writeBlock(operand: O, w: Width, words: readonly V[]): void;
  /** The same on 16 bytes that must be aligned, as two halves. */
  updatePair(operand: O, change: (low: V, high: V) => readonly [V, V]): readonly [V, V];
  /** The effective address, without segment. */
  address(operand: O): V;
  /** The stack: relative to SS. */
  load(w: Width, address: V): V;
  store(w: Width, address: V, value: V): void;

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
  /** A fault, or after int3 a trap: then RIP is that of the next instruction. */
  raise(vector: number, trap?: 'trap'): void;
}
