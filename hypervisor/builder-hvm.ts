/**
 * Building a hardware-assisted domain: frames behind an EPT, and in them what a PVH loader leaves
 * for a bare kernel: hvm_start_info with its memory map, and page tables that map all memory in
 * long mode.
 */
import { BARE_VIRT_BASE, loadBare } from '../machine/bare-loader.ts';
import { CR3 } from '../machine/vcpu.ts';
import type { Domain } from './domain.ts';
import { DomainMemory } from './domain-memory.ts';
import { Ept } from './ept.ts';
import { GrantTable } from './grants.ts';
import type { Hypervisor } from './hypervisor.ts';

export interface HvmConfig {
  /** Size of the domain, in frames. */
  pages: number;
  cmdline: string;
}

export interface HvmBoot {
  /** Virtual address of hvm_start_info. */
  startInfo: number;
  /** Guest-physical address of the boot L4. */
  cr3: number;
  /** Machine frame of the EPT's root. */
  eptpMfn: number;
}

/**
 * Give the domain its memory and fill it, and load the boot registers into its first vCPU.
 * @throws RangeError when there is not enough memory
 */
export const buildHvm = (xen: Hypervisor, domain: Domain, config: HvmConfig): HvmBoot => {
  const { frames } = xen;
  const { pages } = config;
  const needed = pages + Ept.tablesFor(pages) + 1; // and the first grant frame
  if (frames.free < needed) {
    throw new RangeError(
      `not enough memory: ${needed} frames are needed and ${frames.free} are free`,
    );
  }
  const memory = new DomainMemory(frames, xen.machine.mmu, domain, pages);
  const ept = memory.ept!;
  domain.memory = memory;
  domain.grants = new GrantTable(frames, memory);
  const mfns = new Uint32Array(pages);
  for (let gfn = 0; gfn < pages; gfn++) {
    const mfn = frames.allocate(memory);
    mfns[gfn] = mfn;
    frames.setM2p(mfn, gfn, 0);
    ept.set(gfn, mfn);
  }

  const { u32 } = frames.memory;
  const store32 = (pa: number, value: number): void => {
    u32[(frames.memory.frameAt(mfns[Math.floor(pa / 4096)]!) + (pa & 4095)) >>> 2] = value;
  };
  const { arch } = domain.vcpus[0]!;
  loadBare({ frames: pages, store32 }, arch, config.cmdline);
  return { startInfo: BARE_VIRT_BASE, cr3: arch.get(CR3), eptpMfn: ept.root };
};
