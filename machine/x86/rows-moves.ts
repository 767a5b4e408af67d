/**
 * Moves: data between registers, memory and stack.
 * @source SDM vol. 2, chapters 3 to 6
 */
import { RBP, RSP } from '../vcpu.ts';
import type { Builder, Sized, Width } from './builder.ts';
import { row } from './row.ts';

export const push = <V, O extends Sized>(b: Builder<V, O>, w: Width, value: V): void => {
  const sp = b.sub(8, b.getStack(RSP), b.imm(w));
  b.store(w, sp, value);
  b.setStack(RSP, sp);
};

/** The value on top, and what RSP is to become. */
export const pop = <V, O extends Sized>(b: Builder<V, O>, w: Width): readonly [V, V] => {
  const sp = b.getStack(RSP);
  return [b.load(w, sp), b.add(8, sp, b.imm(w))];
};

export const moves = [
  row(
    'mov',
    `88/r Eb,Gb  89/r Ev,Gv  8A/r Gb,Eb  8B/r Gv,Ev  A0 AL,Ob  A1 rAX,Ov  A2 Ob,AL  A3 Ov,rAX
     B0+r Zb,Ib  B8+r Zv,Iv  C6/0 Eb,Ib  C7/0 Ev,Iz`,
    {},
    (b, _w, d, s) => b.write(d, b.read(s)),
  ),
  row('movzx', '0FB6/r Gv,Eb  0FB7/r Gv,Ew', {}, (b, _w, d, s) => b.write(d, b.read(s))),
  row('movsx', '0FBE/r Gv,Eb  0FBF/r Gv,Ew', {}, (b, _w, d, s) =>
    b.write(d, b.sext(s.width, b.read(s))),
  ),
  row('movsxd', 'o64:63/r Gv,Ez', {}, (b, _w, d, s) => b.write(d, b.sext(s.width, b.read(s)))),
  row('movnti', 'NP:0FC3/r My,Gy', {}, (b, _w, d, s) => b.write(d, b.read(s))),
  row('lea', '8D/r Gv,M', {}, (b, _w, d, s) => b.write(d, b.address(s))),
  row('xlat', 'D7 :AL,Bb', {}, (b, _w, a, m) => b.write(a, b.read(m, b.read(a)))),
  row('xchg', '86/r Eb,Gb  87/r Ev,Gv  90+r Zv,rAX', { lock: true }, (b, _w, d, s) => {
    const y = b.read(s);
    b.write(
      s,
      b.update(d, () => y),
    );
  }),
  row('cmovcc', '0F40+c/r Gv,Ev', {}, (b, _w, c, d, s) =>
    b.write(d, b.select(b.cond(c), b.read(s), b.read(d))),
  ),
  row('bswap', '0FC8+r Zv', {}, (b, w, d) => {
    b.write(d, b.bswap(w, b.read(d)));
    if (w === 2) b.undefinedResult(b.imm(1));
  }),

  row('push', '50+r Zv  FF/6 Ev  6A Ibs  68 Iz', { size: 'd64' }, (b, w, s) =>
    push(b, w, b.read(s)),
  ),
  row('pop', '58+r Zv  8F/0 Rv', { size: 'd64' }, (b, w, d) => {
    const [value, sp] = pop(b, w);
    b.setStack(RSP, sp);
    b.write(d, value); // after RSP: pop rsp keeps what it popped
  }),
  row('pop', '8F/0 Mv', { size: 'd64', pops: true }, (b, w, d) => {
    const [value, sp] = pop(b, w);
    b.write(d, value);
    b.setStack(RSP, sp);
  }),
  row('leave', 'C9 :rBP', { size: 'd64' }, (b, w, bp) => {
    const frame = b.getStack(RBP);
    const value = b.load(w, frame);
    b.setStack(RSP, b.add(8, frame, b.imm(w)));
    b.write(bp, value);
  }),
  row('enter', 'C8 Iw,Ib:rBP', { size: 'd64' }, (b, w, size, level, bp) => {
    const [frame, top] = b.pushFrames(w, level, b.read(size));
    b.setStack(RSP, top);
    b.write(bp, frame);
  }),
  row('pushf', '9C', { size: 'd64' }, (b, w) => push(b, w, b.flagBits())),
  row('popf', '9D', { size: 'd64' }, (b, w) => {
    const [value, sp] = pop(b, w);
    b.setStack(RSP, sp);
    b.loadFlags(w, value);
  }),
];
