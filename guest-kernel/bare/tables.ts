/**
 * Page tables on hardware: direct stores, INVLPG and CR3. Each space has a root of its own whose
 * upper half is the kernel's; user mode runs on the same root, kept out by the U/S bit.
 */
import type { Cpu } from '../../machine/cpu.ts';
import { TableSpace, type TableWriter } from '../address-space.ts';
import type { AddressSpace, FrameAllocator } from '../kernel.ts';
import { PTE_P, virt } from '../layout.ts';

const UPPER_HALF = 2048;

export class BareTables implements TableWriter {
  readonly cpu: Cpu;
  readonly frames: FrameAllocator;

  constructor(cpu: Cpu, frames: FrameAllocator) {
    this.cpu = cpu;
    this.frames = frames;
  }

  machineFrame(pfn: number): number {
    return pfn;
  }

  frameOf(frame: number): number {
    return frame;
  }

  // A table is a page like any other here, and nothing is queued.
  adopt(): void {}
  release(): void {}
  commit(): void {}

  set(table: number, index: number, lo: number, hi: number): void {
    const at = virt(table) + index * 8;
    // The half with the present bit comes last when it is set, first when it is cleared.
    if ((lo & PTE_P) === 0) this.cpu.store32(at, lo);
    this.cpu.store32(at + 4, hi);
    if ((lo & PTE_P) !== 0) this.cpu.store32(at, lo);
  }

  setActive(va: number, table: number, index: number, lo: number, hi: number): void {
    this.set(table, index, lo, hi);
    this.cpu.invlpg(va);
  }

  flush(): void {
    this.cpu.writeCr(3, this.cpu.readCr(3));
  }
}

export class BareSpaces {
  readonly #tables: BareTables;
  readonly #bootRoot: number;
  #active: TableSpace | undefined;

  constructor(tables: BareTables) {
    this.#tables = tables;
    this.#bootRoot = Math.floor(tables.cpu.readCr(3) / 4096);
  }

  create(): AddressSpace {
    const { cpu, frames } = this.#tables;
    const root = frames.alloc();
    cpu.fillBytes(virt(root), UPPER_HALF, 0);
    const half = new Uint8Array(4096 - UPPER_HALF);
    cpu.loadBytes(virt(this.#bootRoot) + UPPER_HALF, half);
    cpu.storeBytes(virt(root) + UPPER_HALF, half);

    const isActive = (): boolean => this.#active === space;
    const space: TableSpace = new TableSpace(
      this.#tables,
      { kernel: root, user: -1 },
      {
        get active() {
          return isActive();
        },
        activate: () => this.#activate(space, root),
        drop: () => {
          if (this.#active === space) this.#activate(undefined, this.#bootRoot);
          frames.free(root);
        },
      },
    );
    return space;
  }

  #activate(space: TableSpace | undefined, root: number): void {
    if (this.#active === space) return;
    this.#tables.cpu.writeCr(3, root * 4096);
    this.#active = space;
  }
}
