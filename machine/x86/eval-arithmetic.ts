/**
 * The pure operations on BigInt, and the flags of a result. Slow, exact and plain: what the other builders are compared with.
 * @source SDM vol. 1, 3.4.3.1
 */
import type { Arithmetic, FlagKind, Width } from './builder.ts';
import { AF, CF, OF, PF, SF, ZF } from './flags.ts';

export const truncate = (w: Width, x: bigint): bigint => BigInt.asUintN(w * 8, x);
export const signed = (w: Width, x: bigint): bigint => BigInt.asIntN(w * 8, x);

const bool = (value: boolean): bigint => (value ? 1n : 0n);

const rotateLeft = (w: Width, x: bigint, n: bigint): bigint => {
  const bits = BigInt(w * 8);
  const by = n % bits;
  return (x << by) | (x >> (bits - by));
};

export class BigArithmetic implements Arithmetic<bigint> {
  imm(value: number | bigint): bigint {
    return BigInt.asUintN(64, BigInt(value));
  }

  add(w: Width, x: bigint, y: bigint): bigint {
    return truncate(w, x + y);
  }

  sub(w: Width, x: bigint, y: bigint): bigint {
    return truncate(w, x - y);
  }

  and(w: Width, x: bigint, y: bigint): bigint {
    return truncate(w, x & y);
  }

  or(w: Width, x: bigint, y: bigint): bigint {
    return truncate(w, x | y);
  }

  xor(w: Width, x: bigint, y: bigint): bigint {
    return truncate(w, x ^ y);
  }

  mul(w: Width, x: bigint, y: bigint): bigint {
    return truncate(w, x * y);
  }

  mulhu(w: Width, x: bigint, y: bigint): bigint {
    return truncate(w, (truncate(w, x) * truncate(w, y)) >> BigInt(w * 8));
  }

  mulhs(w: Width, x: bigint, y: bigint): bigint {
    return truncate(w, (signed(w, x) * signed(w, y)) >> BigInt(w * 8));
  }

  shl(w: Width, x: bigint, y: bigint): bigint {
    return truncate(w, x << (y & 63n));
  }

  shr(w: Width, x: bigint, y: bigint): bigint {
    return truncate(w, truncate(w, x) >> (y & 63n));
  }

  sar(w: Width, x: bigint, y: bigint): bigint {
    return truncate(w, signed(w, x) >> (y & 63n));
  }

  rol(w: Width, x: bigint, y: bigint): bigint {
    return truncate(w, rotateLeft(w, truncate(w, x), y));
  }

  ror(w: Width, x: bigint, y: bigint): bigint {
    return truncate(w, rotateLeft(w, truncate(w, x), BigInt(w * 8) - (y % BigInt(w * 8))));
  }

  sext(w: Width, x: bigint): bigint {
    return BigInt.asUintN(64, signed(w, x));
  }

  bswap(w: Width, x: bigint): bigint {
    let value = 0n;
    for (let i = 0; i < w; i++) value = (value << 8n) | ((x >> BigInt(8 * i)) & 0xffn);
    return value;
  }

  ctz(_w: Width, x: bigint): bigint {
    return BigInt((x & -x).toString(2).length - 1);
  }

  clz(w: Width, x: bigint): bigint {
    return BigInt(w * 8 - x.toString(2).length);
  }

  eq(x: bigint, y: bigint): bigint {
    return bool(x === y);
  }

  ltu(x: bigint, y: bigint): bigint {
    return bool(x < y);
  }

  select(condition: bigint, x: bigint, y: bigint): bigint {
    return condition !== 0n ? x : y;
  }
}

const evenParity = (x: bigint): boolean => {
  let byte = Number(x & 0xffn);
  byte ^= byte >> 4;
  byte ^= byte >> 2;
  byte ^= byte >> 1;
  return (byte & 1) === 0;
};

/** CF, AF and OF. In a sum, bit i of the carries is that out of bit i, whatever came in below. */
const carries = (kind: FlagKind, w: Width, r: bigint, x: bigint, y: bigint): number => {
  const bits = BigInt(w * 8);
  const top = (value: bigint): boolean => ((value >> (bits - 1n)) & 1n) !== 0n;
  const low = (value: bigint): boolean => (value & 1n) !== 0n;
  const out = (carry: boolean, adjust: boolean, overflow: boolean): number =>
    (carry ? CF : 0) | (adjust ? AF : 0) | (overflow ? OF : 0);
  const adjust = ((x ^ y ^ r) & 0x10n) !== 0n;
  switch (kind) {
    case 'add':
      return out(top((x & y) | ((x | y) & ~r)), adjust, top((x ^ r) & (y ^ r)));
    case 'sub':
      return out(top((~x & y) | ((~x | y) & r)), adjust, top((x ^ y) & (x ^ r)));
    case 'logic':
      return 0;
    case 'shl':
      return out(low((x << y) >> bits), false, top(r ^ x));
    case 'shr':
      return out(low(x >> (y - 1n)), false, top(r ^ x));
    case 'sar':
      return out(low(signed(w, x) >> (y - 1n)), false, false);
  }
};

/** The six status flags. */
export const statusFlags = (kind: FlagKind, w: Width, r: bigint, x: bigint, y: bigint): number =>
  carries(kind, w, r, x, y) |
  (r === 0n ? ZF : 0) |
  ((r >> BigInt(w * 8 - 1)) & 1n ? SF : 0) |
  (evenParity(r) ? PF : 0);

/** Conditions in pairs; the odd one is the contrary. */
export const condition = (code: number, flags: number): boolean => {
  const is = (mask: number): boolean => (flags & mask) !== 0;
  const less = is(SF) !== is(OF);
  const holds = [is(OF), is(CF), is(ZF), is(CF | ZF), is(SF), is(PF), less, less || is(ZF)];
  return holds[code >> 1]! !== ((code & 1) === 1);
};

/** Quotient and remainder, if the quotient has `w` bytes. */
export const divided = (
  isSigned: boolean,
  w: Width,
  dividend: bigint,
  divisor: bigint,
): readonly [bigint, bigint] | undefined => {
  const x = isSigned ? BigInt.asIntN(16 * w, dividend) : dividend;
  const y = isSigned ? signed(w, divisor) : divisor;
  if (y === 0n) return undefined;
  const quotient = x / y;
  const kept = isSigned ? signed(w, quotient) : truncate(w, quotient);
  return kept === quotient ? [truncate(w, quotient), truncate(w, x % y)] : undefined;
};

/** `old`, and where it lies in `bytes` bytes of `pushed` what they hold; it begins `at` bytes after them. */
export const overlay = (old: bigint, pushed: bigint, bytes: number, at: bigint): bigint => {
  const length = BigInt(bytes);
  if (at <= -length || at >= length) return old;
  const move = (x: bigint): bigint => (at >= 0n ? x >> (8n * at) : x << (-8n * at));
  const covered = move((1n << (8n * length)) - 1n);
  return (old & ~covered) | move(pushed);
};
