/**
 * The x87: moves, arithmetic, comparisons. What is only of its control is in rows-x87-control.ts.
 * @source SDM vol. 1, chapter 8; vol. 2, chapter 3
 */
import type { Builder, Sized } from './builder.ts';
import type { X87Binary, X87Format, X87Unary } from './builder-x87.ts';
import { AF, CF, OF, PF, SF, ZF } from './flags.ts';
import { type Row, row, type Semantics } from './row.ts';
import { C0, C1, C2, C3 } from './x87-state.ts';

const FLOATS: Readonly<Record<number, X87Format>> = { 4: 'single', 8: 'double', 10: 'extended' };
const INTEGERS: Readonly<Record<number, X87Format>> = { 2: 'word', 4: 'dword', 8: 'qword' };
const DECIMAL: Readonly<Record<number, X87Format>> = { 10: 'decimal' };
type Formats = typeof FLOATS;

const x87 =
  (body: Semantics): Semantics =>
  (b, w, ...operands) =>
    b.x87(() => body(b, w, ...operands));

const popping =
  (body: Semantics, pops = 1): Semantics =>
  (b, w, ...operands) => {
    body(b, w, ...operands);
    for (let i = 0; i < pops; i++) b.x87Pop();
  };

const load = (formats: Formats): Semantics =>
  x87((b, _w, s) => {
    const bits = b.read(s);
    b.x87Room();
    b.x87Push(b.x87From(formats[s.width]!, bits));
  });

const store =
  (formats: Formats): Semantics =>
  (b, _w, d, s) =>
    b.write(d, b.x87To(formats[d.width]!, b.read(s)));

/** The binary point of 80 bits in two halves. */
const extended = <V, O extends Sized>(b: Builder<V, O>, exponent: number, significand: V): V =>
  b.join(8, [significand, b.imm(exponent)]);

/** A constant between two numbers: `below`, and the next; to the nearest is the next one if `closer`. */
const constant = (exponent: number, below: bigint, closer: boolean): Semantics =>
  x87((b) => {
    const rounding = b.and(8, b.shr(8, b.x87Field('control'), b.imm(10)), b.imm(3));
    const nearest = b.and(8, b.eq(rounding, b.imm(0)), b.imm(closer ? 1 : 0));
    const up = b.or(8, nearest, b.eq(rounding, b.imm(2)));
    b.x87Room();
    b.x87Push(extended(b, exponent, b.add(8, b.imm(below), up)));
  });

const exactly = (exponent: number, significand: bigint): Semantics =>
  x87((b) => {
    b.x87Room();
    b.x87Push(extended(b, exponent, b.imm(significand)));
  });

/** C1 is to stay what it is, unless there is a stack fault. */
export const keepC1 = <V, O extends Sized>(b: Builder<V, O>): void =>
  b.x87Codes(C1, b.and(8, b.x87Field('status'), b.imm(C1)));

const conditional = (flags: readonly number[], contrary: 0 | 1): Semantics =>
  x87((b, _w, d, s) => {
    const any = flags.map((flag) => b.flag(flag)).reduce((x, y) => b.or(8, x, y));
    const [y, x] = [b.read(s), b.read(d)];
    b.write(d, b.x87Select(b.xor(8, any, b.imm(contrary)), y, x));
    keepC1(b);
  });

const conditionalMoves = (
  [
    ['b', 0, [CF]],
    ['e', 1, [ZF]],
    ['be', 2, [CF, ZF]],
    ['u', 3, [PF]],
  ] as const
).flatMap(([condition, digit, flags]) => [
  row(`fcmov${condition}`, `DA/${digit} ST0,STi`, {}, conditional(flags, 0)),
  row(`fcmovn${condition}`, `DB/${digit} ST0,STi`, {}, conditional(flags, 1)),
]);

