/**
 * ELF files for x86-64, as far as a loader needs them: what is to be loaded, and where notes lie. The
 * file is hostile: every offset and size is checked against it before it is used, and nothing is
 * copied.
 * @source System V ABI, chapters 4 and 5; ELF-64 Object File Format 1.5
 */

/** A kernel that cannot be booted; the message says of it what is wrong, as in `is not an ELF file`. */
export class ImageError extends Error {
  override readonly name = 'ImageError';
}

export interface ElfFile {
  readonly entry: bigint;
  readonly segments: readonly Segment[];
  readonly sections: readonly Section[];
}

/** A program header. */
export interface Segment {
  readonly type: number;
  readonly flags: number;
  readonly offset: bigint;
  readonly paddr: bigint;
  readonly memBytes: bigint;
  readonly bytes: Uint8Array;
}

/** A section header; sections without contents in the file have no bytes. */
export interface Section {
  readonly type: number;
  readonly name: string;
  readonly bytes: Uint8Array;
}

export const PT_LOAD = 1;
export const PT_NOTE = 4;
/** Readable, writable, executable. */
export const PF_ANY = 7;
export const SHT_NOTE = 7;

const HEADER_BYTES = 64;
const PROGRAM_HEADER_BYTES = 56;
const SECTION_HEADER_BYTES = 64;
const CLASS_64 = 2;
const LITTLE_ENDIAN = 1;
const ET_EXEC = 2;
const ET_DYN = 3;
const EM_X86_64 = 62;
const SHT_NOBITS = 8;
/** In e_phnum: the number is elsewhere, which no kernel needs. */
const PN_XNUM = 0xffff;

const TYPES: readonly string[] = ['no type', 'an object file', '', '', 'a core dump'];

const isElf = (file: Uint8Array): boolean =>
  file[0] === 0x7f && file[1] === 0x45 && file[2] === 0x4c && file[3] === 0x46;

/** @throws ImageError */
export const readElf = (file: Uint8Array): ElfFile => {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  checkHeader(file, view);
  return {
    entry: view.getBigUint64(24, true),
    segments: readSegments(file, view),
    sections: readSections(file, view),
  };
};

const checkHeader = (file: Uint8Array, view: DataView): void => {
  if (!isElf(file)) throw new ImageError('is not an ELF file');
  if (file.length < HEADER_BYTES) throw cutShort('its header', BigInt(HEADER_BYTES), file);
  if (file[4] !== CLASS_64)
    throw new ImageError('is a 32-bit ELF file: only 64-bit kernels for x86-64 run');
  if (file[5] !== LITTLE_ENDIAN)
    throw new ImageError('is a big-endian ELF file: only kernels for x86-64 run');
  const machine = view.getUint16(18, true);
  if (machine !== EM_X86_64)
    throw new ImageError(
      `is an ELF file for another machine (e_machine ${machine}): only kernels for x86-64 run`,
    );
  const type = view.getUint16(16, true);
  if (type !== ET_EXEC && type !== ET_DYN)
    throw new ImageError(
      `is ${TYPES[type] ?? `of ELF type ${type}`}, not a linked program: link it first`,
    );
};

const readSegments = (file: Uint8Array, view: DataView): Segment[] => {
  const count = view.getUint16(56, true);
  if (count === PN_XNUM) throw new ImageError('has more program headers than a kernel can need');
  const headers = table(file, 'program headers', {
    at: view.getBigUint64(32, true),
    entryBytes: view.getUint16(54, true),
    least: PROGRAM_HEADER_BYTES,
    count,
  });
  return headers.map((at, i) => {
    const offset = view.getBigUint64(at + 8, true);
    const memBytes = view.getBigUint64(at + 40, true);
    const what = `program header ${i}`;
    return {
      type: view.getUint32(at, true),
      flags: view.getUint32(at + 4, true),
      offset,
      paddr: view.getBigUint64(at + 24, true),
      memBytes,
      bytes: part(file, what, offset, view.getBigUint64(at + 32, true)),
    };
  });
};

const readSections = (file: Uint8Array, view: DataView): Section[] => {
  const at = view.getBigUint64(40, true);
  if (at === 0n) return [];
  const headers = table(file, 'section headers', {
    at,
    entryBytes: view.getUint16(58, true),
    least: SECTION_HEADER_BYTES,
    count: view.getUint16(60, true),
  });
  const contents = headers.map((header, i) => {
    const type = view.getUint32(header + 4, true);
    const offset = view.getBigUint64(header + 24, true);
    const size = type === SHT_NOBITS || type === 0 ? 0n : view.getBigUint64(header + 32, true);
    return {
      type,
      nameAt: view.getUint32(header, true),
      bytes: part(file, `section ${i}`, size === 0n ? 0n : offset, size),
    };
  });
  const names = contents[view.getUint16(62, true)]?.bytes ?? new Uint8Array();
  return contents.map(({ type, nameAt, bytes }) => ({
    ...{ type, bytes },
    name: cString(names, nameAt) ?? '',
  }));
};

interface Table {
  at: bigint;
  entryBytes: number;
  least: number;
  count: number;
}

/** Where the entries of a table of headers begin. */
const table = (file: Uint8Array, what: string, { at, entryBytes, least, count }: Table) => {
  if (count === 0) return [];
  if (entryBytes < least)
    throw new ImageError(`has ${what} of ${entryBytes} bytes each: they have ${least} or more`);
  const end = at + BigInt(entryBytes * count);
  if (end > BigInt(file.length)) throw cutShort(`its ${what}`, end, file);
  return Array.from({ length: count }, (_, i) => Number(at) + i * entryBytes);
};

const part = (file: Uint8Array, what: string, offset: bigint, size: bigint): Uint8Array => {
  if (offset + size > BigInt(file.length)) throw cutShort(what, offset + size, file);
  return file.subarray(Number(offset), Number(offset + size));
};

const cutShort = (what: string, end: bigint, { length }: Uint8Array): ImageError =>
  new ImageError(`is cut short: ${what} would end at byte ${end} of ${length}`);

/** Longer names and strings are none that a loader knows; a hostile file has millions of them. */
const MAX_STRING = 4096;

/** The C string at byte `at`, or undefined for one that is too long; the bytes' end ends it too. */
export const cString = (bytes: Uint8Array, at = 0): string | undefined => {
  const some = bytes.subarray(at, at + MAX_STRING);
  const end = some.indexOf(0);
  if (end < 0 && some.length === MAX_STRING) return undefined;
  return new TextDecoder('latin1').decode(end < 0 ? some : some.subarray(0, end));
};
