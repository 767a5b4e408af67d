/**
 * The second dimension of a hardware-assisted domain: guest frame to machine frame, as the
 * four-level tables that the MMU walks. The tables are frames of Xen's, out of any guest's reach.
 * @source SDM vol. 3, 29.3.2
 */
import {
  EPT_EXECUTE,
  EPT_MEMORY_WB,
  EPT_READ,
  EPT_WRITE,
  pteFrame,
  pteHi,
  pteLo,
  tableIndex,
} from '../machine/pte.ts';
import type { FrameTable } from './frames.ts';

const ALL_RIGHTS = EPT_READ | EPT_WRITE | EPT_EXECUTE;
const MAX_GFN = 0x1000000000;

export class Ept {
  readonly root: number;
  readonly #frames: FrameTable;
  readonly #tables: number[] = [];

  /** @throws RangeError when there is no frame for the root. */
  constructor(frames: FrameTable) {
    this.#frames = frames;
    this.root = this.#table();
    if (this.root < 0) throw new RangeError('not enough memory for the guest-physical map');
  }

  /** Table frames that mapping guest frames 0 to `pages` takes, the root included. */
  static tablesFor(pages: number): number {
    const l1 = Math.ceil(pages / 512);
    const l2 = Math.ceil(l1 / 512);
    return l1 + l2 + Math.ceil(l2 / 512) + 1;
  }

  /** The machine frame of `gfn`, or -1. */
  lookup(gfn: number): number {
    const word = this.#leaf(gfn, false);
    if (word < 0) return -1;
    const { u32 } = this.#frames.memory;
    return (u32[word]! & ALL_RIGHTS) === 0 ? -1 : pteFrame(u32[word]!, u32[word + 1]!);
  }

  /** Map `gfn` to `mfn` with all rights. @returns false when a table cannot be allocated. */
  set(gfn: number, mfn: number): boolean {
    const word = this.#leaf(gfn, true);
    if (word < 0) return false;
    const { u32 } = this.#frames.memory;
    u32[word] = pteLo(mfn, ALL_RIGHTS | EPT_MEMORY_WB);
    u32[word + 1] = pteHi(mfn);
    return true;
  }

  clear(gfn: number): void {
    const word = this.#leaf(gfn, false);
    if (word >= 0) this.#frames.memory.u32.fill(0, word, word + 2);
  }

  destroy(): void {
    for (const table of this.#tables) this.#frames.putRef(table);
    this.#tables.length = 0;
  }

  /**
   * Word index of the entry for `gfn`; -1 where its table is missing (or, with `make`, cannot be
   * had).
   */
  #leaf(gfn: number, make: boolean): number {
    if (!(gfn >= 0 && gfn < MAX_GFN)) return -1;
    const { memory } = this.#frames;
    let table = this.root;
    for (let level = 4; ; level--) {
      const word = (memory.frameAt(table) >>> 2) + 2 * tableIndex(gfn * 4096, level);
      if (level === 1) return word;
      if ((memory.u32[word]! & ALL_RIGHTS) === 0) {
        const below = make ? this.#table() : -1;
        if (below < 0) return -1;
        memory.u32[word] = pteLo(below, ALL_RIGHTS);
        memory.u32[word + 1] = pteHi(below);
      }
      table = pteFrame(memory.u32[word]!, memory.u32[word + 1]!);
    }
  }

  #table(): number {
    const mfn = this.#frames.allocate(undefined);
    if (mfn >= 0) this.#tables.push(mfn);
    return mfn;
  }
}
