/** Numbers worth computing with, and ways to compute. */
import { DOUBLE, type Format, SINGLE } from '../../../machine/x86/softfloat.ts';
import type { Choices } from '../../properties/choices.ts';

const DEFAULT_MXCSR = 0x1f80;

/** Mostly everything masked; any rounding; often denormals as zeros, flush to zero; any flags already raised. */
export const anyMxcsr = (r: Choices): number => {
  if (r.chance(30)) return DEFAULT_MXCSR;
  const loose = (r.bits() & 0x603f) | (r.chance(25) ? 0x40 : 0) | (r.chance(25) ? 0x8000 : 0);
  if (r.chance(70)) return loose | DEFAULT_MXCSR;
  return loose | (DEFAULT_MXCSR & (r.chance(50) ? ~(0x80 << r.below(6)) : r.bits()));
};

/** Bits from few runs of ones, or random. */
const fraction = (r: Choices, bits: number): bigint => {
  const full = (1n << BigInt(bits)) - 1n;
  switch (r.below(6)) {
    case 0:
      return 0n;
    case 1:
      return full;
    case 2:
      return BigInt(1 + r.below(4));
    case 3:
      return full - BigInt(r.below(4));
    case 4:
      return (1n << BigInt(r.below(bits))) | (1n << BigInt(r.below(bits)));
    default:
      return r.u64() & full;
  }
};

/** Where something happens: the ends; the ends of single precision and of integers; where products leave the range. */
const exponent = (r: Choices, bias: number): number => {
  const near = (at: number, by: number): number => bias + at - by + r.below(2 * by + 1);
  switch (r.below(10)) {
    case 0:
      return r.below(3);
    case 1:
      return 2 * bias + 1 - r.below(3);
    case 2:
      return near(r.pick([-bias >> 1, bias >> 1]), 14);
    case 3:
      return near(r.pick([31, 52, 63]), 2);
    case 4:
      return near(r.pick([-149, -126, 127]), 3);
    case 5:
      return r.bits();
    default:
      return near(0, 5);
  }
};

const EDGES = [0n, 1n, 2n, 3n];

/** The bits of a number of `w` bytes. */
export const anyFloat = (r: Choices, w: 4 | 8): bigint => {
  const f: Format = w === 4 ? SINGLE : DOUBLE;
  const bits = f.precision - 1;
  const top = 2 ** f.exponentBits - 1;
  const special = r.chance(20);
  const field = special ? r.pick([0, top]) : exponent(r, top >> 1) & top;
  const quiet = r.pick(EDGES) << BigInt(bits - 2);
  const low = special ? quiet | (r.chance(50) ? r.pick(EDGES) : 0n) : fraction(r, bits);
  const sign = r.chance(35) ? BigInt(top + 1) : 0n;
  return ((sign | BigInt(field)) << BigInt(bits)) | low;
};
