/**
 * What a kernel says of itself to whoever builds its domain: ELF notes named `Xen`, in note segments or
 * else in note sections, or the string in the section `__xen_guest` that came before them.
 * @source xen/elfnote.h; the order and the rules are those of Xen's libelf (libelf-dominfo.c)
 */
import {
  XEN_ELFNOTE_BSD_SYMTAB,
  XEN_ELFNOTE_ENTRY,
  XEN_ELFNOTE_FEATURES,
  XEN_ELFNOTE_GUEST_OS,
  XEN_ELFNOTE_GUEST_VERSION,
  XEN_ELFNOTE_HV_START_LOW,
  XEN_ELFNOTE_HYPERCALL_PAGE,
  XEN_ELFNOTE_INIT_P2M,
  XEN_ELFNOTE_LOADER,
  XEN_ELFNOTE_MOD_START_PFN,
  XEN_ELFNOTE_PADDR_OFFSET,
  XEN_ELFNOTE_PAE_MODE,
  XEN_ELFNOTE_PHYS32_ENTRY,
  XEN_ELFNOTE_SUPPORTED_FEATURES,
  XEN_ELFNOTE_SUSPEND_CANCEL,
  XEN_ELFNOTE_VIRT_BASE,
  XEN_ELFNOTE_XEN_VERSION,
} from '../protocol/elfnote.ts';
import { cString, type ElfFile, ImageError, PT_NOTE, SHT_NOTE } from './elf.ts';

/** The notes by type: the last of a type counts. */
export interface XenNotes {
  readonly numbers: ReadonlyMap<number, bigint>;
  readonly strings: ReadonlyMap<number, string>;
  /** They come from `__xen_guest`, whose defaults are others. */
  readonly legacy: boolean;
}

const NUMBERS = new Map<number, string>([
  [XEN_ELFNOTE_ENTRY, 'ENTRY'],
  [XEN_ELFNOTE_HYPERCALL_PAGE, 'HYPERCALL_PAGE'],
  [XEN_ELFNOTE_VIRT_BASE, 'VIRT_BASE'],
  [XEN_ELFNOTE_PADDR_OFFSET, 'PADDR_OFFSET'],
  [XEN_ELFNOTE_HV_START_LOW, 'HV_START_LOW'],
  [XEN_ELFNOTE_SUSPEND_CANCEL, 'SUSPEND_CANCEL'],
  [XEN_ELFNOTE_INIT_P2M, 'INIT_P2M'],
  [XEN_ELFNOTE_MOD_START_PFN, 'MOD_START_PFN'],
  [XEN_ELFNOTE_SUPPORTED_FEATURES, 'SUPPORTED_FEATURES'],
  [XEN_ELFNOTE_PHYS32_ENTRY, 'PHYS32_ENTRY'],
]);

const STRINGS = new Map<number, string>([
  [XEN_ELFNOTE_XEN_VERSION, 'XEN_VERSION'],
  [XEN_ELFNOTE_GUEST_OS, 'GUEST_OS'],
  [XEN_ELFNOTE_GUEST_VERSION, 'GUEST_VERSION'],
  [XEN_ELFNOTE_LOADER, 'LOADER'],
  [XEN_ELFNOTE_PAE_MODE, 'PAE_MODE'],
  [XEN_ELFNOTE_FEATURES, 'FEATURES'],
  [XEN_ELFNOTE_BSD_SYMTAB, 'BSD_SYMTAB'],
]);

/** More than any kernel has; a note has at least 12 bytes. */
const MAX_NOTES = 65536;
const NOTE_HEADER_BYTES = 12;

/** @returns undefined for a program that has nothing to say to Xen. @throws ImageError */
export const readXenNotes = (elf: ElfFile): XenNotes | undefined => {
  // Some linkers leave the offset of a note segment 0.
  const segments = elf.segments.filter(({ type, offset }) => type === PT_NOTE && offset !== 0n);
  const sections = elf.sections.filter(({ type }) => type === SHT_NOTE);
  return notesIn(segments) ?? notesIn(sections) ?? guestString(elf);
};

const notesIn = (areas: readonly { readonly bytes: Uint8Array }[]): XenNotes | undefined => {
  const numbers = new Map<number, bigint>();
  const strings = new Map<number, string>();
  let found = 0;
  let count = 0;
  for (const { bytes } of areas) {
    for (const { xen, type, desc } of eachNote(bytes)) {
      if (++count > MAX_NOTES) throw new ImageError(`has more than ${MAX_NOTES} notes`);
      if (!xen) continue;
      found++;
      const number = NUMBERS.get(type);
      const string = STRINGS.get(type);
      if (number !== undefined) numbers.set(type, numberOf(number, desc));
      if (string !== undefined) strings.set(type, stringOf(string, desc));
    }
  }
  return found === 0 ? undefined : { numbers, strings, legacy: false };
};

