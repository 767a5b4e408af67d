/**
 * Codecs for single fields: scalars, byte and character arrays, arrays, padding. All little-endian.
 * The one idea: a scalar also says its kind, so that compile.ts can write the access in line.
 * @source System V ABI for x86-64, section 3.1.2 (sizes and alignments of scalar types)
 */

export type ScalarKind =
  | 'u8'
  | 'u16'
  | 'u32'
  | 'i8'
  | 'i16'
  | 'i32'
  | 'u64'
  | 'i64'
  | 'u64n'
  | 'i64n';

/** Reads and writes one value at a byte offset; `W` is what `write` accepts where it differs. */
export interface Codec<T, W = T> {
  readonly size: number; // bytes
  readonly align: number; // bytes
  readonly scalar?: ScalarKind;
  readonly read: (view: DataView, at: number) => T;
  readonly write: (view: DataView, at: number, value: W) => void;
}

/** Bytes that have an offset but no value. */
export interface Pad extends Codec<undefined> {
  readonly padding: true;
}

/** A codec of whatever type: it can be read, but not written without knowing more. */
export type AnyCodec = Codec<unknown, never>;

export const u8 = scalar<number>(
  'u8',
  1,
  (view, at) => view.getUint8(at),
  (view, at, value) => view.setUint8(at, value),
);
export const u16 = scalar<number>(
  'u16',
  2,
  (view, at) => view.getUint16(at, true),
  (view, at, value) => view.setUint16(at, value, true),
);
export const u32 = scalar<number>(
  'u32',
  4,
  (view, at) => view.getUint32(at, true),
  (view, at, value) => view.setUint32(at, value, true),
);
export const i8 = scalar<number>(
  'i8',
  1,
  (view, at) => view.getInt8(at),
  (view, at, value) => view.setInt8(at, value),
);
export const i16 = scalar<number>(
  'i16',
  2,
  (view, at) => view.getInt16(at, true),
  (view, at, value) => view.setInt16(at, value, true),
);
export const i32 = scalar<number>(
  'i32',
  4,
  (view, at) => view.getInt32(at, true),
  (view, at, value) => view.setInt32(at, value, true),
);
export const u64 = scalar<bigint>(
  'u64',
  8,
  (view, at) => view.getBigUint64(at, true),
  (view, at, value) => view.setBigUint64(at, value, true),
);
export const i64 = scalar<bigint>(
  'i64',
  8,
  (view, at) => view.getBigInt64(at, true),
  (view, at, value) => view.setBigInt64(at, value, true),
);

/** An unsigned 64-bit field as a number: exact below 2^53, and never small when it is not exact. */
export const u64n = scalar<number>(
  'u64n',
  8,
  (view, at) => view.getUint32(at + 4, true) * 2 ** 32 + view.getUint32(at, true),
  write64,
);

/** A signed 64-bit field as a number: exact between -2^53 and 2^53. */
export const i64n = scalar<number>(
  'i64n',
  8,
  (view, at) => view.getInt32(at + 4, true) * 2 ** 32 + view.getUint32(at, true),
  write64,
);

/** XEN_GUEST_HANDLE: a guest virtual address, as a signed number. @source arch-x86/xen.h:18 */
export const pointer = i64n;

/** `uint8_t[n]`, copied; a shorter value leaves the rest of the field alone. */
export function bytes(n: number): Codec<Uint8Array> {
  return {
    size: n,
    align: 1,
    read: (view, at) => new Uint8Array(view.buffer, view.byteOffset + at, n).slice(),
    write: (view, at, value) => {
      new Uint8Array(view.buffer, view.byteOffset + at, n).set(value.subarray(0, n));
    },
  };
}

/** `char[n]`: latin-1 text up to the first NUL; writing cuts at n-1 characters and pads with NUL. */
export function chars(n: number): Codec<string> {
  return {
    size: n,
    align: 1,
    read: (view, at) => {
      let text = '';
      for (let i = 0; i < n; i++) {
        const code = view.getUint8(at + i);
        if (code === 0) break;
        text += String.fromCharCode(code);
      }
      return text;
    },
    write: (view, at, value) => {
      const length = Math.min(value.length, n - 1);
      for (let i = 0; i < n; i++) view.setUint8(at + i, i < length ? value.charCodeAt(i) : 0);
    },
  };
}

/** `T[n]`; a shorter value leaves the remaining elements alone. */
export function array<T, W>(element: Codec<T, W>, n: number): Codec<T[], readonly W[]> {
  const { size, align } = element;
  return {
    size: size * n,
    align,
    read: (view, at) => {
      const values: T[] = [];
      for (let i = 0; i < n; i++) values.push(element.read(view, at + i * size));
      return values;
    },
    write: (view, at, values) => {
      const count = Math.min(n, values.length);
      for (let i = 0; i < count; i++) element.write(view, at + i * size, values[i] as W);
    },
  };
}

/** `n` bytes of declared padding with an alignment; never read or written. */
export function pad(n: number, align = 1): Pad {
  return {
    padding: true,
    size: n,
    align,
    read: () => undefined,
    write: () => undefined,
  };
}

function scalar<T>(
  kind: ScalarKind,
  size: number,
  read: (view: DataView, at: number) => T,
  write: (view: DataView, at: number, value: T) => void,
): Codec<T> {
  return { scalar: kind, size, align: size, read, write };
}

function write64(view: DataView, at: number, value: number): void {
  view.setUint32(at, value, true); // ToUint32 is exact modulo 2^32, for negative numbers too
  view.setUint32(at + 4, Math.floor(value / 2 ** 32), true);
}
