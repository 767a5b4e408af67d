/**
 * A tree of page tables and the mappings in it. New tables are filled while they are still ordinary
 * pages and only then linked, bottom-up, so that a back end that validates tables sees each subtree
 * once and complete.
 * @source SDM vol. 3, 4.5
 */
import type { Cpu } from '../machine/cpu.ts';
import type { AddressSpace, FrameAllocator, MapOptions } from './kernel.ts';
import {
  entryFrame,
  entryHi,
  entryLo,
  PTE_A,
  PTE_D,
  PTE_NX_HI,
  PTE_P,
  PTE_RW,
  PTE_US,
  TABLE_FLAGS,
  tableIndex,
  USER_END,
  virt,
} from './layout.ts';

/** How a back end changes page tables; frames are PFNs. Changes may be queued until `commit`. */
export interface TableWriter {
  readonly cpu: Cpu;
  readonly frames: FrameAllocator;
  /** The frame number that entries hold for `pfn`, and back (-1 for a frame that is not ours). */
  machineFrame(pfn: number): number;
  frameOf(machineFrame: number): number;
  /** The page at `pfn` becomes a table, or an ordinary page again. */
  adopt(pfn: number): void;
  release(pfn: number): void;
  /** Writes an entry of a table in use. */
  set(table: number, index: number, lo: number, hi: number): void;
  /** Writes one leaf of the active tables and drops what the TLB has of `va`. */
  setActive(va: number, table: number, index: number, lo: number, hi: number): void;
  commit(): void;
  flush(): void;
}

/** The roots of a space. `user` is the second root where user mode has one of its own, else -1. */
export interface Roots {
  readonly kernel: number;
  readonly user: number;
}

export interface SpaceHooks {
  readonly active: boolean;
  activate(): void;
  /** Gives the roots back; called when the space is not active. */
  drop(): void;
}

/** Which entry of a table of `level` leads to `va`, counted through all tables of that level. */
const slotOf = (va: number, level: number): number => Math.floor(va / 2 ** (3 + 9 * level));

export class TableSpace implements AddressSpace {
  protected readonly writer: TableWriter;
  protected readonly roots: Roots;
  readonly #hooks: SpaceHooks;
  /** For levels 1 to 3: table PFN by the number of the entry above that leads to it. */
  readonly #tables: readonly Map<number, number>[] = [new Map(), new Map(), new Map(), new Map()];
  /** Whether a 512 GiB slot is for user mode. */
  readonly #slots = new Map<number, boolean>();

  constructor(writer: TableWriter, roots: Roots, hooks: SpaceHooks) {
    this.writer = writer;
    this.roots = roots;
    this.#hooks = hooks;
  }

  map(va: number, pfn: number, options: MapOptions = {}): void {
    this.mapFrame(va, this.writer.machineFrame(pfn), options);
  }

  /** As map, for a frame given by the number that entries hold. */
  mapFrame(va: number, frame: number, options: MapOptions = {}): void {
    this.#check(va, 1, options);
    const flags = leafFlags(options);
    const lo = entryLo(frame, flags);
    const hi = entryHi(frame) + highFlags(options);
    const table = this.table(va, 1);
    if (table >= 0) {
      this.#setLeaf(va, table, lo, hi);
    } else {
      const fresh = this.#newTable();
      this.#fill(fresh, tableIndex(va, 1), lo, hi);
      this.#link(va, 1, fresh, options.user ?? false);
      this.writer.commit();
    }
  }

