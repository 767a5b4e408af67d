/**
 * Operands, and how instructions encode them.
 * @source SDM vol. 2, 2.1.5 and 2.2.1
 */
import { type CodeMode, RBP, RBX, RDI, RSI, RSP } from '../vcpu.ts';
import type { Sized, Width } from './builder.ts';
import type { OperandSpec } from './row.ts';

export type AddressWidth = 2 | 4 | 8;

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
/** `stack`: ST(register). */
export interface X87Operand extends Sized {
  readonly kind: 'stack' | 'mmx';
  readonly register: number;
}
export interface MemoryOperand extends Sized {
  readonly kind: 'memory';
  readonly base: number;
  readonly index: number;
  readonly scale: number;
  readonly displacement: bigint;
  readonly addressWidth: AddressWidth;
  /** The prefix byte 64 or 65, of compatibility mode any other, too; else 0. Other segments than FS and GS have base 0. */
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
  | X87Operand
  | MemoryOperand
  | ConstantOperand
  | SystemOperand;

/** `short`: the bytes end before the instruction does; `long`: it would exceed 15 bytes. */
export type Undecodable = 'undefined' | 'short' | 'long';

export const MAX_LENGTH = 15;

/** Where the decoder is, and the prefixes that it met. */
export class Cursor {
  at = 0;
  rex = 0;
  operandSize = false;
  addressWidth: AddressWidth;
  segment = 0;
  repeat = 0;
  lock = false;
  opcode = 0;
  modrm = 0;
  /** The address that ModRM and SIB describe. */
  base = -1;
  index = -1;
  scale = 1;
  displacement = 0n;
  /** What is added to it over RSP. */
  bias = 0;
  readonly bytes: Uint8Array;
  readonly mode: CodeMode;

  constructor(bytes: Uint8Array, mode: CodeMode) {
    this.bytes = bytes;
    this.mode = mode;
    this.addressWidth = mode === 64 ? 8 : mode === 32 ? 4 : 2;
  }

  byte(): number {
    return this.bytes[this.at++] ?? 0;
  }

  signed(bytes: number): bigint {
    if (bytes === 0) return 0n;
    if (bytes === 8) return BigInt.asUintN(32, this.signed(4)) | (this.signed(4) << 32n);
    let value = 0;
    for (let i = 0; i < bytes; i++) value |= this.byte() << (8 * i);
    const unused = 32 - 8 * bytes;
    return BigInt((value << unused) >> unused);
  }

  get overrun(): Undecodable | undefined {
    if (this.at <= this.bytes.length && this.at <= MAX_LENGTH) return undefined;
    return this.bytes.length < MAX_LENGTH ? 'short' : 'long';
  }
}

/** Base and index by ModRM.rm of an address of 16 bits. */
const BASES_16 = [RBX, RBX, RBP, RBP, RSI, RDI, RBP, RBX] as const;
const INDEXES_16 = [RSI, RDI, RSI, RDI, -1, -1, -1, -1] as const;

const address16 = (c: Cursor): void => {
  const mod = c.modrm >> 6;
  const rm = c.modrm & 7;
  const absolute = mod === 0 && rm === 6;
  c.base = absolute ? -1 : BASES_16[rm]!;
  c.index = INDEXES_16[rm]!;
  c.displacement = c.signed(absolute ? 2 : mod);
};

/** Reads what follows a ModRM that names memory. */
export const address = (c: Cursor): void => {
  if (c.addressWidth === 2) {
    address16(c);
    return;
  }
  const mod = c.modrm >> 6;
  let base = c.modrm & 7;
  if (base === 4) {
    const sib = c.byte();
    const index = ((sib >> 3) & 7) | ((c.rex & 2) << 2);
    c.scale = 1 << (sib >> 6);
    c.index = index === RSP ? -1 : index;
    base = sib & 7;
    if (base === 5 && mod === 0) base = -1;
  } else if (base === 5 && mod === 0) base = c.mode === 64 ? BASE_RIP : -1;
  c.displacement = c.signed(mod === 1 ? 1 : mod === 2 || base < 0 || base === BASE_RIP ? 4 : 0);
  c.base = base >= 0 && base < 8 ? base | ((c.rex & 1) << 3) : base;
};

const memory = (c: Cursor, width: Width, aligned: boolean): MemoryOperand => ({
  kind: 'memory',
  width,
  base: c.base,
  index: c.index,
  scale: c.scale,
  displacement: c.displacement,
  addressWidth: c.addressWidth,
  segment: c.segment,
  bias: c.base === RSP ? c.bias : 0,
  aligned,
});

/** An absolute offset, or a string's operand, or a table's. */
const plain = (
  c: Cursor,
  width: Width,
  base: number,
  segment: number,
  displacement = 0n,
): MemoryOperand => ({
  kind: 'memory',
  width,
  base,
  index: -1,
  scale: 1,
  displacement,
  addressWidth: c.addressWidth,
  segment,
  bias: 0,
  aligned: false,
});

const register = (number: number, width: Width, c: Cursor): RegisterOperand => {
  const high = width === 1 && c.rex === 0 && number >= 4;
  return { kind: 'register', register: high ? number - 4 : number, width, high };
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
    case 'n':
      return c.mode === 64 ? 8 : 4;
    case 'q':
      return 8;
    case 't':
      return 10;
    case 'x':
    case 'u':
      return 16;
    default:
      return size;
  }
};

