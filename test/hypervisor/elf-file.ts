/** ELF files made of what a test says, for the loader to read. */
import {
  XEN_ELFNOTE_GUEST_OS,
  XEN_ELFNOTE_LOADER,
  XEN_ELFNOTE_XEN_VERSION,
} from '../../protocol/elfnote.ts';

export interface SegmentParts {
  type?: number;
  flags?: number;
  paddr?: bigint;
  bytes?: Uint8Array;
  memBytes?: bigint;
}

export interface SectionParts {
  name: string;
  type?: number;
  bytes: Uint8Array;
}

export interface ElfParts {
  entry?: bigint;
  segments?: readonly SegmentParts[];
  sections?: readonly SectionParts[];
}

const text = (string: string): Uint8Array => new TextEncoder().encode(`${string}\0`);

/** A number of 8 bytes, or a C string. */
export const descOf = (value: bigint | string | Uint8Array): Uint8Array => {
  if (value instanceof Uint8Array) return value;
  if (typeof value === 'string') return text(value);
  const desc = new Uint8Array(8);
  new DataView(desc.buffer).setBigUint64(0, BigInt.asUintN(64, value), true);
  return desc;
};

export type Notes = ReadonlyArray<readonly [type: number, value: bigint | string | Uint8Array]>;

export const notes = (list: Notes, name = 'Xen'): Uint8Array => {
  const words: number[] = [];
  const put = (bytes: Uint8Array): void => {
    words.push(...bytes, ...new Array<number>(-bytes.length & 3).fill(0));
  };
  for (const [type, value] of list) {
    const desc = descOf(value);
    put(new Uint8Array(new Uint32Array([name.length + 1, desc.length, type]).buffer));
    put(text(name));
    put(desc);
  }
  return Uint8Array.from(words);
};

/** The least that every kernel says. */
export const BASIC: Notes = [
  [XEN_ELFNOTE_GUEST_OS, 'test'],
  [XEN_ELFNOTE_LOADER, 'generic'],
  [XEN_ELFNOTE_XEN_VERSION, 'xen-3.0'],
];

export const elfFile = ({ entry = 0n, segments = [], sections = [] }: ElfParts): Uint8Array => {
  const names = text(`\0${sections.map(({ name }) => name).join('\0')}\0.shstrtab`);
  const all =
    sections.length > 0
      ? [
          { name: '', type: 0, bytes: new Uint8Array() },
          ...sections,
          { name: '.shstrtab', type: 3, bytes: names },
        ]
      : [];
  const parts: Uint8Array[] = [];
  let end = 64 + segments.length * 56;
  const add = (bytes: Uint8Array): bigint => {
    parts.push(bytes);
    end += bytes.length;
    return BigInt(end - bytes.length);
  };
  const headers = new DataView(new ArrayBuffer(end));
  const u64 = (view: DataView, at: number, value: bigint): void =>
    view.setBigUint64(at, BigInt.asUintN(64, value), true);
  segments.forEach(({ type = 1, flags = 7, paddr = 0n, bytes = new Uint8Array(), memBytes }, i) => {
    const at = 64 + i * 56;
    headers.setUint32(at, type, true);
    headers.setUint32(at + 4, flags, true);
    u64(headers, at + 8, add(bytes));
    u64(headers, at + 24, paddr);
    u64(headers, at + 32, BigInt(bytes.length));
    u64(headers, at + 40, memBytes ?? BigInt(bytes.length));
  });
  const table = new DataView(new ArrayBuffer(all.length * 64));
  all.forEach(({ name, type = 1, bytes }, i) => {
    table.setUint32(i * 64, nameAt(names, name), true);
    table.setUint32(i * 64 + 4, type, true);
    u64(table, i * 64 + 24, add(bytes));
    u64(table, i * 64 + 32, BigInt(bytes.length));
  });
  new Uint8Array(headers.buffer).set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  headers.setUint16(16, 2, true);
  headers.setUint16(18, 62, true);
  u64(headers, 24, entry);
  u64(headers, 32, 64n);
  u64(headers, 40, all.length > 0 ? BigInt(end) : 0n);
  headers.setUint16(54, 56, true);
  headers.setUint16(56, segments.length, true);
  headers.setUint16(58, 64, true);
  headers.setUint16(60, all.length, true);
  headers.setUint16(62, Math.max(0, all.length - 1), true);
  const file = [new Uint8Array(headers.buffer), ...parts, new Uint8Array(table.buffer)];
  return new Uint8Array(Buffer.concat(file));
};

const nameAt = (names: Uint8Array, name: string): number =>
  name === '' ? 0 : Buffer.from(names).indexOf(`\0${name}\0`) + 1;

/** A kernel of one page at `paddr` with these notes beside the basic ones. */
export const kernelFile = (more: Notes = [], parts: Partial<ElfParts> = {}): Uint8Array =>
  elfFile({
    entry: 0x100000n,
    segments: [
      { paddr: 0x100000n, bytes: Uint8Array.of(0x0f, 0x0b), memBytes: 0x2000n },
      { type: 4, bytes: notes([...BASIC, ...more]) },
    ],
    ...parts,
  });
