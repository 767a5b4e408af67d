/** System calls on names. */
import {
  accessSync,
  chmodSync,
  chownSync,
  constants,
  existsSync,
  lchownSync,
  linkSync,
  lstatSync,
  lutimesSync,
  mkdirSync,
  openSync,
  readlinkSync,
  renameSync,
  rmdirSync,
  statfsSync,
  statSync,
  symlinkSync,
  truncateSync,
  unlinkSync,
  utimesSync,
} from 'node:fs';
import type { Call, Calls } from './calls.ts';
import { writeStat } from './calls-files.ts';
import { EEXIST, EINVAL, ENOENT, ERANGE, Errno } from './errno.ts';
import { AT_FDCWD } from './files.ts';
import { HostFile } from './open-file.ts';
import type { Process } from './process.ts';

const AT_SYMLINK_NOFOLLOW = 0x100;
const AT_REMOVEDIR = 0x200;
const AT_EMPTY_PATH = 0x1000;
const UTIME_NOW = 0x3fffffff;
const UTIME_OMIT = 0x3ffffffe;

const path = (p: Process, va: number, directory = AT_FDCWD): string => {
  const name = p.space.text(va);
  if (name === '') throw new Errno(ENOENT);
  return p.files.path(name, directory);
};

const mayBeNew = (target: string): void => {
  if (lstatSync(target, { throwIfNoEntry: false })) throw new Errno(EEXIST);
};

const openat: Call = (p, directory, name, flags, mode) => {
  const target = path(p, name, directory);
  const isNew = (flags & constants.O_CREAT) !== 0 && !existsSync(target);
  const fd = openSync(target, flags, mode);
  if (isNew) chmodSync(target, mode & 0o7777 & ~p.files.umask);
  return p.files.add(new HostFile(target, flags, fd));
};

const open: Call = (p, name, flags, mode) => openat(p, AT_FDCWD, name, flags, mode, 0, 0);

const fstatat: Call = (p, directory, name, va, flags) => {
  if ((flags & AT_EMPTY_PATH) !== 0 && p.space.text(name) === '')
    return writeStat(p, va, p.files.get(directory).stat());
  const target = path(p, name, directory);
  const stat = (flags & AT_SYMLINK_NOFOLLOW) !== 0 ? lstatSync : statSync;
  return writeStat(p, va, stat(target, { bigint: true }));
};

const readlinkat: Call = (p, directory, name, va, room) => {
  const text = Buffer.from(readlinkSync(path(p, name, directory))).subarray(0, room);
  p.space.write(va, text);
  return text.length;
};

const mkdirat: Call = (p, directory, name, mode) => {
  const target = path(p, name, directory);
  mkdirSync(target);
  chmodSync(target, mode & 0o7777 & ~p.files.umask);
  return 0;
};

const unlinkat: Call = (p, directory, name, flags) => {
  const target = path(p, name, directory);
  if ((flags & AT_REMOVEDIR) !== 0) rmdirSync(target);
  else unlinkSync(target);
  return 0;
};

const renameat: Call = (p, fromDirectory, from, toDirectory, to) => {
  renameSync(path(p, from, fromDirectory), path(p, to, toDirectory));
  return 0;
};

const linkat: Call = (p, fromDirectory, from, toDirectory, to) => {
  linkSync(path(p, from, fromDirectory), path(p, to, toDirectory));
  return 0;
};

const symlinkat: Call = (p, content, directory, name) => {
  const target = path(p, name, directory);
  mayBeNew(target);
  symlinkSync(p.space.text(content), target);
  return 0;
};

const accessat: Call = (p, directory, name, mode) => {
  accessSync(path(p, name, directory), mode);
  return 0;
};

const fchmodat: Call = (p, directory, name, mode) => {
  chmodSync(path(p, name, directory), mode & 0o7777);
  return 0;
};

const fchownat: Call = (p, directory, name, uid, gid, flags) => {
  const change = (flags & AT_SYMLINK_NOFOLLOW) !== 0 ? lchownSync : chownSync;
  change(path(p, name, directory), uid | 0, gid | 0);
  return 0;
};

