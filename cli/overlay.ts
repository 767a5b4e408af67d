/**
 * A disk whose writes stay in memory: every mode of a comparison starts from the same sectors, and the
 * file below is never changed.
 */
import { type BlockStore, SECTOR_BYTES } from '../machine/block-store.ts';

export class Overlay implements BlockStore {
  readonly sectors: number;
  readonly readOnly: boolean;
  readonly #below: BlockStore;
  readonly #written = new Map<number, Uint8Array>();

  constructor(below: BlockStore, readOnly: boolean) {
    this.#below = below;
    this.sectors = below.sectors;
    this.readOnly = readOnly;
  }

  read(sector: number, into: Uint8Array): void {
    this.#below.read(sector, into);
    for (let at = 0; at < into.length; at += SECTOR_BYTES) {
      const written = this.#written.get(sector + at / SECTOR_BYTES);
      if (written) into.set(written, at);
    }
  }

  write(sector: number, from: Uint8Array): void {
    for (let at = 0; at < from.length; at += SECTOR_BYTES) {
      this.#written.set(sector + at / SECTOR_BYTES, from.slice(at, at + SECTOR_BYTES));
    }
  }

  flush(): void {
    // Nothing below changes.
  }
}
