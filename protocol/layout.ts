/**
 * The layout compiler: one declaration of a C struct gives its size, offsets, codec and type.
 * The one idea: C's layout rules (natural alignment, padding at the end) are computed here once,
 * so that no offset is ever written by hand. `get` copies out; in-place access uses `offset`.
 * @source System V ABI for x86-64, section 3.1.2 (aggregates and unions)
 */
import type { AnyCodec, Codec, Pad } from './codec.ts';
import { compiler, type Slot } from './compile.ts';

export * from './codec.ts';

/** A field that the callee writes; `setOuts` copies these back. */
export interface Out<T, W = T> extends Codec<T, W> {
  readonly direction: 'out';
}

export type Fields = { readonly [field: string]: AnyCodec };

/** The value type of a codec, a struct or a union. */
export type TypeOf<C> = C extends { readonly read: (view: DataView, at: number) => infer T }
  ? T
  : never;

type WriteOf<C> = C extends { readonly write: (v: DataView, at: number, value: infer W) => void }
  ? W
  : never;
type Flat<T> = { [K in keyof T]: T[K] };
type StructValue<F extends Fields> = Flat<
  {
    readonly [K in keyof F as F[K] extends Pad | { readonly direction: 'out' } ? never : K]: TypeOf<
      F[K]
    >;
  } & {
    -readonly [K in keyof F as F[K] extends { readonly direction: 'out' } ? K : never]: TypeOf<
      F[K]
    >;
  }
>;
type StructWrite<F extends Fields> = {
  readonly [K in keyof F as F[K] extends Pad ? never : K]?: WriteOf<F[K]>;
};
type UnionValue<F extends Fields> = { readonly [K in keyof F]?: TypeOf<F[K]> };

/** What structs and unions have in common, and what the ABI probe looks at. */
export interface Aggregate<T, W> extends Codec<T, W> {
  readonly kind: 'struct' | 'union';
  readonly name: string; // as in C
  readonly fields: Fields;
  readonly offset: Readonly<Record<string, number>>;
  readonly cName: Readonly<Record<string, string>>; // each field as C spells it
}

export interface Struct<F extends Fields> extends Aggregate<StructValue<F>, StructWrite<F>> {
  readonly kind: 'struct';
  readonly fields: F;
  readonly offset: { readonly [K in keyof F]: number };
  readonly outs: readonly (keyof F & string)[];
  /** A private copy of every field at byte `at`. */
  readonly get: (view: DataView, at?: number) => StructValue<F>;
  /** Writes the given fields and leaves the others, and all padding, alone. */
  readonly set: (view: DataView, at: number, value: StructWrite<F>) => void;
  /** Writes only the OUT fields. */
  readonly setOuts: (view: DataView, at: number, value: StructWrite<F>) => void;
}

/** Any struct, where only its layout matters. */
export type AnyStruct = Struct<any>;

export interface Union<F extends Fields> extends Aggregate<UnionValue<F>, UnionValue<F>> {
  readonly kind: 'union';
  readonly fields: F;
}

/** Declares a C struct; `cNames` spells the fields that camelCase cannot derive. */
export function struct<F extends Fields>(
  name: string,
  fields: F,
  cNames: { readonly [K in keyof F]?: string } = {},
): Struct<F> {
  const { offset, size, align } = place(fields);
  const all = slots(fields, offset);
  const outs = all.filter((slot) => 'direction' in slot.codec);
  const get = compiler.getter(all) as (view: DataView, at?: number) => StructValue<F>;
  const set = compiler.setter(all);
  return {
    kind: 'struct',
    name,
    fields,
    size,
    align,
    offset: offset as { [K in keyof F]: number },
    cName: spell(fields, cNames),
    outs: outs.map((slot) => slot.name),
    get,
    set,
    setOuts: compiler.setter(outs),
    read: get,
    write: set,
  };
}

/** Declares a C union: reading decodes every member, writing takes the one that is given. */
export function union<F extends Fields>(
  name: string,
  fields: F,
  cNames: { readonly [K in keyof F]?: string } = {},
): Union<F> {
  const names = Object.keys(fields);
  const align = Math.max(...names.map((field) => fields[field]!.align));
  const size = roundUp(Math.max(...names.map((field) => fields[field]!.size)), align);
  const offset = Object.fromEntries(names.map((field) => [field, 0]));
  const all = slots(fields, offset);
  return {
    kind: 'union',
    name,
    fields,
    size,
    align,
    offset,
    cName: spell(fields, cNames),
    read: compiler.getter(all) as (view: DataView, at: number) => UnionValue<F>,
    write: compiler.setter(all),
  };
}

/** Marks a field as written by the callee. */
export function out<T, W>(codec: Codec<T, W>): Out<T, W> {
  const { size, align, scalar, read, write } = codec;
  return { direction: 'out', size, align, read, write, ...(scalar && { scalar }) };
}

/** Rounds `value` up to a multiple of the power of two `to`. */
export function roundUp(value: number, to: number): number {
  return Math.ceil(value / to) * to;
}

function place(fields: Fields): { offset: Record<string, number>; size: number; align: number } {
  const offset: Record<string, number> = {};
  let end = 0;
  let align = 1;
  for (const [field, codec] of Object.entries(fields)) {
    const at = roundUp(end, codec.align);
    offset[field] = at;
    end = at + codec.size;
    align = Math.max(align, codec.align);
  }
  return { offset, size: roundUp(end, align), align };
}

function slots(fields: Fields, offset: Readonly<Record<string, number>>): Slot[] {
  return Object.entries(fields)
    .filter(([, codec]) => !('padding' in codec))
    .map(([name, codec]) => ({ name, at: offset[name]!, codec }));
}

function spell(fields: Fields, cNames: Readonly<Record<string, string | undefined>>) {
  const names: Record<string, string> = {};
  for (const field of Object.keys(fields)) {
    names[field] = cNames[field] ?? field.replace(/[A-Z]/g, (c) => `_${c.toLowerCase()}`);
  }
  return names;
}
