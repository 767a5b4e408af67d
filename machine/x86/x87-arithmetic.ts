/**
 * What the x87 computes beyond the soft floats' own operations: formats of memory, remainders, scaling, extraction, packed decimal.
 * @source SDM vol. 1, 8.3; vol. 2, FPREM, FSCALE, FXTRACT, FBSTP
 */
import type { X87Binary, X87Format } from './builder-x87.ts';
import {
  add,
  convert,
  DE,
  DOUBLE,
  defaultNaN,
  div,
  type Environment,
  EXTENDED,
  type Format,
  fromInteger,
  IE,
  infinity,
  invalid,
  mul,
  NEAREST,
  nanResult,
  OE,
  PE,
  round,
  SINGLE,
  sub,
  TO_ZERO,
  toInteger,
  UE,
  type Unpacked,
  unpack,
  ZE,
  zero,
} from './softfloat.ts';
import { angle, log, log1 } from './x87-functions.ts';
import { C0, C1, C2, C3 } from './x87-state.ts';

export const INDEFINITE = defaultNaN(EXTENDED);

/** Integers by their bits. */
const INTEGERS: Partial<Record<X87Format, number>> = { word: 16, dword: 32, qword: 64 };
const FLOATS: Partial<Record<X87Format, Format>> = { single: SINGLE, double: DOUBLE };

/** Everything masked, nothing raised; also for what raises nothing. */
export const quiet = (): Environment => ({
  rounding: NEAREST,
  masked: 0x3f,
  denormalsAreZero: false,
  flushToZero: false,
  nan: 'larger',
  flags: 0,
  roundedUp: false,
});

/** A number with 80 bits that may have been denormal with fewer. */
export interface Wide {
  readonly bits: bigint;
  readonly denormal: boolean;
}

/** A signalling NaN stays one. */
export const widen = (format: X87Format, bits: bigint): Wide => {
  const integer = INTEGERS[format];
  if (integer !== undefined)
    return { bits: fromInteger(EXTENDED, quiet(), BigInt.asIntN(integer, bits)), denormal: false };
  const float = FLOATS[format];
  if (float === undefined) return { bits, denormal: false };
  const env = quiet();
  const x = unpack(float, env, bits);
  const wide = convert(float, EXTENDED, env, bits);
  const asIs = x.kind === 'signalling' ? wide ^ (1n << 62n) : wide;
  return { bits: asIs, denormal: x.denormal };
};

export const fromFormat = (format: X87Format, env: Environment, bits: bigint): bigint => {
  const float = FLOATS[format];
  if (float !== undefined) return convert(float, EXTENDED, env, bits);
  return format === 'decimal' ? fromDecimal(bits) : widen(format, bits).bits;
};

export const toFormat = (format: X87Format, env: Environment, value: bigint): bigint => {
  const integer = INTEGERS[format];
  if (integer !== undefined)
    return BigInt.asUintN(integer, toInteger(EXTENDED, env, value, integer));
  const float = FLOATS[format];
  if (float === undefined) return format === 'decimal' ? toDecimal(env, value) : value;
  const before = env.flags & DE;
  const narrow = convert(EXTENDED, float, env, value);
  env.flags = (env.flags & ~DE) | before; // stores do not report denormal operands
  return narrow;
};

const DIGITS = 18;
const DECIMAL_INDEFINITE = 0xffffc000000000000000n;

const fromDecimal = (bits: bigint): bigint => {
  let value = 0n;
  for (let i = DIGITS - 1; i >= 0; i--) value = value * 10n + ((bits >> BigInt(4 * i)) & 15n);
  const negative = ((bits >> 79n) & 1n) !== 0n;
  return round(EXTENDED, quiet(), negative, value, 0);
};

const toDecimal = (env: Environment, value: bigint): bigint => {
  const before = env.flags;
  const integer = toInteger(EXTENDED, env, value, 64);
  const magnitude = integer < 0n ? -integer : integer;
  if (magnitude >= 10n ** BigInt(DIGITS)) {
    env.flags = before | IE;
    env.roundedUp = false;
    return DECIMAL_INDEFINITE;
  }
  if ((env.flags & ~before & IE) !== 0) return DECIMAL_INDEFINITE;
  return BigInt(`0x${magnitude}`) | ((value >> 79n) << 79n);
};

/** `kept`: what precision control leaves; it holds for the four operations of arithmetic and the root. */
export const binary = (op: X87Binary, env: Environment, kept: number, x: Wide, y: Wide): bigint => {
  const result = ARITHMETIC[op]!({ ...EXTENDED, kept }, env, x.bits, y.bits);
  const number = [x, y].every(({ bits }) => isNumber(bits));
  if ((x.denormal || y.denormal) && number && (env.flags & (IE | ZE)) === 0) env.flags |= DE;
  return result;
};

export const isNumber = (bits: bigint): boolean => {
  const env = quiet();
  return nanResult(EXTENDED, env, unpack(EXTENDED, env, bits)) === undefined;
};

type Operation = (f: Format, env: Environment, a: bigint, b: bigint) => bigint;

