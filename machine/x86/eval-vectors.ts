/**
 * The operations on vectors, lane by lane.
 * @source SDM vol. 1, 11.4.1
 */
import type { VectorOp, Vectors, Width } from './builder.ts';
import { BigArithmetic, signed, truncate } from './eval-arithmetic.ts';

type Lane = (w: Width, x: bigint, y: bigint) => bigint;

export const split = (w: Width, x: bigint): bigint[] =>
  Array.from({ length: 16 / w }, (_, i) => truncate(w, x >> BigInt(8 * w * i)));

export const joined = (w: Width, lanes: readonly bigint[]): bigint =>
  lanes.reduceRight((sum, lane) => (sum << BigInt(8 * w)) | truncate(w, lane), 0n);

const half = (w: Width): Width => (w / 2) as Width;

const clamp = (x: bigint, low: bigint, high: bigint): bigint =>
  x < low ? low : x > high ? high : x;
const saturateS = (w: Width, x: bigint): bigint =>
  clamp(x, -(1n << BigInt(8 * w - 1)), (1n << BigInt(8 * w - 1)) - 1n);
const saturateU = (w: Width, x: bigint): bigint => clamp(x, 0n, (1n << BigInt(8 * w)) - 1n);

/** Those that take one lane of each. */
const lanewise: Partial<Record<VectorOp, Lane>> = {
  add: (_w, x, y) => x + y,
  sub: (_w, x, y) => x - y,
  addSaturateS: (w, x, y) => saturateS(w, signed(w, x) + signed(w, y)),
  addSaturateU: (w, x, y) => saturateU(w, x + y),
  subSaturateS: (w, x, y) => saturateS(w, signed(w, x) - signed(w, y)),
  subSaturateU: (w, x, y) => saturateU(w, x - y),
  eq: (_w, x, y) => (x === y ? -1n : 0n),
  gt: (w, x, y) => (signed(w, x) > signed(w, y) ? -1n : 0n),
  minS: (w, x, y) => (signed(w, x) < signed(w, y) ? x : y),
  minU: (_w, x, y) => clamp(x, 0n, y),
  maxS: (w, x, y) => (signed(w, x) > signed(w, y) ? x : y),
  maxU: (w, x, y) => clamp(x, y, 1n << BigInt(8 * w)),
  average: (_w, x, y) => (x + y + 1n) >> 1n,
  mul: (_w, x, y) => x * y,
  mulHighS: (w, x, y) => (signed(w, x) * signed(w, y)) >> BigInt(8 * w),
  mulHighU: (w, x, y) => (x * y) >> BigInt(8 * w),
  wide: (w, x, y) => truncate(half(w), x) * truncate(half(w), y),
  madd: (w, x, y) => {
    const h = half(w);
    const upper = BigInt(8 * h);
    return signed(h, x) * signed(h, y) + signed(h, x >> upper) * signed(h, y >> upper);
  },
  sad: (_w, x, y) => {
    let sum = 0n;
    for (let at = 0n; at < 64n; at += 8n) {
      const difference = ((x >> at) & 0xffn) - ((y >> at) & 0xffn);
      sum += difference < 0n ? -difference : difference;
    }
    return sum;
  },
  and: (_w, x, y) => x & y,
  or: (_w, x, y) => x | y,
  xor: (_w, x, y) => x ^ y,
  andNot: (_w, x, y) => ~x & y,
};

/** Those that move lanes; `x` and `y` are all lanes. */
const across = (op: VectorOp, w: Width, x: bigint[], y: bigint[]): bigint => {
  const middle = x.length / 2;
  const from = op === 'unpackHigh' ? middle : 0;
  switch (op) {
    case 'packS':
      return joined(
        half(w),
        [...x, ...y].map((lane) => saturateS(half(w), signed(w, lane))),
      );
    case 'packU':
      return joined(
        half(w),
        [...x, ...y].map((lane) => saturateU(half(w), signed(w, lane))),
      );
    default:
      return joined(
        w,
        x.slice(from, from + middle).flatMap((lane, i) => [lane, y[from + i]!]),
      );
  }
};

export class BigVectors extends BigArithmetic implements Vectors<bigint> {
  vec(op: VectorOp, w: Width, x: bigint, y: bigint): bigint {
    const ys = split(w, y);
    const each = lanewise[op];
    if (each === undefined) return across(op, w, split(w, x), ys);
    return joined(
      w,
      split(w, x).map((lane, i) => each(w, lane, ys[i]!)),
    );
  }

  vecShift(op: 'shl' | 'shr' | 'sar', w: Width, x: bigint, count: bigint): bigint {
    const by = clamp(count, 0n, BigInt(8 * w));
    const shift = (lane: bigint): bigint =>
      op === 'shl' ? lane << by : (op === 'shr' ? lane : signed(w, lane)) >> by;
    return joined(w, split(w, x).map(shift));
  }

  vecMask(w: Width, x: bigint): bigint {
    return split(w, x).reduceRight((mask, lane) => (mask << 1n) | (lane >> BigInt(8 * w - 1)), 0n);
  }

  lane(w: Width, x: bigint, index: bigint): bigint {
    return truncate(w, x >> (index * BigInt(8 * w)));
  }

  withLane(w: Width, x: bigint, index: bigint, value: bigint): bigint {
    const lanes = split(w, x);
    lanes[Number(index)] = value;
    return joined(w, lanes);
  }

  join(w: Width, lanes: readonly bigint[]): bigint {
    return joined(w, lanes);
  }
}
