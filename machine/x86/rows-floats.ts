/**
 * SSE and SSE2 on floating point: what looks at numbers.
 * @source SDM vol. 2, chapters 3 to 5
 */
import type { FloatOp, FloatWidth, Numeric } from './builder.ts';
import { AF, CF, OF, PF, SF, ZF } from './flags.ts';
import { type Row, row, type Semantics } from './row.ts';
import { mmx } from './rows-sse2.ts';

const scalar =
  (op: FloatOp, w: FloatWidth): Semantics =>
  (b, _w, d, s) =>
    b.write(d, b.float(op, w, b.read(d), b.read(s)));

const packed =
  (op: FloatOp, w: FloatWidth): Semantics =>
  (b, _w, d, s) =>
    b.write(d, b.vecFloat(op, w, b.read(d), b.read(s)));

const singles = (name: string, opcode: string, op: FloatOp): Row[] => [
  row(`${name}ps`, `NP:0F${opcode}/r Vx,Wx`, {}, packed(op, 4)),
  row(`${name}ss`, `F3:0F${opcode}/r Vd,Wd`, {}, scalar(op, 4)),
];

const all = (name: string, opcode: string, op: FloatOp): Row[] => [
  ...singles(name, opcode, op),
  row(`${name}pd`, `66:0F${opcode}/r Vx,Wx`, {}, packed(op, 8)),
  row(`${name}sd`, `F2:0F${opcode}/r Vq,Wq`, {}, scalar(op, 8)),
];

const mask =
  (w: FloatWidth): Semantics =>
  (b, _w, d, s, predicate) =>
    b.write(d, b.floatCompare(predicate, w, b.read(d), b.read(s)));

const packedMask =
  (w: FloatWidth): Semantics =>
  (b, _w, d, s, predicate) =>
    b.write(d, b.vecFloatCompare(predicate, w, b.read(d), b.read(s)));

/** To the flags: ZF, PF and CF are all set when unordered. */
const order =
  (w: FloatWidth, signalling: boolean): Semantics =>
  (b, _w, x, y) => {
    const { unordered, less, equal } = b.floatOrder(w, b.read(x), b.read(y), signalling);
    b.setFlags([
      [ZF, b.or(1, equal, unordered)],
      [PF, unordered],
      [CF, b.or(1, less, unordered)],
      [OF, b.imm(0)],
      [SF, b.imm(0)],
      [AF, b.imm(0)],
    ]);
  };

const integer = (width: number): Numeric => (width === 8 ? 'i64' : 'i32');

const fromInteger =
  (to: Numeric): Semantics =>
  (b, _w, d, s) =>
    b.write(d, b.convert(integer(s.width), to, b.read(s)));

const toInteger =
  (from: Numeric, truncate?: 'truncate'): Semantics =>
  (b, _w, d, s) =>
    b.write(d, b.convert(from, integer(d.width), b.read(s), truncate));

const resize =
  (from: Numeric, to: Numeric): Semantics =>
  (b, _w, d, s) =>
    b.write(d, b.convert(from, to, b.read(s)));

const lanes =
  (from: Numeric, to: Numeric, truncate?: 'truncate'): Semantics =>
  (b, _w, d, s) =>
    b.write(d, b.vecConvert(from, to, b.read(s), truncate));

export const floats = [
  ...all('add', '58', 'add'),
  ...all('mul', '59', 'mul'),
  ...all('sub', '5C', 'sub'),
  ...all('min', '5D', 'min'),
  ...all('div', '5E', 'div'),
  ...all('max', '5F', 'max'),
  ...all('sqrt', '51', 'sqrt'),
  ...singles('rsqrt', '52', 'reciprocalSqrt'),
  ...singles('rcp', '53', 'reciprocal'),
  row('cmpps', 'NP:0FC2/r Vx,Wx,Ib', {}, packedMask(4)),
  row('cmpss', 'F3:0FC2/r Vd,Wd,Ib', {}, mask(4)),
  row('cmppd', '66:0FC2/r Vx,Wx,Ib', {}, packedMask(8)),
  row('cmpsd', 'F2:0FC2/r Vq,Wq,Ib', {}, mask(8)),
  row('ucomiss', 'NP:0F2E/r Vd,Wd', {}, order(4, false)),
  row('ucomisd', '66:0F2E/r Vq,Wq', {}, order(8, false)),
  row('comiss', 'NP:0F2F/r Vd,Wd', {}, order(4, true)),
  row('comisd', '66:0F2F/r Vq,Wq', {}, order(8, true)),
];

