/**
 * Building a paravirtual domain: its frames, its boot page tables, start_info and the rings. PFN p
 * lies at PV_VIRT_BASE + p * 4096.
 *
 *     p2m │ start_info │ xenstore │ console │ page tables: L4 L3 L2s L1s │ boot stack │ free …
 *
 * @source xen/xen.h:741 (the boot contract), pv-abi 2.3 to 2.8
 */
import { PTE_A, PTE_D, PTE_P, PTE_RW, PTE_US, pteHi, pteLo, tableIndex } from '../machine/pte.ts';
import { GNTTAB_RESERVED_CONSOLE, GNTTAB_RESERVED_XENSTORE } from '../protocol/grant-table.ts';
import { SharedInfo, VcpuInfo, XEN_LEGACY_MAX_VCPUS } from '../protocol/shared-info.ts';
import {
  MAX_GUEST_CMDLINE,
  SIF_INITDOMAIN,
  SIF_PRIVILEGED,
  StartInfo,
} from '../protocol/start-info.ts';
import { Mfn, Pfn, Port, Va } from '../protocol/units.ts';
import type { Domain } from './domain.ts';
import { DomainMemory } from './domain-memory.ts';
import type { FrameTable } from './frames.ts';
import { GrantTable } from './grants.ts';
import type { Hypervisor } from './hypervisor.ts';
import { FRAME_PINNED, TYPE_L4 } from './page-types.ts';

/** 0xffffffff80000000. */
export const PV_VIRT_BASE = -0x80000000;
/** The direct map of a TypeScript kernel ends at 1 GiB, where code addresses begin. */
const MAX_MAPPED = 0x40000;
/** Boot maps at least this much past the boot stack, and whole 4 MiB. */
const SLACK_PAGES = 128;
const MAP_UNIT = 1024;
const LEAF = PTE_P | PTE_RW | PTE_A;
const TABLE = PTE_P | PTE_RW | PTE_US | PTE_A | PTE_D;

export interface PvConfig {
  guestEntry: number;
  /** Size of the domain, in frames. */
  pages: number;
  cmdline: string;
  storePort: number;
  consolePort: number;
}

export interface PvBoot {
  /** Address of start_info, for RSI. */
  startInfo: number;
  rip: number;
  rsp: number;
  /** The boot L4, validated and pinned. */
  cr3Mfn: number;
  /** Frames of the rings; 0 in the initial domain, which has none. */
  storeMfn: number;
  consoleMfn: number;
  sharedInfoMfn: number;
}

/** Where things lie, in PFNs. */
interface Layout {
  p2mPages: number;
  startInfo: number;
  store: number;
  console: number;
  tables: number;
  tableCount: number;
  stack: number;
  mapped: number;
}

/**
 * Give the domain its memory and grant table and fill them. @throws RangeError when there is not
 * enough memory
 */
export const buildPv = (xen: Hypervisor, domain: Domain, config: PvConfig): PvBoot => {
  const { frames } = xen;
  const { pages } = config;
  const layout = plan(pages, domain.privileged);
  const needed = pages + 2; // and shared_info, and the first grant frame
  if (frames.free < needed) {
    throw new RangeError(
      `not enough memory: ${needed} frames are needed and ${frames.free} are free`,
    );
  }
  const memory = new DomainMemory(frames, xen.machine.mmu, domain, pages);
  domain.memory = memory;
  domain.grants = new GrantTable(frames, memory);
  const sharedInfoMfn = frames.allocateShared(memory);
  initSharedInfo(frames, sharedInfoMfn);
  const mfns = populate(frames, memory, pages);

  writeP2m(frames, mfns, layout.p2mPages);
  writeTables(frames, mfns, layout);
  writeStartInfo(frames, domain, config, layout, mfns, sharedInfoMfn);
  if (!domain.privileged) {
    domain.grants.seed(GNTTAB_RESERVED_CONSOLE, 0, mfns[layout.console]!);
    domain.grants.seed(GNTTAB_RESERVED_XENSTORE, 0, mfns[layout.store]!);
  }
  const cr3Mfn = mfns[layout.tables]!;
  if (frames.getType(cr3Mfn, domain, TYPE_L4) !== 0)
    throw new Error(`boot page tables: ${frames.rule}`);
  frames.flags[cr3Mfn]! |= FRAME_PINNED;
  frames.validated = 0;
  return {
    startInfo: address(layout.startInfo),
    rip: config.guestEntry,
    rsp: address(layout.stack + 1),
    cr3Mfn,
    storeMfn: domain.privileged ? 0 : mfns[layout.store]!,
    consoleMfn: domain.privileged ? 0 : mfns[layout.console]!,
    sharedInfoMfn,
  };
};

const address = (pfn: number): number => PV_VIRT_BASE + pfn * 4096;

