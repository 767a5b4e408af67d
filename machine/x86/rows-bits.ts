/**
 * Shifts, rotates and single bits.
 * @source SDM vol. 2, chapters 3 to 5
 */
import { RAX, RBX, RCX, RDX } from '../vcpu.ts';
import type { Builder, Sized, Width } from './builder.ts';
import { AF, CF, OF, PF, SF, STATUS, ZF } from './flags.ts';
import { row, type Semantics } from './row.ts';

const shiftForms = (digit: number): string =>
  `C0/${digit} Eb,Ib  C1/${digit} Ev,Ib  D0/${digit} Eb,1  D1/${digit} Ev,1  D2/${digit} Eb,CL  D3/${digit} Ev,CL`;

const count = <V, O extends Sized>(b: Builder<V, O>, w: Width, s: O): V =>
  b.and(1, b.read(s), b.imm(w === 8 ? 63 : 31));

const bit = <V, O extends Sized>(b: Builder<V, O>, w: Width, x: V, n: V): V =>
  b.and(w, b.shr(w, x, n), b.imm(1));

const top = <V, O extends Sized>(b: Builder<V, O>, w: Width, x: V): V =>
  b.shr(w, x, b.imm(w * 8 - 1));

/** OF is defined for shifts by one only. */
const looseOf = <V, O extends Sized>(b: Builder<V, O>, n: V): void =>
  b.undefinedFlags(OF, b.ltu(b.imm(1), n));

const shift =
  (op: 'shl' | 'shr' | 'sar'): Semantics =>
  (b, w, d, s) => {
    const n = count(b, w, s);
    b.update(d, (x) => {
      const r = b[op](w, x, n);
      b.flags(op, w, r, x, n, { when: n });
      return r;
    });
    b.undefinedFlags(AF, n);
    if (op !== 'sar') b.undefinedFlags(CF, b.ltu(b.imm(w * 8 - 1), n));
    looseOf(b, n);
  };

const rotate =
  (op: 'rol' | 'ror'): Semantics =>
  (b, w, d, s) => {
    const n = count(b, w, s);
    b.update(d, (x) => {
      const r = b[op](w, x, n);
      const carry = op === 'rol' ? b.and(1, r, b.imm(1)) : top(b, w, r);
      const other = op === 'rol' ? top(b, w, r) : bit(b, w, r, b.imm(w * 8 - 2));
      const flags = [[CF, carry] as const, [OF, b.xor(1, carry, other)] as const];
      b.setFlags(flags, n);
      return r;
    });
    looseOf(b, n);
  };

/** Through CF: a rotation of one bit more than the operand has. */
const rotateCarry =
  (op: 'rcl' | 'rcr'): Semantics =>
  (b, w, d, s) => {
    const bits = w * 8;
    const masked = count(b, w, s);
    let n = masked;
    for (let full = 0; full + bits + 1 < 32; full += bits + 1)
      n = b.select(b.ltu(n, b.imm(bits + 1)), n, b.sub(1, n, b.imm(bits + 1)));
    const left = op === 'rcl' ? n : b.sub(1, b.imm(bits + 1), n);
    b.update(d, (x) => {
      // carry:x rotated left by `left`, 1 to `bits`
      const right = b.sub(1, b.imm(bits), left);
      const carry = b.shl(w, b.flag(CF), b.sub(1, left, b.imm(1)));
      const low = b.or(w, carry, b.shr(w, b.shr(w, x, b.imm(1)), right));
      const high = b.shl(w, b.shl(w, x, b.sub(1, left, b.imm(1))), b.imm(1));
      const r = b.select(n, b.or(w, high, low), x);
      const out = b.select(n, bit(b, w, x, right), b.flag(CF));
      const other = op === 'rcl' ? out : bit(b, w, r, b.imm(bits - 2));
      const flags = [[CF, out] as const, [OF, b.xor(1, top(b, w, r), other)] as const];
      b.setFlags(flags, masked);
      return r;
    });
    looseOf(b, masked);
  };

/** Bits come in from a second operand. */
const doubleShift =
  (op: 'shl' | 'shr', back: 'shl' | 'shr'): Semantics =>
  (b, w, d, s, by) => {
    const n = count(b, w, by);
    const y = b.read(s);
    b.update(d, (x) => {
      const filled = b[back](w, y, b.sub(1, b.imm(w * 8), n));
      const r = b.select(n, b.or(w, b[op](w, x, n), filled), x);
      b.flags(op, w, r, x, n, { when: n });
      return r;
    });
    b.undefinedFlags(AF, n);
    looseOf(b, n);
    if (w === 2) {
      const beyond = b.ltu(b.imm(16), n);
      b.undefinedFlags(STATUS, beyond);
      b.undefinedResult(beyond);
    }
  };

type Change = <V, O extends Sized>(b: Builder<V, O>, w: Width, x: V, mask: V) => V;

/** The bit goes to CF. `far`: a register names a bit of the string that begins at the memory operand. */
const bitTest =
  (change: Change | undefined, far: boolean): Semantics =>
  (b, w, d, s) => {
    const offset = b.read(s);
    const n = b.and(1, offset, b.imm(w * 8 - 1));
    const unit = b.imm(Math.log2(w * 8));
    const at = far ? b.mul(8, b.sar(8, b.sext(w, offset), unit), b.imm(w)) : undefined;
    if (change === undefined) {
      b.setFlags([[CF, bit(b, w, b.read(d, at), n)]]);
    } else {
      b.update(
        d,
        (x) => {
          b.setFlags([[CF, bit(b, w, x, n)]]);
          return change(b, w, x, b.shl(w, b.imm(1), n));
        },
        at,
      );
    }
    b.undefinedFlags(OF | SF | AF | PF);
  };