export const x87Moves = [
  row('fld', 'D9/0 Md  DD/0 Mq  DB/5 Mt  D9/0 STi', {}, load(FLOATS)),
  row('fild', 'DF/0 Mw  DB/0 Md  DF/5 Mq', {}, load(INTEGERS)),
  row('fbld', 'DF/4 Mt', {}, load(DECIMAL)),
  row('fst', 'D9/2 Md:ST0  DD/2 Mq:ST0  DD/2 STi:ST0', {}, x87(store(FLOATS))),
  row(
    'fstp',
    'D9/3 Md:ST0  DD/3 Mq:ST0  DB/7 Mt:ST0  DD/3 STi:ST0',
    {},
    x87(popping(store(FLOATS))),
  ),
  row('fist', 'DF/2 Mw:ST0  DB/2 Md:ST0', {}, x87(store(INTEGERS))),
  row('fistp', 'DF/3 Mw:ST0  DB/3 Md:ST0  DF/7 Mq:ST0', {}, x87(popping(store(INTEGERS)))),
  row('fbstp', 'DF/6 Mt:ST0', {}, x87(popping(store(DECIMAL)))),
  row(
    'fxch',
    'D9/1 ST0,STi',
    {},
    x87((b, _w, d, s) => {
      const [x, y] = [b.read(d), b.read(s)];
      b.write(d, y);
      b.write(s, x);
    }),
  ),
  row('fld1', 'D9E8', {}, exactly(0x3fff, 1n << 63n)),
  row('fldl2t', 'D9E9', {}, constant(0x4000, 0xd49a784bcd1b8afen, false)),
  row('fldl2e', 'D9EA', {}, constant(0x3fff, 0xb8aa3b295c17f0bbn, true)),
  row('fldpi', 'D9EB', {}, constant(0x4000, 0xc90fdaa22168c234n, true)),
  row('fldlg2', 'D9EC', {}, constant(0x3ffd, 0x9a209a84fbcff798n, true)),
  row('fldln2', 'D9ED', {}, constant(0x3ffe, 0xb17217f7d1cf79abn, true)),
  row('fldz', 'D9EE', {}, exactly(0, 0n)),
  ...conditionalMoves,
];

const compute =
  (op: X87Binary, formats: Formats, reversed: boolean): Semantics =>
  (b, _w, d, s) => {
    const [y, x] = [b.read(s), b.read(d)];
    const format = formats[s.width]!;
    b.write(d, reversed ? b.x87Reversed(op, x, y, format) : b.x87Binary(op, x, y, format));
  };

/** `digit`: in ModRM, also where `other` is exchanged with it. */
const arithmetic = (name: string, op: X87Binary, digit: number, other: number): Row[] => {
  const reversed = name.endsWith('r');
  const floats = compute(op, FLOATS, reversed);
  return [
    row(
      `f${name}`,
      `D8/${digit} ST0,Md  DC/${digit} ST0,Mq  D8/${digit} ST0,STi  DC/${other} STi,ST0`,
      {},
      x87(floats),
    ),
    row(`f${name}p`, `DE/${other} STi,ST0`, {}, x87(popping(floats))),
    row(
      `fi${name}`,
      `DA/${digit} ST0,Md  DE/${digit} ST0,Mw`,
      {},
      x87(compute(op, INTEGERS, reversed)),
    ),
  ];
};

const unary = (op: X87Unary): Semantics => x87((b, _w, d) => b.write(d, b.x87Unary(op, b.read(d))));

const binary = (op: X87Binary): Semantics => x87(compute(op, FLOATS, false));

export const x87Arithmetic = [
  ...arithmetic('add', 'add', 0, 0),
  ...arithmetic('mul', 'mul', 1, 1),
  ...arithmetic('sub', 'sub', 4, 5),
  ...arithmetic('subr', 'sub', 5, 4),
  ...arithmetic('div', 'div', 6, 7),
  ...arithmetic('divr', 'div', 7, 6),
  row('fchs', 'D9E0 :ST0', {}, unary('chs')),
  row('fabs', 'D9E1 :ST0', {}, unary('abs')),
  row('fsqrt', 'D9FA :ST0', {}, unary('sqrt')),
  row('frndint', 'D9FC :ST0', {}, unary('round')),
  row('fscale', 'D9FD :ST0,ST1', {}, binary('scale')),
  row('fprem', 'D9F8 :ST0,ST1', {}, binary('remainder')),
  row('fprem1', 'D9F5 :ST0,ST1', {}, binary('remainder1')),
  row(
    'fxtract',
    'D9F4 :ST0',
    {},
    x87((b, _w, d) => {
      const x = b.read(d);
      b.x87Room();
      const [exponent, significand] = b.x87Pair('extract', x);
      b.write(d, exponent);
      b.x87Push(significand);
    }),
  ),
];

const trigonometric = (op: 'sincos' | 'tan'): Semantics =>
  x87((b, _w, d) => {
    const x = b.read(d);
    b.x87Room();
    const [first, second, done] = b.x87Pair(op, x);
    b.write(d, first, done);
    b.x87Push(second, done);
  });

/** ST(1) becomes the result, and the top. */
const popped = (op: X87Binary): Semantics => x87(popping(compute(op, FLOATS, false)));

