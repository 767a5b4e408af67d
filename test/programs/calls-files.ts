/** System calls on descriptors. */
import {
  constants,
  fchmodSync,
  fchownSync,
  fsyncSync,
  ftruncateSync,
  lstatSync,
  opendirSync,
} from 'node:fs';
import { join } from 'node:path';
import type { Call, Calls } from './calls.ts';
import { EBADF, EINVAL, ENOTDIR, ENOTTY, Errno } from './errno.ts';
import { HostFile, type OpenFile, type Stat, Stream } from './open-file.ts';
import type { Process } from './process.ts';

const F_DUPFD_CLOEXEC = 1030;
const [POLLIN, POLLOUT, POLLNVAL] = [1, 4, 32];

const onHost = (file: OpenFile): HostFile => {
  if (!(file instanceof HostFile)) throw new Errno(EINVAL);
  return file;
};

const readInto = (p: Process, file: OpenFile, va: number, count: number, at?: number): number => {
  const bytes = new Uint8Array(count);
  const done = file.read(bytes, at);
  p.space.write(va, bytes.subarray(0, done));
  return done;
};

const read: Call = (p, fd, va, count) => readInto(p, p.files.get(fd), va, count);
const pread: Call = (p, fd, va, count, at) => readInto(p, p.files.get(fd), va, count, at);
const write: Call = (p, fd, va, count) => p.files.get(fd).write(p.space.read(va, count));
const pwrite: Call = (p, fd, va, count, at) => p.files.get(fd).write(p.space.read(va, count), at);

/** Of each part until one is not filled. */
const vector =
  (one: Call): Call =>
  (p, fd, va, count) => {
    let all = 0;
    for (let i = 0; i < count; i++) {
      const [base, bytes] = p.words(va + 16 * i, 2) as [number, number];
      const done = one(p, fd, base, bytes, 0, 0, 0);
      all += done;
      if (done < bytes) break;
    }
    return all;
  };

const close: Call = (p, fd) => {
  p.files.close(fd);
  return 0;
};

const seek: Call = (p, fd, offset, from) => p.files.get(fd).seek(offset, from);

export const writeStat = (p: Process, va: number, stat: Stat): number => {
  const bytes = new DataView(new ArrayBuffer(144));
  for (const [at, value] of [
    [0, stat.dev],
    [8, stat.ino],
    [16, stat.nlink],
    [40, stat.rdev],
    [48, stat.size],
    [56, stat.blksize],
    [64, stat.blocks],
  ] as const)
    bytes.setBigUint64(at, value, true);
  bytes.setUint32(24, Number(stat.mode), true);
  bytes.setUint32(28, Number(stat.uid), true);
  bytes.setUint32(32, Number(stat.gid), true);
  [stat.atimeNs, stat.mtimeNs, stat.ctimeNs].forEach((time, i) => {
    bytes.setBigUint64(72 + 16 * i, time / 1_000_000_000n, true);
    bytes.setBigUint64(80 + 16 * i, time % 1_000_000_000n, true);
  });
  p.space.write(va, new Uint8Array(bytes.buffer));
  return 0;
};

const fstat: Call = (p, fd, va) => writeStat(p, va, p.files.get(fd).stat());

/** None is a terminal. */
const ioctl: Call = (p, fd) => {
  p.files.get(fd);
  throw new Errno(ENOTTY);
};

const dup: Call = (p, fd) => p.files.add(p.files.get(fd));

const dup2: Call = (p, from, to) => {
  const file = p.files.get(from);
  if (from !== to) p.files.replace(to, file);
  return to;
};

const fcntl: Call = (p, fd, command, value) => {
  const file = p.files.get(fd);
  if (command === 0 || command === F_DUPFD_CLOEXEC) return p.files.add(file, value);
  return command === 3 ? file.flags : 0;
};

