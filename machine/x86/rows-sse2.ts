/**
 * SSE, SSE2 and MMX: moves, integers, and the bitwise and shuffling floating-point instructions, which look at no number.
 * What SSE2 does with 16 bytes MMX does with 8.
 * @source SDM vol. 2, chapters 3 to 5
 */
import type { Builder, Sized, VectorOp, Width } from './builder.ts';
import { type Row, row, type Semantics } from './row.ts';

const move: Semantics = (b, _w, d, s) => b.write(d, b.read(s));

const MMX = 8;

/** Around what works on MMX registers only. */
export const mmx =
  (body: Semantics): Semantics =>
  (b, w, ...operands) =>
    b.mmx(() => body(b, w, ...operands));

/** Around what works on MMX registers where operand `i` has their width. */
const either =
  (i: 0 | 1, body: Semantics): Semantics =>
  (b, w, ...operands) =>
    (operands[i]!.width === MMX ? mmx(body) : body)(b, w, ...operands);

/** The high half of `s`. */
const moveHigh: Semantics = (b, _w, d, s) => {
  const x = b.read(s);
  b.write(d, b.vec('unpackHigh', 8, x, x));
};

const lanes = (op: VectorOp, lane: Width): Semantics =>
  either(0, (b, _w, d, s) => {
    const [x, y] = [b.read(d), b.read(s)];
    b.write(d, d.width === MMX ? halves(b, op, lane, x, y) : b.vec(op, lane, x, y));
  });

/** The low half is the result on the 8 bytes of `x` and of `y`. */
const halves = <V, O extends Sized>(b: Builder<V, O>, op: VectorOp, lane: Width, x: V, y: V): V => {
  if (op === 'unpackHigh')
    return b.vec('unpackLow', lane, b.shr(8, x, b.imm(32)), b.shr(8, y, b.imm(32)));
  if (op !== 'packS' && op !== 'packU') return b.vec(op, lane, x, y);
  const both = b.vec('unpackLow', 8, x, y);
  return b.vec(op, lane, both, both);
};

const SUFFIX: Readonly<Record<number, string>> = { 1: 'b', 2: 'w', 4: 'd', 8: 'q' };

/** One row for each opcode, of lanes 1, 2, 4 and 8 bytes; '' is none. */
const family = (name: string, op: VectorOp, ...opcodes: string[]): Row[] =>
  opcodes.flatMap((opcode, i) => {
    const lane = (1 << i) as Width;
    if (opcode === '') return [];
    return [one(`${name}${SUFFIX[lane]}`, opcode, op, lane)];
  });

const one = (name: string, opcode: string, op: VectorOp, lane: Width, source = 'Qq'): Row =>
  row(name, `66:0F${opcode}/r Vx,Wx  NP:0F${opcode}/r Pq,${source}`, {}, lanes(op, lane));

const wideOnly = (name: string, opcode: string, op: VectorOp, lane: Width): Row =>
  row(name, `66:0F${opcode}/r Vx,Wx`, {}, lanes(op, lane));

/** For `ps` and `pd` alike. */
const both = (name: string, opcode: string, op: VectorOp, single: Width, double: Width): Row[] => [
  row(`${name}ps`, `NP:0F${opcode}/r Vx,Wx`, {}, lanes(op, single)),
  row(`${name}pd`, `66:0F${opcode}/r Vx,Wx`, {}, lanes(op, double)),
];

const shift = (
  name: string,
  op: 'shl' | 'shr' | 'sar',
  lane: Width,
  opcode: string,
  digit: number,
): Row => {
  const immediate = `0F${{ 2: 71, 4: 72, 8: 73 }[lane as 2 | 4 | 8]}/${digit}`;
  return row(
    name,
    `66:0F${opcode}/r Vx,Wx  66:${immediate} Ux,Ib  NP:0F${opcode}/r Pq,Qq  NP:${immediate} Nq,Ib`,
    {},
    either(0, (b, _w, d, s) =>
      b.write(d, b.vecShift(op, lane, b.read(d), b.lane(8, b.read(s), b.imm(0)))),
    ),
  );
};

const byteShift =
  (op: 'shl' | 'shr'): Semantics =>
  (b, _w, d, s) =>
    b.write(d, b.vecShift(op, 16, b.read(d), b.shl(8, b.read(s), b.imm(3))));

/** Lane `i` of the result is that of `s` which bits 2i of the immediate name; those before `from` are kept, as after it. */
const shuffle =
  (lane: Width, from: number): Semantics =>
  (b, _w, d, s, order) => {
    const x = b.read(s);
    const by = b.read(order);
    const kept = Array.from({ length: 16 / lane }, (_, i) => b.lane(lane, x, b.imm(i)));
    for (let i = 0; i < 4; i++) {
      const index = b.and(1, b.shr(1, by, b.imm(2 * i)), b.imm(3));
      kept[from + i] = b.lane(lane, x, b.add(1, index, b.imm(from)));
    }
    b.write(d, b.join(lane, kept));
  };

