/**
 * What a disk is to a kernel, and what a drive is to a disk or to a back end.
 * The one idea: a drive moves whole sectors between itself and pieces of frames, so that the hardware
 * or another domain can reach the data without the processor copying it.
 */
import type { Kernel } from '../guest-kernel/index.ts';

export const SECTOR = 512; // bytes
const CHUNK_PAGES = 16; // moved by one command

/** An operation on a disk failed; `sector` is the first one of the operation. */
export class DiskError extends Error {
  override readonly name = 'DiskError';
  readonly disk: string;
  readonly sector: number;
  readonly reason: string;

  constructor(disk: string, operation: string, sector: number, reason: string) {
    super(`${disk}: ${operation} at sector ${sector}: ${reason}`);
    this.disk = disk;
    this.sector = sector;
    this.reason = reason;
  }
}

/** A disk as a kernel's main function uses it; sectors of 512 bytes. */
export interface Disk {
  readonly name: string; // 'xvda' is the first
  readonly sectors: number;
  readonly readOnly: boolean;
  /** @throws DiskError, RangeError beyond the end */
  read(sector: number, count: number): Promise<Uint8Array>;
  /** Writes whole sectors. @throws DiskError, RangeError beyond the end or within a sector */
  write(sector: number, bytes: Uint8Array): Promise<void>;
  /** Resolves when everything written is on the disk. @throws DiskError */
  flush(): Promise<void>;
}

/** Part of a frame: offset and length in bytes, multiples of 512, within the page. */
export interface Piece {
  readonly pfn: number;
  readonly offset: number;
  readonly length: number;
}

/** A drive as its driver offers it. */
export interface Drive {
  readonly sectors: number;
  /** Moves sectors from `sector` on to (or from, when `write`) the pieces, in order. @throws DiskError */
  transfer(write: boolean, sector: number, pieces: readonly Piece[]): Promise<void>;
  flush(): Promise<void>;
}

/** One at a time, first come first served. */
export class Lock {
  #last: Promise<unknown> = Promise.resolve();

  /** Runs `body` when everyone who came before is done. */
  run<T>(body: () => Promise<T>): Promise<T> {
    const mine = this.#last.then(body);
    this.#last = mine.catch(() => undefined);
    return mine;
  }
}

/** Refuses what does not lie on the disk. @throws RangeError */
export function checkRange(disk: Disk, sector: number, count: number): void {
  const whole = Number.isInteger(sector) && Number.isInteger(count) && sector >= 0 && count >= 0;
  if (whole && sector + count <= disk.sectors) return;
  throw new RangeError(
    `sectors ${sector} to ${sector + count} are not all on ${disk.name}, which has ${disk.sectors}`,
  );
}

/** Refuses a write that the disk cannot take; returns how many sectors it is. @throws DiskError, RangeError */
export function checkWrite(disk: Disk, sector: number, bytes: Uint8Array): number {
  if (bytes.length % SECTOR !== 0) {
    throw new RangeError(`${bytes.length} bytes are not whole sectors of ${SECTOR}`);
  }
  checkRange(disk, sector, bytes.length / SECTOR);
  if (disk.readOnly) throw new DiskError(disk.name, 'write', sector, 'the disk is read-only');
  return bytes.length / SECTOR;
}

/** A disk on a local drive, through buffer frames of its own. */
export class DriveDisk implements Disk {
  readonly name: string;
  readonly readOnly = false; // ATA has no way to say so: a write just fails
  readonly #kernel: Kernel;
  readonly #drive: Drive;
  readonly #lock = new Lock();
  readonly #pages: number[] = [];

  constructor(kernel: Kernel, name: string, drive: Drive) {
    this.#kernel = kernel;
    this.name = name;
    this.#drive = drive;
  }

  get sectors(): number {
    return this.#drive.sectors;
  }

  async read(sector: number, count: number): Promise<Uint8Array> {
    checkRange(this, sector, count);
    const bytes = new Uint8Array(count * SECTOR);
    await this.#chunks(bytes, async (at, part) => {
      const pieces = this.#pieces(part.length);
      await this.#drive.transfer(false, sector + at, pieces);
      this.#each(pieces, part, (va, slice) => this.#kernel.cpu.loadBytes(va, slice));
    });
    return bytes;
  }

  async write(sector: number, bytes: Uint8Array): Promise<void> {
    checkWrite(this, sector, bytes);
    await this.#chunks(bytes, async (at, part) => {
      const pieces = this.#pieces(part.length);
      this.#each(pieces, part, (va, slice) => this.#kernel.cpu.storeBytes(va, slice));
      await this.#drive.transfer(true, sector + at, pieces);
    });
  }

  flush(): Promise<void> {
    return this.#drive.flush();
  }

  /** `move` gets the sectors already done and the part to move, at most the buffer's size. */
  #chunks(bytes: Uint8Array, move: (at: number, part: Uint8Array) => Promise<void>): Promise<void> {
    return this.#lock.run(async () => {
      const step = CHUNK_PAGES * 4096;
      for (let at = 0; at < bytes.length; at += step) {
        await move(at / SECTOR, bytes.subarray(at, Math.min(at + step, bytes.length)));
      }
    });
  }

  #pieces(bytes: number): Piece[] {
    const pieces: Piece[] = [];
    for (let at = 0; at < bytes; at += 4096) {
      const n = at / 4096;
      this.#pages[n] ??= this.#kernel.frames.alloc();
      pieces.push({ pfn: this.#pages[n], offset: 0, length: Math.min(4096, bytes - at) });
    }
    return pieces;
  }

  #each(pieces: Piece[], bytes: Uint8Array, act: (va: number, slice: Uint8Array) => void): void {
    let at = 0;
    for (const { pfn, length } of pieces) {
      act(this.#kernel.virt(pfn), bytes.subarray(at, at + length));
      at += length;
    }
  }
}

const XVD = 202 << 8; // major number of the first sixteen Xen virtual disks, each with 16 minors

/** The virtual device number of 'xvda' to 'xvdp'. @throws RangeError @source docs/misc/vbd-interface */
export function xvdHandle(name: string): number {
  const match = /^xvd([a-p])$/.exec(name);
  if (!match) throw new RangeError(`disk ${name} is not one of xvda to xvdp`);
  return XVD | ((match[1]!.charCodeAt(0) - 97) << 4);
}

/** The reverse of xvdHandle; undefined for any other device. */
export function xvdName(handle: number): string | undefined {
  const whole = handle >> 8 === 202 && (handle & 15) === 0;
  return whole ? `xvd${String.fromCharCode(97 + ((handle & 0xff) >> 4))}` : undefined;
}
