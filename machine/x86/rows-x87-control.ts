/**
 * What controls the x87, and its whole state to memory and back. Selectors are stored as 0, as newer processors do.
 * @source SDM vol. 1, 8.1 and 8.3.11; vol. 2, chapter 3
 */
import type { Builder, Sized, Width } from './builder.ts';
import type { X87Field } from './builder-x87.ts';
import { row, type Semantics } from './row.ts';
import { keepC1 } from './rows-x87.ts';
import { EXCEPTIONS, INITIAL_CONTROL, TOP } from './x87-state.ts';

const initialise = <V, O extends Sized>(b: Builder<V, O>): void => {
  b.setX87Field('control', b.imm(INITIAL_CONTROL));
  for (const field of ['status', 'valid', 'opcode', 'ip', 'dp'] as const)
    b.setX87Field(field, b.imm(0));
};

/** 16 bits with 66, else 32. */
const fieldWidth = (size: Width): 2 | 4 => (size === 2 ? 2 : 4);

/** The seven fields of the environment, protected mode's. */
const environment = <V, O extends Sized>(b: Builder<V, O>, w: 2 | 4): V[] => {
  const high = b.imm(0xffff0000);
  const narrow = (value: V): V => b.or(8, value, high);
  const [ip, dp] = [b.x87Field('ip'), b.x87Field('dp')];
  const opcode = b.shl(8, b.x87Field('opcode'), b.imm(16));
  const words = [b.x87Field('control'), b.x87Field('status'), b.x87Tags()];
  const selector = b.imm(0);
  return w === 2
    ? [...words, ip, selector, dp, selector]
    : [...words.map(narrow), ip, opcode, dp, narrow(selector)];
};

const loadEnvironment = <V, O extends Sized>(
  b: Builder<V, O>,
  w: 2 | 4,
  fields: readonly V[],
): void => {
  const [control, status, tags, ip, opcode, dp] = fields as [V, V, V, V, V, V];
  b.setX87Field('control', b.and(2, control, b.imm(0xffff)));
  b.setX87Field('status', b.and(2, status, b.imm(0xffff)));
  let valid = b.imm(0);
  for (let i = 0; i < 8; i++) {
    const tag = b.and(8, b.shr(8, tags, b.imm(2 * i)), b.imm(3));
    const full = b.xor(8, b.eq(tag, b.imm(3)), b.imm(1));
    valid = b.or(8, valid, b.shl(8, full, b.imm(i)));
  }
  b.setX87Field('valid', valid);
  b.setX87Field('ip', ip);
  b.setX87Field('dp', dp);
  const bits = b.and(8, b.shr(8, opcode, b.imm(16)), b.imm(0x7ff));
  b.setX87Field('opcode', w === 2 ? b.imm(0) : bits);
};

/** Fields of a register: five words. */
const REGISTER_WORDS = 5;
const ENVIRONMENT = 7;

const storeEnvironment: Semantics = (b, size, d) => {
  const w = fieldWidth(size);
  b.writeBlock(d, w, environment(b, w));
  b.setX87Field('control', b.or(8, b.x87Field('control'), b.imm(EXCEPTIONS)));
};

const save: Semantics = (b, size, d) => {
  const w = fieldWidth(size);
  const fields = environment(b, w).flatMap((field) =>
    w === 2 ? [field] : [b.lane(2, field, b.imm(0)), b.lane(2, field, b.imm(1))],
  );
  for (let i = 0; i < 8; i++)
    for (let word = 0; word < REGISTER_WORDS; word++)
      fields.push(b.lane(2, b.x87Raw(i), b.imm(word)));
  b.writeBlock(d, 2, fields);
  initialise(b);
};

const restore: Semantics = (b, size, s) => {
  b.x87Pending();
  const w = fieldWidth(size);
  const words = b.readBlock(s, 2, ENVIRONMENT * (w / 2) + 8 * REGISTER_WORDS);
  const fields = Array.from({ length: ENVIRONMENT }, (_, i) =>
    w === 2 ? words[i]! : b.or(8, words[2 * i]!, b.shl(8, words[2 * i + 1]!, b.imm(16))),
  );
  loadEnvironment(b, w, fields);
  const registers = words.slice(ENVIRONMENT * (w / 2));
  for (let i = 0; i < 8; i++) {
    const lanes = registers.slice(REGISTER_WORDS * i, REGISTER_WORDS * (i + 1));
    b.setX87Raw(i, b.join(2, lanes));
  }
};

/** Bits of MXCSR that exist, as the image says. */
const MXCSR_MASK = 0xffff;

/** An image of FXSAVE in quadwords, with so many vectors; `wide`: its pointers have 64 bits. */
const image = <V, O extends Sized>(b: Builder<V, O>, wide: boolean, vectors: 8 | 16): V[] => {
  const at = (value: V, bit: number): V => b.shl(8, value, b.imm(bit));
  const [control, status, valid] = [
    b.x87Field('control'),
    at(b.x87Field('status'), 16),
    at(b.x87Field('valid'), 32),
  ];
  const words = b.or(8, b.or(8, control, status), b.or(8, valid, at(b.x87Field('opcode'), 48)));
  const pointer = (field: 'ip' | 'dp'): V =>
    wide ? b.x87Field(field) : b.and(4, b.x87Field(field), b.imm(0xffffffff));
  const mxcsr = b.or(8, b.mxcsr(), b.imm(BigInt(MXCSR_MASK) << 32n));
  const registers = [
    ...Array.from({ length: 8 }, (_, i) => b.x87Raw(i)),
    ...Array.from({ length: vectors }, (_, i) => b.vector(i)),
  ];
  const halves = registers.flatMap((x) => [b.lane(8, x, b.imm(0)), b.lane(8, x, b.imm(1))]);
  return [words, pointer('ip'), pointer('dp'), mxcsr, ...halves];
};
/** Quadwords of the image; what is behind the registers belongs to nobody. */
const WITH_RESERVED = 64;

