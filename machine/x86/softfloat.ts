/**
 * Binary floating point on BigInt, for any format, exact as x86 does it. A number is its bits; operations add what they
 * raise to `flags` of an environment and always give the masked response, so that who needs the unmasked one looks at
 * `reported` first. Tininess is detected after rounding.
 * @source IEEE 754; SDM vol. 1, 4.8 to 4.9, 8.5 and 11.5
 */

/** Exceptions, where MXCSR and the x87 status word have them. */
export const IE = 0x01;
export const DE = 0x02;
export const ZE = 0x04;
export const OE = 0x08;
export const UE = 0x10;
export const PE = 0x20;
/** Detected before the result is computed. */
const EARLY = IE | DE | ZE;

/** Rounding as MXCSR and the x87 control word encode it. */
export const NEAREST = 0;
export const DOWN = 1;
export const UP = 2;
export const TO_ZERO = 3;

export interface Format {
  readonly exponentBits: number;
  /** Bits of the significand, with the integer bit. */
  readonly precision: number;
  /** Whether the integer bit is stored. */
  readonly explicit: boolean;
  /** Bits that a result is rounded to: fewer than `precision` under x87 precision control. */
  readonly kept: number;
}
export const SINGLE: Format = { exponentBits: 8, precision: 24, explicit: false, kept: 24 };
export const DOUBLE: Format = { exponentBits: 11, precision: 53, explicit: false, kept: 53 };
/** 80 bits: sign, 15 bits exponent, 64 bits significand. For precision control: `{ ...EXTENDED, kept: 53 }`. */
export const EXTENDED: Format = { exponentBits: 15, precision: 64, explicit: true, kept: 64 };

export interface Environment {
  readonly rounding: number;
  /** Exceptions whose response is the masked one. Overflow and underflow, unmasked, give a result scaled by 2^(3 * 2^(e - 2)). */
  readonly masked: number;
  readonly denormalsAreZero: boolean;
  /** Only where underflow is masked. */
  readonly flushToZero: boolean;
  /** Of two NaNs the first (SSE), or the one with the larger significand, a quiet one before a signalling one (x87). */
  readonly nan: 'first' | 'larger';
  flags: number;
  /** The last rounding was away from zero: C1 of the x87. */
  roundedUp: boolean;
}

/** The flags to set: an unmasked early exception keeps the later ones from happening. */
export const reported = ({ flags, masked }: Environment): number =>
  (flags & EARLY & ~masked) !== 0 ? flags & EARLY : flags;

export type Kind = 'zero' | 'finite' | 'infinite' | 'quiet' | 'signalling' | 'unsupported';

/** The number `significand * 2 ** exponent`, if it is finite. */
export interface Unpacked {
  readonly kind: Kind;
  readonly negative: boolean;
  readonly significand: bigint;
  readonly exponent: number;
  readonly denormal: boolean;
  readonly bits: bigint;
}

const bias = (f: Format): number => 2 ** (f.exponentBits - 1) - 1;
const stored = (f: Format): number => (f.explicit ? f.precision : f.precision - 1);
const bit = (n: number): bigint => 1n << BigInt(n);
const bitLength = (x: bigint): number => {
  const digits = x.toString(16);
  return 4 * digits.length + 28 - Math.clz32(Number.parseInt(digits[0]!, 16));
};

export const unpack = (f: Format, env: Environment, bits: bigint): Unpacked => {
  let significand = BigInt.asUintN(stored(f), bits);
  const field = Number(BigInt.asUintN(f.exponentBits, bits >> BigInt(stored(f))));
  const negative = ((bits >> BigInt(stored(f) + f.exponentBits)) & 1n) !== 0n;
  const fraction = BigInt.asUintN(f.precision - 1, significand);
  const denormal = field === 0 && significand !== 0n && !env.denormalsAreZero;
  if (!f.explicit && field !== 0) significand |= bit(f.precision - 1);
  let kind: Kind = 'finite';
  if (field === 0) kind = denormal ? 'finite' : 'zero';
  else if (significand === fraction) kind = 'unsupported';
  else if (field === 2 ** f.exponentBits - 1)
    kind =
      fraction === 0n ? 'infinite' : fraction >> BigInt(f.precision - 2) ? 'quiet' : 'signalling';
  const exponent = Math.max(field, 1) - bias(f) - (f.precision - 1);
  return { kind, negative, significand, exponent, denormal, bits };
};

