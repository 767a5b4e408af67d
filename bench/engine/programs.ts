/**
 * The kernels, compiled by gcc -O2 on the spot. Of each, one object file for 64 bits and one for 32 bits, linked into
 * all programs: every engine runs the same machine code.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Program } from './types.ts';

export const KERNELS = [
  'sieve',
  'hash',
  'sort',
  'fib',
  'dhrystone',
  'sha256',
  'memcpy',
  'float',
] as const;

const SOURCES = fileURLToPath(new URL('programs', import.meta.url));
/** No calls of a library: the loops stay loops instead of becoming memset, memcpy and strlen. */
const FREESTANDING = [
  '-ffreestanding',
  '-fno-tree-loop-distribute-patterns',
  '-fno-pic',
  '-fno-stack-protector',
  '-fno-asynchronous-unwind-tables',
];
/** Doubles as on 64 bits, or the x87 would round differently. */
const BITS_32 = ['-m32', '-msse2', '-mfpmath=sse'];
const BARE = ['-nostdlib', '-static', '-no-pie', '-Wl,--build-id=none'];

export const gcc = (directory: string, output: string, ...flags: string[]): string => {
  const file = join(directory, output);
  const all = ['-std=gnu11', '-O2', '-o', file, ...flags];
  const { status, stderr, error } = spawnSync('gcc', all, { cwd: SOURCES, encoding: 'utf8' });
  if (status !== 0) throw new Error(`gcc did not make ${output}: ${stderr ?? error}`);
  return file;
};

/** Programs of `kernels`; `size` instead of the size that they are measured with. The directory is the caller's to remove. */
const build = (directory: string, kernel: string, size: number | undefined): Program => {
  const sized = size === undefined ? [] : [`-DSIZE=${size}`];
  const compile = (output: string, ...flags: string[]): string =>
    gcc(directory, output, ...FREESTANDING, ...flags, ...sized, '-c', `${kernel}.c`);
  const object64 = compile(`${kernel}64.o`);
  const object32 = compile(`${kernel}32.o`, ...BITS_32);
  const link = (kind: string, ...flags: string[]): string =>
    gcc(directory, `${kernel}.${kind}`, ...flags);
  return {
    kernel,
    native: link('native', '-no-pie', 'native.c', object64),
    image64: link('image64', ...BARE, 'start64.S', object64),
    image32: link('image32', ...BARE, '-m32', 'start32.S', object32),
    boot32: link('boot32', ...BARE, '-m32', '-Wl,-Ttext=0x100000', 'boot32.S', object32),
  };
};

/** Calls `use` with the compiled kernels, then removes them. */
export const withPrograms = async <T>(
  kernels: readonly string[],
  use: (programs: readonly Program[], directory: string) => Promise<T>,
  size?: number,
): Promise<T> => {
  const directory = mkdtempSync(join(tmpdir(), 'hospes-engine-'));
  try {
    return await use(
      kernels.map((kernel) => build(directory, kernel, size)),
      directory,
    );
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
};