export const operand = (spec: OperandSpec, c: Cursor, size: Width): Operand => {
  const width = typeWidth(spec.type, size, c);
  const reg = ((c.modrm >> 3) & 7) | ((c.rex & 4) << 1);
  const rm = (c.modrm & 7) | ((c.rex & 1) << 3);
  switch (spec.kind) {
    case 'E':
    case 'M':
    case 'R':
      return c.modrm >= 0xc0 ? register(rm, width, c) : memory(c, width, spec.type === 'x');
    case 'V':
      return { kind: 'vector', register: reg, width };
    case 'W':
    case 'U':
      return c.modrm >= 0xc0
        ? { kind: 'vector', register: rm, width }
        : memory(c, width, spec.type === 'x');
    case 'P':
      return { kind: 'mmx', register: reg & 7, width };
    case 'Q':
    case 'N':
      return c.modrm >= 0xc0 ? { kind: 'mmx', register: rm & 7, width } : memory(c, width, false);
    case 'ST':
      return { kind: 'stack', register: spec.register, width };
    case 'STi':
      return { kind: 'stack', register: c.modrm & 7, width };
    case 'G':
      return register(reg, width, c);
    case 'Z':
      return register((c.opcode & 7) | ((c.rex & 1) << 3), width, c);
    case 'fixed':
      return spec.type === 'h'
        ? { kind: 'register', register: spec.register - 4, width, high: true }
        : { kind: 'register', register: spec.register, width, high: false };
    case 'I':
      return immediate('immediate', spec.type, c, size);
    case 'J':
      return immediate('relative', spec.type, c, size);
    case 'O':
      return plain(c, width, -1, c.segment, c.signed(c.addressWidth));
    case 'X':
      return plain(c, width, RSI, c.segment);
    case 'Y':
      return plain(c, width, RDI, 0);
    case 'T':
      return plain(c, width, RDI, c.segment);
    case 'B':
      return plain(c, width, RBX, c.segment);
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
const immediate = (
  kind: 'immediate' | 'relative',
  type: string,
  c: Cursor,
  size: Width,
): ConstantOperand => {
  const width = type === 'bs' ? 1 : typeWidth(type, size, c);
  const value = c.signed(width);
  return { kind, width: type === 'z' || type === 'bs' ? size : width, value };
};

const CONTROL = new Set([0, 2, 3, 4, 8]);

/** Registers that do not exist: #UD. */
export const missing = (operand: Operand): boolean =>
  (operand.kind === 'segment' && operand.register > 5) ||
  (operand.kind === 'control' && !CONTROL.has(operand.register)) ||
  (operand.kind === 'debug' && operand.register > 7);