const set: Change = (b, w, x, mask) => b.or(w, x, mask);
const reset: Change = (b, w, x, mask) => b.and(w, x, b.xor(w, mask, b.imm(-1)));
const complement: Change = (b, w, x, mask) => b.xor(w, x, mask);

const scan =
  (op: 'ctz' | 'clz'): Semantics =>
  (b, w, d, s) => {
    const x = b.read(s);
    // for zero the destination stays, as AMD says and Intel does
    const found = op === 'ctz' ? b.ctz(w, x) : b.sub(w, b.imm(w * 8 - 1), b.clz(w, x));
    b.setFlags([[ZF, b.eq(x, b.imm(0))]]);
    b.undefinedFlags(CF | OF | SF | AF | PF);
    b.write(d, found, x);
  };

/** @returns whether they are equal. */
const compareFlags = <V, O extends Sized>(b: Builder<V, O>, w: Width, x: V, y: V): V => {
  b.flags('sub', w, b.sub(w, x, y), x, y);
  return b.eq(x, y);
};

export const bits = [
  row('rol', shiftForms(0), {}, rotate('rol')),
  row('ror', shiftForms(1), {}, rotate('ror')),
  row('rcl', shiftForms(2), {}, rotateCarry('rcl')),
  row('rcr', shiftForms(3), {}, rotateCarry('rcr')),
  row('shl', `${shiftForms(4)}  ${shiftForms(6)}`, {}, shift('shl')),
  row('shr', shiftForms(5), {}, shift('shr')),
  row('sar', shiftForms(7), {}, shift('sar')),
  row('shld', '0FA4/r Ev,Gv,Ib  0FA5/r Ev,Gv,CL', {}, doubleShift('shl', 'shr')),
  row('shrd', '0FAC/r Ev,Gv,Ib  0FAD/r Ev,Gv,CL', {}, doubleShift('shr', 'shl')),

  row('bt', '0FA3/r Rv,Gv  0FBA/4 Ev,Ib', {}, bitTest(undefined, false)),
  row('bt', '0FA3/r Mv,Gv', {}, bitTest(undefined, true)),
  row('bts', '0FAB/r Rv,Gv  0FBA/5 Ev,Ib', { lock: true }, bitTest(set, false)),
  row('bts', '0FAB/r Mv,Gv', { lock: true }, bitTest(set, true)),
  row('btr', '0FB3/r Rv,Gv  0FBA/6 Ev,Ib', { lock: true }, bitTest(reset, false)),
  row('btr', '0FB3/r Mv,Gv', { lock: true }, bitTest(reset, true)),
  row('btc', '0FBB/r Rv,Gv  0FBA/7 Ev,Ib', { lock: true }, bitTest(complement, false)),
  row('btc', '0FBB/r Mv,Gv', { lock: true }, bitTest(complement, true)),
  row('bsf', '0FBC/r Gv,Ev', {}, scan('ctz')),
  row('bsr', '0FBD/r Gv,Ev', {}, scan('clz')),

  row('cmpxchg', '0FB0/r Rb,Gb:AL  0FB1/r Rv,Gv:rAX', {}, (b, w, d, s, a) => {
    const [expected, x, y] = [b.read(a), b.read(d), b.read(s)];
    const equal = compareFlags(b, w, expected, x);
    b.write(d, y, equal);
    b.write(a, x, b.eq(equal, b.imm(0)));
  }),
  row('cmpxchg', '0FB0/r Mb,Gb:AL  0FB1/r Mv,Gv:rAX', { lock: true }, (b, w, d, s, a) => {
    const [expected, y] = [b.read(a), b.read(s)];
    const found = b.update(d, (x) => b.select(b.eq(expected, x), y, x));
    const equal = compareFlags(b, w, expected, found);
    b.write(a, found, b.eq(equal, b.imm(0)));
  }),
  row('cmpxchg8b', '0FC7/1 Mq', { lock: true, rexW: false }, (b, _w, d) => {
    const join = <V, O extends Sized>(to: Builder<V, O>, high: V, low: V): V =>
      to.or(8, to.shl(8, high, to.imm(32)), to.and(4, low, to.imm(-1)));
    const expected = join(b, b.get(RDX), b.get(RAX));
    const y = join(b, b.get(RCX), b.get(RBX));
    const [high, low] = [b.get(RDX), b.get(RAX)];
    const found = b.update(d, (x) => b.select(b.eq(expected, x), y, x));
    const equal = b.eq(expected, found);
    b.setFlags([[ZF, equal]]);
    b.set(RAX, b.select(equal, low, b.and(4, found, b.imm(-1))));
    b.set(RDX, b.select(equal, high, b.shr(8, found, b.imm(32))));
  }),
  row('cmpxchg16b', '0FC7/1 Mu', { lock: true, rexW: true }, (b, _w, d) => {
    const [low, high] = [b.get(RAX), b.get(RDX)];
    const [newLow, newHigh] = [b.get(RBX), b.get(RCX)];
    const same = (x: typeof low, y: typeof high) => b.and(1, b.eq(x, low), b.eq(y, high));
    const [x, y] = b.updatePair(d, (l, h) => [
      b.select(same(l, h), newLow, l),
      b.select(same(l, h), newHigh, h),
    ]);
    b.setFlags([[ZF, same(x, y)]]);
    b.set(RAX, x);
    b.set(RDX, y);
  }),
];
