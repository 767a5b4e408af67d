/**
 * Address spaces under Xen: each has a kernel root (everything) and a user root (user mappings
 * only), which share the L3 tables of user slots. Both are pinned as L4 tables for as long as the
 * space lives.
 * @source xen/xen.h (mmuext_op)
 */
import {
  MMUEXT_NEW_BASEPTR,
  MMUEXT_NEW_USER_BASEPTR,
  MMUEXT_PIN_L4_TABLE,
  MMUEXT_UNPIN_TABLE,
} from '../../protocol/xen.ts';
import { TableSpace } from '../address-space.ts';
import type { AddressSpace } from '../kernel.ts';
import { virt } from '../layout.ts';
import type { Xen } from '../xen.ts';
import type { PvTables } from './tables.ts';

/** The first L4 slot above Xen's. */
const KERNEL_SLOTS = 272 * 8;

export class PvSpaces {
  readonly #xen: Xen;
  readonly #tables: PvTables;
  readonly #bootRoot: number;
  #active: TableSpace | undefined;

  /** @param bootRoot PFN of the L4 that the domain began with. */
  constructor(xen: Xen, tables: PvTables, bootRoot: number) {
    this.#xen = xen;
    this.#tables = tables;
    this.#bootRoot = bootRoot;
  }

  create(): AddressSpace {
    const { frames } = this.#tables;
    const kernel = frames.alloc();
    const user = frames.alloc();
    this.#makeRoot(kernel, true);
    this.#makeRoot(user, false);
    this.#tables.commit();
    this.#xen.memory.mmuext([
      { cmd: MMUEXT_PIN_L4_TABLE, arg1: this.#tables.machineFrame(kernel) },
      { cmd: MMUEXT_PIN_L4_TABLE, arg1: this.#tables.machineFrame(user) },
    ]);
    const roots = { kernel, user };
    const isActive = (): boolean => this.#active === space;
    const space: TableSpace = new TableSpace(this.#tables, roots, {
      get active() {
        return isActive();
      },
      activate: () => this.#activate(space, kernel, user),
      drop: () => this.#drop(space, kernel, user),
    });
    return space;
  }

  /** Makes sure that there is a user root. */
  needUser(): void {
    if (!this.#active) this.create().activate();
  }

  #makeRoot(pfn: number, kernelHalf: boolean): void {
    const { cpu } = this.#xen;
    cpu.fillBytes(virt(pfn), 4096, 0);
    if (kernelHalf) {
      const half = new Uint8Array(4096 - KERNEL_SLOTS);
      cpu.loadBytes(virt(this.#bootRoot) + KERNEL_SLOTS, half);
      cpu.storeBytes(virt(pfn) + KERNEL_SLOTS, half);
    }
    this.#tables.adopt(pfn);
  }

  #activate(space: TableSpace | undefined, kernel: number, user: number): void {
    if (this.#active === space) return;
    this.#xen.memory.mmuext([
      { cmd: MMUEXT_NEW_BASEPTR, arg1: this.#tables.machineFrame(kernel) },
      { cmd: MMUEXT_NEW_USER_BASEPTR, arg1: user < 0 ? 0 : this.#tables.machineFrame(user) },
    ]);
    this.#active = space;
  }

  #drop(space: TableSpace, kernel: number, user: number): void {
    if (this.#active === space) this.#activate(undefined, this.#bootRoot, -1);
    this.#xen.memory.mmuext([
      { cmd: MMUEXT_UNPIN_TABLE, arg1: this.#tables.machineFrame(kernel) },
      { cmd: MMUEXT_UNPIN_TABLE, arg1: this.#tables.machineFrame(user) },
    ]);
    for (const root of [kernel, user]) {
      this.#tables.release(root);
      this.#tables.commit();
      this.#tables.frames.free(root);
    }
  }
}
