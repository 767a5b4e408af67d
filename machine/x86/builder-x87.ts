/** The part of the builder that is the x87 and MMX. */
import type { Sized } from './builder.ts';

/** How a number lies in memory: two of floating point, three signed integers, packed decimal; `extended` is the registers' own. */
export type X87Format = 'extended' | 'single' | 'double' | 'word' | 'dword' | 'qword' | 'decimal';

/** `scale`: x * 2^y; `remainder` truncates the quotient, `remainder1` rounds it; `log`: x * log2(y); `log1`: x * log2(y + 1); `atan`: of x / y, in all quadrants. */
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
 * raise exceptions and set C0 to C3; an invalid one, if masked, gives the indefinite value of its format. What
 * stands before `x87Pending` is for the body of `x87` only.
 */
export interface X87<V, O extends Sized> {
  /**
   * A waiting instruction that is no control instruction: #MF first if an unmasked exception is pending, then `body`. Once that has raised
   * an unmasked one that keeps the result from being stored, writing, pushing and popping do nothing. What was raised
   * enters the status word at the end, and FOP, FIP, and FDP are this instruction's.
   */
  x87(body: () => void): void;
  /** Before what a pushing instruction computes: a stack fault if there is no room. */
  x87Room(): void;
  /** Only where `when`, if given, is not zero. */
  x87Push(value: V, when?: V): void;
  x87Pop(): void;
  /** ST(i) becomes empty. */
  x87Free(register: O): void;
  /** To and from 80 bits. A store to memory that over- or underflows unmasked does not happen. */
  x87From(format: X87Format, bits: V): V;
  x87To(format: X87Format, value: V): V;
  /** `y` may be in any format but `decimal`. */
  x87Binary(op: X87Binary, x: V, y: V, format?: X87Format): V;
  /** With `x` and `y` exchanged. */
  x87Reversed(op: X87Binary, x: V, y: V, format?: X87Format): V;
  x87Unary(op: X87Unary, x: V): V;
  /** The third is whether there are results: else `x` was out of range, and C2 is set. */
  x87Pair(op: X87Pair, x: V): readonly [V, V, V];
  /** Condition codes, as bits of the status word: C0 less, C3 equal, all but C1 unordered. To a quiet one a quiet NaN is not invalid. */
  x87Compare(kind: 'quiet' | 'signalling', x: V, y: V, format?: X87Format): V;
  /** `x` unless `condition` is zero; the indefinite value after a stack fault. */
  x87Select(condition: V, x: V, y: V): V;
  /** What FXAM says of ST(0), empty or not. */
  x87Examine(): V;
  /** Sets those in `mask`; C1 says otherwise how the result was rounded, or which stack fault it was. */
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
  /** A waiting instruction of MMX: TOP becomes 0 and no register is empty. */
  mmx(body: () => void): void;
}
