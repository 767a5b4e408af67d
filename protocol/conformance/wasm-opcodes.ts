/**
 * The instructions of WebAssembly as the rewriter needs them: which of them access memory and how,
 * and how long the immediates of the others are.
 * @source WebAssembly core specification, 5.4 Instructions; the threads proposal for 0xFE
 */
import { type ByteReader, refuse } from './wasm-bytes.ts';

export const Op = {
  block: 0x02,
  loop: 0x03,
  if: 0x04,
  else: 0x05,
  end: 0x0b,
  call: 0x10,
  return_call: 0x12,
  'local.get': 0x20,
  'local.set': 0x21,
  'local.tee': 0x22,
  'global.get': 0x23,
  'table.set': 0x26,
  'i32.load': 0x28,
  'i32.store': 0x36,
  'i32.store8': 0x3a,
  'memory.size': 0x3f,
  'memory.grow': 0x40,
  'i32.const': 0x41,
  'i32.lt_s': 0x48,
  'i32.gt_u': 0x4b,
  'i32.add': 0x6a,
  'i32.sub': 0x6b,
  'i32.shr_u': 0x76,
  'ref.func': 0xd2,
  /** Prefixes: a u32 that says which instruction follows. */
  misc: 0xfc,
  simd: 0xfd,
  atomic: 0xfe,
} as const;

/** Those after the prefix 0xFC. */
export const Misc = {
  'memory.init': 8,
  'data.drop': 9,
  'memory.copy': 10,
  'memory.fill': 11,
  'table.size': 16,
} as const;

export const I32 = 0x7f;
export const I64 = 0x7e;
export const F32 = 0x7d;
export const F64 = 0x7c;
export const V128 = 0x7b;

/** What one load or store does: its bytes, whether it writes, the operands above its address. */
export interface Access {
  readonly size: number;
  readonly write: boolean;
  readonly operands: readonly number[];
}

const load = (size: number, ...operands: number[]): Access => ({ size, write: false, operands });
const store = (size: number, ...operands: number[]): Access => ({ size, write: true, operands });

/** From 0x28, i32.load, to 0x3e, i64.store32. */
const PLAIN: readonly Access[] = [
  ...[4, 8, 4, 8, 1, 1, 2, 2, 1, 1, 2, 2, 4, 4].map((size) => load(size)),
  store(4, I32),
  store(8, I64),
  store(4, F32),
  store(8, F64),
  store(1, I32),
  store(2, I32),
  store(1, I64),
  store(2, I64),
  store(4, I64),
];

/** The seven widths in which each atomic instruction comes, in the order of their opcodes. */
const ATOMIC = [
  [4, I32],
  [8, I64],
  [1, I32],
  [2, I32],
  [1, I64],
  [2, I64],
  [4, I64],
] as const;

export function plainAccess(opcode: number): Access | undefined {
  return PLAIN[opcode - Op['i32.load']];
}

/** v128.load and its forms, v128.store, and those that load or store one lane. */
export function simdAccess(opcode: number): Access | undefined {
  if (opcode < 11) return load([16, 8, 8, 8, 8, 8, 8, 1, 2, 4, 8][opcode]!);
  if (opcode === 11) return store(16, V128);
  if (opcode >= 84 && opcode < 88) return load(1 << (opcode - 84), V128);
  if (opcode >= 88 && opcode < 92) return store(1 << (opcode - 88), V128);
  if (opcode === 92 || opcode === 93) return load(opcode === 92 ? 4 : 8);
  return undefined;
}

/**
 * Loads, stores, read-modify-writes and compare-exchanges. Not notify, which accesses nothing, nor
 * wait, which traps: here no other thread could wake it.
 */
export function atomicAccess(opcode: number): Access | undefined {
  const form = Math.floor((opcode - 0x10) / 7);
  if (form < 0 || form > 8) return undefined;
  const [size, type] = ATOMIC[(opcode - 0x10) % 7]!;
  if (form === 0) return load(size);
  return form === 8 ? store(size, type, type) : store(size, type);
}

/** memarg: returns the offset. Memory is always memory 0, even where the encoding may say another. */
export function memarg(reader: ByteReader): number {
  if (reader.u32() >= 64) reader.u32();
  return reader.u32();
}

export function unknown(what: string): never {
  return refuse(`uses ${what}, which this kit does not know: compile for plain wasm32`);
}

/** A value type or the type of a table's elements, one byte in everything but typed references. */
export function valtype(reader: ByteReader): number {
  const type = reader.byte();
  if (type < 0x6f || (type > 0x70 && type < V128) || type > I32) {
    unknown(`the type 0x${type.toString(16)}`);
  }
  return type;
}

/** Steps over the immediates of an instruction that has no prefix and no memarg. */
export function skipImmediates(reader: ByteReader, opcode: number): void {
  if (opcode >= 0x45 && opcode <= 0xc4) return; // comparisons, arithmetic, conversions
  switch (opcode) {
    case 0x00: // unreachable
    case 0x01: // nop
    case 0x05: // else
    case 0x0b: // end
    case 0x0f: // return
    case 0x1a: // drop
    case 0x1b: // select
    case 0xd1: // ref.is_null
      return;
    case 0x02: // block
    case 0x03: // loop
    case 0x04: // if: each a blocktype, which is a value type or an s33
      if (reader.bytes[reader.at] === 0x63 || reader.bytes[reader.at] === 0x64) {
        unknown('typed references');
      }
      reader.skipLeb();
      return;
    case 0x0e: // br_table
      reader.vector(() => reader.u32());
      reader.u32();
      return;
    case 0x11: // call_indirect
    case 0x13: // return_call_indirect
      reader.u32();
      reader.u32();
      return;
    case 0x1c: // select with types
      reader.vector(() => valtype(reader));
      return;
    case 0x43: // f32.const
      reader.take(4);
      return;
    case 0x44: // f64.const
      reader.take(8);
      return;
    case 0x0c: // br
    case 0x0d: // br_if
    case 0x20: // local.get, local.set, local.tee
    case 0x21:
    case 0x22:
    case 0x23: // global.get, global.set
    case 0x24:
    case 0x25: // table.get, table.set
    case 0x26:
    case 0x41: // i32.const, i64.const
    case 0x42:
    case 0xd0: // ref.null
      reader.skipLeb();
      return;
    default:
      unknown(`the instruction 0x${opcode.toString(16).padStart(2, '0')}`);
  }
}

/** Steps over the immediates of an instruction with a prefix that is no access of memory. */
export function skipPrefixed(reader: ByteReader, prefix: number, opcode: number): void {
  if (prefix === Op.misc) {
    if (opcode > 17) unknown(`the instruction 0xfc ${opcode}`);
    if (opcode >= 8) reader.u32();
    if (opcode === 8 || opcode === 10 || opcode === 12 || opcode === 14) reader.u32();
  } else if (prefix === Op.simd) {
    if (opcode === 12 || opcode === 13) reader.take(16);
    else if (opcode >= 21 && opcode <= 34) reader.byte();
    else if (opcode >= 84 && opcode <= 91) reader.byte(); // the lane, after its memarg
  } else if (opcode <= 2) {
    memarg(reader); // notify, wait32, wait64
  } else if (opcode === 3) {
    reader.byte(); // atomic.fence
  } else {
    unknown(`the instruction 0xfe ${opcode}`);
  }
}
