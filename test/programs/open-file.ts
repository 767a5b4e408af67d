/** What a descriptor stands for: a file of the host, or a stream. */
import { type BigIntStats, closeSync, constants, fstatSync, readSync, writeSync } from 'node:fs';
import { EBADF, EINVAL, Errno, ESPIPE } from './errno.ts';

export type Stat = Pick<
  BigIntStats,
  'dev' | 'ino' | 'nlink' | 'mode' | 'uid' | 'gid' | 'rdev' | 'size' | 'blksize' | 'blocks'
> &
  Pick<BigIntStats, 'atimeNs' | 'mtimeNs' | 'ctimeNs'>;

export interface OpenFile {
  readonly flags: number;
  /** Of a file of the host. */
  readonly path?: string;
  /** Without `at`: where the last one ended. */
  read(into: Uint8Array, at?: number): number;
  write(bytes: Uint8Array, at?: number): number;
  seek(offset: number, from: number): number;
  stat(): Stat;
  close(): void;
}

export class HostFile implements OpenFile {
  readonly path: string;
  readonly flags: number;
  readonly fd: number;
  /** Of a directory that has been read. */
  names: readonly string[] | undefined;
  #position = 0;

  constructor(path: string, flags: number, fd: number) {
    this.path = path;
    this.flags = flags;
    this.fd = fd;
  }

  read(into: Uint8Array, at?: number): number {
    const done = readSync(this.fd, into, 0, into.length, at ?? this.#position);
    if (at === undefined) this.#position += done;
    return done;
  }

  write(bytes: Uint8Array, at?: number): number {
    if ((this.flags & constants.O_APPEND) !== 0) this.#position = Number(this.stat().size);
    const done = writeSync(this.fd, bytes, 0, bytes.length, at ?? this.#position);
    if (at === undefined) this.#position += done;
    return done;
  }

  seek(offset: number, from: number): number {
    const base = [0, this.#position, Number(this.stat().size)][from];
    if (base === undefined || base + offset < 0) throw new Errno(EINVAL);
    this.#position = base + offset;
    return this.#position;
  }

  stat(): Stat {
    return fstatSync(this.fd, { bigint: true });
  }

  close(): void {
    closeSync(this.fd);
  }
}

/** One end of a pipe over `chunks`: what was written and not yet read. */
export class Stream implements OpenFile {
  readonly flags: number;
  readonly chunks: Uint8Array[];

  constructor(flags: number, chunks: Uint8Array[]) {
    this.flags = flags;
    this.chunks = chunks;
  }

  read(into: Uint8Array): number {
    if (this.flags !== constants.O_RDONLY) throw new Errno(EBADF);
    const [first] = this.chunks;
    if (first === undefined) return 0;
    const part = first.subarray(0, into.length);
    into.set(part);
    if (part.length < first.length) this.chunks[0] = first.subarray(part.length);
    else this.chunks.shift();
    return part.length;
  }

  write(bytes: Uint8Array): number {
    if (this.flags !== constants.O_WRONLY) throw new Errno(EBADF);
    if (bytes.length > 0) this.chunks.push(bytes.slice());
    return bytes.length;
  }

  seek(): number {
    throw new Errno(ESPIPE);
  }

  stat(): Stat {
    const none = { dev: 0n, ino: 0n, rdev: 0n, size: 0n, blocks: 0n };
    const times = { atimeNs: 0n, mtimeNs: 0n, ctimeNs: 0n };
    const mode = BigInt(constants.S_IFIFO | 0o600);
    return { ...none, ...times, nlink: 1n, mode, uid: 0n, gid: 0n, blksize: 4096n };
  }

  close(): void {}
}