const pack = (f: Format, negative: boolean, field: number, significand: bigint): bigint => {
  const top = BigInt((negative ? 2 ** f.exponentBits : 0) + field);
  return (top << BigInt(stored(f))) | BigInt.asUintN(stored(f), significand);
};

export const zero = (f: Format, negative: boolean): bigint => pack(f, negative, 0, 0n);
export const infinity = (f: Format, negative: boolean): bigint =>
  pack(f, negative, 2 ** f.exponentBits - 1, bit(f.precision - 1));
/** "Real indefinite": what an invalid operation gives. */
export const defaultNaN = (f: Format): bigint =>
  pack(f, true, 2 ** f.exponentBits - 1, 3n << BigInt(f.precision - 2));

/** `significand` without its `drop` lowest bits. */
const shiftRounded = (env: Environment, negative: boolean, significand: bigint, drop: number) => {
  if (drop <= 0) return { value: significand << BigInt(-drop), inexact: false, up: false };
  const value = significand >> BigInt(drop);
  const rest = BigInt.asUintN(drop, significand);
  const half = bit(drop - 1);
  const away =
    env.rounding === NEAREST
      ? rest > half || (rest === half && (value & 1n) !== 0n)
      : env.rounding === (negative ? DOWN : UP);
  const up = away && rest !== 0n;
  return { value: up ? value + 1n : value, inexact: rest !== 0n, up };
};

/**
 * `significand * 2 ** exponent` in `f`. A value that has no end needs two bits more than `f` keeps, and after them
 * one that is set if anything follows.
 */
export const round = (
  f: Format,
  env: Environment,
  negative: boolean,
  significand: bigint,
  exponent: number,
): bigint => {
  env.roundedUp = false;
  if (significand === 0n) return zero(f, negative);
  const drop = bitLength(significand) - f.kept;
  let lowest = exponent + drop; // what the lowest bit kept is worth, were exponents unbounded
  let { value, inexact, up } = shiftRounded(env, negative, significand, drop);
  if (value >> BigInt(f.kept)) {
    value >>= 1n;
    lowest++;
  }
  const minimum = 1 - bias(f) - (f.kept - 1);
  const maximum = bias(f) - (f.kept - 1);
  if (lowest > maximum) {
    env.flags |= OE;
    if (env.masked & OE) return overflow(f, env, negative);
    lowest -= 3 * 2 ** (f.exponentBits - 2);
  }
  if (lowest < minimum) {
    if ((env.masked & UE) === 0) {
      env.flags |= UE;
      lowest += 3 * 2 ** (f.exponentBits - 2);
    } else if (env.flushToZero) {
      env.flags |= UE | PE;
      return zero(f, negative);
    } else {
      ({ value, inexact, up } = shiftRounded(env, negative, significand, minimum - exponent));
      lowest = minimum;
      if (inexact) env.flags |= UE;
    }
  }
  if (inexact) env.flags |= PE;
  env.roundedUp = up;
  const normal = value >> BigInt(f.kept - 1) !== 0n;
  const field = normal ? lowest - minimum + 1 : 0;
  return pack(f, negative, field, value << BigInt(f.precision - f.kept));
};

const overflow = (f: Format, env: Environment, negative: boolean): bigint => {
  env.flags |= PE;
  env.roundedUp = env.rounding === NEAREST || env.rounding === (negative ? DOWN : UP);
  if (env.roundedUp) return infinity(f, negative);
  const significand = (bit(f.kept) - 1n) << BigInt(f.precision - f.kept);
  return pack(f, negative, 2 ** f.exponentBits - 2, significand);
};

export const invalid = (f: Format, env: Environment): bigint => {
  env.flags |= IE;
  return defaultNaN(f);
};

const notNumber = ({ kind }: Unpacked): boolean => kind === 'quiet' || kind === 'signalling';
const quieted = (f: Format, { bits }: Unpacked): bigint => bits | bit(f.precision - 2);

/** Of two NaNs the one that survives on an x87. */
const larger = (x: Unpacked, y: Unpacked): Unpacked => {
  if (x.kind !== y.kind) return x.kind === 'quiet' ? x : y;
  if (x.significand !== y.significand) return x.significand > y.significand ? x : y;
  return x.negative ? y : x;
};

/** The result if an operand is no number, and their exceptions. Later operations are not reached then. */
export const nanResult = (
  f: Format,
  env: Environment,
  x: Unpacked,
  y: Unpacked = x,
): bigint | undefined => {
  if (x.kind === 'unsupported' || y.kind === 'unsupported') return invalid(f, env);
  if (x.kind === 'signalling' || y.kind === 'signalling') env.flags |= IE;
  if (notNumber(x) && notNumber(y)) return quieted(f, env.nan === 'first' ? x : larger(x, y));
  if (notNumber(x)) return quieted(f, x);
  return notNumber(y) ? quieted(f, y) : undefined;
};