const saveImage =
  (wide: boolean, vectors: 8 | 16): Semantics =>
  (b, _w, d) =>
    b.writeBlock(d, 8, image(b, wide, vectors), 8 * WITH_RESERVED);

const loadImage = <V, O extends Sized>(
  b: Builder<V, O>,
  wide: boolean,
  vectors: 8 | 16,
  all: readonly V[],
): void => {
  const [words, ip, dp, mxcsr, ...halves] = all as [V, V, V, V, ...V[]];
  b.loadMxcsr(b.and(8, mxcsr, b.imm(0xffffffff)));
  const word = (i: number): V => b.lane(2, words, b.imm(i));
  b.setX87Field('control', word(0));
  b.setX87Field('status', word(1));
  b.setX87Field('valid', b.and(1, word(2), b.imm(0xff)));
  b.setX87Field('opcode', b.and(2, word(3), b.imm(0x7ff)));
  const pointer = (value: V): V => (wide ? value : b.and(8, value, b.imm(0xffffffff)));
  b.setX87Field('ip', pointer(ip));
  b.setX87Field('dp', pointer(dp));
  const register = (i: number): V => b.join(8, [halves[2 * i]!, halves[2 * i + 1]!]);
  for (let i = 0; i < 8; i++) {
    const low = [0, 1, 2, 3, 4].map((lane) => b.lane(2, register(i), b.imm(lane)));
    b.setX87Raw(i, b.join(2, low));
  }
  for (let i = 0; i < vectors; i++) b.setVector(i, register(8 + i));
};

const restoreImage =
  (wide: boolean, vectors: 8 | 16): Semantics =>
  (b, _w, s) =>
    loadImage(b, wide, vectors, b.readBlock(s, 8, WITH_RESERVED));

const turn =
  (by: 1 | 7): Semantics =>
  (b) =>
    b.x87(() => {
      const status = b.x87Field('status');
      const moved = b.and(8, b.add(8, status, b.imm(by << 11)), b.imm(TOP));
      b.setX87Field('status', b.or(8, b.and(8, status, b.imm(0xffff & ~TOP)), moved));
    });

const storeField =
  (field: X87Field): Semantics =>
  (b, _w, d) =>
    b.write(d, b.x87Field(field));

export const x87Control = [
  row('fnop', 'D9D0', {}, (b) => b.x87(() => keepC1(b))),
  row('fwait', '9B', {}, (b) => b.x87Pending()),
  row('fninit', 'DBE3', {}, initialise),
  row('fnclex', 'DBE2', {}, (b) =>
    b.setX87Field('status', b.and(8, b.x87Field('status'), b.imm(0x7f00))),
  ),
  row('fincstp', 'D9F7', {}, turn(1)),
  row('fdecstp', 'D9F6', {}, turn(7)),
  row('ffree', 'DD/0 STi', {}, (b, _w, d) => b.x87(() => b.x87Free(d))),
  // In no manual, but in glibc: FFREE, then a pop.
  row('ffreep', 'DF/0 STi', {}, (b, _w, d) =>
    b.x87(() => {
      b.x87Free(d);
      b.x87Pop();
    }),
  ),
  row('fldcw', 'D9/5 Mw', {}, (b, _w, s) => {
    b.x87Pending();
    b.setX87Field('control', b.read(s));
  }),
  row('fnstcw', 'D9/7 Mw', {}, storeField('control')),
  row('fnstsw', 'DD/7 Mw  DFE0 :AX', {}, storeField('status')),
  row('fldenv', 'D9/4 M', {}, (b, size, s) => {
    b.x87Pending();
    const w = fieldWidth(size);
    loadEnvironment(b, w, b.readBlock(s, w, ENVIRONMENT));
  }),
  row('fnstenv', 'D9/6 M', {}, storeEnvironment),
  row('frstor', 'DD/4 M', {}, restore),
  row('fnsave', 'DD/6 M', {}, save),
  row('fxsave', 'o64:NP:0FAE/0 Mx', { rexW: false }, saveImage(false, 16)),
  row('fxsave', 'i64:NP:0FAE/0 Mx', {}, saveImage(false, 8)),
  row('fxsave64', 'NP:0FAE/0 Mx', { rexW: true }, saveImage(true, 16)),
  row('fxrstor', 'o64:NP:0FAE/1 Mx', { rexW: false }, restoreImage(false, 16)),
  row('fxrstor', 'i64:NP:0FAE/1 Mx', {}, restoreImage(false, 8)),
  row('fxrstor64', 'NP:0FAE/1 Mx', { rexW: true }, restoreImage(true, 16)),
];
