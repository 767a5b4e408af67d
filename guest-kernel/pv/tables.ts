/**
 * Page tables under Xen: tables are mapped read-only and every change is an mmu_update, queued so
 * that one operation of an address space is one hypercall. PFNs become MFNs through the P2M, and
 * back through Xen's M2P.
 * @source xen/xen.h (mmu_update)
 */
import type { Cpu } from '../../machine/cpu.ts';
import { MACH2PHYS_VIRT_START, MMU_NORMAL_PT_UPDATE } from '../../protocol/xen.ts';
import type { KernelSpace, TableWriter } from '../address-space.ts';
import type { FrameAllocator } from '../kernel.ts';
import {
  entryHi,
  entryLo,
  PTE_A,
  PTE_D,
  PTE_NX_HI,
  PTE_P,
  PTE_RW,
  tableIndex,
  virt,
} from '../layout.ts';
import type { Xen } from '../xen.ts';
import { MMU_BATCH } from '../xen-memory.ts';

interface Queue {
  readonly words: Uint32Array;
  readonly bytes: Uint8Array;
  count: number;
}

export class PvTables implements TableWriter {
  readonly cpu: Cpu;
  /** Set once the allocator and the kernel half exist; the two need each other and this. */
  frames!: FrameAllocator;
  kernel!: KernelSpace;
  readonly #xen: Xen;
  readonly #p2m: number;
  readonly #pages: number;
  /** One for each nesting level, like the arguments. */
  readonly #queues: Queue[] = [];

  /** @param p2m address of start_info.mfn_list, which has `pages` entries. */
  constructor(xen: Xen, p2m: number, pages: number) {
    this.cpu = xen.cpu;
    this.#xen = xen;
    this.#p2m = p2m;
    this.#pages = pages;
  }

  machineFrame(pfn: number): number {
    return this.cpu.loadNumber(this.#p2m + pfn * 8);
  }

  frameOf(mfn: number): number {
    // The M2P has other domains' frames too: only the P2M says whose it is.
    const pfn = this.cpu.loadNumber(MACH2PHYS_VIRT_START + mfn * 8);
    return pfn >= 0 && pfn < this.#pages && this.machineFrame(pfn) === mfn ? pfn : -1;
  }

  adopt(pfn: number): void {
    this.#setDirect(pfn, PTE_P | PTE_A);
  }

  release(pfn: number): void {
    this.#setDirect(pfn, PTE_P | PTE_A | PTE_RW | PTE_D);
  }

  set(table: number, index: number, lo: number, hi: number): void {
    const queue = this.#queue();
    const frame = this.machineFrame(table);
    const { words, count } = queue;
    words[count * 4] = entryLo(frame, index * 8) | MMU_NORMAL_PT_UPDATE;
    words[count * 4 + 1] = entryHi(frame);
    words[count * 4 + 2] = lo;
    words[count * 4 + 3] = hi;
    queue.count++;
    if (queue.count === MMU_BATCH) this.commit();
  }

  setActive(va: number, _table: number, _index: number, lo: number, hi: number): void {
    const entry = hi >= PTE_NX_HI ? (BigInt(hi) << 32n) | BigInt(lo) : hi * 4294967296 + lo;
    this.#xen.memory.updateVaMapping(va, entry);
  }

  commit(): void {
    const queue = this.#queue();
    if (queue.count === 0) return;
    const bytes = queue.bytes.subarray(0, queue.count * 16);
    queue.count = 0;
    this.#xen.memory.mmuUpdateEncoded(bytes);
  }

  flush(): void {
    this.#xen.memory.flushTlb();
  }

  /** Changes what the direct map allows on a frame. */
  #setDirect(pfn: number, flags: number): void {
    const va = virt(pfn);
    const frame = this.machineFrame(pfn);
    this.set(this.kernel.table(va, 1), tableIndex(va, 1), entryLo(frame, flags), entryHi(frame));
  }

  #queue(): Queue {
    const { level } = this.#xen.arguments;
    const known = this.#queues[level];
    if (known) return known;
    const words = new Uint32Array(MMU_BATCH * 4);
    const queue = { words, bytes: new Uint8Array(words.buffer), count: 0 };
    this.#queues[level] = queue;
    return queue;
  }
}