  mapMany(va: number, pfns: readonly number[], options: MapOptions = {}): void {
    this.#check(va, pfns.length, options);
    const flags = leafFlags(options);
    const high = highFlags(options);
    let stale = false;
    for (let i = 0; i < pfns.length; ) {
      const at = va + i * 4096;
      const first = tableIndex(at, 1);
      const count = Math.min(512 - first, pfns.length - i);
      const known = this.table(at, 1);
      const table = known >= 0 ? known : this.#newTable();
      for (let j = 0; j < count; j++) {
        const frame = this.writer.machineFrame(pfns[i + j]!);
        const lo = entryLo(frame, flags);
        const hi = entryHi(frame) + high;
        if (known < 0) {
          this.#fill(table, first + j, lo, hi);
        } else {
          stale ||= this.#present(table, first + j);
          this.writer.set(table, first + j, lo, hi);
        }
      }
      if (known < 0) this.#link(at, 1, table, options.user ?? false);
      i += count;
    }
    this.writer.commit();
    if (stale && this.#hooks.active) this.writer.flush();
  }

  unmap(va: number): number {
    const table = this.table(va, 1);
    if (table < 0) return -1;
    const pfn = this.#frameAt(table, tableIndex(va, 1));
    if (pfn !== undefined) this.#setLeaf(va, table, 0, 0);
    return pfn ?? -1;
  }

  unmapMany(va: number, pages: number): void {
    let cleared = 0;
    for (let i = 0; i < pages; i++) {
      const at = va + i * 4096;
      const table = this.table(at, 1);
      if (table < 0 || !this.#present(table, tableIndex(at, 1))) continue;
      this.writer.set(table, tableIndex(at, 1), 0, 0);
      cleared++;
    }
    this.writer.commit();
    if (cleared > 0 && this.#hooks.active) this.writer.flush();
  }

  protect(va: number, options: MapOptions): void {
    this.#check(va, 1, options);
    const table = this.table(va, 1);
    const at = table < 0 ? 0 : virt(table) + tableIndex(va, 1) * 8;
    const { cpu } = this.writer;
    const old = table < 0 ? 0 : cpu.load32(at);
    if ((old & PTE_P) === 0) throw new RangeError(`protect: nothing is mapped at ${va}`);
    const frame = entryFrame(old, cpu.load32(at + 4));
    const hi = entryHi(frame) + highFlags(options);
    this.#setLeaf(va, table, entryLo(frame, leafFlags(options)), hi);
  }

  translate(va: number): number {
    const table = this.table(va, 1);
    return table < 0 ? -1 : (this.#frameAt(table, tableIndex(va, 1)) ?? -1);
  }

  activate(): void {
    this.#hooks.activate();
  }

  destroy(): void {
    this.#hooks.drop();
    const { writer } = this;
    const tables = this.#tables.flatMap((level) => [...level.values()]);
    for (const table of tables) writer.release(table);
    writer.commit();
    for (const table of tables) writer.frames.free(table);
    for (const level of this.#tables) level.clear();
    this.#slots.clear();
  }

  /** Makes sure that `va` has an L1 table, for operations that write the leaf themselves. */
  prepare(va: number): void {
    if (this.table(va, 1) >= 0) return;
    this.#link(va, 1, this.#newTable(), false);
    this.writer.commit();
  }

  /** The table of `level` (1..3) that covers `va`, or -1. */
  table(va: number, level: number): number {
    return this.#tables[level]!.get(slotOf(va, level + 1)) ?? -1;
  }

  protected remember(va: number, level: number, table: number): void {
    this.#tables[level]!.set(slotOf(va, level + 1), table);
  }

  /** @throws RangeError for an address or privilege that this space cannot have. */
  #check(va: number, pages: number, options: MapOptions): void {
    if ((va & 4095) !== 0) throw new RangeError(`address ${va} is not page-aligned`);
    if (va < 0) {
      if (options.user) throw new RangeError('the kernel half has no user pages');
      return;
    }
    if (va + pages * 4096 > USER_END)
      throw new RangeError(`address ${va} is outside the user half`);
    const slot = slotOf(va, 4);
    const user = options.user ?? false;
    if ((this.#slots.get(slot) ?? user) !== user) {
      throw new RangeError('one 512 GiB slot cannot have both user and kernel pages');
    }
    this.#slots.set(slot, user);
  }

  #setLeaf(va: number, table: number, lo: number, hi: number): void {
    if (this.#hooks.active) {
      this.writer.setActive(va, table, tableIndex(va, 1), lo, hi);
    } else {
      this.writer.set(table, tableIndex(va, 1), lo, hi);
      this.writer.commit();
    }
  }

  /**
   * Enters a filled table below the table of the next level, making that one where it is missing.
   */
  #link(va: number, level: number, table: number, user: boolean): void {
    const { writer, roots } = this;
    writer.adopt(table);
    this.remember(va, level, table);
    const frame = writer.machineFrame(table);
    const flags = va < 0 ? TABLE_FLAGS & ~PTE_US : TABLE_FLAGS;
    const lo = entryLo(frame, user || va < 0 ? flags : flags & ~PTE_US);
    const hi = entryHi(frame);
    const index = tableIndex(va, level + 1);
    if (level === 3) {
      writer.set(roots.kernel, index, lo, hi);
      if (user && roots.user >= 0) writer.set(roots.user, index, lo, hi);
      return;
    }
    const parent = this.table(va, level + 1);
    if (parent >= 0) {
      writer.set(parent, index, lo, hi);
      return;
    }
    const fresh = this.#newTable();
    this.#fill(fresh, index, lo, hi);
    this.#link(va, level + 1, fresh, user);
  }

  #newTable(): number {
    const pfn = this.writer.frames.alloc();
    this.writer.cpu.fillBytes(virt(pfn), 4096, 0);
    return pfn;
  }

  /** Writes an entry of a page that is no table yet. */
  #fill(table: number, index: number, lo: number, hi: number): void {
    const at = virt(table) + index * 8;
    this.writer.cpu.store32(at, lo);
    if (hi !== 0) this.writer.cpu.store32(at + 4, hi);
  }

  #present(table: number, index: number): boolean {
    return (this.writer.cpu.load32(virt(table) + index * 8) & PTE_P) !== 0;
  }

  #frameAt(table: number, index: number): number | undefined {
    const { cpu } = this.writer;
    const at = virt(table) + index * 8;
    const lo = cpu.load32(at);
    if ((lo & PTE_P) === 0) return undefined;
    return this.writer.frameOf(entryFrame(lo, cpu.load32(at + 4)));
  }
}

/** The kernel half: tables that the loader made are found by walking, and never freed. */
export class KernelSpace extends TableSpace {
  override table(va: number, level: number): number {
    const known = super.table(va, level);
    if (known >= 0) return known;
    const parent = level === 3 ? this.roots.kernel : this.table(va, level + 1);
    if (parent < 0) return -1;
    const { cpu } = this.writer;
    const at = virt(parent) + tableIndex(va, level + 1) * 8;
    const lo = cpu.load32(at);
    if ((lo & PTE_P) === 0) return -1;
    const table = this.writer.frameOf(entryFrame(lo, cpu.load32(at + 4)));
    this.remember(va, level, table);
    return table;
  }
}

const leafFlags = ({ write, user }: MapOptions): number =>
  PTE_P | PTE_A | (write ? PTE_RW | PTE_D : 0) | (user ? PTE_US : 0);
const highFlags = ({ execute }: MapOptions): number => (execute === false ? PTE_NX_HI : 0);
