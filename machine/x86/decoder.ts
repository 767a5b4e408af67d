/**
 * Machine code of 64-bit mode to operations, from the rows' encodings. Position-independent: a displacement stays one, so
 * the same bytes decode to the same operation wherever they are mapped.
 * @source SDM vol. 2, chapter 2
 */
import { RSP } from '../vcpu.ts';
import type { Sized, Width } from './builder.ts';
import { type Form, NO_PREFIX, type OperandSpec } from './row.ts';
import { rows } from './rows.ts';

/** Base register of a RIP-relative address; -1 is none. */
export const BASE_RIP = 16;

export interface RegisterOperand extends Sized {
  readonly kind: 'register';
  readonly register: number;
  /** AH, CH, DH, BH: byte 1 of `register`. */
  readonly high: boolean;
}
export interface VectorOperand extends Sized {
  readonly kind: 'vector';
  readonly register: number;
}
export interface MemoryOperand extends Sized {
  readonly kind: 'memory';
  readonly base: number;
  readonly index: number;
  readonly scale: number;
  readonly displacement: bigint;
  readonly addressWidth: 4 | 8;
  /** The prefix byte 64 or 65, else 0: other segments have base 0. */
  readonly segment: number;
  /** Added to RSP as base. */
  readonly bias: number;
  /** 16 bytes that must be aligned. */
  readonly aligned: boolean;
}
export interface ConstantOperand extends Sized {
  /** `relative`: to the next instruction; `condition`: 0 to 15. */
  readonly kind: 'immediate' | 'relative' | 'condition';
  readonly value: bigint;
}
/** Segment, control and debug registers: rows that exit have them. */
export interface SystemOperand extends Sized {
  readonly kind: 'segment' | 'control' | 'debug';
  readonly register: number;
}
export type Operand =
  | RegisterOperand
  | VectorOperand
  | MemoryOperand
  | ConstantOperand
  | SystemOperand;

export interface Operation {
  readonly form: Form;
  readonly length: number;
  /** That of the first operand, or the operand size. */
  readonly width: Width;
  readonly addressWidth: 4 | 8;
  readonly lock: boolean;
  /** F2, F3 or 0. */
  readonly repeat: number;
  readonly operands: readonly Operand[];
}

/** `short`: the bytes end before the instruction does; `long`: it would exceed 15 bytes. */
export type Undecodable = 'undefined' | 'short' | 'long';

export const MAX_LENGTH = 15;

const table: Form[][] = Array.from({ length: 4 * 256 }, () => []);
for (const form of rows.flatMap((each) => each.forms))
  for (let i = 0; i < form.span; i++) table[form.map * 256 + form.opcode + i]!.push(form);
/** The narrower form first. */
const narrow = ({ prefix, exact, row }: Form): number =>
  (prefix > 0 ? 4 : 0) + (exact >= 0 ? 2 : 0) + (row.traits.noRexB ? 1 : 0);
for (const forms of table) forms.sort((a, b) => narrow(b) - narrow(a));

/** Where the decoder is, and the prefixes that it met. */
class Cursor {
  at = 0;
  rex = 0;
  operandSize = false;
  addressWidth: 4 | 8 = 8;
  segment = 0;
  repeat = 0;
  lock = false;
  opcode = 0;
  modrm = 0;
  readonly bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }

  byte(): number {
    return this.bytes[this.at++] ?? 0;
  }

  signed(bytes: number): bigint {
    let value = 0n;
    for (let i = 0; i < bytes; i++) value |= BigInt(this.byte()) << BigInt(8 * i);
    return BigInt.asIntN(8 * bytes, value);
  }

  get overrun(): Undecodable | undefined {
    if (this.at <= this.bytes.length && this.at <= MAX_LENGTH) return undefined;
    return this.bytes.length < MAX_LENGTH ? 'short' : 'long';
  }
}

