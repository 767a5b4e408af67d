/** States of the x87 worth starting from. */
import {
  EXCEPTIONS,
  physical,
  SUMMARY,
  setWords,
  TOP,
  tagOf,
  top,
  type X87Registers,
} from '../../../machine/x86/x87-state.ts';
import type { Choices } from '../../properties/choices.ts';
import type { Case } from './case.ts';
import { FCW } from './case.ts';
import type { Maker } from './maker.ts';

const BIAS = 0x3fff;
const TOP_BIT = 1n << 63n;
const FULL = (1n << 64n) - 1n;

/** Around what is halfway between two numbers of 24, 53 or all bits; integers; runs of ones. */
const significand = (r: Choices): bigint => {
  const kept = r.pick([24, 53, 63]);
  const half = 1n << BigInt(63 - kept);
  const upper = (TOP_BIT | r.u64()) & ~((half << 1n) - 1n);
  switch (r.below(8)) {
    case 0:
      return TOP_BIT;
    case 1:
      return FULL - (r.chance(50) ? 0n : BigInt(r.below(4)));
    case 2:
      return TOP_BIT | BigInt(r.below(4));
    case 3:
      return upper | (half + BigInt(r.below(3) - 1));
    case 4:
      return upper | half;
    case 5:
      return (BigInt(1 + r.below(1000)) << 54n) | TOP_BIT;
    default:
      return TOP_BIT | r.u64();
  }
};

const exponent = (r: Choices): number => {
  const near = (at: number, by: number): number => BIAS + at - by + r.below(2 * by + 1);
  switch (r.below(10)) {
    case 0:
      return 1 + r.below(66);
    case 1:
      return 0x7ffe - r.below(3);
    case 2:
      return near(r.pick([31, 52, 60, 63]), 4);
    case 3:
      return near(r.pick([-1074, -1022, -149, -126, 127, 1023]), 4);
    case 4:
      return near(r.pick([-8191, 8191]), 14);
    case 5:
      return 1 + r.below(0x7ffe);
    default:
      return near(0, 8);
  }
};

/** 80 bits: mostly a number; also zeros, denormals, infinities, NaNs and what is no number at all. */
export const anyExtended = (r: Choices): bigint => {
  const sign = r.chance(35) ? 0x8000 : 0;
  const join = (field: number, low: bigint): bigint => (BigInt(sign | field) << 64n) | low;
  switch (r.below(18)) {
    case 0:
      return join(0, 0n);
    case 1:
      return join(0, r.u64() >> BigInt(1 + r.below(63))); // denormal
    case 2:
      return r.chance(50) ? join(0, TOP_BIT | r.u64()) : join(exponent(r), r.u64() >> 1n); // pseudo, unnormal
    case 3:
      return join(0x7fff, TOP_BIT); // infinity
    case 4:
      return join(0x7fff, TOP_BIT | (BigInt(r.below(4)) << 61n) | BigInt(r.below(3)));
    case 5:
      return r.chance(30)
        ? (r.u64() << 16n) | BigInt(r.below(0x10000))
        : join(0x7fff, TOP_BIT | r.u64());
    default:
      return join(exponent(r), significand(r));
  }
};

const DEFAULT = 0x7f;

const anyControl = (r: Choices): number => {
  const modes = (r.chance(60) ? 0x300 : r.bits() & 0x300) | (r.bits() & 0xc00);
  const masks = r.chance(70)
    ? DEFAULT
    : r.chance(60)
      ? DEFAULT & ~(1 << r.below(6))
      : r.bits() & DEFAULT;
  return modes | masks;
};

/** FOP, FIP and FDP as FXSAVE shows them: AMD's does only while an exception is pending. @source APM vol. 2, 11.4.4 */
export const putX87 = (test: Case, x87: X87Registers, maker: Maker): void => {
  const { view } = test;
  view.setUint16(FCW, x87.control, true);
  view.setUint16(FCW + 2, x87.status, true);
  view.setUint16(FCW + 4, x87.valid, true);
  const shown = maker === 'intel' || (x87.status & SUMMARY) !== 0;
  view.setUint16(FCW + 6, shown ? x87.opcode : 0, true);
  test.set(FCW + 8, shown ? x87.ip : 0n);
  test.set(FCW + 16, shown ? x87.dp : 0n);
  const after = 2 * top(x87);
  test.stackWords.set(x87.words.subarray(after), 0);
  test.stackWords.set(x87.words.subarray(0, after), 16 - after);
};

export const getX87 = (test: Case, x87: X87Registers): void => {
  const { view } = test;
  setWords(x87, view.getUint16(FCW, true), view.getUint16(FCW + 2, true));
  x87.valid = view.getUint16(FCW + 4, true);
  x87.opcode = view.getUint16(FCW + 6, true);
  x87.ip = test.get(FCW + 8);
  x87.dp = test.get(FCW + 16);
  const after = 2 * top(x87);
  x87.words.set(test.stackWords.subarray(0, 16 - after), after);
  x87.words.set(test.stackWords.subarray(16 - after), 0);
};

/** Other words and other numbers near the top of the stack; TOP and the rest stay. */
export const renew = (r: Choices, x87: X87Registers): void => {
  const control = anyControl(r);
  const flags = r.chance(60) ? 0 : r.bits() & (r.chance(85) ? control & EXCEPTIONS : EXCEPTIONS);
  setWords(x87, control, (x87.status & TOP) | (r.bits() & 0x4740) | flags);
  x87.valid = r.chance(60) ? 0xff : r.bits() & 0xff;
  x87.opcode = r.bits() & 0x7ff;
  x87.ip = r.u64() >> 17n;
  x87.dp = r.u64() >> 17n;
  const [first, second] = [physical(x87, 0), physical(x87, r.chance(70) ? 1 : r.below(8))];
  x87.setRegister(first, anyExtended(r));
  x87.setRegister(second, r.chance(8) ? x87.register(first) : anyExtended(r));
};

/** Numbers to copy: drawing all eight anew would take most of the time of a case. */
const POOL = 1 << 11;

/** States whose registers are eight of a pool of numbers. */
export class X87Pool {
  readonly #random: Choices;
  readonly #words = new BigUint64Array(2 * POOL);

  constructor(random: Choices) {
    this.#random = random;
    for (let i = 0; i < POOL; i++) {
      const value = anyExtended(random);
      this.#words[2 * i] = value;
      this.#words[2 * i + 1] = value >> 64n;
    }
  }

  fill(x87: X87Registers): void {
    const r = this.#random;
    const from = 2 * r.below(POOL - 8);
    x87.words.set(this.#words.subarray(from, from + 16));
    x87.status = r.bits() & TOP;
    renew(r, x87);
  }
}

/** For reports. */
export const describeX87 = (x87: X87Registers): string => {
  const words = `fcw=${x87.control.toString(16)} fsw=${x87.status.toString(16)}`;
  const stack = Array.from({ length: 8 }, (_, i) => {
    const at = physical(x87, i);
    const name = tagOf(x87, at) === 3 ? `(st${i})` : `st${i}`;
    return `${name}=${x87.register(at).toString(16).padStart(20, '0')}`;
  });
  return `${words} ${stack.join(' ')}`;
};
