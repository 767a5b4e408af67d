/**
 * What the handler of an instruction has to know of it beforehand; the rest is in the record. Instructions of one
 * signature share a handler.
 */
import type { Operation } from './decoder.ts';
import type { MemoryOperand } from './operands.ts';
import { hasRoom, isNear, OPERANDS, registerOffset, targetOffset } from './record.ts';
import { rows } from './rows.ts';

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

const memoryShape = (o: MemoryOperand, kind: string): Shape | undefined => {
  const plain = o.addressWidth === 8 && o.segment === 0;
  if (kind === 'X' || kind === 'Y') return plain ? `@${o.base}` : undefined;
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
      return hasRoom(o, operation, at) ? memoryShape(o, spec.kind) : undefined;
    case 'condition':
      return `?${Number(o.value)}`;
    case 'immediate':
      return 'immediate';
    case 'relative':
      return isNear(targetOffset(o, operation, at)) ? 'near' : 'far';
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
    // How many bytes a branch's displacement has, no handler sees.
    key += o.kind === 'relative' ? ` ${shape}` : ` ${shape}${o.width}${aligned}`;
  }
  if (traits.rep) key += ` r${repeat}`;
  // Only rows that count with the address size have none with it but in an operand.
  if (addressWidth !== 8 && !operands.some(({ shape }) => shape === 'indexed')) return undefined;
  return { operation, operands, key };
};

/** Kinds of operands for `shortKey`; others have no handler. */
const KINDS: Readonly<Record<string, number>> = { register: 0, vector: 1, immediate: 2 };
const PLAIN = 3;
const INDEXED = 4;
const NEAR = 5;
const FAR = 6;
const CONDITION = 64;
const KEYS = 128;

/** One operand as a number below KEYS, or -1: there is no handler. */
const operandKey = (operation: Operation, i: number, at: number): number => {
  const o = operation.operands[i]!;
  const width = 31 - Math.clz32(o.width);
  if (o.kind === 'condition') return CONDITION + Number(o.value);
  let kind = KINDS[o.kind];
  if (o.kind === 'memory') {
    if (!hasRoom(o, operation, at)) return -1;
    kind = o.addressWidth === 8 && o.segment === 0 && o.index < 0 ? PLAIN : INDEXED;
  } else if (o.kind === 'relative') kind = isNear(targetOffset(o, operation, at)) ? NEAR : FAR;
  return kind === undefined ? -1 : kind * 5 + width;
};

/** Operations of one form with the same number have the same signature; -1: none. Quicker than asking for it. */
export const shortKey = (operation: Operation, at: number): number => {
  const { operands, width, addressWidth, repeat } = operation;
  let key =
    (31 - Math.clz32(width)) * 6 +
    (repeat === 0 ? 0 : repeat - 0xf1) * 2 +
    (addressWidth === 8 ? 0 : 1);
  for (let i = 0; i < operands.length; i++) {
    const one = operandKey(operation, i, at);
    if (one < 0) return -1;
    key = key * KEYS + one;
  }
  return key;
};
