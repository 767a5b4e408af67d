/**
 * Decoded instructions as the interpreter reads them: 32 bytes for every byte of a page of code, so that the record
 * of the instruction at offset n of a page is the nth, a branch inside the page is an addition, and forgetting what was
 * decoded of some bytes is zeroing the handlers of some records. What is not decoded has handler 0.
 *
 *     0 handler u16   2 stride u16 (32 times the length)   4 three operands u16: offsets of registers in the vCPU block
 *     10 base u16, 12 index u16: such offsets, too         14 scale u8 (a shift)
 *     16 immediate i64, or where in the page's records a branch goes (i32)
 *     24 displacement i32                                  28 segment's base u16, 30 address mask u16: such offsets
 */
import { FS_BASE, GS_BASE, XMM } from '../vcpu.ts';
import type { Operation } from './decoder.ts';
import { BASE_RIP, type MemoryOperand, type Operand } from './operands.ts';
import { rows } from './rows.ts';

export const RECORD_BYTES_LOG = 5;
export const RECORD_SIZE = 32;
export const HANDLER = 0;
export const STRIDE = 2;
export const OPERAND = 4;
const OPERANDS = 3;
export const BASE = 10;
export const INDEX = 12;
export const SCALE = 14;
export const IMMEDIATE = 16;
export const DISPLACEMENT = 24;
export const SEGMENT = 28;
export const MASK = 30;

/** Records after the page's own, where an instruction that ends the page goes on: they lead into the next page. */
export const TAIL = 16;
export const PAGE_RECORDS = 4096 + TAIL;
export const PAGE_RECORD_BYTES = PAGE_RECORDS * RECORD_SIZE;

/** Fields of the vCPU block that only the engine knows. */
export const FLAG_RESULT = 136;
export const FLAG_CARRIES = 144;
/** Address of the page that executes. */
export const PAGE_VA = 1280;
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
/** A read that crosses into another page is put together here. */
export const BOUNCE = 1328;

/** Handlers that are no instruction: not decoded, beyond the page, what the evaluator does. */
export const HANDLER_MISS = 0;
export const HANDLER_PAGE_END = 1;
export const HANDLER_SLOW = 2;
export const FIRST_HANDLER = 3;

/** How an operand reaches a handler. Two operands of one kind and width differ only in the record. */
export type Kind =
  | 'register'
  | 'vector'
  /** base + displacement. */
  | 'memory'
  /** With index, segment, address size. */
  | 'indexed'
  | 'immediate'
  /** A branch into the same page, or out of it. */
  | 'near'
  | 'far';

/** An operand of a handler: a kind, or a fixed register, a string's pointer, a condition: `%3`, `@7`, `?4`. */
export type Shape = Kind | `%${number}` | `@${number}` | `?${number}`;

export interface HandlerOperand {
  readonly width: Operation['width'];
  readonly shape: Shape;
  /** Its place among OPERANDs. */
  readonly slot: number;
}

/** What a handler is made for. */
export interface Signature {
  readonly operation: Operation;
  readonly operands: readonly HandlerOperand[];
  readonly key: string;
}

const rowNumbers = new Map(rows.map((row, i) => [row, i]));

/** Offset of a register operand in the vCPU block. */
const registerOffset = (o: Extract<Operand, { kind: 'register' }>): number =>
  8 * o.register + (o.high ? 1 : 0);

const memoryShape = (o: MemoryOperand, kind: string): Shape | undefined => {
  const plain = o.addressWidth === 8 && o.segment === 0;
  if (kind === 'X' || kind === 'Y') return plain ? `@${o.base}` : undefined;
  if (BigInt.asIntN(31, o.displacement) !== o.displacement) return undefined;
  return plain && o.index < 0 ? 'memory' : 'indexed';
};