/** The operation at the start of `bytes`. */
export const decode = (bytes: Uint8Array): Operation | Undecodable => {
  const c = new Cursor(bytes);
  prefixes(c);
  const forms = table[opcodeMap(c) * 256 + c.opcode]!;
  const modrm = forms.length > 0 && forms[0]!.modrm;
  if (modrm) c.modrm = c.byte();
  const memory = modrm && c.modrm < 0xc0 ? address(c) : undefined;
  const form = forms.find((candidate) => matches(candidate, c));
  const like = form ?? forms[0]; // what is refused has been fetched whole
  if (like === undefined) return c.overrun ?? 'undefined';
  const size = operandSize(like, c);
  const pops = like.row.traits.pops === true;
  const operands = like.operands.map((spec) => operand(spec, c, size, pops, memory));
  if (c.overrun !== undefined) return c.overrun;
  if (form === undefined) return 'undefined';
  const first = operands.find((each) => each.kind !== 'condition');
  if (c.lock && !(form.row.traits.lock && first?.kind === 'memory')) return 'undefined';
  if (operands.some(missing)) return 'undefined';
  return {
    form,
    length: c.at,
    width: form.row.traits.size === undefined && first !== undefined ? first.width : size,
    addressWidth: c.addressWidth,
    lock: c.lock,
    repeat: c.repeat,
    operands,
  };
};

const prefixes = (c: Cursor): void => {
  while (c.at <= MAX_LENGTH) {
    const byte = c.byte();
    let rex = 0;
    if ((byte & 0xf0) === 0x40) rex = byte;
    else if (byte === 0x66) c.operandSize = true;
    else if (byte === 0x67) c.addressWidth = 4;
    else if (byte === 0xf0) c.lock = true;
    else if (byte === 0xf2 || byte === 0xf3) c.repeat = byte;
    else if (byte === 0x64 || byte === 0x65) c.segment = byte;
    else if ((byte & 0xe7) !== 0x26) {
      c.opcode = byte;
      return;
    }
    c.rex = rex; // of several, or before another prefix, only one directly before the opcode counts
  }
};

const opcodeMap = (c: Cursor): number => {
  if (c.opcode !== 0x0f) return 0;
  c.opcode = c.byte();
  if (c.opcode !== 0x38 && c.opcode !== 0x3a) return 1;
  const map = c.opcode === 0x38 ? 2 : 3;
  c.opcode = c.byte();
  return map;
};

const matches = (form: Form, c: Cursor): boolean => {
  const prefix = c.repeat || (c.operandSize ? 0x66 : NO_PREFIX);
  if (form.prefix !== 0 && form.prefix !== prefix) return false;
  const { noRexB, rexW } = form.row.traits;
  if (rexW !== undefined && rexW !== ((c.rex & 8) !== 0)) return false;
  if (noRexB && (c.rex & 1) !== 0) return false;
  if (form.exact >= 0) return form.exact === c.modrm;
  if (form.digit >= 0 && form.digit !== ((c.modrm >> 3) & 7)) return false;
  for (const { kind } of form.operands)
    if ((kind === 'M' && c.modrm >= 0xc0) || ((kind === 'R' || kind === 'U') && c.modrm < 0xc0))
      return false;
  return true;
};

const operandSize = (form: Form, c: Cursor): Width => {
  const { size } = form.row.traits;
  if (size === 'f64' || (c.rex & 8) !== 0) return 8;
  if (c.operandSize) return 2;
  return size === 'd64' ? 8 : 4;
};

const typeWidth = (type: string, size: Width, c: Cursor): Width => {
  switch (type) {
    case 'b':
    case 'h':
      return 1;
    case 'w':
      return 2;
    case 'd':
      return 4;
    case 'z':
      return size === 8 ? 4 : size;
    case 'y':
      return (c.rex & 8) !== 0 ? 8 : 4;
    case 'q':
      return 8;
    case 'x':
    case 'u':
      return 16;
    default:
      return size;
  }
};

