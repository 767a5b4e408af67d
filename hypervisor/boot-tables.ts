/**
 * The page tables of a new PV domain: one L4 and whatever is below it to map some areas of address space.
 * First each area is covered, which says how many tables it takes and in which frames they will be; once
 * the frames exist the entries are written.
 */
import { PTE_A, PTE_D, PTE_P, PTE_RW, PTE_US, tableIndex } from '../machine/pte.ts';
import { PAGE_SIZE } from '../protocol/units.ts';

const LEAF = PTE_P | PTE_RW | PTE_A;
const TABLE = PTE_P | PTE_RW | PTE_US | PTE_A | PTE_D;
/** Bytes that one table of each level maps. */
const SPAN = [0, 2 ** 21, 2 ** 30, 2 ** 39, 2 ** 48] as const;
const LEVELS = [4, 3, 2, 1] as const;
type Level = (typeof LEVELS)[number];

interface Table {
  readonly level: Level;
  /** An address that it maps. */
  readonly va: number;
  readonly pfn: number;
}

interface Area {
  readonly va: number;
  readonly pfn: number;
  readonly pages: number;
}

/** Stores an entry for `pfn` into a table. */
type Put = (table: number, index: number, pfn: number, flags: number) => void;

export class BootTables {
  readonly #tables = new Map<number, Table>();
  readonly #areas: Area[] = [];
  readonly #own = new Set<number>();

  /**
   * Map `pages` from `pfn` on at `va`; tables that are not there yet get PFNs from `firstTable` on, the
   * higher level first.
   * @returns how many those are
   */
  cover(va: number, pfn: number, pages: number, firstTable: number): number {
    let next = firstTable;
    const last = va + pages * PAGE_SIZE - 1;
    for (const level of LEVELS) {
      for (let slot = slotOf(va, level); slot <= slotOf(last, level); slot++) {
        const at = slot * SPAN[level];
        if (this.#tables.has(key(at, level))) continue;
        this.#tables.set(key(at, level), { level, va: at, pfn: next });
        this.#own.add(next++);
      }
    }
    this.#areas.push({ va, pfn, pages });
    return next - firstTable;
  }

  /** Every entry, in no particular order. The tables themselves are mapped read-only. */
  write(put: Put): void {
    for (const { level, va, pfn } of this.#tables.values()) {
      if (level < 4) put(this.#table(va, level + 1), tableIndex(va, level + 1), pfn, TABLE);
    }
    for (const { va, pfn, pages } of this.#areas) {
      for (let i = 0; i < pages; i++) {
        const at = va + i * PAGE_SIZE;
        const flags = this.#own.has(pfn + i) ? LEAF & ~PTE_RW : LEAF;
        put(this.#table(at, 1), tableIndex(at, 1), pfn + i, flags);
      }
    }
  }

  #table(va: number, level: number): number {
    return this.#tables.get(key(va, level as Level))!.pfn;
  }
}

const slotOf = (va: number, level: Level): number =>
  level === 4 ? 0 : Math.floor(va / SPAN[level]);
/** Unlike for any two tables: a level and what it counts. */
const key = (va: number, level: Level): number => slotOf(va, level) * 8 + level;