const shapeOf = (operation: Operation, i: number, at: number): Shape | undefined => {
  const o = operation.operands[i]!;
  const spec = operation.form.operands[i]!;
  switch (o.kind) {
    case 'register':
      return spec.kind === 'fixed' ? `%${registerOffset(o)}` : 'register';
    case 'vector':
      return 'vector';
    case 'memory':
      return memoryShape(o, spec.kind);
    case 'condition':
      return `?${Number(o.value)}`;
    case 'immediate':
      return 'immediate';
    case 'relative': {
      const to = at + operation.length + Number(o.value);
      return to >= 0 && to < 4096 ? 'near' : 'far';
    }
    default:
      return undefined;
  }
};

/** The handler that `operation`, at offset `at` of its page, needs; undefined when only the evaluator does it. */
export const signatureOf = (operation: Operation, at: number): Signature | undefined => {
  const { form, width, addressWidth, repeat } = operation;
  const { traits, semantics } = form.row;
  if (semantics === undefined || traits.privilege !== undefined) return undefined;
  const operands: HandlerOperand[] = [];
  let key = `${rowNumbers.get(form.row)} ${width}`;
  let immediates = 0;
  for (let i = 0; i < operation.operands.length; i++) {
    const shape = shapeOf(operation, i, at);
    if (shape === undefined) return undefined;
    if (shape === 'immediate' && ++immediates > 1) return undefined;
    if ((shape === 'register' || shape === 'vector') && i >= OPERANDS) return undefined;
    const o = operation.operands[i]!;
    operands.push({ width: o.width, shape, slot: i });
    const aligned = o.kind === 'memory' && o.aligned ? 'a' : '';
    key += ` ${shape}${o.width}${aligned}`;
  }
  if (traits.rep) key += ` r${repeat}`;
  // Only rows that count with the address size have none with it but in an operand.
  if (addressWidth !== 8 && !operands.some(({ shape }) => shape === 'indexed')) return undefined;
  return { operation, operands, key };
};

/** Fills the record at `record` of `view`. @returns nothing: what does not fit has no signature. */
export const writeRecord = (
  view: DataView,
  record: number,
  handler: number,
  at: number,
  { operation, operands }: Signature,
): void => {
  const put16 = (field: number, value: number): void => view.setUint16(record + field, value, true);
  for (const { shape, slot } of operands) {
    const o = operation.operands[slot]!;
    if (shape === 'register' && o.kind === 'register') put16(OPERAND + 2 * slot, registerOffset(o));
    else if (shape === 'vector' && o.kind === 'vector')
      put16(OPERAND + 2 * slot, XMM + 16 * o.register);
    else if (o.kind === 'immediate')
      view.setBigUint64(record + IMMEDIATE, BigInt.asUintN(8 * o.width, o.value), true);
    else if (o.kind === 'relative') writeTarget(view, record, at + operation.length, o.value);
    else if (o.kind === 'memory') writeAddress(view, record, at + operation.length, o);
  }
  put16(STRIDE, operation.length * RECORD_SIZE);
  put16(HANDLER, handler);
};

/** Within the page, where in its records; else relative to the page. */
const writeTarget = (view: DataView, record: number, next: number, by: bigint): void => {
  const to = next + Number(by);
  const near = to >= 0 && to < 4096;
  view.setBigInt64(record + IMMEDIATE, BigInt(near ? to * RECORD_SIZE : to), true);
};

const writeAddress = (view: DataView, record: number, next: number, o: MemoryOperand): void => {
  const relative = o.base === BASE_RIP;
  const base = relative ? PAGE_VA : o.base < 0 ? ZERO : 8 * o.base;
  const displacement = Number(o.displacement) + (relative ? next : o.bias);
  const segment = o.segment === 0 ? ZERO : o.segment === 0x64 ? FS_BASE : GS_BASE;
  view.setUint16(record + BASE, base, true);
  view.setUint16(record + INDEX, o.index < 0 ? ZERO : 8 * o.index, true);
  view.setUint8(record + SCALE, Math.log2(o.scale));
  view.setInt32(record + DISPLACEMENT, displacement, true);
  view.setUint16(record + SEGMENT, segment, true);
  view.setUint16(record + MASK, o.addressWidth === 8 ? MASK_64 : MASK_32, true);
};