const denormals = (env: Environment, x: Unpacked, y: Unpacked = x): void => {
  if (x.denormal || y.denormal) env.flags |= DE;
};

/** Bits between two numbers from which on it only matters that the smaller is there. */
const FAR = 80;

export const add = (f: Format, env: Environment, a: bigint, b: bigint): bigint =>
  sum(f, env, unpack(f, env, a), unpack(f, env, b), false);

export const sub = (f: Format, env: Environment, a: bigint, b: bigint): bigint =>
  sum(f, env, unpack(f, env, a), unpack(f, env, b), true);

const sum = (f: Format, env: Environment, x: Unpacked, y: Unpacked, minus: boolean): bigint => {
  const nan = nanResult(f, env, x, y);
  if (nan !== undefined) return nan;
  const negative = y.negative !== minus;
  if (x.kind === 'infinite' && y.kind === 'infinite' && x.negative !== negative)
    return invalid(f, env);
  denormals(env, x, y);
  if (x.kind === 'infinite') return infinity(f, x.negative);
  if (y.kind === 'infinite') return infinity(f, negative);
  const cancelled = env.rounding === DOWN;
  if (x.kind === 'zero' && y.kind === 'zero')
    return zero(f, x.negative === negative ? negative : cancelled);
  if (x.kind === 'zero') return round(f, env, negative, y.significand, y.exponent);
  if (y.kind === 'zero') return round(f, env, x.negative, x.significand, x.exponent);
  const [p, q] = [near(x, y), near(y, x)];
  const exponent = Math.min(p.exponent, q.exponent);
  const m = p.significand << BigInt(p.exponent - exponent);
  const n = q.significand << BigInt(q.exponent - exponent);
  const total = (x.negative ? -m : m) + (negative ? -n : n);
  if (total === 0n) return zero(f, cancelled);
  return round(f, env, total < 0n, total < 0n ? -total : total, exponent);
};

/** `x`, not further below `y` than matters. */
const near = (x: Unpacked, y: Unpacked): Pick<Unpacked, 'significand' | 'exponent'> =>
  x.exponent + 64 + FAR < y.exponent ? { significand: 1n, exponent: y.exponent - FAR } : x;

export const mul = (f: Format, env: Environment, a: bigint, b: bigint): bigint => {
  const [x, y] = [unpack(f, env, a), unpack(f, env, b)];
  const nan = nanResult(f, env, x, y);
  if (nan !== undefined) return nan;
  const negative = x.negative !== y.negative;
  const none = x.kind === 'zero' || y.kind === 'zero';
  const infinite = x.kind === 'infinite' || y.kind === 'infinite';
  if (none && infinite) return invalid(f, env);
  denormals(env, x, y);
  if (infinite) return infinity(f, negative);
  if (none) return zero(f, negative);
  return round(f, env, negative, x.significand * y.significand, x.exponent + y.exponent);
};

export const div = (f: Format, env: Environment, a: bigint, b: bigint): bigint => {
  const [x, y] = [unpack(f, env, a), unpack(f, env, b)];
  const nan = nanResult(f, env, x, y);
  if (nan !== undefined) return nan;
  const negative = x.negative !== y.negative;
  if (x.kind === y.kind && x.kind !== 'finite') return invalid(f, env);
  if (y.kind === 'zero' && x.kind === 'finite') {
    env.flags |= ZE;
    return infinity(f, negative);
  }
  denormals(env, x, y);
  if (x.kind === 'infinite' || y.kind === 'zero') return infinity(f, negative);
  if (y.kind === 'infinite' || x.kind === 'zero') return zero(f, negative);
  const shift = f.precision + 2 + bitLength(y.significand) - bitLength(x.significand);
  const dividend = x.significand << BigInt(Math.max(shift, 0));
  const quotient = dividend / y.significand;
  const rest = dividend % y.significand === 0n ? 0n : 1n;
  const exponent = x.exponent - y.exponent - Math.max(shift, 0);
  return round(f, env, negative, (quotient << 1n) | rest, exponent - 1);
};

/** The integer square root. */
const root = (x: bigint): bigint => {
  let r = BigInt(Math.floor(Math.sqrt(Number(x)))); // 50 bits of it are right
  for (let next = (r + x / r) >> 1n; ; next = (r + x / r) >> 1n) {
    if (r * r <= x && (r + 1n) * (r + 1n) > x) return r;
    r = next === r ? r - 1n : next;
  }
};