/** A finite number of at least that exponent: 1 for 3FFF, 1/2 for 3FFE. */
const atLeast = <V, O extends Sized>(b: Builder<V, O>, x: V, exponent: number): V => {
  const field = b.and(8, b.lane(8, x, b.imm(1)), b.imm(0x7fff));
  return b.ltu(b.sub(8, field, b.imm(exponent)), b.imm(0x7fff - exponent));
};

export const x87Functions = [
  row(
    'f2xm1',
    'D9F0 :ST0',
    {},
    x87((b, _w, d) => {
      const x = b.read(d);
      b.undefinedResult(atLeast(b, x, 0x3fff));
      b.write(d, b.x87Unary('exp1', x));
    }),
  ),
  row('fyl2x', 'D9F1 :ST1,ST0', {}, popped('log')),
  row(
    'fyl2xp1',
    'D9F9 :ST1,ST0',
    {},
    x87(
      popping((b, _w, d, s) => {
        const [x, y] = [b.read(s), b.read(d)];
        b.undefinedResult(atLeast(b, x, 0x3ffe));
        b.write(d, b.x87Binary('log1', y, x));
      }),
    ),
  ),
  row('fpatan', 'D9F3 :ST1,ST0', {}, popped('atan')),
  row('fptan', 'D9F2 :ST0', {}, trigonometric('tan')),
  row('fsin', 'D9FE :ST0', {}, unary('sin')),
  row('fcos', 'D9FF :ST0', {}, unary('cos')),
  row('fsincos', 'D9FB :ST0', {}, trigonometric('sincos')),
];

const comparison =
  (kind: 'quiet' | 'signalling', formats: Formats = FLOATS): Semantics =>
  (b, _w, x, y) =>
    b.x87Codes(C0 | C1 | C2 | C3, b.x87Compare(kind, b.read(x), b.read(y), formats[y.width]!));

/** To RFLAGS. C1 stays, as on every processor seen: the SDM's zero comes only with a stack fault. */
const comparisonFlags =
  (kind: 'quiet' | 'signalling'): Semantics =>
  (b, _w, x, y) => {
    const codes = b.x87Compare(kind, b.read(x), b.read(y));
    const bit = (code: number) => b.and(8, b.shr(8, codes, b.imm(Math.log2(code))), b.imm(1));
    b.setFlags([
      [CF, bit(C0)],
      [PF, bit(C2)],
      [ZF, bit(C3)],
      ...[OF, SF, AF].map((flag) => [flag, b.imm(0)] as const),
    ]);
    keepC1(b);
  };

const signalling = comparison('signalling');
const quiet = comparison('quiet');
const integer = comparison('signalling', INTEGERS);

export const x87Comparisons = [
  row('fcom', 'D8/2 ST0,Md  DC/2 ST0,Mq  D8/2 ST0,STi', {}, x87(signalling)),
  row('fcomp', 'D8/3 ST0,Md  DC/3 ST0,Mq  D8/3 ST0,STi', {}, x87(popping(signalling))),
  row('fcompp', 'DED9 :ST0,ST1', {}, x87(popping(signalling, 2))),
  row('ficom', 'DA/2 ST0,Md  DE/2 ST0,Mw', {}, x87(integer)),
  row('ficomp', 'DA/3 ST0,Md  DE/3 ST0,Mw', {}, x87(popping(integer))),
  row('fucom', 'DD/4 ST0,STi', {}, x87(quiet)),
  row('fucomp', 'DD/5 ST0,STi', {}, x87(popping(quiet))),
  row('fucompp', 'DAE9 :ST0,ST1', {}, x87(popping(quiet, 2))),
  row('fcomi', 'DB/6 ST0,STi', {}, x87(comparisonFlags('signalling'))),
  row('fcomip', 'DF/6 ST0,STi', {}, x87(popping(comparisonFlags('signalling')))),
  row('fucomi', 'DB/5 ST0,STi', {}, x87(comparisonFlags('quiet'))),
  row('fucomip', 'DF/5 ST0,STi', {}, x87(popping(comparisonFlags('quiet')))),
  row(
    'ftst',
    'D9E4 :ST0',
    {},
    x87((b, _w, x) =>
      b.x87Codes(
        C0 | C1 | C2 | C3,
        b.x87Compare('signalling', b.read(x), b.join(8, [b.imm(0), b.imm(0)])),
      ),
    ),
  ),
  row(
    'fxam',
    'D9E5',
    {},
    x87((b) => b.x87Codes(C0 | C1 | C2 | C3, b.x87Examine())),
  ),
];
