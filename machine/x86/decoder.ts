/**
 * Machine code of 64-bit and compatibility mode to operations, from the rows' encodings. Position-independent: a displacement stays one, so
 * the same bytes decode to the same operation wherever they are mapped.
 * @source SDM vol. 2, chapter 2
 */
import type { CodeMode } from '../vcpu.ts';
import type { Width } from './builder.ts';
import {
  type AddressWidth,
  address,
  Cursor,
  MAX_LENGTH,
  missing,
  type Operand,
  operand,
  type Undecodable,
} from './operands.ts';
import { type Form, NO_PREFIX, REGISTER_ONLY } from './row.ts';
import { rows } from './rows.ts';

export interface Operation {
  readonly form: Form;
  readonly mode: CodeMode;
  readonly length: number;
  /** 0 if it has none. */
  readonly modrm: number;
  /** That of the first operand, or the operand size. */
  readonly width: Width;
  readonly addressWidth: AddressWidth;
  readonly lock: boolean;
  /** F2, F3 or 0. */
  readonly repeat: number;
  readonly operands: readonly Operand[];
}

/** The narrower form first. */
const narrow = ({ prefix, exact, row }: Form): number =>
  (prefix > 0 ? 4 : 0) + (exact >= 0 ? 2 : 0) + (row.traits.noRexB ? 1 : 0);

/** Forms by map and opcode, of a mode that lacks those which are `absent`. */
const tableWithout = (absent: 'i64' | 'o64'): readonly Form[][] => {
  const table: Form[][] = Array.from({ length: 4 * 256 }, () => []);
  for (const form of rows.flatMap((each) => each.forms))
    for (let i = 0; i < form.span && form.only !== absent; i++)
      table[form.map * 256 + form.opcode + i]!.push(form);
  for (const forms of table) forms.sort((a, b) => narrow(b) - narrow(a));
  return table;
};
const long = tableWithout('i64');
const legacy = tableWithout('o64');

/** The operation at the start of `bytes`. */
export const decode = (bytes: Uint8Array, mode: CodeMode = 64): Operation | Undecodable => {
  const c = new Cursor(bytes, mode);
  prefixes(c);
  const forms = (mode === 64 ? long : legacy)[opcodeMap(c) * 256 + c.opcode]!;
  const modrm = forms.length > 0 && forms[0]!.modrm;
  if (modrm) c.modrm = c.byte();
  if (modrm && c.modrm < 0xc0) address(c);
  const form = forms.find((candidate) => matches(candidate, c));
  const like = form ?? forms[0]; // what is refused has been fetched whole
  if (like === undefined) return c.overrun ?? 'undefined';
  const size = operandSize(like, c);
  c.bias = like.row.traits.pops ? size : 0;
  const operands = like.operands.map((spec) => operand(spec, c, size));
  if (c.overrun !== undefined) return c.overrun;
  if (form === undefined) return 'undefined';
  const first = operands.find((each) => each.kind !== 'condition');
  if (c.lock && !(form.row.traits.lock && first?.kind === 'memory')) return 'undefined';
  if (operands.some(missing)) return 'undefined';
  return {
    form,
    mode,
    length: c.at,
    modrm: c.modrm,
    width: form.row.traits.size === undefined && first !== undefined ? first.width : size,
    addressWidth: c.addressWidth,
    lock: c.lock,
    repeat: c.repeat,
    operands,
  };
};

const prefixes = (c: Cursor): void => {
  const is64 = c.mode === 64;
  while (c.at <= MAX_LENGTH) {
    const byte = c.byte();
    let rex = 0;
    if ((byte & 0xf0) === 0x40 && is64) rex = byte;
    else if (byte === 0x66) c.operandSize = true;
    else if (byte === 0x67) c.addressWidth = c.mode === 32 ? 2 : 4;
    else if (byte === 0xf0) c.lock = true;
    else if (byte === 0xf2 || byte === 0xf3) c.repeat = byte;
    else if (byte === 0x64 || byte === 0x65) c.segment = byte;
    else if ((byte & 0xe7) !== 0x26) {
      c.opcode = byte;
      return;
    } else if (!is64) c.segment = byte; // ES, CS, SS, DS, which 64-bit mode ignores
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
  return form.operands.every(({ kind }) =>
    c.modrm >= 0xc0 ? kind !== 'M' : !REGISTER_ONLY.has(kind),
  );
};

const operandSize = (form: Form, c: Cursor): Width => {
  const { size } = form.row.traits;
  if (c.mode !== 64) return (c.mode === 32) === c.operandSize ? 2 : 4;
  if (size === 'f64' || (c.rex & 8) !== 0) return 8;
  if (c.operandSize) return 2;
  return size === 'd64' ? 8 : 4;
};
