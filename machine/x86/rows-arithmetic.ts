/**
 * Arithmetic and logic.
 * @source SDM vol. 2, chapters 3 to 6
 */
import type { Builder, FlagKind, Helper, Sized, Width } from './builder.ts';
import { AF, CF, OF, PF, SF, STATUS, ZF } from './flags.ts';
import { row, type Semantics } from './row.ts';

/** The eight operations in a row of the opcode map: `00` to `05`, and `/n` of 80 to 83. */
const alu = (first: number): string => {
  const at = (i: number): string => (first * 8 + i).toString(16).toUpperCase().padStart(2, '0');
  return `${at(0)}/r Eb,Gb  ${at(1)}/r Ev,Gv  ${at(2)}/r Gb,Eb  ${at(3)}/r Gv,Ev  ${at(4)} AL,Ib  ${at(5)} rAX,Iz
    80/${first} Eb,Ib  81/${first} Ev,Iz  i64:82/${first} Eb,Ib  83/${first} Ev,Ibs`;
};

const sum =
  (op: 'add' | 'sub', carry: boolean): Semantics =>
  (b, w, d, s) => {
    const y = b.read(s);
    b.update(d, (x) => {
      const plain = b[op](w, x, y);
      const r = carry ? b[op](w, plain, b.flag(CF)) : plain;
      b.flags(op, w, r, x, y);
      return r;
    });
  };

const logic =
  (op: 'and' | 'or' | 'xor'): Semantics =>
  (b, w, d, s) => {
    const y = b.read(s);
    b.update(d, (x) => {
      const r = b[op](w, x, y);
      b.flags('logic', w, r, x, y);
      return r;
    });
    b.undefinedFlags(AF);
  };

const step =
  (op: 'add' | 'sub'): Semantics =>
  (b, w, d) => {
    b.update(d, (x) => {
      const r = b[op](w, x, b.imm(1));
      b.flags(op, w, r, x, b.imm(1), { mask: STATUS & ~CF });
      return r;
    });
  };

/** Both halves of a product, CF and OF set when `high` is more than the extension of `low`. */
const multiply =
  (high: 'mulhu' | 'mulhs'): Semantics =>
  (b, w, s, upper, lower) => {
    const x = b.read(lower);
    const y = b.read(s);
    productFlags(b, w, high, x, y);
    b.write(lower, b.mul(w, x, y));
    b.write(upper, b[high](w, x, y));
  };

const productFlags = <V, O extends Sized>(
  b: Builder<V, O>,
  w: Width,
  high: 'mulhu' | 'mulhs',
  x: V,
  y: V,
): void => {
  const sign = high === 'mulhs' ? b.sar(w, b.mul(w, x, y), b.imm(w * 8 - 1)) : b.imm(0);
  const lost = b.select(b.eq(b[high](w, x, y), sign), b.imm(0), b.imm(1));
  b.setFlags([
    [CF, lost],
    [OF, lost],
  ]);
  b.undefinedFlags(SF | ZF | AF | PF);
};

/** `imul` into its first operand. */
const product: Semantics = (b, w, d, s, t) => {
  const x = b.read(s);
  const y = b.read(t);
  productFlags(b, w, 'mulhs', x, y);
  b.write(d, b.mul(w, x, y));
};

const divide =
  (helper: Helper): Semantics =>
  (b, w, s, upper, lower) => {
    const [quotient, remainder] = b.helper(helper, w, b.read(upper), b.read(lower), b.read(s));
    b.write(lower, quotient);
    b.write(upper, remainder);
    b.undefinedFlags(STATUS);
  };

const compare =
  (op: 'sub' | 'and', kind: FlagKind): Semantics =>
  (b, w, d, s) => {
    const x = b.read(d);
    const y = b.read(s);
    b.flags(kind, w, b[op](w, x, y), x, y);
    if (kind === 'logic') b.undefinedFlags(AF);
  };

export const arithmetic = [
  row('add', alu(0), { lock: true }, sum('add', false)),
  row('or', alu(1), { lock: true }, logic('or')),
  row('adc', alu(2), { lock: true }, sum('add', true)),
  row('sbb', alu(3), { lock: true }, sum('sub', true)),
  row('and', alu(4), { lock: true }, logic('and')),
  row('sub', alu(5), { lock: true }, sum('sub', false)),
  row('xor', alu(6), { lock: true }, logic('xor')),
  row('cmp', alu(7), {}, compare('sub', 'sub')),
  row(
    'test',
    '84/r Eb,Gb  85/r Ev,Gv  A8 AL,Ib  A9 rAX,Iz  F6/0 Eb,Ib  F6/1 Eb,Ib  F7/0 Ev,Iz  F7/1 Ev,Iz',
    {},
    compare('and', 'logic'),
  ),
  row('inc', 'i64:40+r Zv  FE/0 Eb  FF/0 Ev', { lock: true }, step('add')),
  row('dec', 'i64:48+r Zv  FE/1 Eb  FF/1 Ev', { lock: true }, step('sub')),
  row('not', 'F6/2 Eb  F7/2 Ev', { lock: true }, (b, w, d) => {
    b.update(d, (x) => b.xor(w, x, b.imm(-1)));
  }),
  row('neg', 'F6/3 Eb  F7/3 Ev', { lock: true }, (b, w, d) => {
    b.update(d, (x) => {
      const r = b.sub(w, b.imm(0), x);
      b.flags('sub', w, r, b.imm(0), x);
      return r;
    });
  }),
  row('mul', 'F6/4 Eb:AH,AL  F7/4 Ev:rDX,rAX', {}, multiply('mulhu')),
  row('imul', 'F6/5 Eb:AH,AL  F7/5 Ev:rDX,rAX', {}, multiply('mulhs')),
  row('imul', '69/r Gv,Ev,Iz  6B/r Gv,Ev,Ibs', {}, product),
  row('imul', '0FAF/r Gv,Ev', {}, (b, w, d, s) => product(b, w, d, d, s)),
  row('div', 'F6/6 Eb:AH,AL  F7/6 Ev:rDX,rAX', {}, divide('div')),
  row('idiv', 'F6/7 Eb:AH,AL  F7/7 Ev:rDX,rAX', {}, divide('idiv')),
  row('cbw/cwde/cdqe', '98 :rAX', {}, (b, w, d) =>
    b.write(d, b.sext(w === 8 ? 4 : w === 4 ? 2 : 1, b.read(d))),
  ),
  row('cwd/cdq/cqo', '99 :rDX,rAX', {}, (b, w, d, s) =>
    b.write(d, b.sar(w, b.read(s), b.imm(w * 8 - 1))),
  ),
  row('xadd', '0FC0/r Rb,Gb  0FC1/r Rv,Gv', {}, (b, w, d, s) => {
    const [x, y] = [b.read(d), b.read(s)];
    const r = b.add(w, x, y);
    b.flags('add', w, r, x, y);
    b.write(s, x);
    b.write(d, r); // last: of xadd eax, eax the sum stays
  }),
  row('xadd', '0FC0/r Mb,Gb  0FC1/r Mv,Gv', { lock: true }, (b, w, d, s) => {
    const y = b.read(s);
    const old = b.update(d, (x) => {
      const r = b.add(w, x, y);
      b.flags('add', w, r, x, y);
      return r;
    });
    b.write(s, old);
  }),
];
