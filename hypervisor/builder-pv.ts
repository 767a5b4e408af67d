/**
 * Building a paravirtual domain: its frames, the kernel and the ramdisk in them, its boot page tables,
 * start_info and the rings. Where each lies is pv-layout.ts.
 * @source xen/xen.h:741 (the boot contract)
 */
import { pteHi, pteLo } from '../machine/pte.ts';
import { GNTTAB_RESERVED_CONSOLE, GNTTAB_RESERVED_XENSTORE } from '../protocol/grant-table.ts';
import { SharedInfo, VcpuInfo, XEN_LEGACY_MAX_VCPUS } from '../protocol/shared-info.ts';
import {
  MAX_GUEST_CMDLINE,
  SIF_INITDOMAIN,
  SIF_MOD_START_PFN,
  SIF_PRIVILEGED,
  StartInfo,
} from '../protocol/start-info.ts';
import { Mfn, PAGE_SIZE, Pfn, Port, Va } from '../protocol/units.ts';
import type { Domain } from './domain.ts';
import { DomainMemory } from './domain-memory.ts';
import type { FrameTable } from './frames.ts';
import { GrantTable } from './grants.ts';
import { writeHypercallPage } from './hypercall-page.ts';
import type { Hypervisor } from './hypervisor.ts';
import type { Image, ImagePart } from './image.ts';
import { FRAME_PINNED, TYPE_L4 } from './page-types.ts';
import { type PvLayout, planPv } from './pv-layout.ts';

/** 0xffffffff80000000: PFN 0 of a TypeScript kernel. */
export const PV_VIRT_BASE = -0x80000000;

/** TypeScript is nowhere in memory: such a kernel is an image without parts. */
export const scriptImage = (entry: number): Image => ({
  ...{ entry, virtBase: PV_VIRT_BASE, parts: [], modStartPfn: false },
  ...{ hypercallPfn: undefined, p2mBase: undefined },
});

export interface PvConfig {
  image: Image;
  ramdisk?: Uint8Array;
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

/**
 * Give the domain its memory and grant table and fill them. @throws RangeError when there is not
 * enough memory
 */
export const buildPv = (xen: Hypervisor, domain: Domain, config: PvConfig): PvBoot => {
  const { frames } = xen;
  const { image, pages, ramdisk } = config;
  const { privileged } = domain;
  const layout = planPv(image, { pages, ramdiskBytes: ramdisk?.length ?? 0, privileged });
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

  for (const part of image.parts) writePart(frames, mfns, part);
  if (ramdisk)
    writePart(frames, mfns, { at: layout.ramdisk * PAGE_SIZE, bytes: ramdisk, memBytes: 0 });
  if (image.hypercallPfn !== undefined) {
    writeHypercallPage(frames.memory, mfns[image.hypercallPfn]!);
    frames.markUsed(mfns[image.hypercallPfn]!);
  }
  writeP2m(frames, mfns, layout);
  writeTables(frames, mfns, layout);
  writeStartInfo(frames, domain, config, layout, mfns, sharedInfoMfn);
  if (!privileged) {
    domain.grants.seed(GNTTAB_RESERVED_CONSOLE, 0, mfns[layout.console]!);
    domain.grants.seed(GNTTAB_RESERVED_XENSTORE, 0, mfns[layout.store]!);
  }
  const cr3Mfn = mfns[layout.tables]!;
  if (frames.getType(cr3Mfn, domain, TYPE_L4) !== 0)
    throw new Error(`boot page tables: ${frames.rule}`);
  frames.flags[cr3Mfn]! |= FRAME_PINNED;
  frames.validated = 0;
  return {
    startInfo: address(image, layout.startInfo),
    rip: image.entry,
    rsp: address(image, layout.stack + 1),
    cr3Mfn,
    storeMfn: privileged ? 0 : mfns[layout.store]!,
    consoleMfn: privileged ? 0 : mfns[layout.console]!,
    sharedInfoMfn,
  };
};

const address = ({ virtBase }: Image, pfn: number): number => virtBase + pfn * PAGE_SIZE;

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

/** Frames are zero already. */
const writePart = (frames: FrameTable, mfns: Uint32Array, { at, bytes }: ImagePart): void => {
  for (let done = 0; done < bytes.length; ) {
    const mfn = mfns[Math.floor((at + done) / PAGE_SIZE)]!;
    const offset = (at + done) % PAGE_SIZE;
    const chunk = bytes.subarray(done, done + PAGE_SIZE - offset);
    frames.memory.frame(mfn).set(chunk, offset);
    frames.markUsed(mfn);
    done += chunk.length;
  }
};

const writeP2m = (frames: FrameTable, mfns: Uint32Array, { p2m, p2mPages }: PvLayout): void => {
  const { memory } = frames;
  for (let page = 0; page < p2mPages; page++) {
    const frame = mfns[p2m + page]!;
    const word = memory.frameAt(frame) >>> 2;
    const part = mfns.subarray(page * 512, page * 512 + 512);
    for (let i = 0; i < part.length; i++) memory.u32[word + 2 * i] = part[i]!;
    frames.markUsed(frame);
  }
};

const writeTables = (frames: FrameTable, mfns: Uint32Array, { entries }: PvLayout): void => {
  const { memory } = frames;
  entries.write((table, index, pfn, flags) => {
    const word = (memory.frameAt(mfns[table]!) >>> 2) + 2 * index;
    memory.u32[word] = pteLo(mfns[pfn]!, flags);
    memory.u32[word + 1] = pteHi(mfns[pfn]!);
  });
};

const writeStartInfo = (
  frames: FrameTable,
  domain: Domain,
  config: PvConfig,
  layout: PvLayout,
  mfns: Uint32Array,
  sharedInfoMfn: number,
): void => {
  const { memory } = frames;
  const { image, ramdisk } = config;
  const own = !domain.privileged;
  const ramdiskBytes = ramdisk?.length ?? 0;
  const byPfn = ramdisk !== undefined && image.modStartPfn;
  StartInfo.set(memory.view, memory.frameAt(mfns[layout.startInfo]!), {
    magic: 'xen-3.0-x86_64',
    nrPages: config.pages,
    sharedInfo: sharedInfoMfn * 4096,
    flags: (own ? 0 : SIF_PRIVILEGED | SIF_INITDOMAIN) | (byPfn ? SIF_MOD_START_PFN : 0),
    storeMfn: Mfn(own ? mfns[layout.store]! : 0),
    storeEvtchn: Port(own ? config.storePort : 0),
    console: {
      domU: {
        mfn: Mfn(own ? mfns[layout.console]! : 0),
        evtchn: Port(own ? config.consolePort : 0),
      },
    },
    ptBase: Va(address(image, layout.tables)),
    nrPtFrames: layout.tableCount,
    mfnList: Va(layout.p2mAddress),
    modStart: ramdisk ? (byPfn ? layout.ramdisk : address(image, layout.ramdisk)) : 0,
    modLen: byPfn ? Math.ceil(ramdiskBytes / PAGE_SIZE) * PAGE_SIZE : ramdiskBytes,
    cmdLine: config.cmdline.slice(0, MAX_GUEST_CMDLINE - 1),
    firstP2mPfn: Pfn(layout.p2mFrames > 0 ? layout.p2m : 0),
    nrP2mFrames: layout.p2mFrames,
  });
  frames.markUsed(mfns[layout.startInfo]!);
};