const pipe: Call = (p, va) => {
  const chunks: Uint8Array[] = [];
  const ends = [constants.O_RDONLY, constants.O_WRONLY].map((flags) =>
    p.files.add(new Stream(flags, chunks)),
  );
  p.space.write(va, new Uint8Array(Uint32Array.from(ends).buffer));
  return 0;
};

/** Nobody ever waits: whatever is open is ready. */
const poll: Call = (p, va, count) => {
  let ready = 0;
  for (let i = 0; i < count; i++) {
    const entry = new DataView(p.space.read(va + 8 * i, 8).buffer);
    const fd = entry.getInt32(0, true);
    const asked = entry.getInt16(4, true);
    const answer = fd < 0 ? 0 : p.files.has(fd) ? asked & (POLLIN | POLLOUT) : POLLNVAL;
    entry.setInt16(6, answer, true);
    p.space.write(va + 8 * i, new Uint8Array(entry.buffer));
    if (answer !== 0) ready++;
  }
  return ready;
};

const KINDS: Readonly<Record<number, number>> = {
  [constants.S_IFDIR]: 4,
  [constants.S_IFREG]: 8,
  [constants.S_IFLNK]: 10,
};

const names = (path: string): string[] => {
  const found = ['.', '..'];
  const directory = opendirSync(path);
  for (let next = directory.readSync(); next !== null; next = directory.readSync())
    found.push(next.name);
  directory.closeSync();
  return found;
};

const getdents: Call = (p, fd, va, count) => {
  const file = onHost(p.files.get(fd));
  if ((file.stat().mode & BigInt(constants.S_IFMT)) !== BigInt(constants.S_IFDIR))
    throw new Errno(ENOTDIR);
  file.names ??= names(file.path);
  let all = 0;
  for (let at = file.seek(0, 1); at < file.names.length; at++) {
    const name = file.names[at]!;
    const text = Buffer.from(`${name}\0`);
    const bytes = Math.ceil((19 + text.length) / 8) * 8;
    if (all + bytes > count) {
      if (all === 0) throw new Errno(EINVAL);
      break;
    }
    const stat = lstatSync(join(file.path, name), { bigint: true });
    const entry = Buffer.alloc(bytes);
    entry.writeBigUInt64LE(stat.ino, 0);
    entry.writeBigUInt64LE(BigInt(at + 1), 8);
    entry.writeUInt16LE(bytes, 16);
    entry[18] = KINDS[Number(stat.mode) & constants.S_IFMT] ?? 0;
    text.copy(entry, 19);
    p.space.write(va + all, entry);
    all += bytes;
    file.seek(at + 1, 0);
  }
  return all;
};

const onFile =
  (act: (fd: number, a: number, b: number) => void): Call =>
  (p, fd, a, b) => {
    act(onHost(p.files.get(fd)).fd, a, b);
    return 0;
  };

const fchdir: Call = (p, fd) => {
  const { path } = p.files.get(fd);
  if (path === undefined) throw new Errno(EBADF);
  p.files.directory = path;
  return 0;
};

const fallocate: Call = (p, fd, mode, offset, bytes) => {
  const file = onHost(p.files.get(fd));
  if (mode === 0 && file.stat().size < offset + bytes) ftruncateSync(file.fd, offset + bytes);
  return 0;
};

export const fileCalls: Calls = {
  0: read,
  1: write,
  3: close,
  5: fstat,
  7: poll,
  8: seek,
  16: ioctl,
  17: pread,
  18: pwrite,
  19: vector(read),
  20: vector(write),
  22: pipe,
  32: dup,
  33: dup2,
  72: fcntl,
  74: onFile(fsyncSync),
  77: onFile(ftruncateSync),
  81: fchdir,
  91: onFile((fd, mode) => fchmodSync(fd, mode & 0o7777)),
  93: onFile((fd, uid, gid) => fchownSync(fd, uid, gid)),
  217: getdents,
  221: () => 0, // fadvise64
  285: fallocate,
  292: dup2,
  293: pipe,
};