export const conversions = [
  row('cvtsi2ss', 'F3:0F2A/r Vd,Ey', {}, fromInteger('f32')),
  row('cvtsi2sd', 'F2:0F2A/r Vq,Ey', {}, fromInteger('f64')),
  row('cvttss2si', 'F3:0F2C/r Gy,Wd', {}, toInteger('f32', 'truncate')),
  row('cvttsd2si', 'F2:0F2C/r Gy,Wq', {}, toInteger('f64', 'truncate')),
  row('cvtss2si', 'F3:0F2D/r Gy,Wd', {}, toInteger('f32')),
  row('cvtsd2si', 'F2:0F2D/r Gy,Wq', {}, toInteger('f64')),
  row('cvtss2sd', 'F3:0F5A/r Vq,Wd', {}, resize('f32', 'f64')),
  row('cvtsd2ss', 'F2:0F5A/r Vd,Wq', {}, resize('f64', 'f32')),
  row('cvtps2pd', 'NP:0F5A/r Vx,Wq', {}, lanes('f32', 'f64')),
  row('cvtpd2ps', '66:0F5A/r Vx,Wx', {}, lanes('f64', 'f32')),
  row('cvtdq2ps', 'NP:0F5B/r Vx,Wx', {}, lanes('i32', 'f32')),
  row('cvtps2dq', '66:0F5B/r Vx,Wx', {}, lanes('f32', 'i32')),
  row('cvttps2dq', 'F3:0F5B/r Vx,Wx', {}, lanes('f32', 'i32', 'truncate')),
  row('cvtdq2pd', 'F3:0FE6/r Vx,Wq', {}, lanes('i32', 'f64')),
  row('cvtpd2dq', 'F2:0FE6/r Vx,Wx', {}, lanes('f64', 'i32')),
  row('cvttpd2dq', '66:0FE6/r Vx,Wx', {}, lanes('f64', 'i32', 'truncate')),
];

/** Between vectors and MMX registers. */
export const mmxConversions = [
  // of memory neither touches the x87, though the SDM says it only of CVTPI2PD
  row('cvtpi2ps', 'NP:0F2A/r Vq,Nq', {}, mmx(lanes('i32', 'f32'))),
  row('cvtpi2ps', 'NP:0F2A/r Vq,Mq', {}, lanes('i32', 'f32')),
  row('cvtpi2pd', '66:0F2A/r Vx,Nq', {}, mmx(lanes('i32', 'f64'))),
  row('cvtpi2pd', '66:0F2A/r Vx,Mq', {}, lanes('i32', 'f64')),
  row('cvttps2pi', 'NP:0F2C/r Pq,Wq', {}, mmx(lanes('f32', 'i32', 'truncate'))),
  row('cvttpd2pi', '66:0F2C/r Pq,Wx', {}, mmx(lanes('f64', 'i32', 'truncate'))),
  row('cvtps2pi', 'NP:0F2D/r Pq,Wq', {}, mmx(lanes('f32', 'i32'))),
  row('cvtpd2pi', '66:0F2D/r Pq,Wx', {}, mmx(lanes('f64', 'i32'))),
];

export const floatControl = [
  row('ldmxcsr', 'NP:0FAE/2 Md', {}, (b, _w, s) => b.loadMxcsr(b.read(s))),
  row('stmxcsr', 'NP:0FAE/3 Md', {}, (b, _w, d) => b.write(d, b.mxcsr())),
];
