/**
 * The transcendental functions of the x87, rounded correctly as if computed with all bits; processors may be an ulp away.
 * Numbers in between are integers that count 2^-WORK.
 * @source SDM vol. 1, 8.3.7 to 8.3.10; vol. 2, F2XM1, FPATAN, FPTAN, FSIN, FYL2X
 */
import {
  DE,
  type Environment,
  EXTENDED,
  infinity,
  invalid,
  nanResult,
  PE,
  round,
  UE,
  type Unpacked,
  unpack,
  ZE,
  zero,
} from './softfloat.ts';

const WORK = 320;
const ONE = 1n << BigInt(WORK);
/** What is so much smaller than 1 is its own sine, tangent, logarithm and the like, but for what rounding sees. */
const TINY = -120;

const bitLength = (x: bigint): number => x.toString(2).length;
const abs = (x: bigint): bigint => (x < 0n ? -x : x);
const times = (x: bigint, y: bigint): bigint => (x * y) >> BigInt(WORK);
const over = (x: bigint, y: bigint): bigint => (x << BigInt(WORK)) / y;

/** The sum of `first` and what `next` makes of every term, until nothing is left of it. */
const series = (first: bigint, next: (term: bigint, i: number) => bigint): bigint => {
  let sum = 0n;
  let term = first;
  for (let i = 1; abs(term) > 1n; i++) {
    sum += term;
    term = next(term, i);
  }
  return sum;
};

/** Of `x^(2i+1) / (2i+1)`, with alternating signs or not. */
const odd = (x: bigint, sign: 1n | -1n): bigint => {
  const square = times(x, x) * sign;
  let power = x;
  return series(x, (_term, i) => {
    power = times(power, square);
    return power / BigInt(2 * i + 1);
  });
};
const atanh = (x: bigint): bigint => odd(x, 1n);
const smallAtan = (x: bigint): bigint => odd(x, -1n);

const PI = 4n * (4n * smallAtan(ONE / 5n) - smallAtan(ONE / 239n));
const LN2 = 2n * atanh(ONE / 3n);
const ATAN_HALF = smallAtan(ONE >> 1n);

const sine = (x: bigint): bigint => {
  const square = times(x, x);
  return series(x, (term, i) => -times(term, square) / BigInt(2 * i * (2 * i + 1)));
};
const cosine = (x: bigint): bigint => {
  const square = times(x, x);
  return series(ONE, (term, i) => -times(term, square) / BigInt(2 * i * (2 * i - 1)));
};

/** Of 0 to 1. */
const atan = (x: bigint): bigint =>
  4n * x < ONE ? smallAtan(x) : ATAN_HALF + smallAtan(over(2n * x - ONE, 2n * ONE + x));

const fixed = ({ significand, exponent }: Pick<Unpacked, 'significand' | 'exponent'>): bigint => {
  const shift = exponent + WORK;
  return shift >= 0 ? significand << BigInt(shift) : significand >> BigInt(-shift);
};

/** The exponent of the highest bit. */
const magnitude = ({ significand, exponent }: Unpacked): number =>
  exponent + bitLength(significand) - 1;

/** What no number of finite length is: never exact. */
const irrational = (
  env: Environment,
  negative: boolean,
  significand: bigint,
  exponent: number,
): bigint => round(EXTENDED, env, negative, (significand << 1n) | 1n, exponent - 1);

/** `x`, a little nearer to zero. */
const below = (env: Environment, x: Unpacked): bigint =>
  irrational(env, x.negative, (x.significand << 80n) - 1n, x.exponent - 80);

const operand = (env: Environment, bits: bigint): Unpacked => {
  const x = unpack(EXTENDED, env, bits);
  if (x.denormal) env.flags |= DE;
  return x;
};

/** 2^x - 1; outside of -1 to 1 the architecture leaves it undefined. */
export const exp1 = (env: Environment, bits: bigint): bigint => {
  const nan = nanResult(EXTENDED, env, unpack(EXTENDED, env, bits));
  if (nan !== undefined) return nan;
  const x = operand(env, bits);
  if (x.kind === 'zero') return bits;
  if (x.kind === 'infinite') return x.negative ? MINUS_ONE : bits;
  const size = magnitude(x);
  if (size > 0) {
    env.flags |= PE; // undefined; this is what AMD does
    return bits;
  }
  if (size < TINY) return irrational(env, x.negative, x.significand * LN2, x.exponent - WORK);
  const power = times(fixed(x), LN2) * (x.negative ? -1n : 1n);
  const value = series(power, (term, i) => times(term, power) / BigInt(i + 1));
  if (size === 0 && x.significand === 1n << 63n)
    return round(EXTENDED, env, x.negative, 1n, x.negative ? -1 : 0);
  return irrational(env, x.negative, abs(value), -WORK);
};
const MINUS_ONE = (0xbfffn << 64n) | (1n << 63n);

