/**
 * Control transfers, strings, flags, and what does nothing.
 * @source SDM vol. 2, chapters 3 to 5
 */

import { VECTOR_BP, VECTOR_UD } from '../exit.ts';
import { RCX, RDI, RSI, RSP } from '../vcpu.ts';
import type { Builder, Sized, Width } from './builder.ts';
import { AF, CF, DF, PF, SF, ZF } from './flags.ts';
import { row, type Semantics } from './row.ts';
import { pop, push } from './rows-moves.ts';

const ret: Semantics = (b, w, extra) => {
  const [value, sp] = pop(b, w);
  const to = b.canonical(value);
  b.setStack(RSP, extra === undefined ? sp : b.add(8, sp, b.read(extra)));
  b.jump(to);
};

/** Counts down, then jumps unless zero; `ZF` must have `value`, too, if given. */
const loop =
  (value?: boolean): Semantics =>
  (b, _w, t) => {
    const n = b.sub(8, b.getIndex(RCX), b.imm(1));
    const more = b.select(n, b.imm(1), b.imm(0));
    const flag = value === false ? b.eq(b.flag(ZF), b.imm(0)) : b.flag(ZF);
    const taken = value === undefined ? more : b.and(1, more, flag);
    b.branch(taken, t, () => b.setIndex(RCX, n));
  };

export const control = [
  row('jmp', 'EB Jb  E9 Jz  FF/4 Ev', { size: 'f64' }, (b, _w, t) => b.jump(b.target(t))),
  row('call', 'E8 Jz  FF/2 Ev', { size: 'f64' }, (b, w, t) => {
    const to = b.target(t);
    push(b, w, b.next());
    b.jump(to);
  }),
  row('ret', 'C3  C2 Iw', { size: 'f64' }, ret),
  row('jcc', '70+c Jb  0F80+c Jz', { size: 'f64' }, (b, _w, c, t) => b.branch(b.cond(c), t)),
  row('jrcxz', 'E3 Jb', { size: 'f64' }, (b, _w, t) =>
    b.branch(b.eq(b.getIndex(RCX), b.imm(0)), t),
  ),
  row('loop', 'E2 Jb', { size: 'f64' }, loop()),
  row('loope', 'E1 Jb', { size: 'f64' }, loop(true)),
  row('loopne', 'E0 Jb', { size: 'f64' }, loop(false)),
  row('setcc', '0F90+c/r Eb', {}, (b, _w, c, d) => b.write(d, b.cond(c))),
  row('ud0', '0FFF/r Gv,Ev', {}, (b) => b.raise(VECTOR_UD, 'fault')),
  row('ud1', '0FB9/r Gv,Ev', {}, (b) => b.raise(VECTOR_UD, 'fault')),
  row('ud2', '0F0B', {}, (b) => b.raise(VECTOR_UD, 'fault')),
  row('int3', 'CC', {}, (b) => b.raise(VECTOR_BP, 'trap')),
];

const step = <V, O extends Sized>(b: Builder<V, O>, w: Width, ...registers: number[]): void => {
  const by = b.select(b.flag(DF), b.imm(-w), b.imm(w));
  for (const each of registers) b.setIndex(each, b.add(8, b.getIndex(each), by));
};

export const strings = [
  row('movs', 'A4 Yb,Xb  A5 Yv,Xv', { rep: true }, (b, w, d, s) =>
    b.repeat(() => {
      b.write(d, b.read(s));
      step(b, w, RSI, RDI);
    }, false),
  ),
  row('stos', 'AA Yb,AL  AB Yv,rAX', { rep: true }, (b, w, d, a) =>
    b.repeat(() => {
      b.write(d, b.read(a));
      step(b, w, RDI);
    }, false),
  ),
  row('lods', 'AC AL,Xb  AD rAX,Xv', { rep: true }, (b, w, a, s) =>
    b.repeat(() => {
      b.write(a, b.read(s));
      step(b, w, RSI);
    }, false),
  ),
  row('cmps', 'A6 Xb,Yb  A7 Xv,Yv', { rep: true }, (b, w, s, d) =>
    b.repeat(() => {
      const x = b.read(s);
      const y = b.read(d);
      b.flags('sub', w, b.sub(w, x, y), x, y);
      step(b, w, RSI, RDI);
    }, true),
  ),
  row('scas', 'AE AL,Yb  AF rAX,Yv', { rep: true }, (b, w, a, d) =>
    b.repeat(() => {
      const x = b.read(a);
      const y = b.read(d);
      b.flags('sub', w, b.sub(w, x, y), x, y);
      step(b, w, RDI);
    }, true),
  ),
];

const setOne =
  (flag: number, value: 0 | 1): Semantics =>
  (b) =>
    b.setFlags([[flag, b.imm(value)]]);

const nothing: Semantics = () => {};

export const flagsAndNops = [
  row('clc', 'F8', {}, setOne(CF, 0)),
  row('stc', 'F9', {}, setOne(CF, 1)),
  row('cmc', 'F5', {}, (b) => b.setFlags([[CF, b.xor(1, b.flag(CF), b.imm(1))]])),
  row('cld', 'FC', {}, setOne(DF, 0)),
  row('std', 'FD', {}, setOne(DF, 1)),
  row('lahf', '9F :AH', {}, (b, _w, d) => b.write(d, b.flagBits())),
  row('sahf', '9E :AH', {}, (b, _w, s) => {
    const x = b.read(s);
    b.setFlags(
      [SF, ZF, AF, PF, CF].map((f) => [f, b.and(1, b.shr(1, x, b.imm(Math.log2(f))), b.imm(1))]),
    );
  }),
  row('nop', '90', { noRexB: true }, nothing),
  row(
    'nop',
    '0F18/r Ev  0F19/r Ev  0F1A/r Ev  0F1B/r Ev  0F1C/r Ev  0F1D/r Ev  0F1E/r Ev  0F1F/r Ev',
    {},
    nothing,
  ),
  row('prefetchw', '0F0D/r Mb', {}, nothing),
  // with REX.B, too, where AMD's processors exchange R8
  row('pause', 'F3:90', {}, nothing),
  row('endbr64', 'F3:0F1EFA', {}, nothing),
  row('lfence', 'NP:0FAE/5 :Rd', {}, nothing),
  row('mfence', 'NP:0FAE/6 :Rd', {}, nothing),
  row('sfence', 'NP:0FAE/7 :Rd', {}, nothing),
  row('clflush', 'NP:0FAE/7 Mb', {}, (b, _w, m) => {
    b.read(m);
  }),
];
