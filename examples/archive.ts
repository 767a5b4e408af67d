/** Its disk is a tar file: lists every member with its size and SHA-256, read through the block driver of the mode. */
import { type Disk, defineKernel } from 'hospes/drivers';
import { Sha256 } from './sha256.ts';

const SECTOR = 512;
const CHUNK = 128; // sectors read at once
/** About what SHA-256 costs per byte on one core without SHA extensions: the computation is the kernel's own work. */
const CYCLES_PER_BYTE = 12;

/** Member name, size in bytes, and type of the ustar header in `sector`; undefined at the end of the archive. */
const member = (sector: Uint8Array): { name: string; size: number; type: string } | undefined => {
  const text = (at: number, length: number): string =>
    String.fromCharCode(...sector.subarray(at, at + length)).split('\0', 1)[0]!;
  if (sector.every((byte) => byte === 0)) return undefined;
  if (text(257, 5) !== 'ustar') throw new Error('the disk does not hold a tar archive');
  const prefix = text(345, 155);
  const name = prefix ? `${prefix}/${text(0, 100)}` : text(0, 100);
  return { name, size: Number.parseInt(text(124, 12), 8), type: text(156, 1) };
};

/** Reads ahead in chunks, so that a member costs few requests. */
class Reader {
  readonly #disk: Disk;
  #start = 0;
  #chunk: Uint8Array = new Uint8Array(0);

  constructor(disk: Disk) {
    this.#disk = disk;
  }

  async sector(n: number): Promise<Uint8Array> {
    if (n < this.#start || (n - this.#start + 1) * SECTOR > this.#chunk.length) {
      this.#start = n;
      this.#chunk = await this.#disk.read(n, Math.min(CHUNK, this.#disk.sectors - n));
    }
    const at = (n - this.#start) * SECTOR;
    return this.#chunk.subarray(at, at + SECTOR);
  }
}

export const kernel = defineKernel(async (k) => {
  const disk = await k.disk('xvda');
  const reader = new Reader(disk);
  let members = 0;
  for (let at = 0; at < disk.sectors; ) {
    const header = member(await reader.sector(at++));
    if (!header) break;
    const digest = new Sha256();
    for (let left = header.size; left > 0; left -= SECTOR) {
      digest.update((await reader.sector(at++)).subarray(0, Math.min(left, SECTOR)));
    }
    await k.cpu.work(header.size * CYCLES_PER_BYTE);
    if (header.type !== '0' && header.type !== '') continue;
    members++;
    await k.console.write(`${digest.hex()} ${String(header.size).padStart(8)} ${header.name}\n`);
  }
  await k.console.write(`${members} members\n`);
});
