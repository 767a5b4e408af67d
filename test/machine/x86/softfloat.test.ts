import { describe, expect, it } from 'vitest';
import {
  add,
  compare,
  convert,
  DE,
  DOUBLE,
  DOWN,
  div,
  type Environment,
  EXTENDED,
  type Format,
  fromInteger,
  IE,
  mul,
  NEAREST,
  OE,
  PE,
  SINGLE,
  sqrt,
  sub,
  toInteger,
  UE,
  UP,
  ZE,
} from '../../../machine/x86/softfloat.ts';
import { Choices } from '../../properties/choices.ts';

const environment = (change: Partial<Environment> = {}): Environment => ({
  rounding: NEAREST,
  masked: 0x3f,
  denormalsAreZero: false,
  flushToZero: false,
  nan: 'first',
  flags: 0,
  roundedUp: false,
  ...change,
});

const view = new DataView(new ArrayBuffer(8));
const numberOf = (bits: bigint): number => {
  view.setBigUint64(0, bits);
  return view.getFloat64(0);
};
const bitsOf = (x: number): bigint => {
  view.setFloat64(0, x);
  return view.getBigUint64(0);
};
const single = (x: number): bigint => {
  view.setFloat32(0, x);
  return BigInt(view.getUint32(0));
};

type Operation = (f: Format, env: Environment, x: bigint, y: bigint) => bigint;
const operations: ReadonlyArray<readonly [Operation, (x: number, y: number) => number]> = [
  [add, (x, y) => x + y],
  [sub, (x, y) => x - y],
  [mul, (x, y) => x * y],
  [div, (x, y) => x / y],
  [sqrt, (x) => Math.sqrt(x)],
];

/** Any bits; or exponents close to those of other numbers, and to the ends. */
const random = (r: Choices): bigint => {
  const bits = r.u64();
  const kept = bits & ~(0x7ffn << 52n);
  if (r.chance(30)) return kept | (BigInt(1020 + r.below(8)) << 52n);
  if (r.chance(30)) return kept | (BigInt(r.pick([0, 1, 2, 500, 1500, 2045, 2046])) << 52n);
  return r.chance(10) ? bits & ~((1n << 52n) - 1n) : bits;
};

describe('floating point on BigInt', () => {
  it('rounds to nearest as the host does', () => {
    const r = new Choices(1);
    for (let i = 0; i < 5_000; i++) {
      const [x, y] = [random(r), random(r)];
      for (const [ours, theirs] of operations) {
        const env = environment();
        const [result, expected] = [ours(DOUBLE, env, x, y), theirs(numberOf(x), numberOf(y))];
        if (Number.isNaN(expected)) expect(numberOf(result)).toBeNaN();
        else expect(result).toBe(bitsOf(expected));
      }
      const narrow = convert(DOUBLE, SINGLE, environment(), x);
      if (!Number.isNaN(numberOf(x))) expect(narrow).toBe(single(numberOf(x)));
    }
  });

  it('gives the same through the extended format where that is exact', () => {
    const r = new Choices(2);
    for (let i = 0; i < 5_000; i++) {
      const [x, y] = [random(r), random(r)].map((each) =>
        convert(DOUBLE, EXTENDED, environment(), BigInt(each)),
      ) as [bigint, bigint];
      const env = environment();
      const back = [x, y].map((each) => convert(EXTENDED, DOUBLE, env, each)) as [bigint, bigint];
      const order = compare(EXTENDED, env, x, y, false);
      expect(order).toBe(compare(DOUBLE, env, back[0], back[1], false));
      if (order === 'unordered') continue;
      const product = mul(EXTENDED, environment(), x, y);
      const exact = div(EXTENDED, env, product, y);
      if (env.flags === 0) expect(exact).toBe(x);
    }
  });

  it('raises what happened', () => {
    const flags = (op: Operation, x: number, y: number, change?: Partial<Environment>): number => {
      const env = environment(change);
      op(DOUBLE, env, bitsOf(x), bitsOf(y));
      return env.flags;
    };
    expect(flags(add, 1, 2)).toBe(0);
    expect(flags(div, 1, 3)).toBe(PE);
    expect(flags(div, 1, 0)).toBe(ZE);
    expect(flags(div, 0, 0)).toBe(IE);
    expect(flags(mul, 1e300, 1e300)).toBe(OE | PE);
    expect(flags(mul, 1e-300, 1e-300)).toBe(UE | PE);
    expect(flags(mul, 2 ** -1022, 0.5)).toBe(0);
    expect(flags(mul, 2 ** -1022, 0.5, { masked: 0 })).toBe(UE);
    expect(flags(add, 2 ** -1074, 1)).toBe(DE | PE);
    expect(flags(add, 2 ** -1074, 1, { denormalsAreZero: true })).toBe(0);
  });

  it('takes a result as tiny by what it is when rounded, as a processor was seen to', () => {
    const flags = (bits: bigint): number => {
      const env = environment();
      convert(DOUBLE, SINGLE, env, bits);
      return env.flags;
    };
    expect(flags(0x380fffffffffffffn)).toBe(PE);
    expect(flags(0x380ffffff0000000n)).toBe(PE);
    expect(flags(0x380fffffefffffffn)).toBe(UE | PE);
    expect(flags(0x380fffffd0000000n)).toBe(UE | PE);
  });

  it('rounds up and down, and to fewer bits of the significand', () => {
    const third = (change: Partial<Environment>, kept: number): bigint => {
      const env = environment(change);
      const [one, three] = [fromInteger(EXTENDED, env, 1n), fromInteger(EXTENDED, env, 3n)];
      return div({ ...EXTENDED, kept }, env, one, three);
    };
    expect(third({}, 64)).toBe(0x3ffdaaaaaaaaaaaaaaabn);
    expect(third({ rounding: DOWN }, 64)).toBe(0x3ffdaaaaaaaaaaaaaaaan);
    expect(third({}, 53)).toBe(0x3ffdaaaaaaaaaaaaa800n);
    expect(third({ rounding: UP }, 24)).toBe(0x3ffdaaaaab0000000000n);
  });

  it('takes the first NaN, or the larger', () => {
    const [small, large] = [0x7ff8000000000001n, 0x7ff8000000000002n];
    const signalling = 0x7ff0000000000005n;
    expect(add(DOUBLE, environment(), small, large)).toBe(small);
    expect(add(DOUBLE, environment({ nan: 'larger' }), small, large)).toBe(large);
    expect(add(DOUBLE, environment({ nan: 'larger' }), signalling, small)).toBe(small);
    expect(add(DOUBLE, environment(), signalling, small)).toBe(0x7ff8000000000005n);
  });

  it('makes integers, and integer indefinite of what does not fit', () => {
    const integer = (x: number, rounding = NEAREST) =>
      toInteger(DOUBLE, environment({ rounding }), bitsOf(x), 32);
    expect([2.5, 3.5, -2.5, 2147483647.4, 2147483647.5].map((x) => integer(x))).toEqual([
      2n,
      4n,
      -2n,
      2147483647n,
      -2147483648n,
    ]);
    expect(integer(-2.5, DOWN)).toBe(-3n);
    expect(integer(Number.NaN)).toBe(-2147483648n);
  });
});
