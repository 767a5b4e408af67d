/**
 * One encoding for every handler that the frequent instructions need: each form for 32 and for 64 bits, with a register and
 * with both kinds of memory operand, each condition, branches within the page and out of it.
 */
import { decode } from './decoder.ts';
import type { Form, Row } from './row.ts';
import { type Signature, signatureOf } from './signature.ts';

const REX_W = 0x48;
/** ModRM.rm and what follows: a register, [rbx + n], [rbx + rcx + n]. */
const REGISTER = [0xc1];
const PLAIN = [0x43, 0x10];
const INDEXED = [0x44, 0x0b, 0x10];

const modrmOf = (form: Form): number[][] => {
  if (!form.modrm) return [[]];
  if (form.exact >= 0) return [[form.exact]];
  const kinds = form.operands.map(({ kind }) => kind);
  const only = kinds.includes('R') || kinds.includes('U');
  const variants = only ? [REGISTER] : [REGISTER, PLAIN, INDEXED];
  const reg = (form.digit >= 0 ? form.digit : 2) << 3;
  return variants.map(([first, ...rest]) => [first! | reg, ...rest]);
};

const prefixesOf = (form: Form): number[][] => {
  const mandatory = form.prefix > 0 ? [form.prefix] : [];
  return [mandatory, [...mandatory, REX_W]];
};

/** Immediates and displacements: small, so that a branch stays in the page, or large. */
const tailsOf = (form: Form): number[][] => {
  const branch = form.operands.some(({ kind }) => kind === 'J');
  const small = [0, 0, 0, 0, 0, 0, 0, 0];
  return branch ? [small, [0x80, 0xff, 0xff, 0xff]] : [small];
};

const ESCAPES = [[], [0x0f], [0x0f, 0x38], [0x0f, 0x3a]] as const;

/** Machine code of `form`, without the zeros of immediates after it. Memory is at RBX + 16, and at RBX + RCX + 16. */
export const encodingsOf = (form: Form): number[][] => {
  const conditions = form.span === 16 ? 16 : 1;
  const encodings: number[][] = [];
  for (const prefixes of prefixesOf(form))
    for (let condition = 0; condition < conditions; condition++)
      for (const modrm of modrmOf(form))
        for (const tail of tailsOf(form))
          encodings.push([
            ...prefixes,
            ...ESCAPES[form.map]!,
            form.opcode + condition,
            ...modrm,
            ...tail,
          ]);
  return encodings;
};

/** What handlers the instructions of `rows` need. */
export const signaturesOf = (rows: readonly Row[]): Signature[] => {
  const all = new Map<string, Signature>();
  const bytes = new Uint8Array(15);
  for (const form of rows.flatMap((row) => row.forms)) {
    if (form.only === 'i64') continue;
    for (const encoding of encodingsOf(form)) {
      bytes.fill(0);
      bytes.set(encoding.slice(0, 15));
      const operation = decode(bytes);
      if (typeof operation === 'string') continue;
      const signature = signatureOf(operation, 0);
      if (signature !== undefined && !all.has(signature.key)) all.set(signature.key, signature);
    }
  }
  return [...all.values()];
};