interface Note {
  /** It is named `Xen`. */
  readonly xen: boolean;
  readonly type: number;
  readonly desc: Uint8Array;
}

const align4 = (size: number): number => Math.ceil(size / 4) * 4;

function* eachNote(bytes: Uint8Array): Generator<Note> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = 0; at < bytes.length; ) {
    if (at + NOTE_HEADER_BYTES > bytes.length)
      throw new ImageError('has a note that its segment cuts short');
    const nameBytes = view.getUint32(at, true);
    const descBytes = view.getUint32(at + 4, true);
    const name = at + NOTE_HEADER_BYTES;
    const desc = name + align4(nameBytes);
    if (desc + descBytes > bytes.length)
      throw new ImageError('has a note that reaches beyond its segment');
    yield {
      xen: nameBytes === 4 && cString(bytes, name) === 'Xen',
      type: view.getUint32(at + 8, true),
      desc: bytes.subarray(desc, desc + descBytes),
    };
    at = desc + align4(descBytes);
  }
}

const numberOf = (name: string, desc: Uint8Array): bigint => {
  if (![1, 2, 4, 8].includes(desc.length))
    throw new ImageError(
      `has a note ${name} of ${desc.length} bytes: a number has 1, 2, 4 or 8 bytes`,
    );
  return desc.reduceRight((value, byte) => (value << 8n) | BigInt(byte), 0n);
};

/** Linux leaves the zero at the end of FEATURES out. */
const stringOf = (name: string, desc: Uint8Array): string => {
  const text = cString(desc);
  if (text === undefined) throw new ImageError(`has a note ${name} whose string does not end`);
  return text;
};

const GUEST_STRINGS = new Map<string, number>([
  ['LOADER', XEN_ELFNOTE_LOADER],
  ['GUEST_OS', XEN_ELFNOTE_GUEST_OS],
  ['GUEST_VER', XEN_ELFNOTE_GUEST_VERSION],
  ['XEN_VER', XEN_ELFNOTE_XEN_VERSION],
  ['FEATURES', XEN_ELFNOTE_FEATURES],
]);

const GUEST_NUMBERS = new Map<string, number>([
  ['VIRT_BASE', XEN_ELFNOTE_VIRT_BASE],
  ['VIRT_ENTRY', XEN_ELFNOTE_ENTRY],
  ['ELF_PADDR_OFFSET', XEN_ELFNOTE_PADDR_OFFSET],
  ['HYPERCALL_PAGE', XEN_ELFNOTE_HYPERCALL_PAGE],
]);

/** `NAME=value,NAME=value…`; here the hypercall page is a page number, from VIRT_BASE on. */
const guestString = (elf: ElfFile): XenNotes | undefined => {
  const section = elf.sections.find(({ name }) => name === '__xen_guest');
  if (!section) return undefined;
  const numbers = new Map<number, bigint>();
  const strings = new Map<number, string>();
  for (const pair of stringOf('__xen_guest', section.bytes).split(',')) {
    const [name = '', value = ''] = pair.split('=', 2);
    const string = GUEST_STRINGS.get(name);
    const number = GUEST_NUMBERS.get(name);
    if (string !== undefined) strings.set(string, value);
    if (number !== undefined) numbers.set(number, cNumber(name, value));
  }
  const page = numbers.get(XEN_ELFNOTE_HYPERCALL_PAGE);
  if (page !== undefined) {
    const base = numbers.get(XEN_ELFNOTE_VIRT_BASE) ?? 0n;
    numbers.set(XEN_ELFNOTE_HYPERCALL_PAGE, BigInt.asUintN(64, (page << 12n) + base));
  }
  return { numbers, strings, legacy: true };
};

const cNumber = (name: string, text: string): bigint => {
  if (/^0x[0-9a-f]{1,16}$/i.test(text)) return BigInt(text);
  if (/^0[0-7]{0,21}$/.test(text)) return BigInt.asUintN(64, BigInt(`0o0${text}`));
  if (/^\d{1,19}$/.test(text)) return BigInt(text);
  throw new ImageError(`says ${name}=${text} in __xen_guest, which is not a number of 64 bits`);
};
