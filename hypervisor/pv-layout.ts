/**
 * Where things lie in a new PV domain, in PFNs; PFN 0 is mapped at the kernel's virtual base.
 *
 *     kernel │ ramdisk │ p2m │ start_info │ xenstore │ console │ tables │ boot stack │ slack ┃ ramdisk │ p2m, its tables
 *            └─ or behind ─┘                                                 end of the mapping ┘
 *
 * The ramdisk lies behind the mapping if the kernel takes it by PFN, the P2M if it has a place of its own.
 * @source xen/xen.h:741 (the boot contract), and Xen's domain builder (libxenguest) for order and sizes
 */
import { PAGE_SIZE } from '../protocol/units.ts';
import { BootTables } from './boot-tables.ts';
import { endOfParts, type Image } from './image.ts';

export interface PvLayout {
  readonly ramdisk: number;
  readonly p2m: number;
  readonly p2mPages: number;
  /** With a place of its own: its pages and those of its tables. Otherwise 0. */
  readonly p2mFrames: number;
  readonly p2mAddress: number;
  readonly startInfo: number;
  readonly store: number;
  readonly console: number;
  readonly tables: number;
  /** Tables of the mapping from PFN 0 on. */
  readonly tableCount: number;
  readonly stack: number;
  readonly entries: BootTables;
  /** Frames that booting takes. */
  readonly end: number;
}

/** A kernel as far as it matters where things go. */
type PlacedKernel = Pick<Image, 'virtBase' | 'parts' | 'p2mBase' | 'modStartPfn'>;

/** Boot maps at least this much past the boot stack, and up to whole 4 MiB. */
const SLACK_PAGES = 128;
const MAP_UNIT = 4 << 20;
/** The direct map of a TypeScript kernel ends at 1 GiB, where code addresses begin. */
const MAX_SCRIPT_PAGES = 0x40000;
/** Addresses of a guest end here; those with bit 63 end at 0. */
const MAX_ADDRESS = 2 ** 47;

interface PvDomain {
  readonly pages: number;
  readonly ramdiskBytes: number;
  readonly privileged: boolean;
}

/** @throws RangeError when the domain is too small for what booting takes */
export const planPv = (kernel: PlacedKernel, domain: PvDomain): PvLayout => {
  const layout = layOut(kernel, domain);
  if (layout.end <= domain.pages) return layout;

  // With more memory the P2M grows too.
  let { end } = layout;
  for (;;) {
    const next = layOut(kernel, { ...domain, pages: end }).end;
    if (next <= end) break;
    end = next;
  }
  throw new RangeError(
    `not enough memory: booting this kernel takes ${size(end)} and the domain has ${size(domain.pages)}`,
  );
};

const layOut = (kernel: PlacedKernel, domain: PvDomain): PvLayout => {
  const { pages, privileged } = domain;
  const { modStartPfn, p2mBase, virtBase } = kernel;
  const p2mPages = pagesOf(pages * 8);
  const ramdiskPages = pagesOf(domain.ramdiskBytes);
  const afterKernel = pagesOf(endOfParts(kernel.parts));
  const afterRamdisk = afterKernel + (modStartPfn ? 0 : ramdiskPages);
  const startInfo = afterRamdisk + (p2mBase === undefined ? p2mPages : 0);
  // The initial domain has no rings.
  const store = privileged ? startInfo : startInfo + 1;
  const console = privileged ? startInfo : store + 1;
  const tables = console + 1;
  const { mapped, tableCount, entries } = settle(kernel, tables, pages);
  const stack = tables + tableCount;
  const common = { p2mPages, startInfo, store, console, tables, tableCount, stack, entries };

  const ramdisk = modStartPfn ? mapped : afterKernel;
  const behind = mapped + (modStartPfn ? ramdiskPages : 0);
  if (p2mBase === undefined) {
    const end = Math.max(behind, stack + 1);
    const p2mAddress = virtBase + afterRamdisk * PAGE_SIZE;
    return { ...common, ramdisk, p2m: afterRamdisk, p2mAddress, p2mFrames: 0, end };
  }
  const p2mFrames = p2mPages + entries.cover(p2mBase, behind, p2mPages, behind + p2mPages);
  const end = behind + p2mFrames;
  return { ...common, ramdisk, p2m: behind, p2mAddress: p2mBase, p2mFrames, end };
};

/** The tables are mapped too: settle on the first size that covers its own tables. */
const settle = (
  kernel: PlacedKernel,
  tables: number,
  pages: number,
): { mapped: number; tableCount: number; entries: BootTables } => {
  // A compiled kernel may rely on the slack; TypeScript runs in as little as there is.
  const script = kernel.parts.length === 0;
  const most = script ? Math.min(pages, MAX_SCRIPT_PAGES) : Number.POSITIVE_INFINITY;
  let needed = tables + 1 + SLACK_PAGES;
  for (;;) {
    const mapped = Math.min(most, roundedUp(kernel.virtBase, needed));
    const entries = new BootTables();
    const tableCount = entries.cover(kernel.virtBase, 0, mapped, tables);
    needed = tables + tableCount + 1 + SLACK_PAGES;
    if (mapped >= Math.min(most, needed)) return { mapped, tableCount, entries };
  }
};

/** Pages from `base` to the end of the unit in which the last of `pages` lies. @throws RangeError */
const roundedUp = (base: number, pages: number): number => {
  const end = Math.ceil((base + pages * PAGE_SIZE) / MAP_UNIT) * MAP_UNIT;
  if (end > (base < 0 ? 0 : MAX_ADDRESS))
    throw new RangeError('memory: the kernel leaves no room for it in its address space');
  return (end - base) / PAGE_SIZE;
};

const pagesOf = (bytes: number): number => Math.ceil(bytes / PAGE_SIZE);

const size = (pages: number): string =>
  pages < 256 ? `${pages * 4}K` : `${Math.ceil(pages / 2.56) / 100}M`;
