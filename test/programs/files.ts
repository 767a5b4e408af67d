/** A process's descriptors, its working directory, and which of the host's files it may see. */
import { resolve } from 'node:path';
import { EBADF, ENOENT, Errno } from './errno.ts';
import type { OpenFile } from './open-file.ts';

export const AT_FDCWD = -100;
/** What exists besides. */
const COMMON = ['/dev/null', '/dev/zero', '/etc/passwd', '/etc/group'];

export class Files {
  /** All that it may touch is below. */
  readonly root: string;
  directory: string;
  umask = 0o022;
  readonly #open = new Map<number, OpenFile>();

  constructor(root: string) {
    this.root = root;
    this.directory = root;
  }

  get(fd: number): OpenFile {
    const file = this.#open.get(fd | 0);
    if (file === undefined) throw new Errno(EBADF);
    return file;
  }

  has(fd: number): boolean {
    return this.#open.has(fd);
  }

  /** Under the lowest number that is free, from `from` on. */
  add(file: OpenFile, from = 0): number {
    let fd = from;
    while (this.#open.has(fd)) fd++;
    this.#open.set(fd, file);
    return fd;
  }

  replace(fd: number, file: OpenFile): void {
    if (this.#open.has(fd)) this.close(fd);
    this.#open.set(fd, file);
  }

  close(fd: number): void {
    const file = this.get(fd);
    this.#open.delete(fd | 0);
    if (![...this.#open.values()].includes(file)) file.close();
  }

  closeAll(): void {
    for (const fd of [...this.#open.keys()]) this.close(fd);
  }

  /** The host's path. Above the root a program may look where it is, no more. */
  path(name: string, directory = AT_FDCWD): string {
    const from = (directory | 0) === AT_FDCWD ? this.directory : this.get(directory).path;
    const path = resolve(from ?? this.root, name);
    const inside = path === this.root || path.startsWith(`${this.root}/`);
    const above = path === '/' || this.root.startsWith(`${path}/`);
    if (!inside && !above && !COMMON.includes(path)) throw new Errno(ENOENT);
    return path;
  }
}
