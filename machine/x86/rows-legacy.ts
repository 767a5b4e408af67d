/**
 * What 64-bit mode has dropped: decimal numbers, BOUND, PUSHA and others.
 * @source SDM vol. 2, chapters 3 and 4
 */
import { VECTOR_BR, VECTOR_OF } from '../exit.ts';
import { RAX, RBP, RBX, RCX, RDI, RDX, RSI, RSP } from '../vcpu.ts';
import type { Builder, Sized } from './builder.ts';
import { AF, CF, OF, PF, SF, ZF } from './flags.ts';
import { row, type Semantics } from './row.ts';

const resultFlags = <V, O extends Sized>(b: Builder<V, O>, result: V): void =>
  b.flags('logic', 1, result, result, result, { mask: SF | ZF | PF });

/** The low digit of `x` is none, or the last operation carried out of it. */
const lowDigit = <V, O extends Sized>(b: Builder<V, O>, x: V): V =>
  b.or(1, b.ltu(b.imm(9), b.and(1, x, b.imm(15))), b.flag(AF));

/** DAA and DAS: AL becomes two decimal digits. */
const adjustDecimal =
  (op: 'add' | 'sub'): Semantics =>
  (b, _w, d) => {
    const x = b.read(d);
    const low = lowDigit(b, x);
    const high = b.or(1, b.ltu(b.imm(0x99), x), b.flag(CF));
    const adjusted = b[op](1, x, b.select(low, b.imm(6), b.imm(0)));
    const lost = op === 'add' ? b.ltu(adjusted, x) : b.ltu(x, adjusted);
    const r = b[op](1, adjusted, b.select(high, b.imm(0x60), b.imm(0)));
    b.setFlags([
      [AF, low],
      [CF, b.or(1, high, b.and(1, low, lost))],
    ]);
    resultFlags(b, r);
    b.undefinedFlags(OF);
    b.write(d, r);
  };

/** AAA and AAS: AL becomes a decimal digit, AH counts what it overflows by. */
const adjustAscii =
  (op: 'add' | 'sub'): Semantics =>
  (b, _w, d) => {
    const x = b.read(d);
    const low = lowDigit(b, x);
    const carried = b[op](2, x, b.imm(0x106));
    b.setFlags([
      [AF, low],
      [CF, low],
    ]);
    b.undefinedFlags(OF | SF | ZF | PF);
    b.write(d, b.and(2, b.select(low, carried, x), b.imm(0xff0f)));
  };

const ALL = [RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI];

export const legacy = [
  row('daa', 'i64:27 :AL', {}, adjustDecimal('add')),
  row('das', 'i64:2F :AL', {}, adjustDecimal('sub')),
  row('aaa', 'i64:37 :AX', {}, adjustAscii('add')),
  row('aas', 'i64:3F :AX', {}, adjustAscii('sub')),
  row('aam', 'i64:D4 Ib:AL,AH', {}, (b, _w, base, low, high) => {
    const [quotient, remainder] = b.helper('div', 1, b.imm(0), b.read(low), b.read(base));
    resultFlags(b, remainder);
    b.undefinedFlags(OF | AF | CF);
    b.write(low, remainder);
    b.write(high, quotient);
  }),
  row('aad', 'i64:D5 Ib:AL,AH', {}, (b, _w, base, low, high) => {
    const r = b.add(1, b.read(low), b.mul(1, b.read(high), b.read(base)));
    resultFlags(b, r);
    b.undefinedFlags(OF | AF | CF);
    b.write(low, r);
    b.write(high, b.imm(0));
  }),
  // Which the SDM's opcode map has not, but every processor.
  row('salc', 'i64:D6 :AL', {}, (b, _w, d) => b.write(d, b.sub(1, b.imm(0), b.flag(CF)))),
  row('into', 'i64:CE', {}, (b) => b.raise(VECTOR_OF, 'trap', b.flag(OF))),
  row('bound', 'i64:62/r Gv,M', {}, (b, _w, s, m) => {
    const w = s.width;
    const [low, high] = b.readBlock(m, w, 2) as [
      ReturnType<typeof b.imm>,
      ReturnType<typeof b.imm>,
    ];
    const signed = (x: typeof low) => b.add(8, b.sext(w, x), b.imm(1n << 63n));
    const x = signed(b.read(s));
    const outside = b.or(1, b.ltu(x, signed(low)), b.ltu(signed(high), x));
    b.raise(VECTOR_BR, 'fault', outside);
  }),
  row('arpl', 'i64:63/r Ew,Gw', {}, (b, _w, d, s) => {
    const [x, y] = [b.read(d), b.and(2, b.read(s), b.imm(3))];
    const less = b.ltu(b.and(2, x, b.imm(3)), y);
    b.write(d, b.or(2, b.and(2, x, b.imm(0xfffc)), y), less);
    b.setFlags([[ZF, less]]);
  }),
  row('pusha', 'i64:60', { size: 'd64' }, (b, w) => {
    const sp = b.sub(8, b.getStack(RSP), b.imm(8 * w));
    b.storeBlock(w, sp, ALL.map((register) => b.get(register)).reverse());
    b.setStack(RSP, sp);
  }),
  row('popa', 'i64:61 :rAX,rCX,rDX,rBX,rBP,rSI,rDI', { size: 'd64' }, (b, w, ...registers) => {
    const sp = b.getStack(RSP);
    // What lies where PUSHA put ESP is read, and not used.
    const words = b.loadBlock(w, sp, 8).reverse();
    words.splice(RSP, 1);
    for (const [i, register] of registers.entries()) b.write(register, words[i]!);
    b.setStack(RSP, b.add(8, sp, b.imm(8 * w)));
  }),
];
