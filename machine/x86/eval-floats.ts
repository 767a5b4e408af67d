/**
 * The operations on floating point, under MXCSR.
 * @source SDM vol. 1, 10.2.3 and 11.5; vol. 2, CMPPS, MAXPS, RCPPS and RSQRTPS
 */
import type { FloatOp, Floats, FloatWidth, Numeric, Width } from './builder.ts';
import { signed, truncate } from './eval-arithmetic.ts';
import { BigVectors, joined, split } from './eval-vectors.ts';
import type { Operand } from './operands.ts';
import {
  add,
  compare,
  convert,
  DOUBLE,
  div,
  type Environment,
  type Format,
  fromInteger,
  mul,
  type Order,
  reported,
  SINGLE,
  sqrt,
  sub,
  TO_ZERO,
  toInteger,
  unpack,
  zero,
} from './softfloat.ts';
import type { State } from './state.ts';

const DENORMALS_ARE_ZERO = 0x40;
const FLUSH_TO_ZERO = 0x8000;

const environment = (mxcsr: number): Environment => ({
  rounding: (mxcsr >> 13) & 3,
  masked: (mxcsr >> 7) & 0x3f,
  denormalsAreZero: (mxcsr & DENORMALS_ARE_ZERO) !== 0,
  flushToZero: (mxcsr & FLUSH_TO_ZERO) !== 0,
  nan: 'first',
  flags: 0,
  roundedUp: false,
});

type Operation = (f: Format, env: Environment, x: bigint, y: bigint) => bigint;

/** Minimum and maximum are comparisons: `x` where it is `wanted`, else `y` as it stands. */
const extreme =
  (wanted: Order): Operation =>
  (f, env, x, y) => {
    const chosen = compare(f, env, x, y, true) === wanted ? x : y;
    const { kind, negative } = unpack(f, env, chosen);
    return kind === 'zero' ? zero(f, negative) : chosen;
  };

/** What approximations are computed with: denormals are zeros on both sides. */
const approximate = (op: (f: Format, env: Environment, x: bigint) => bigint): Operation => {
  const mxcsr = 0x1f80 | DENORMALS_ARE_ZERO | FLUSH_TO_ZERO;
  return (f, _env, _x, y) => op(f, environment(mxcsr), y);
};

const inverse = (f: Format, env: Environment, y: bigint): bigint =>
  div(f, env, fromInteger(f, env, 1n), y);

const operations: Readonly<Record<FloatOp, Operation>> = {
  add,
  sub,
  mul,
  div,
  min: extreme('less'),
  max: extreme('greater'),
  sqrt: (f, env, _x, y) => sqrt(f, env, y),
  reciprocal: approximate(inverse),
  reciprocalSqrt: approximate((f, env, y) => inverse(f, env, sqrt(f, env, y))),
};

const format = (w: FloatWidth): Format => (w === 4 ? SINGLE : DOUBLE);

/** The orders for which eq, lt, le and unord hold. */
const predicates: ReadonlyArray<readonly Order[]> = [
  ['equal'],
  ['less'],
  ['less', 'equal'],
  ['unordered'],
];

const holds = (predicate: number, f: Format, env: Environment, x: bigint, y: bigint): bigint => {
  const signalling = (predicate & 3) === 1 || (predicate & 3) === 2;
  const found = predicates[predicate & 3]!.includes(compare(f, env, x, y, signalling));
  return found !== (predicate & 4) > 0 ? -1n : 0n;
};

const bytesOf = (type: Numeric): FloatWidth => (type.endsWith('32') ? 4 : 8);

const converted = (from: Numeric, to: Numeric, env: Environment, x: bigint): bigint => {
  const [m, n] = [bytesOf(from), bytesOf(to)];
  if (from.startsWith('i')) return fromInteger(format(n), env, signed(m, x));
  if (to.startsWith('i')) return truncate(n, toInteger(format(m), env, x, n * 8));
  return convert(format(m), format(n), env, x);
};

export abstract class BigFloats extends BigVectors implements Floats<bigint, Operand> {
  abstract readonly state: State;
  abstract read(o: Operand): bigint;
  abstract loadMxcsr(value: bigint): void;
  /** Adds to MXCSR, and raises #XM for what is unmasked. */
  protected abstract floatExceptions(flags: number): void;

  float(op: FloatOp, w: FloatWidth, x: bigint, y: bigint): bigint {
    return this.#scalar((env) => operations[op](format(w), env, x, y));
  }

  vecFloat(op: FloatOp, w: FloatWidth, x: bigint, y: bigint): bigint {
    const ys = split(w, y);
    return this.#lanes(w, w, x, (env, lane, i) => operations[op](format(w), env, lane, ys[i]!));
  }

  floatCompare(predicate: Operand, w: FloatWidth, x: bigint, y: bigint): bigint {
    const code = Number(this.read(predicate));
    return truncate(
      w,
      this.#scalar((env) => holds(code, format(w), env, x, y)),
    );
  }

  vecFloatCompare(predicate: Operand, w: FloatWidth, x: bigint, y: bigint): bigint {
    const code = Number(this.read(predicate));
    const ys = split(w, y);
    return this.#lanes(w, w, x, (env, lane, i) => holds(code, format(w), env, lane, ys[i]!));
  }

  floatOrder(w: FloatWidth, x: bigint, y: bigint, signalling: boolean) {
    const env = this.#environment();
    const order = compare(format(w), env, x, y, signalling);
    this.floatExceptions(reported(env));
    const is = (wanted: Order): bigint => (order === wanted ? 1n : 0n);
    return { unordered: is('unordered'), less: is('less'), equal: is('equal') };
  }

  convert(from: Numeric, to: Numeric, x: bigint, truncate?: 'truncate'): bigint {
    return this.#scalar((env) => converted(from, to, env, x), truncate);
  }

  vecConvert(from: Numeric, to: Numeric, x: bigint, truncate?: 'truncate'): bigint {
    const [m, n] = [bytesOf(from), bytesOf(to)];
    const count = 16 / Math.max(m, n);
    return this.#lanes(
      m,
      n,
      x,
      (env, lane, i) => (i < count ? converted(from, to, env, lane) : 0n),
      truncate,
    );
  }

  mxcsr(): bigint {
    return BigInt(this.state.mxcsr);
  }

  #scalar(compute: (env: Environment) => bigint, truncate?: 'truncate'): bigint {
    const env = this.#environment(truncate);
    const result = compute(env);
    this.floatExceptions(reported(env));
    return result;
  }

  /** From lanes of `from` bytes to lanes of `to`; the exceptions of all are one. */
  #lanes(
    from: Width,
    to: Width,
    x: bigint,
    compute: (env: Environment, lane: bigint, i: number) => bigint,
    truncate?: 'truncate',
  ): bigint {
    return this.#scalar(
      (env) =>
        joined(
          to,
          split(from, x).map((lane, i) => compute(env, lane, i)),
        ),
      truncate,
    );
  }

  #environment(truncate?: 'truncate'): Environment {
    const env = environment(this.state.mxcsr);
    return truncate ? { ...env, rounding: TO_ZERO } : env;
  }
}
