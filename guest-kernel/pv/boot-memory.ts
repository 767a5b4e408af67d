/**
 * What the domain builder left: where the boot pages end, and how far its tables map the direct map
 * beyond them.
 * @source xen/xen.h (start_info and the layout above it)
 */
import type { Cpu } from '../../machine/cpu.ts';
import { SIF_INITDOMAIN, StartInfo } from '../../protocol/start-info.ts';
import type { KernelSpace } from '../address-space.ts';
import { DIRECT_MAP_PAGES, directPfn, PTE_P, RSP, tableIndex, virt } from '../layout.ts';

export function readStartInfo(cpu: Cpu, va: number): StartInfo {
  const bytes = new Uint8Array(StartInfo.size);
  cpu.loadBytes(va, bytes);
  return StartInfo.get(new DataView(bytes.buffer));
}

/** The first PFN after everything that the builder made. */
export function firstFree(
  cpu: Cpu,
  info: StartInfo,
  startInfoVa: number,
  pfnOf: (mfn: number) => number,
): number {
  const ends = [
    directPfn(startInfoVa) + 1,
    directPfn(info.mfnList + info.nrPages * 8 + 4095),
    directPfn(info.ptBase) + info.nrPtFrames,
    directPfn(cpu.reg(RSP) + 4095),
  ];
  if ((info.flags & SIF_INITDOMAIN) === 0) {
    ends.push(pfnOf(info.storeMfn) + 1, pfnOf(info.console.domU!.mfn) + 1);
  }
  return Math.max(...ends);
}

/** The first PFN from `first` on that the direct map does not have. */
export function mappedEnd(cpu: Cpu, kernel: KernelSpace, first: number, pages: number): number {
  const limit = Math.min(pages, DIRECT_MAP_PAGES);
  const words = new Uint32Array(1024);
  const bytes = new Uint8Array(words.buffer);
  let pfn = first;
  while (pfn < limit) {
    const table = kernel.table(virt(pfn), 1);
    if (table < 0) break;
    cpu.loadBytes(virt(table), bytes);
    let index = tableIndex(virt(pfn), 1);
    while (index < 512 && ((words[index * 2] ?? 0) & PTE_P) !== 0) index++;
    const end = Math.floor(pfn / 512) * 512 + index;
    pfn = end;
    if (index < 512) break;
  }
  return Math.min(pfn, limit);
}
