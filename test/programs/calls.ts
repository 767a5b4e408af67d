/** A system call: its arguments as signed numbers to what RAX gets; it refuses with an Errno. */
import type { Process } from './process.ts';

export type Call = (
  p: Process,
  a: number,
  b: number,
  c: number,
  d: number,
  e: number,
  f: number,
) => number;

/** By number. @source Linux, arch/x86/entry/syscalls/syscall_64.tbl */
export type Calls = Readonly<Record<number, Call>>;