/** No name: the open file itself. */
const utimensat: Call = (p, directory, name, va, flags) => {
  const target = name === 0 ? p.files.get(directory).path : path(p, name, directory);
  if (target === undefined) throw new Errno(EINVAL);
  const follow = name === 0 || (flags & AT_SYMLINK_NOFOLLOW) === 0;
  const { atimeMs, mtimeMs } = (follow ? statSync : lstatSync)(target);
  const now = [0, UTIME_NOW, 0, UTIME_NOW];
  const [atime, atimeNs, mtime, mtimeNs] = va === 0 ? now : p.words(va, 4);
  const time = (old: number, seconds: number, ns: number): number => {
    if (ns === UTIME_OMIT) return old / 1000;
    return ns === UTIME_NOW ? p.seconds : seconds + ns / 1e9;
  };
  const set = follow ? utimesSync : lutimesSync;
  set(target, time(atimeMs, atime!, atimeNs!), time(mtimeMs, mtime!, mtimeNs!));
  return 0;
};

const truncate: Call = (p, name, bytes) => {
  truncateSync(path(p, name), bytes);
  return 0;
};

const statfs: Call = (p, name, va) => {
  const found = statfsSync(path(p, name), { bigint: true });
  const { type, bsize, blocks, bfree, bavail, files, ffree } = found;
  const words = [type, bsize, blocks, bfree, bavail, files, ffree, 0n, 255n, bsize, 0n];
  p.space.write(va, new Uint8Array(BigUint64Array.from([...words, 0n, 0n, 0n, 0n]).buffer));
  return 0;
};

const getcwd: Call = (p, va, room) => {
  const text = Buffer.from(`${p.files.directory}\0`);
  if (text.length > room) throw new Errno(ERANGE);
  p.space.write(va, text);
  return text.length;
};

const chdir: Call = (p, name) => {
  const target = path(p, name);
  accessSync(`${target}/`);
  p.files.directory = target;
  return 0;
};

const umask: Call = (p, mask) => {
  const old = p.files.umask;
  p.files.umask = mask & 0o777;
  return old;
};

/** The call without directories. */
const here =
  (call: Call): Call =>
  (p, a, b, c) =>
    call(p, AT_FDCWD, a, b, c, 0, 0);
const both =
  (call: Call): Call =>
  (p, from, to) =>
    call(p, AT_FDCWD, from, AT_FDCWD, to, 0, 0);

export const pathCalls: Calls = {
  2: open,
  4: here(fstatat),
  6: (p, name, va) => fstatat(p, AT_FDCWD, name, va, AT_SYMLINK_NOFOLLOW, 0, 0),
  21: here(accessat),
  76: truncate,
  79: getcwd,
  80: chdir,
  82: both(renameat),
  83: here(mkdirat),
  84: (p, name) => unlinkat(p, AT_FDCWD, name, AT_REMOVEDIR, 0, 0, 0),
  85: (p, name, mode) =>
    open(p, name, constants.O_CREAT | constants.O_WRONLY | constants.O_TRUNC, mode, 0, 0, 0),
  86: both(linkat),
  87: (p, name) => unlinkat(p, AT_FDCWD, name, 0, 0, 0, 0),
  88: (p, content, name) => symlinkat(p, content, AT_FDCWD, name, 0, 0, 0),
  89: here(readlinkat),
  90: here(fchmodat),
  92: here(fchownat),
  94: (p, name, uid, gid) => fchownat(p, AT_FDCWD, name, uid, gid, AT_SYMLINK_NOFOLLOW, 0),
  95: umask,
  137: statfs,
  257: openat,
  258: mkdirat,
  260: fchownat,
  262: fstatat,
  263: unlinkat,
  264: renameat,
  265: linkat,
  266: symlinkat,
  267: readlinkat,
  268: fchmodat,
  269: accessat,
  280: utimensat,
};