/** pi with the 66 bits that processors reduce arguments by: so much of it, times 2^-66. */
const PI_66 = 0xc90fdaa22168c234cn;
const PI_66_EXPONENT = -66;

/** Whether an argument of sine, cosine and tangent is one that they reduce. */
export const inRange = (env: Environment, bits: bigint): boolean => {
  const x = unpack(EXTENDED, env, bits);
  return x.kind !== 'finite' || magnitude(x) < 63;
};

interface Reduced {
  /** Of half turns' halves. */
  readonly quadrant: number;
  readonly rest: Unpacked;
}

const reduce = (x: Unpacked): Reduced => {
  const unit = Math.min(x.exponent, PI_66_EXPONENT - 1);
  const quarter = PI_66 << BigInt(PI_66_EXPONENT - 1 - unit);
  const whole = (x.significand << BigInt(x.exponent - unit)) * (x.negative ? -1n : 1n);
  const twice = 2n * whole + quarter;
  const turns =
    (twice - (((twice % (2n * quarter)) + 2n * quarter) % (2n * quarter))) / (2n * quarter);
  const rest = whole - turns * quarter;
  return {
    quadrant: Number(BigInt.asUintN(2, turns)),
    rest: { ...x, negative: rest < 0n, significand: abs(rest), exponent: unit },
  };
};

/** Sine, or cosine, of a reduced argument, as an irrational number. */
const turned = (env: Environment, { quadrant, rest }: Reduced, shift: 0 | 1): bigint => {
  const q = (quadrant + shift) & 3;
  const flip = q >= 2;
  const tiny = magnitude(rest) < TINY;
  if ((q & 1) === 1) return irrational(env, flip, tiny ? ONE - 1n : cosine(fixed(rest)), -WORK);
  const signed = { ...rest, negative: rest.negative !== flip };
  if (tiny) return below(env, signed);
  return irrational(env, signed.negative, sine(fixed(rest)), -WORK);
};

type Trigonometric = 'sin' | 'cos' | 'tan';

/** `bits` is in range. */
export const trigonometric = (op: Trigonometric, env: Environment, bits: bigint): bigint => {
  const nan = nanResult(EXTENDED, env, unpack(EXTENDED, env, bits));
  if (nan !== undefined) return nan;
  const x = operand(env, bits);
  if (x.kind === 'infinite') return invalid(EXTENDED, env);
  if (x.kind === 'zero') return op === 'cos' ? PLUS_ONE : bits;
  const reduced = reduce(x);
  if (op !== 'tan') return turned(env, reduced, op === 'cos' ? 1 : 0);
  const { quadrant, rest } = reduced;
  const upper = (quadrant & 1) === 1;
  if (magnitude(rest) < TINY && !upper)
    return irrational(env, rest.negative, (rest.significand << 80n) + 1n, rest.exponent - 80);
  const [s, c] = [sine(fixed(rest)), cosine(fixed(rest))];
  return irrational(env, rest.negative !== upper, upper ? over(c, s) : over(s, c), -WORK);
};
export const PLUS_ONE = (0x3fffn << 64n) | (1n << 63n);

/** `y` times a logarithm. */
const product = (
  env: Environment,
  y: Unpacked,
  negative: boolean,
  significand: bigint,
  exponent: number,
): bigint =>
  irrational(env, y.negative !== negative, y.significand * significand, y.exponent + exponent);

/** Of `m * 2^-WORK`, from 1/2 to 2. */
const ln = (m: bigint): bigint => 2n * atanh(over(m - ONE, m + ONE));

/** `y * log2(x)`. */
export const log = (env: Environment, yBits: bigint, xBits: bigint): bigint => {
  const [x, y] = [unpack(EXTENDED, env, xBits), unpack(EXTENDED, env, yBits)];
  const nan = nanResult(EXTENDED, env, y, x);
  if (nan !== undefined) return nan;
  if (x.negative && x.kind !== 'zero') return invalid(EXTENDED, env);
  const one = x.kind === 'finite' && x.significand === 1n << 63n && x.exponent === -63;
  const infinite = x.kind === 'infinite' || (x.kind === 'zero' && y.kind !== 'finite');
  if (y.kind === 'zero' && infinite) return invalid(EXTENDED, env);
  if (y.kind === 'infinite' && one) return invalid(EXTENDED, env);
  if (x.kind === 'zero' && y.kind === 'finite') env.flags |= ZE;
  if (x.kind !== 'zero' && (x.denormal || y.denormal)) env.flags |= DE;
  const less = x.kind === 'zero' || (x.kind === 'finite' && magnitude(x) < 0);
  if (x.kind !== 'finite' || y.kind === 'infinite') return infinity(EXTENDED, y.negative !== less);
  if (y.kind === 'zero' || one) return zero(EXTENDED, y.negative !== less);
  return logarithm(env, x, y);
};