/** The lower lanes come from `d`, the upper ones from `s`. */
const select =
  (lane: Width): Semantics =>
  (b, _w, d, s, order) => {
    const [x, y, by] = [b.read(d), b.read(s), b.read(order)];
    const count = 16 / lane;
    const bits = Math.log2(count);
    const picked = Array.from({ length: count }, (_, i) => {
      const index = b.and(1, b.shr(1, by, b.imm(bits * i)), b.imm(count - 1));
      return b.lane(lane, i < count / 2 ? x : y, index);
    });
    b.write(d, b.join(lane, picked));
  };

const maskedMove: Semantics = (b, _w, s, mask, d) => {
  const chosen = b.vecShift('sar', 1, b.read(mask), b.imm(7));
  b.update(d, (old) =>
    b.vec('or', 8, b.vec('and', 8, chosen, b.read(s)), b.vec('andNot', 8, chosen, old)),
  );
};

/** An immediate, as the number of a word in `vector`. */
const wordIndex = <V, O extends Sized>(b: Builder<V, O>, vector: Sized, i: O): V =>
  b.and(1, b.read(i), b.imm(vector.width / 2 - 1));

export const mmxMoves = [
  row('emms', 'NP:0F77', {}, (b) => {
    b.mmx(() => {});
    b.setX87Field('valid', b.imm(0));
  }),
  row('movd', 'NP:0F6E/r Pq,Ed  NP:0F7E/r Ed,Pd', { rexW: false }, mmx(move)),
  row('movq', 'NP:0F6E/r Pq,Eq  NP:0F7E/r Eq,Pq', { rexW: true }, mmx(move)),
  row('movq', 'NP:0F6F/r Pq,Qq  NP:0F7F/r Qq,Pq', {}, mmx(move)),
  row('movntq', 'NP:0FE7/r Mq,Pq', {}, mmx(move)),
  row('movdq2q', 'F2:0FD6/r Pq,Uq', {}, mmx(move)),
  row('movq2dq', 'F3:0FD6/r Vx,Nq', {}, mmx(move)),
  row('maskmovq', 'NP:0FF7/r Pq,Nq:Tq', {}, mmx(maskedMove)),
  row('pshufw', 'NP:0F70/r Pq,Qq,Ib', {}, mmx(shuffle(2, 0))),
];

export const sse2Moves = [
  row('movd', '66:0F6E/r Vx,Ed  66:0F7E/r Ed,Vd', { rexW: false }, move),
  row('movq', '66:0F6E/r Vx,Eq  66:0F7E/r Eq,Vq', { rexW: true }, move),
  row('movq', 'F3:0F7E/r Vx,Wq  66:0FD6/r Mq,Vq  66:0FD6/r Ux,Vq', {}, move),
  row('movdqa', '66:0F6F/r Vx,Wx  66:0F7F/r Wx,Vx', {}, move),
  row('movdqu', 'F3:0F6F/r Vu,Wu  F3:0F7F/r Wu,Vu', {}, move),
  row('movaps', 'NP:0F28/r Vx,Wx  NP:0F29/r Wx,Vx', {}, move),
  row('movapd', '66:0F28/r Vx,Wx  66:0F29/r Wx,Vx', {}, move),
  row('movups', 'NP:0F10/r Vu,Wu  NP:0F11/r Wu,Vu', {}, move),
  row('movupd', '66:0F10/r Vu,Wu  66:0F11/r Wu,Vu', {}, move),
  row('movss', 'F3:0F10/r Vx,Md  F3:0F10/r Vd,Ud  F3:0F11/r Wd,Vd', {}, move),
  row('movsd', 'F2:0F10/r Vx,Mq  F2:0F10/r Vq,Uq  F2:0F11/r Wq,Vq', {}, move),
  row('movlps', 'NP:0F12/r Vq,Mq  NP:0F13/r Mq,Vq', {}, move),
  row('movlpd', '66:0F12/r Vq,Mq  66:0F13/r Mq,Vq', {}, move),
  row('movhps', 'NP:0F17/r Mq,Vx', {}, moveHigh),
  row('movhpd', '66:0F17/r Mq,Vx', {}, moveHigh),
  row('movhps', 'NP:0F16/r Vx,Mq', {}, lanes('unpackLow', 8)),
  row('movhpd', '66:0F16/r Vx,Mq', {}, lanes('unpackLow', 8)),
  row('movhlps', 'NP:0F12/r Vq,Ux', {}, moveHigh),
  row('movlhps', 'NP:0F16/r Vx,Ux', {}, lanes('unpackLow', 8)),
  row('movntps', 'NP:0F2B/r Mx,Vx', {}, move),
  row('movntpd', '66:0F2B/r Mx,Vx', {}, move),
  row('movntdq', '66:0FE7/r Mx,Vx', {}, move),
  row(
    'pmovmskb',
    '66:0FD7/r Gd,Ux  NP:0FD7/r Gd,Nq',
    {},
    either(1, (b, _w, d, s) => b.write(d, b.vecMask(1, b.read(s)))),
  ),
  row('movmskps', 'NP:0F50/r Gd,Ux', {}, (b, _w, d, s) => b.write(d, b.vecMask(4, b.read(s)))),
  row('movmskpd', '66:0F50/r Gd,Ux', {}, (b, _w, d, s) => b.write(d, b.vecMask(8, b.read(s)))),
  row('maskmovdqu', '66:0FF7/r Vx,Ux:Tu', {}, maskedMove),
  row(
    'pinsrw',
    '66:0FC4/r Vx,Ew,Ib  NP:0FC4/r Pq,Ew,Ib',
    {},
    either(0, (b, _w, d, s, i) =>
      b.write(d, b.withLane(2, b.read(d), wordIndex(b, d, i), b.read(s))),
    ),
  ),
  row(
    'pextrw',
    '66:0FC5/r Gd,Ux,Ib  NP:0FC5/r Gd,Nq,Ib',
    {},
    either(1, (b, _w, d, s, i) => b.write(d, b.lane(2, b.read(s), wordIndex(b, s, i)))),
  ),
];