const scale: Operation = (_f, env, a, b) => {
  const [x, y] = [unpack(EXTENDED, env, a), unpack(EXTENDED, env, b)];
  const nan = nanResult(EXTENDED, env, x, y);
  if (nan !== undefined) return nan;
  if (y.kind === 'infinite' && x.kind === (y.negative ? 'infinite' : 'zero'))
    return invalid(EXTENDED, env);
  if (x.denormal || y.denormal) env.flags |= DE;
  if (x.kind !== 'finite') return a;
  if (y.kind === 'infinite') return (y.negative ? zero : infinity)(EXTENDED, x.negative);
  if (y.kind === 'zero') return unchanged(env, x, a);
  const exponent = toInteger(EXTENDED, { ...quiet(), rounding: TO_ZERO }, b, 17);
  const saturated = y.exponent + 63 >= 16 ? (y.negative ? -FAR : FAR) : Number(exponent);
  return scaled(env, x, x.exponent + saturated);
};

/** What is denormal does not underflow by that: so an Intel processor has it. */
const unchanged = (env: Environment, x: Unpacked, bits: bigint): bigint =>
  (bits & INTEGER_BIT) === 0n ? bits : round(EXTENDED, env, x.negative, x.significand, x.exponent);
const INTEGER_BIT = 1n << 63n;

/** Unmasked, what is out of range even when the exponent is wrapped is infinity or zero, as AMD has it. */
const scaled = (env: Environment, x: Unpacked, exponent: number): bigint => {
  const leading = exponent + bitLength(x.significand) - 1;
  if ((env.masked & OE) === 0 && leading > 16383 + WRAP) {
    env.flags |= OE | PE;
    env.roundedUp = true;
    return infinity(EXTENDED, x.negative);
  }
  if ((env.masked & UE) === 0 && leading < -16382 - WRAP) {
    env.flags |= UE | PE;
    return zero(EXTENDED, x.negative);
  }
  return round(EXTENDED, env, x.negative, x.significand, exponent);
};
const WRAP = 3 << 13;

/** Scales every number out of range. */
const FAR = 0x10000;

const ARITHMETIC: Partial<Record<X87Binary, Operation>> = {
  add,
  sub,
  mul,
  div,
  scale,
  log: (_f, env, y, x) => log(env, y, x),
  log1: (_f, env, y, x) => log1(env, y, x),
  atan: (_f, env, y, x) => angle(env, y, x),
};

const bitLength = (x: bigint): number => x.toString(2).length;

/** The quotient's lowest bits, as condition codes. */
const quotientCodes = (quotient: bigint): number =>
  (quotient & 4n ? C0 : 0) | (quotient & 2n ? C3 : 0) | (quotient & 1n ? C1 : 0);

/** Bits taken off a quotient too large for one step: 32 to 63, left to the implementation; this is AMD's choice. */
const step = (difference: number): number => 32 + (difference % 32);

/** @returns the remainder and the condition codes; C2: it is only a step towards the remainder; none if there is no quotient. */
export const remainder = (
  env: Environment,
  nearest: boolean,
  a: bigint,
  b: bigint,
): readonly [bigint, number | undefined] => {
  const [x, y] = [unpack(EXTENDED, env, a), unpack(EXTENDED, env, b)];
  const nan = nanResult(EXTENDED, env, x, y);
  if (nan !== undefined) return [nan, undefined];
  if (x.kind === 'infinite' || y.kind === 'zero') return [invalid(EXTENDED, env), undefined];
  if (x.denormal || y.denormal) env.flags |= DE;
  if (x.kind === 'zero') return [a, 0];
  if (y.kind === 'infinite') return [unchanged(env, x, a), 0];
  return reduce(env, nearest, x, y);
};

const reduce = (
  env: Environment,
  nearest: boolean,
  x: Unpacked,
  y: Unpacked,
): readonly [bigint, number] => {
  const difference =
    x.exponent + bitLength(x.significand) - (y.exponent + bitLength(y.significand));
  const exponent = Math.min(x.exponent, y.exponent);
  const m = x.significand << BigInt(x.exponent - exponent);
  let n = y.significand << BigInt(y.exponent - exponent);
  const partial = difference >= 64;
  if (partial) n <<= BigInt(difference - step(difference));
  let quotient = m / n;
  let rest = m % n;
  if (nearest && !partial && (2n * rest > n || (2n * rest === n && (quotient & 1n) !== 0n))) {
    quotient += 1n;
    rest -= n;
  }
  const negative = x.negative !== rest < 0n;
  const value = round(EXTENDED, env, negative, rest < 0n ? -rest : rest, exponent);
  return [value, partial ? C2 : quotientCodes(quotient)];
};

/** Exponent and significand. */
export const extract = (env: Environment, a: bigint): readonly [bigint, bigint] => {
  const x = unpack(EXTENDED, env, a);
  const nan = nanResult(EXTENDED, env, x);
  if (nan !== undefined) return [nan, nan];
  if (x.kind === 'infinite') return [infinity(EXTENDED, false), a];
  if (x.kind === 'zero') {
    env.flags |= ZE;
    return [infinity(EXTENDED, true), a];
  }
  if (x.denormal) env.flags |= DE;
  const length = bitLength(x.significand);
  const exponent = fromInteger(EXTENDED, quiet(), BigInt(x.exponent + length - 1));
  return [exponent, round(EXTENDED, quiet(), x.negative, x.significand, 1 - length)];
};
