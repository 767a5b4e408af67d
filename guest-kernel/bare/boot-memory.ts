/**
 * What the PVH boot record says: the command line, and the largest piece of RAM in its memory map.
 */
import type { Cpu } from '../../machine/cpu.ts';
import {
  HvmMemmapTableEntry,
  HvmStartInfo,
  XEN_HVM_MEMMAP_TYPE_RAM,
} from '../../protocol/hvm-start-info.ts';
import type { FrameRange } from '../frames.ts';
import { DIRECT_MAP_PAGES, VIRT_BASE } from '../layout.ts';

const MAX_COMMAND_LINE = 1024;

export interface BareBoot {
  readonly commandLine: string;
  /** Pages of RAM in all. */
  readonly pages: number;
  readonly free: FrameRange;
}

export function readBoot(cpu: Cpu, startInfo: number): BareBoot {
  const info = load(cpu, startInfo, HvmStartInfo);
  let pages = 0;
  let free: FrameRange = { first: 0, mapped: 0, end: 0 };
  for (let i = 0; i < info.memmapEntries; i++) {
    const at = VIRT_BASE + info.memmapPaddr + i * HvmMemmapTableEntry.size;
    const { addr, size, type } = load(cpu, at, HvmMemmapTableEntry);
    if (type !== XEN_HVM_MEMMAP_TYPE_RAM) continue;
    pages += Math.floor(size / 4096);
    const first = Math.ceil(addr / 4096);
    const end = Math.min(DIRECT_MAP_PAGES, Math.floor((addr + size) / 4096));
    if (end - first > free.end - free.first) free = { first, mapped: end, end };
  }
  return { commandLine: commandLine(cpu, info.cmdlinePaddr), pages, free };
}

function load<T>(cpu: Cpu, va: number, struct: { size: number; get(view: DataView): T }): T {
  const bytes = new Uint8Array(struct.size);
  cpu.loadBytes(va, bytes);
  return struct.get(new DataView(bytes.buffer));
}

function commandLine(cpu: Cpu, paddr: number): string {
  if (paddr === 0) return '';
  let text = '';
  while (text.length < MAX_COMMAND_LINE) {
    const code = cpu.load8(VIRT_BASE + paddr + text.length);
    if (code === 0) break;
    text += String.fromCharCode(code);
  }
  return text;
}
