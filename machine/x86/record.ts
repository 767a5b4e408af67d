/**
 * Decoded instructions as the interpreter reads them: 32 bytes each, in the order in which they are executed unless one jumps. The
 * records of a page of code lie together, after a table that has for each byte of the page the number of the record of the
 * instruction that begins there, or 0.
 *
 *     0 handler u16   2 offset u16 in the page   4 three operands u16: offsets of registers in the vCPU block
 *     10 base u16, 12 index u16: such offsets, too         14 scale u8 (a shift)   15 length u8
 *     16 immediate i64, or how far away the record is that a branch goes to (i32)
 *     24 displacement i32                                  28 segment's base u16, 30 address mask u16: such offsets
 */
import { FS_BASE, GS_BASE, XMM } from '../vcpu.ts';
import type { Operation } from './decoder.ts';
import { BASE_RIP, type ConstantOperand, type MemoryOperand, type Operand } from './operands.ts';

export const RECORD_BYTES_LOG = 5;
export const RECORD_SIZE = 32;
export const HANDLER = 0;
export const OFFSET = 2;
export const OPERAND = 4;
/** So many operands may be registers that the record names. */
export const OPERANDS = 3;
export const BASE = 10;
export const INDEX = 12;
export const SCALE = 14;
export const LENGTH = 15;
export const IMMEDIATE = 16;
export const DISPLACEMENT = 24;
export const SEGMENT = 28;
export const MASK = 30;

/** Records are numbered from here: before it is the table, 4096 times u16. */
export const FIRST_RECORD = (4096 * 2) / RECORD_SIZE;
/** Instructions have four bytes and more, mostly; who has more of them in a page is decoded again, now and then. */
export const PAGE_RECORDS = FIRST_RECORD + 1536;
export const PAGE_RECORD_BYTES = PAGE_RECORDS * RECORD_SIZE;

/** Fields of the vCPU block that only the engine knows. */
export const FLAG_RESULT = 136;
export const FLAG_CARRIES = 144;
/** Address of the page that executes. */
export const PAGE_VA = 1280;
/** The handler (u32) that is called as a function, and the record (u32) for which anything is called. */
export const CALLED = 1372;
export const CALLING = 1376;
/** An access that is not in the TLB: its address, how many bytes, and whether it writes (u32 both). */
export const ABSENT_VA = 1384;
export const ABSENT_BYTES = 1392;
export const ABSENT_WRITE = 1396;
/** Always 0, all ones, 2^32 - 1: in place of a register, or as mask of an address. */
export const ZERO = 1288;
export const MASK_64 = 1296;
export const MASK_32 = 1304;
/** u32: instructions left, and by how many an access that missed the TLB lessened them. */
export const LEFT = 1312;
export const DEBT = 1316;
/** Where a rare instruction jumped. */
export const TARGET = 1320;
/** u32: where frames begin, how many there are, where the map of those with code is; what a fill costs, in instructions; fills. */
export const FRAME_BASE = 1344;
export const FRAMES = 1348;
export const CODE_MAP = 1352;
export const FILL_COST = 1356;
export const FILLS = 1360;
/** u32: not zero while instructions on vectors are refused. */
export const VECTORS_OFF = 1364;
/** A read that crosses into another page is put together here. */
export const BOUNCE = 1328;

/**
 * Handlers that are no instruction: not decoded, beyond the page, what the evaluator does, an instruction that reaches into the
 * next page, and one that is recorded elsewhere, where its immediate says.
 */
export const HANDLER_MISS = 0;
export const HANDLER_PAGE_END = 1;
export const HANDLER_SLOW = 2;
export const HANDLER_CROSSING = 3;
export const HANDLER_ELSEWHERE = 4;
export const FIRST_HANDLER = 5;

/**
 * Of an instruction that reaches into the next page, the record after it, which leads there, says by which handler it is done, and
 * where the records of that page have to begin, if it is the page that was decoded (u16 and u32).
 */
export const CROSSING_TO = RECORD_SIZE + 4;
export const CROSSING_NEXT = RECORD_SIZE + 8;

/** Offset of a register operand in the vCPU block. */
export const registerOffset = (o: Extract<Operand, { kind: 'register' }>): number =>
  8 * o.register + (o.high ? 1 : 0);

/** Where a branch of an instruction at offset `at` goes, from the beginning of its page. */
export const targetOffset = (o: ConstantOperand, { length }: Operation, at: number): number =>
  at + length + Number(o.value);

/** A branch into its own page; where that is decoded is the record's affair. */
export const isNear = (target: number): boolean => target >= 0 && target < 4096;

/** Fills the record at `record` of `view` for an instruction at offset `at`: what does not fit has no signature. */
export const writeRecord = (
  view: DataView,
  record: number,
  handler: number,
  at: number,
  operation: Operation,
): void => {
  const { operands, length } = operation;
  for (let i = 0; i < operands.length; i++) {
    const o = operands[i]!;
    const slot = record + OPERAND + 2 * i;
    switch (o.kind) {
      case 'register':
        if (i < OPERANDS) view.setUint16(slot, registerOffset(o), true);
        break;
      case 'vector':
        view.setUint16(slot, XMM + 16 * o.register, true);
        break;
      case 'immediate':
        writeImmediate(view, record, o.value, o.width);
        break;
      case 'relative': {
        const to = targetOffset(o, operation, at);
        if (!isNear(to)) writeHalves(view, record, to);
        break;
      }
      case 'memory':
        writeAddress(view, record, at + length, o);
    }
  }
  view.setUint16(record + OFFSET, at, true);
  view.setUint8(record + LENGTH, length);
  view.setUint16(record + HANDLER, handler, true);
};

const writeHalves = (view: DataView, record: number, value: number): void => {
  view.setInt32(record + IMMEDIATE, value | 0, true);
  view.setInt32(record + IMMEDIATE + 4, Math.floor(value / 2 ** 32), true);
};

/** The low `width` bytes of `value`, zero-extended. */
const writeImmediate = (view: DataView, record: number, value: bigint, width: number): void => {
  const number = Number(value);
  if (width === 8 && !Number.isSafeInteger(number))
    view.setBigUint64(record + IMMEDIATE, BigInt.asUintN(64, value), true);
  else if (width === 8) writeHalves(view, record, number);
  else writeHalves(view, record, width === 4 ? number >>> 0 : number & (2 ** (8 * width) - 1));
};

/** What an address has beside its registers; of one relative to RIP, beside the address of its page. `next`: where the next instruction is in it. */
const constantPart = (o: MemoryOperand, next: number): number =>
  Number(o.displacement) + (o.base === BASE_RIP ? next : o.bias);

/** A record has 32 bits for it. */
export const hasRoom = (o: MemoryOperand, { length }: Operation, at: number): boolean => {
  const constant = constantPart(o, at + length);
  return (constant | 0) === constant;
};

const writeAddress = (view: DataView, record: number, next: number, o: MemoryOperand): void => {
  const base = o.base === BASE_RIP ? PAGE_VA : o.base < 0 ? ZERO : 8 * o.base;
  const segment = o.segment === 0 ? ZERO : o.segment === 0x64 ? FS_BASE : GS_BASE;
  view.setUint16(record + BASE, base, true);
  view.setUint16(record + INDEX, o.index < 0 ? ZERO : 8 * o.index, true);
  view.setUint8(record + SCALE, 31 - Math.clz32(o.scale));
  view.setInt32(record + DISPLACEMENT, constantPart(o, next), true);
  view.setUint16(record + SEGMENT, segment, true);
  view.setUint16(record + MASK, o.addressWidth === 8 ? MASK_64 : MASK_32, true);
};