export const sse2Integer = [
  ...family('padd', 'add', 'FC', 'FD', 'FE', 'D4'),
  ...family('psub', 'sub', 'F8', 'F9', 'FA', 'FB'),
  ...family('padds', 'addSaturateS', 'EC', 'ED'),
  ...family('paddus', 'addSaturateU', 'DC', 'DD'),
  ...family('psubs', 'subSaturateS', 'E8', 'E9'),
  ...family('psubus', 'subSaturateU', 'D8', 'D9'),
  ...family('pcmpeq', 'eq', '74', '75', '76'),
  ...family('pcmpgt', 'gt', '64', '65', '66'),
  one('pminub', 'DA', 'minU', 1),
  one('pmaxub', 'DE', 'maxU', 1),
  one('pminsw', 'EA', 'minS', 2),
  one('pmaxsw', 'EE', 'maxS', 2),
  ...family('pavg', 'average', 'E0', 'E3'),
  one('pmullw', 'D5', 'mul', 2),
  one('pmulhw', 'E5', 'mulHighS', 2),
  one('pmulhuw', 'E4', 'mulHighU', 2),
  one('pmuludq', 'F4', 'wide', 8),
  one('pmaddwd', 'F5', 'madd', 4),
  one('psadbw', 'F6', 'sad', 8),
  one('punpcklbw', '60', 'unpackLow', 1, 'Qd'),
  one('punpcklwd', '61', 'unpackLow', 2, 'Qd'),
  one('punpckldq', '62', 'unpackLow', 4, 'Qd'),
  wideOnly('punpcklqdq', '6C', 'unpackLow', 8),
  one('punpckhbw', '68', 'unpackHigh', 1),
  one('punpckhwd', '69', 'unpackHigh', 2),
  one('punpckhdq', '6A', 'unpackHigh', 4),
  wideOnly('punpckhqdq', '6D', 'unpackHigh', 8),
  one('packsswb', '63', 'packS', 2),
  one('packssdw', '6B', 'packS', 4),
  one('packuswb', '67', 'packU', 2),
  one('pand', 'DB', 'and', 8),
  one('pandn', 'DF', 'andNot', 8),
  one('por', 'EB', 'or', 8),
  one('pxor', 'EF', 'xor', 8),
  shift('psrlw', 'shr', 2, 'D1', 2),
  shift('psrld', 'shr', 4, 'D2', 2),
  shift('psrlq', 'shr', 8, 'D3', 2),
  shift('psraw', 'sar', 2, 'E1', 4),
  shift('psrad', 'sar', 4, 'E2', 4),
  shift('psllw', 'shl', 2, 'F1', 6),
  shift('pslld', 'shl', 4, 'F2', 6),
  shift('psllq', 'shl', 8, 'F3', 6),
  row('psrldq', '66:0F73/3 Ux,Ib', {}, byteShift('shr')),
  row('pslldq', '66:0F73/7 Ux,Ib', {}, byteShift('shl')),
  row('pshufd', '66:0F70/r Vx,Wx,Ib', {}, shuffle(4, 0)),
  row('pshuflw', 'F2:0F70/r Vx,Wx,Ib', {}, shuffle(2, 0)),
  row('pshufhw', 'F3:0F70/r Vx,Wx,Ib', {}, shuffle(2, 4)),
];

export const sse2Bitwise = [
  ...both('and', '54', 'and', 4, 8),
  ...both('andn', '55', 'andNot', 4, 8),
  ...both('or', '56', 'or', 4, 8),
  ...both('xor', '57', 'xor', 4, 8),
  ...both('unpckl', '14', 'unpackLow', 4, 8),
  ...both('unpckh', '15', 'unpackHigh', 4, 8),
  row('shufps', 'NP:0FC6/r Vx,Wx,Ib', {}, select(4)),
  row('shufpd', '66:0FC6/r Vx,Wx,Ib', {}, select(8)),
];
