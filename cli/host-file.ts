/**
 * The host-file module: a disk whose sectors lie in a file of the host. The only place where a
 * simulated machine touches the host's state; everything is synchronous, so the order of host I/O is
 * the order of virtual time.
 */
import { closeSync, constants, fstatSync, fsyncSync, openSync, readSync, writeSync } from 'node:fs';
import { type BlockStore, SECTOR_BYTES } from '../machine/block-store.ts';
import { UsageError } from './usage-error.ts';

const REFUSED = new Set(['EACCES', 'EPERM', 'EROFS']);
const codeOf = (error: unknown): string => (error as NodeJS.ErrnoException).code ?? 'unknown error';

export class HostFile implements BlockStore {
  readonly sectors: number;
  readonly readOnly: boolean;
  readonly #fd: number;

  /** @throws UsageError when the file is missing, is no file, cannot be opened so, or has no whole sectors. */
  constructor(file: string, readOnly: boolean) {
    this.readOnly = readOnly;
    this.#fd = open(file, readOnly);
    this.sectors = fstatSync(this.#fd).size / SECTOR_BYTES;
  }

  read(sector: number, into: Uint8Array): void {
    const got = readSync(this.#fd, into, 0, into.length, sector * SECTOR_BYTES);
    if (got !== into.length) throw new Error(`the disk's file was cut short at sector ${sector}`);
  }

  write(sector: number, from: Uint8Array): void {
    writeSync(this.#fd, from, 0, from.length, sector * SECTOR_BYTES);
  }

  flush(): void {
    if (!this.readOnly) fsyncSync(this.#fd);
  }

  close(): void {
    closeSync(this.#fd);
  }
}

const open = (file: string, readOnly: boolean): number => {
  const fd = openOrRefuse(file, readOnly);
  const stat = fstatSync(fd);
  const problem = problemOf(file, stat.isFile() || stat.isBlockDevice(), stat.size);
  const sealed = !readOnly && (stat.mode & 0o222) === 0;
  if (problem || sealed) closeSync(fd);
  if (problem) throw new UsageError(problem);
  if (sealed) throw new UsageError(notWritable(file));
  return fd;
};

const openOrRefuse = (file: string, readOnly: boolean): number => {
  try {
    return openSync(file, readOnly ? constants.O_RDONLY : constants.O_RDWR);
  } catch (error) {
    const code = codeOf(error);
    if (code === 'ENOENT') {
      throw new UsageError(`disk ${file} does not exist: give --disk the path of an image file`);
    }
    if (code === 'EISDIR') throw new UsageError(notAFile(file));
    if (REFUSED.has(code) && !readOnly) throw new UsageError(notWritable(file));
    throw new UsageError(`disk ${file} cannot be opened (${code}): give --disk a readable file`);
  }
};

const notAFile = (file: string): string =>
  `disk ${file} is not a file: give --disk the path of an image file`;
const notWritable = (file: string): string =>
  `disk ${file} is not writable: give it read-only, as --disk NAME=${file},ro`;

const problemOf = (file: string, isFile: boolean, size: number): string | undefined => {
  if (!isFile) return notAFile(file);
  if (size === 0) {
    return `disk ${file} is empty: a disk needs at least one sector of ${SECTOR_BYTES} bytes`;
  }
  const over = size % SECTOR_BYTES;
  if (over === 0) return undefined;
  const whole = size - over + SECTOR_BYTES;
  return `disk ${file} has ${size} bytes, which is not a multiple of ${SECTOR_BYTES}: pad it with \`truncate -s ${whole} ${file}\``;
};
