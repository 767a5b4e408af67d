/**
 * A compiled kernel for a PV domain: what its ELF file and its notes ask for, checked. Places are PFNs or
 * offsets from `virtBase`, where PFN 0 is mapped; addresses are signed numbers.
 * @source Xen's libelf (libelf-dominfo.c), xen/elfnote.h
 */
import {
  XEN_ELFNOTE_ENTRY,
  XEN_ELFNOTE_FEATURES,
  XEN_ELFNOTE_GUEST_OS,
  XEN_ELFNOTE_HYPERCALL_PAGE,
  XEN_ELFNOTE_INIT_P2M,
  XEN_ELFNOTE_LOADER,
  XEN_ELFNOTE_MOD_START_PFN,
  XEN_ELFNOTE_PADDR_OFFSET,
  XEN_ELFNOTE_PHYS32_ENTRY,
  XEN_ELFNOTE_VIRT_BASE,
  XEN_ELFNOTE_XEN_VERSION,
} from '../protocol/elfnote.ts';
import { PAGE_SIZE } from '../protocol/units.ts';
import { HYPERVISOR_VIRT_END, HYPERVISOR_VIRT_START } from '../protocol/xen.ts';
import { type ElfFile, ImageError, PF_ANY, PT_LOAD, readElf, type Segment } from './elf.ts';
import { readXenNotes, type XenNotes } from './elf-notes.ts';

export interface Image {
  readonly entry: number;
  /** Address of PFN 0. */
  readonly virtBase: number;
  /** In rising order, apart. */
  readonly parts: readonly ImagePart[];
  /** The page that Xen fills with hypercall stubs, if the kernel has one. */
  readonly hypercallPfn: number | undefined;
  /** Where the kernel wants its P2M; undefined: behind the kernel. */
  readonly p2mBase: number | undefined;
  /** The ramdisk need not be mapped, and start_info names its first PFN. */
  readonly modStartPfn: boolean;
}

/** Bytes at an offset from virtBase, with zeros behind them up to `memBytes`. */
export interface ImagePart {
  readonly at: number;
  readonly bytes: Uint8Array;
  readonly memBytes: number;
}

/** No machine has more, so no kernel does. */
const MAX_BYTES = 0xf0000000n;
const MAX_ADDRESS = 1n << 47n;
/** Feature names that a kernel may require with `!`. @source Xen's libelf */
const KNOWN_FEATURES = [
  'writable_page_tables',
  'writable_descriptor_tables',
  'auto_translated_physmap',
  'supervisor_mode_kernel',
  'pae_pgdir_above_4gb',
  'hvm_callback_vector',
  'dom0',
];

/** @throws ImageError for a file that is no kernel for a PV domain */
export const parseImage = (file: Uint8Array): Image => {
  const elf = readElf(file);
  const notes = readXenNotes(elf);
  if (!notes)
    throw new ImageError(
      'is an ELF program without Xen notes: a kernel says by notes of elfnote.h how it boots',
    );
  checkAbi(notes);
  checkFeatures(notes.strings.get(XEN_ELFNOTE_FEATURES) ?? '');
  const base = notes.numbers.get(XEN_ELFNOTE_VIRT_BASE) ?? 0n;
  const virtBase = guestAddress('VIRT_BASE', base);
  if (virtBase % PAGE_SIZE !== 0)
    throw new ImageError(`has the VIRT_BASE ${hex(base)}, which is not the start of a page`);
  const parts = partsOf(elf, paddrOffset(notes, base), base);
  const entry = notes.numbers.get(XEN_ELFNOTE_ENTRY) ?? elf.entry;
  const entryAt = BigInt.asIntN(64, entry) - BigInt(virtBase);
  if (!parts.some(({ at, memBytes }) => entryAt >= at && entryAt < at + memBytes))
    throw new ImageError(`begins at ${hex(entry)}, which is in none of its segments`);
  return {
    ...{ entry: Number(BigInt.asIntN(64, entry)), virtBase, parts },
    hypercallPfn: hypercallPfn(notes, virtBase, parts),
    p2mBase: p2mBase(notes, base, virtBase),
    modStartPfn: (notes.numbers.get(XEN_ELFNOTE_MOD_START_PFN) ?? 0n) !== 0n,
  };
};

/** Where the last part ends; 0 if there is none. */
export const endOfParts = (parts: readonly ImagePart[]): number => {
  const last = parts.at(-1);
  return last ? last.at + last.memBytes : 0;
};

/** It must be meant for Xen's ABI of version 3.0, which is today's still, and not for PVH alone. */
const checkAbi = ({ numbers, strings }: XenNotes): void => {
  const loader = strings.get(XEN_ELFNOTE_LOADER) ?? '';
  const system = strings.get(XEN_ELFNOTE_GUEST_OS) ?? '';
  const version = strings.get(XEN_ELFNOTE_XEN_VERSION) ?? '';
  if (version === '' && numbers.has(XEN_ELFNOTE_PHYS32_ENTRY))
    throw new ImageError('is a kernel for PVH domains only, which do not exist yet');
  if (!loader.startsWith('generic') && !system.startsWith('linux'))
    throw new ImageError(
      `asks for the loader '${loader}': its note LOADER must be 'generic', or GUEST_OS 'linux'`,
    );
  if (!version.startsWith('xen-3.0'))
    throw new ImageError(`is for '${version}': its note XEN_VERSION must be 'xen-3.0'`);
};