/** Exact, mostly, but reported to be inexact all the same. */
const multiple = (env: Environment, y: Unpacked, power: number): bigint => {
  const magnitude = y.significand * BigInt(Math.abs(power));
  const result = round(EXTENDED, env, y.negative !== power < 0, magnitude, y.exponent);
  env.flags |= PE;
  if (((result >> 64n) & 0x7fffn) === 0n) env.flags |= UE;
  return result;
};

const logarithm = (env: Environment, x: Unpacked, y: Unpacked): bigint => {
  let power = magnitude(x);
  if (x.significand === 1n << BigInt(bitLength(x.significand) - 1)) return multiple(env, y, power);
  let m = fixed({ significand: x.significand, exponent: x.exponent - power });
  if (2n * m > 3n * ONE) {
    m >>= 1n;
    power++;
  }
  const value = BigInt(power) * ONE + over(ln(m), LN2);
  return product(env, y, value < 0n, abs(value), -WORK);
};

/** `y * log2(x + 1)`; `x` below -1 + sqrt(1/2) or above sqrt(2) - 1 is undefined. */
export const log1 = (env: Environment, yBits: bigint, xBits: bigint): bigint => {
  const [x, y] = [unpack(EXTENDED, env, xBits), unpack(EXTENDED, env, yBits)];
  const nan = nanResult(EXTENDED, env, y, x);
  if (nan !== undefined) return nan;
  if (x.kind === 'infinite' && (x.negative || y.kind === 'zero')) return invalid(EXTENDED, env);
  if (x.kind === 'zero' && y.kind === 'infinite') return invalid(EXTENDED, env);
  if (x.denormal || y.denormal) env.flags |= DE;
  if (x.kind === 'infinite') return infinity(EXTENDED, y.negative);
  const negative = x.negative !== y.negative;
  if (y.kind === 'infinite') return infinity(EXTENDED, negative);
  if (x.kind === 'zero' || y.kind === 'zero') return zero(EXTENDED, negative);
  if (magnitude(x) < TINY) {
    const inverse = over(ONE, LN2);
    return product(env, y, x.negative, x.significand * inverse, x.exponent - WORK);
  }
  if (magnitude(x) >= 0) return xBits; // undefined
  const z = fixed(x) * (x.negative ? -1n : 1n);
  if (magnitude(x) === -1)
    return logarithm(env, { ...x, significand: ONE + z, exponent: -WORK }, y);
  const value = over(2n * atanh(over(z, 2n * ONE + z)), LN2);
  return product(env, y, value < 0n, abs(value), -WORK);
};

/** The angle of the point whose abscissa is `x` and ordinate `y`. */
export const angle = (env: Environment, yBits: bigint, xBits: bigint): bigint => {
  const [x, y] = [unpack(EXTENDED, env, xBits), unpack(EXTENDED, env, yBits)];
  const nan = nanResult(EXTENDED, env, y, x);
  if (nan !== undefined) return nan;
  if (x.denormal || y.denormal) env.flags |= DE;
  const eighths = (n: bigint): bigint => irrational(env, y.negative, PI * n, -WORK - 3);
  if (y.kind === 'infinite') return eighths(x.kind !== 'infinite' ? 4n : x.negative ? 6n : 2n);
  if (y.kind === 'zero' || x.kind === 'infinite')
    return x.negative ? eighths(8n) : zero(EXTENDED, y.negative);
  if (x.kind === 'zero') return eighths(4n);
  const size = magnitude(y) - magnitude(x);
  if (size < TINY && !x.negative) {
    const quotient = (y.significand << 256n) / x.significand;
    const rest = (y.significand << 256n) % x.significand;
    const exponent = y.exponent - x.exponent - 256;
    // exactly a number: the angle is below it; rounding sees that, too
    return irrational(env, y.negative, rest === 0n ? quotient - 1n : quotient, exponent);
  }
  const value = acute(x, y, size);
  return irrational(env, y.negative, x.negative ? PI - value : value, -WORK);
};

/** Of magnitudes. */
const acute = (x: Unpacked, y: Unpacked, size: number): bigint => {
  if (size > WORK) return PI >> 1n;
  if (size < -WORK) return 0n;
  const least = Math.min(x.exponent, y.exponent);
  const m = x.significand << BigInt(x.exponent - least);
  const n = y.significand << BigInt(y.exponent - least);
  return n > m ? (PI >> 1n) - atan(over(m, n)) : atan(over(n, m));
};