const address = (c: Cursor): Omit<MemoryOperand, 'width'> => {
  const mod = c.modrm >> 6;
  let base = c.modrm & 7;
  let index = -1;
  let scale = 1;
  if (base === 4) {
    const sib = c.byte();
    scale = 1 << (sib >> 6);
    index = ((sib >> 3) & 7) | ((c.rex & 2) << 2);
    if (index === 4) index = -1;
    base = sib & 7;
    if (base === 5 && mod === 0) base = -1;
  } else if (base === 5 && mod === 0) base = BASE_RIP;
  const displacement = c.signed(mod === 1 ? 1 : mod === 2 || base < 0 || base === BASE_RIP ? 4 : 0);
  if (base >= 0 && base < 8) base |= (c.rex & 1) << 3;
  const { addressWidth, segment } = c;
  return {
    kind: 'memory',
    base,
    index,
    scale,
    displacement,
    addressWidth,
    segment,
    bias: 0,
    aligned: false,
  };
};

const register = (number: number, width: Width, c: Cursor): RegisterOperand => {
  const high = width === 1 && c.rex === 0 && number >= 4;
  return { kind: 'register', register: high ? number - 4 : number, width, high };
};

/** A string's operand, or an absolute offset. */
const plain = (c: Cursor, width: Width, base: number, segment: number, displacement = 0n) => {
  const { addressWidth } = c;
  return {
    kind: 'memory',
    width,
    base,
    index: -1,
    scale: 1,
    displacement,
    addressWidth,
    segment,
    bias: 0,
    aligned: false,
  } as const;
};

const operand = (
  spec: OperandSpec,
  c: Cursor,
  size: Width,
  pops: boolean,
  memory: Omit<MemoryOperand, 'width'> | undefined,
): Operand => {
  const width = typeWidth(spec.type, size, c);
  const reg = ((c.modrm >> 3) & 7) | ((c.rex & 4) << 1);
  switch (spec.kind) {
    case 'E':
    case 'M':
    case 'R':
      return memory === undefined
        ? register((c.modrm & 7) | ((c.rex & 1) << 3), width, c)
        : {
            ...memory,
            width,
            bias: pops && memory.base === RSP ? size : 0,
            aligned: spec.type === 'x',
          };
    case 'V':
      return { kind: 'vector', register: reg, width };
    case 'W':
    case 'U':
      return memory === undefined
        ? { kind: 'vector', register: (c.modrm & 7) | ((c.rex & 1) << 3), width }
        : { ...memory, width, aligned: spec.type === 'x' };
    case 'G':
      return register(reg, width, c);
    case 'Z':
      return register((c.opcode & 7) | ((c.rex & 1) << 3), width, c);
    case 'fixed':
      return spec.type === 'h'
        ? { kind: 'register', register: spec.register - 4, width, high: true }
        : { kind: 'register', register: spec.register, width, high: false };
    case 'I':
      return { kind: 'immediate', ...immediate(spec.type, c, size) };
    case 'J':
      return { kind: 'relative', ...immediate(spec.type, c, size) };
    case 'O':
      return plain(c, width, -1, c.segment, c.signed(c.addressWidth));
    case 'X':
      return plain(c, width, 6, c.segment);
    case 'Y':
      return plain(c, width, 7, 0);
    case 'cc':
      return { kind: 'condition', width, value: BigInt(c.opcode & 15) };
    case 'one':
      return { kind: 'immediate', width, value: 1n };
    case 'S':
      return { kind: 'segment', width, register: (c.modrm >> 3) & 7 };
    case 'C':
      return { kind: 'control', width, register: reg };
    case 'D':
      return { kind: 'debug', width, register: reg };
  }
};

/** A value of the operand size, sign-extended where the encoding is shorter. */
const immediate = (type: string, c: Cursor, size: Width): { width: Width; value: bigint } => {
  const width = type === 'bs' ? size : typeWidth(type, size, c);
  const value = c.signed(type === 'bs' ? 1 : width);
  return { width: type === 'z' ? size : width, value };
};

const CONTROL = new Set([0, 2, 3, 4, 8]);

/** Registers that do not exist: #UD. */
const missing = (operand: Operand): boolean =>
  (operand.kind === 'segment' && operand.register > 5) ||
  (operand.kind === 'control' && !CONTROL.has(operand.register)) ||
  (operand.kind === 'debug' && operand.register > 7);
