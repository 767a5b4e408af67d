/**
 * What a disk keeps its sectors in. Only whole sectors of 512 bytes move, synchronously: virtual time, not
 * the host, decides when a request completes.
 */

export const SECTOR_BYTES = 512;

export interface BlockStore {
  readonly sectors: number;
  readonly readOnly: boolean;
  /** Fill `into` (whole sectors) from `sector` on. @throws on a host I/O error */
  read(sector: number, into: Uint8Array): void;
  /** Keep `from` (whole sectors) from `sector` on. @throws on a host I/O error, or when read-only */
  write(sector: number, from: Uint8Array): void;
  flush(): void;
}

/** A store in the host's memory, over `bytes` itself. */
export class MemoryStore implements BlockStore {
  readonly sectors: number;
  readonly readOnly: boolean;
  readonly bytes: Uint8Array;

  /** @throws RangeError when `bytes` is not whole sectors. */
  constructor(bytes: Uint8Array, readOnly = false) {
    if (bytes.length % SECTOR_BYTES !== 0) {
      throw new RangeError(`bytes: ${bytes.length} is not a multiple of ${SECTOR_BYTES}`);
    }
    this.bytes = bytes;
    this.sectors = bytes.length / SECTOR_BYTES;
    this.readOnly = readOnly;
  }

  read(sector: number, into: Uint8Array): void {
    const at = this.#place(sector, into.length);
    into.set(this.bytes.subarray(at, at + into.length));
  }

  write(sector: number, from: Uint8Array): void {
    if (this.readOnly) throw new RangeError('write: the store is read-only');
    this.bytes.set(from, this.#place(sector, from.length));
  }

  flush(): void {}

  #place(sector: number, length: number): number {
    const at = sector * SECTOR_BYTES;
    if (length % SECTOR_BYTES !== 0 || sector < 0 || at + length > this.bytes.length) {
      throw new RangeError(`sector ${sector}: ${length} bytes do not lie within the store`);
    }
    return at;
  }
}