export const sqrt = (f: Format, env: Environment, a: bigint): bigint => {
  const x = unpack(f, env, a);
  const nan = nanResult(f, env, x);
  if (nan !== undefined) return nan;
  if (x.kind === 'zero') return zero(f, x.negative);
  if (x.negative) return invalid(f, env);
  denormals(env, x);
  if (x.kind === 'infinite') return infinity(f, false);
  let shift = Math.max(2 * f.precision + 4 - bitLength(x.significand), 0);
  if ((x.exponent - shift) % 2 !== 0) shift++;
  const significand = x.significand << BigInt(shift);
  const r = root(significand);
  const rest = r * r === significand ? 0n : 1n;
  return round(f, env, false, (r << 1n) | rest, (x.exponent - shift) / 2 - 1);
};

export type Order = 'less' | 'equal' | 'greater' | 'unordered';

/** A signalling comparison takes a quiet NaN as invalid, too. */
export const compare = (
  f: Format,
  env: Environment,
  a: bigint,
  b: bigint,
  signalling: boolean,
): Order => {
  const [x, y] = [unpack(f, env, a), unpack(f, env, b)];
  if (nanResult(f, env, x, y) !== undefined) {
    if (signalling) env.flags |= IE;
    return 'unordered';
  }
  denormals(env, x, y);
  const [m, n] = [place(f, x), place(f, y)];
  return m === n ? 'equal' : m < n ? 'less' : 'greater';
};

/** Numbers in order: magnitudes are ordered as their bits are. A pseudo-denormal is the normal number of its value. */
const place = (f: Format, x: Unpacked): bigint => {
  if (x.kind === 'zero') return 0n;
  const sign = x.negative ? bit(stored(f) + f.exponentBits) : 0n;
  const pseudo = x.denormal && x.significand >> BigInt(f.precision - 1) !== 0n;
  const magnitude = (x.bits ^ sign) + (pseudo ? bit(stored(f)) : 0n);
  return x.negative ? -magnitude : magnitude;
};

/** Between formats: a NaN keeps its upper bits. */
export const convert = (from: Format, to: Format, env: Environment, a: bigint): bigint => {
  const x = unpack(from, env, a);
  if (x.kind === 'unsupported') return invalid(to, env);
  if (x.kind === 'signalling') env.flags |= IE;
  if (notNumber(x)) {
    const by = to.precision - from.precision;
    const kept = by < 0 ? x.significand >> BigInt(-by) : x.significand << BigInt(by);
    return pack(to, x.negative, 2 ** to.exponentBits - 1, kept | bit(to.precision - 2));
  }
  denormals(env, x);
  if (x.kind === 'infinite') return infinity(to, x.negative);
  if (x.kind === 'zero') return zero(to, x.negative);
  return round(to, env, x.negative, x.significand, x.exponent);
};

/** A signed integer of any size. */
export const fromInteger = (f: Format, env: Environment, value: bigint): bigint =>
  round(f, env, value < 0n, value < 0n ? -value : value, 0);

/** A signed integer of `bits` bits; "integer indefinite" and IE where it does not fit. Denormals are no exception. */
export const toInteger = (f: Format, env: Environment, a: bigint, bits: number): bigint => {
  const x = unpack(f, env, a);
  env.roundedUp = false;
  if (x.kind === 'zero') return 0n;
  if (x.kind === 'finite' && x.exponent < bits) {
    const { value, inexact, up } = shiftRounded(env, x.negative, x.significand, -x.exponent);
    const result = x.negative ? -value : value;
    if (BigInt.asIntN(bits, result) === result) {
      if (inexact) env.flags |= PE;
      env.roundedUp = up;
      return result;
    }
  }
  env.flags |= IE;
  return -bit(bits - 1);
};

/** To an integer of the same format. */
export const roundToInteger = (f: Format, env: Environment, a: bigint): bigint => {
  const x = unpack(f, env, a);
  const nan = nanResult(f, env, x);
  if (nan !== undefined) return nan;
  denormals(env, x);
  env.roundedUp = false;
  if (x.kind !== 'finite' || x.exponent >= 0) return a;
  const { value, inexact, up } = shiftRounded(env, x.negative, x.significand, -x.exponent);
  const result = round({ ...f, kept: f.precision }, env, x.negative, value, 0);
  if (inexact) env.flags |= PE;
  env.roundedUp = up;
  return result;
};
