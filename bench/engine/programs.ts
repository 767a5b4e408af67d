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

export const once = <T>(make: () => T): (() => T) => {
  let made: T | undefined;
  return () => {
    made ??= make();
    return made;
  };
};

const program = (directory: string, kernel: string, size: number | undefined): Program => {
  const sized = size === undefined ? [] : [`-DSIZE=${size}`];
  const object = (bits: number, ...flags: string[]) =>
    once(() =>
      gcc(
        directory,
        `${kernel}${bits}.o`,
        ...FREESTANDING,
        ...flags,
        ...sized,
        '-c',
        `${kernel}.c`,
      ),
    );
  const link = (kind: string, kernelObject: () => string, ...flags: string[]) =>
    once(() => gcc(directory, `${kernel}.${kind}`, ...flags, kernelObject()));
  const [bits64, bits32] = [object(64), object(32, ...BITS_32)];
  return {
    kernel,
    native: link('native', bits64, '-no-pie', 'native.c'),
    image64: link('image64', bits64, ...BARE, 'start64.S'),
    image32: link('image32', bits32, ...BARE, '-m32', 'start32.S'),
    boot32: link('boot32', bits32, ...BARE, '-m32', '-Wl,-Ttext=0x100000', 'boot32.S'),
  };
};

/** Calls `use` with `kernels`, of `size` instead of the size that they are measured with; then removes what was compiled. */
export const withPrograms = async <T>(
  kernels: readonly string[],
  use: (programs: readonly Program[], directory: string) => Promise<T>,
  size?: number,
): Promise<T> => {
  const directory = mkdtempSync(join(tmpdir(), 'hospes-engine-'));
  try {
    return await use(
      kernels.map((kernel) => program(directory, kernel, size)),
      directory,
    );
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
};