/** @throws RangeError when the boot structures alone do not fit */
const plan = (pages: number, privileged: boolean): Layout => {
  const p2mPages = Math.ceil((pages * 8) / 4096);
  const startInfo = p2mPages;
  const store = privileged ? startInfo : startInfo + 1;
  const console = privileged ? startInfo : store + 1;
  const tables = console + 1;
  let mapped = 0;
  let tableCount = 0;
  let stack = 0;
  // The tables are mapped too: settle on the first size that covers its own tables.
  do {
    mapped = Math.min(pages, MAX_MAPPED, mapped + MAP_UNIT);
    const l1 = Math.ceil(mapped / 512);
    tableCount = 2 + Math.ceil(l1 / 512) + l1;
    stack = tables + tableCount;
  } while (mapped < Math.min(pages, MAX_MAPPED, stack + 1 + SLACK_PAGES));
  if (stack >= mapped)
    throw new RangeError(
      `not enough memory: ${pages} pages do not hold the ${stack + 1} that booting takes`,
    );
  return { p2mPages, startInfo, store, console, tables, tableCount, stack, mapped };
};

const populate = (frames: FrameTable, memory: DomainMemory, pages: number): Uint32Array => {
  const mfns = new Uint32Array(pages);
  for (let pfn = 0; pfn < pages; pfn++) {
    const mfn = frames.allocate(memory);
    mfns[pfn] = mfn;
    frames.setM2p(mfn, pfn, 0);
  }
  return mfns;
};

/** All event upcalls masked. */
const initSharedInfo = (frames: FrameTable, mfn: number): void => {
  const at =
    frames.memory.frameAt(mfn) + SharedInfo.offset.vcpuInfo + VcpuInfo.offset.evtchnUpcallMask;
  for (let i = 0; i < XEN_LEGACY_MAX_VCPUS; i++) frames.memory.u8[at + i * VcpuInfo.size] = 1;
};

const writeP2m = (frames: FrameTable, mfns: Uint32Array, p2mPages: number): void => {
  const { memory } = frames;
  for (let page = 0; page < p2mPages; page++) {
    const word = memory.frameAt(mfns[page]!) >>> 2;
    for (let i = 0; i < 512; i++) {
      const pfn = page * 512 + i;
      memory.u32[word + 2 * i] = pfn < mfns.length ? mfns[pfn]! : 0xffffffff;
      if (pfn >= mfns.length) memory.u32[word + 2 * i + 1] = 0xffffffff;
    }
    frames.markUsed(mfns[page]!);
  }
};

const writeTables = (frames: FrameTable, mfns: Uint32Array, layout: Layout): void => {
  const { memory } = frames;
  const { tables, tableCount, mapped } = layout;
  const l1Count = Math.ceil(mapped / 512);
  const l2Count = Math.ceil(l1Count / 512);
  const l3 = tables + 1;
  const l2 = l3 + 1;
  const l1 = l2 + l2Count;
  const put = (table: number, index: number, pfn: number, flags: number): void => {
    const word = (memory.frameAt(mfns[table]!) >>> 2) + 2 * index;
    memory.u32[word] = pteLo(mfns[pfn]!, flags);
    memory.u32[word + 1] = pteHi(mfns[pfn]!);
  };
  put(tables, tableIndex(PV_VIRT_BASE, 4), l3, TABLE);
  for (let i = 0; i < l2Count; i++) put(l3, tableIndex(PV_VIRT_BASE, 3) + i, l2 + i, TABLE);
  for (let i = 0; i < l1Count; i++) put(l2 + (i >> 9), i & 511, l1 + i, TABLE);
  for (let pfn = 0; pfn < mapped; pfn++) {
    const isTable = pfn >= tables && pfn < tables + tableCount;
    put(l1 + (pfn >> 9), pfn & 511, pfn, isTable ? LEAF & ~PTE_RW : LEAF);
  }
};

const writeStartInfo = (
  frames: FrameTable,
  domain: Domain,
  config: PvConfig,
  layout: Layout,
  mfns: Uint32Array,
  sharedInfoMfn: number,
): void => {
  const { memory } = frames;
  const own = !domain.privileged;
  StartInfo.set(memory.view, memory.frameAt(mfns[layout.startInfo]!), {
    magic: 'xen-3.0-x86_64',
    nrPages: config.pages,
    sharedInfo: sharedInfoMfn * 4096,
    flags: own ? 0 : SIF_PRIVILEGED | SIF_INITDOMAIN,
    storeMfn: Mfn(own ? mfns[layout.store]! : 0),
    storeEvtchn: Port(own ? config.storePort : 0),
    console: {
      domU: {
        mfn: Mfn(own ? mfns[layout.console]! : 0),
        evtchn: Port(own ? config.consolePort : 0),
      },
    },
    ptBase: Va(address(layout.tables)),
    nrPtFrames: layout.tableCount,
    mfnList: Va(PV_VIRT_BASE),
    cmdLine: config.cmdline.slice(0, MAX_GUEST_CMDLINE - 1),
    firstP2mPfn: Pfn(0),
    nrP2mFrames: 0,
  });
  frames.markUsed(mfns[layout.startInfo]!);
};
