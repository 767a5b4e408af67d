/** System calls on memory, time, and the process itself. All of it is deterministic. */
import { FS_BASE, GS_BASE } from '../../machine/vcpu.ts';
import { pageUp, READ, WRITE } from './address-space.ts';
import type { Call, Calls } from './calls.ts';
import { EAGAIN, EEXIST, EINVAL, ENODEV, ENOMEM, Errno } from './errno.ts';
import { Killed } from './killed.ts';

const MAP_SHARED = 1;
const MAP_FIXED = 0x10;
const MAP_ANONYMOUS = 0x20;
const MAP_FIXED_NOREPLACE = 0x100000;
const MREMAP_MAYMOVE = 1;
const [ARCH_SET_GS, ARCH_SET_FS, ARCH_GET_FS] = [0x1001, 0x1002, 0x1003];
const PID = 4711;

const mmap: Call = (p, wanted, bytes, rights, flags, fd, offset) => {
  if (bytes === 0) throw new Errno(EINVAL);
  const fixed = (flags & (MAP_FIXED | MAP_FIXED_NOREPLACE)) !== 0;
  if ((flags & MAP_FIXED_NOREPLACE) !== 0 && !p.space.isFree(wanted, bytes))
    throw new Errno(EEXIST);
  const start = fixed ? wanted : p.space.room(bytes);
  let content: Uint8Array = new Uint8Array(0);
  if ((flags & MAP_ANONYMOUS) === 0) {
    if ((flags & 3) === MAP_SHARED && (rights & WRITE) !== 0) throw new Errno(ENODEV);
    content = new Uint8Array(bytes);
    content = content.subarray(0, p.files.get(fd).read(content, offset));
  }
  p.space.map(start, bytes, rights, content);
  return start;
};

const munmap: Call = (p, start, bytes) => {
  if ((start & 4095) !== 0 || bytes === 0) throw new Errno(EINVAL);
  p.space.unmap(start, bytes);
  return 0;
};

const mprotect: Call = (p, start, bytes, rights) => {
  if (!p.space.protect(start, bytes, rights & 7)) throw new Errno(ENOMEM);
  return 0;
};

/** Only what fits where it is: the C library then moves it itself. */
const mremap: Call = (p, start, old, bytes, flags) => {
  if (pageUp(bytes) > pageUp(old)) throw new Errno(flags & MREMAP_MAYMOVE ? ENOMEM : EINVAL);
  p.space.unmap(start + pageUp(bytes), pageUp(old) - pageUp(bytes));
  return start;
};

const brk: Call = (p, wanted) => {
  const [old, end] = [pageUp(p.break), pageUp(wanted)];
  if (wanted < p.firstBreak) return p.break;
  if (end > old) p.space.map(old, end - old, READ | WRITE);
  else p.space.unmap(end, old - end);
  p.break = wanted;
  return wanted;
};

const archPrctl: Call = (p, code, value) => {
  if (code === ARCH_GET_FS) p.space.write(value, words(p.vcpu.get(FS_BASE)));
  else if (code === ARCH_SET_FS) p.vcpu.set(FS_BASE, value);
  else if (code === ARCH_SET_GS) p.vcpu.set(GS_BASE, value);
  else throw new Errno(EINVAL);
  return 0;
};

const words = (...values: number[]): Uint8Array =>
  new Uint8Array(BigInt64Array.from(values, BigInt).buffer);

/** Two words, of which the second counts parts of a second. */
const time =
  (parts: number): Call =>
  (p, _clock, va) => {
    const whole = Math.floor(p.seconds);
    p.space.write(va, words(whole, Math.floor((p.seconds - whole) * parts)));
    return 0;
  };
const microseconds = time(1e6);

const now: Call = (p, va) => {
  const whole = Math.floor(p.seconds);
  if (va !== 0) p.space.write(va, words(whole));
  return whole;
};

const uname: Call = (p, va) => {
  const fields = ['Linux', 'hospes', '6.1.0', '#1', 'x86_64', '(none)'];
  p.space.write(va, Buffer.concat(fields.map((field) => Buffer.alloc(65, field.padEnd(65, '\0')))));
  return 0;
};

const UNLIMITED = -1;
const STACK = 3;
const limits = (resource: number): Uint8Array =>
  words(resource === STACK ? 8 << 20 : UNLIMITED, UNLIMITED);

const getrlimit: Call = (p, resource, va) => {
  p.space.write(va, limits(resource));
  return 0;
};

const prlimit: Call = (p, _pid, resource, _new, old) => {
  if (old !== 0) p.space.write(old, limits(resource));
  return 0;
};

const getrandom: Call = (p, va, bytes) => {
  p.space.write(
    va,
    Uint8Array.from({ length: bytes }, (_, i) => (i * 197 + 91) & 255),
  );
  return bytes;
};

/** One thread: nobody is there to be woken, and who waits waits for ever. */
const futex: Call = (p, va, operation, value) => {
  if ((operation & 127) === 1) return 0;
  const [found] = new Int32Array(p.space.read(va, 4).buffer);
  if (found !== (value | 0)) throw new Errno(EAGAIN);
  throw new Killed(6, 'waits for a futex that nobody will wake');
};

const sigaction: Call = (p, signal, action, old) => {
  if (old !== 0) p.space.write(old, p.actions.get(signal) ?? new Uint8Array(32));
  if (action !== 0) p.actions.set(signal, p.space.read(action, 32));
  return 0;
};

const sigprocmask: Call = (p, _how, _set, old, bytes) => {
  if (old !== 0) p.space.write(old, new Uint8Array(bytes));
  return 0;
};

const kill =
  (at: 1 | 2): Call =>
  (_p, ...args) => {
    if (args[at] === 0) return 0;
    throw new Killed(args[at]!, 'sent itself a signal');
  };

const sysinfo: Call = (p, va) => {
  p.space.write(va, words(1, 0, 0, 0, 2 ** 30, 2 ** 29, 0, 0, 0, 0, 1, 0, 0, 1));
  return 0;
};

const exit: Call = (p, status) => {
  p.status = status & 255;
  return 0;
};

const nothing: Call = () => 0;
const pid: Call = () => PID;
const uid: Call = () => process.getuid!();
const gid: Call = () => process.getgid!();

export const processCalls: Calls = {
  9: mmap,
  10: mprotect,
  11: munmap,
  12: brk,
  13: sigaction,
  14: sigprocmask,
  24: nothing, // sched_yield
  25: mremap,
  28: nothing, // madvise
  35: nothing, // nanosleep
  37: nothing, // alarm
  39: pid,
  60: exit,
  62: kill(1),
  63: uname,
  96: (p, va) => microseconds(p, 0, va, 0, 0, 0, 0),
  97: getrlimit,
  99: sysinfo,
  102: uid,
  104: gid,
  107: uid,
  108: gid,
  110: () => 1, // getppid
  111: pid, // getpgrp
  131: nothing, // sigaltstack
  157: nothing, // prctl
  158: archPrctl,
  160: nothing, // setrlimit
  186: pid,
  200: kill(1),
  201: now,
  202: futex,
  218: pid, // set_tid_address
  228: time(1e9),
  229: time(1e9), // clock_getres
  230: nothing, // clock_nanosleep
  231: exit,
  234: kill(2),
  273: nothing, // set_robust_list
  302: prlimit,
  318: getrandom,
};