const checkFeatures = (features: string): void => {
  for (const feature of features.split('|')) {
    if (!feature.startsWith('!')) continue;
    const name = feature.slice(1);
    if (name === 'dom0')
      throw new ImageError('runs only as the initial domain: its note FEATURES requires dom0');
    if (!KNOWN_FEATURES.includes(name) || name === 'auto_translated_physmap')
      throw new ImageError(`requires the feature '${name}', which no PV domain has`);
  }
};

/** Without a note, addresses in the file count from 0; before notes they were virtual. */
const paddrOffset = ({ numbers, legacy }: XenNotes, base: bigint): bigint => {
  const offset = numbers.get(XEN_ELFNOTE_PADDR_OFFSET);
  if (offset !== undefined && !numbers.has(XEN_ELFNOTE_VIRT_BASE))
    throw new ImageError('has a note PADDR_OFFSET and none of VIRT_BASE, which it depends on');
  return offset ?? (legacy ? base : 0n);
};

const partsOf = (elf: ElfFile, offset: bigint, base: bigint): ImagePart[] => {
  const parts = elf.segments
    .filter(({ type, flags, memBytes }) => type === PT_LOAD && flags & PF_ANY && memBytes > 0n)
    .map((segment) => partOf(segment, offset))
    .sort((a, b) => a.at - b.at);
  if (parts.length === 0) throw new ImageError('has no segment to load');
  for (const [i, { at }] of parts.entries()) {
    const before = parts[i - 1];
    if (before && before.at + before.memBytes > at)
      throw new ImageError(`has segments that overlap at ${hex(base + BigInt(at))}`);
  }
  // The domain builder works in pages.
  if (parts[0]!.at % PAGE_SIZE !== 0)
    throw new ImageError(
      `is to be loaded at ${hex(base + BigInt(parts[0]!.at))}, which is not the start of a page`,
    );
  const first = BigInt.asIntN(64, base);
  const end = first + BigInt(endOfParts(parts));
  if (end > (first < 0n ? 0n : MAX_ADDRESS))
    throw new ImageError(`does not fit into the address space from ${hex(base)} on`);
  return parts;
};

const partOf = ({ paddr, bytes, memBytes }: Segment, offset: bigint): ImagePart => {
  if (memBytes < BigInt(bytes.length))
    throw new ImageError(
      `has a segment of ${memBytes} bytes in memory and ${bytes.length} in the file`,
    );
  const at = BigInt.asUintN(64, paddr - offset);
  if (at + memBytes > MAX_BYTES)
    throw new ImageError(
      `has a segment of ${memBytes} bytes at ${hex(paddr)}, outside of any memory from ${hex(offset)} on`,
    );
  return { at: Number(at), bytes, memBytes: Number(memBytes) };
};

const hypercallPfn = (
  { numbers }: XenNotes,
  virtBase: number,
  parts: readonly ImagePart[],
): number | undefined => {
  const address = numbers.get(XEN_ELFNOTE_HYPERCALL_PAGE);
  if (address === undefined) return undefined;
  const pfn = (BigInt.asIntN(64, address) - BigInt(virtBase)) >> 12n;
  const at = Number(pfn) * PAGE_SIZE;
  if (at < parts[0]!.at || at >= endOfParts(parts))
    throw new ImageError(`has its hypercall page at ${hex(address)}, outside of itself`);
  return Number(pfn);
};

/** One that is in the way of the kernel, or no start of a page, is ignored, as Xen's tools do. */
const p2mBase = ({ numbers }: XenNotes, base: bigint, virtBase: number): number | undefined => {
  const address = numbers.get(XEN_ELFNOTE_INIT_P2M);
  if (address === undefined || address >= base || address % BigInt(PAGE_SIZE) !== 0n)
    return undefined;
  const at = guestAddress('INIT_P2M', address);
  // Its table may have an entry for each frame of any machine.
  const end = BigInt(at) + (MAX_BYTES / BigInt(PAGE_SIZE)) * 8n;
  if (at < virtBase ? end > BigInt(virtBase) : end > MAX_ADDRESS)
    throw new ImageError(`wants its P2M at ${hex(address)}, where there is no room for it`);
  return at;
};

/** @returns the address as a signed number. @throws ImageError for one that Xen has, or none at all */
const guestAddress = (note: string, address: bigint): number => {
  const signed = BigInt.asIntN(64, address);
  const canonical = signed >= -MAX_ADDRESS && signed < MAX_ADDRESS;
  const xen = signed >= BigInt(HYPERVISOR_VIRT_START) && signed < BigInt(HYPERVISOR_VIRT_END);
  if (!canonical || xen)
    throw new ImageError(`has the ${note} ${hex(address)}, which is no address of a guest`);
  return Number(signed);
};

const hex = (value: bigint): string => `0x${BigInt.asUintN(64, value).toString(16)}`;
