/** Compiled kernels, built on the spot with gcc and ld in a temporary directory. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** No library, no stack of the compiler's own, nothing but general registers; addresses anywhere. */
const FLAGS = [
  ...['-O1', '-ffreestanding', '-fno-stack-protector', '-fno-pic', '-fcf-protection=none'],
  ...['-mno-red-zone', '-mgeneral-regs-only', '-mcmodel=large'],
  '-D__XEN_INTERFACE_VERSION__=0x00040e00',
];
const LINK = [
  '-nostdlib',
  '-static',
  '--build-id=none',
  '-z',
  'noexecstack',
  '-z',
  'max-page-size=4096',
];

export interface KernelSources {
  /** C and assembler files. */
  readonly sources: readonly string[];
  /** Macros, as NAME or NAME=VALUE. */
  readonly defines?: readonly string[];
  /** Without it the linker's own, from 1 MiB on. */
  readonly script?: string;
  /** Symbols that the linker is given. */
  readonly symbols?: Readonly<Record<string, string>>;
}

/** @returns the kernel, an ELF file */
export const buildKernel = ({
  sources,
  defines = [],
  script,
  symbols = {},
}: KernelSources): Uint8Array => {
  const directory = mkdtempSync(join(tmpdir(), 'hospes-kernel-'));
  try {
    const objects = sources.map((source, i) => {
      const object = join(directory, `${i}.o`);
      run('gcc', [...FLAGS, ...defines.map((define) => `-D${define}`), '-c', source, '-o', object]);
      return object;
    });
    const kernel = join(directory, 'kernel');
    const given = Object.entries(symbols).map(([name, value]) => `--defsym=${name}=${value}`);
    const layout = script === undefined ? ['-Ttext-segment=0x100000'] : ['-T', script];
    run('ld', [...LINK, ...given, ...layout, ...objects, '-o', kernel]);
    return readFileSync(kernel);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
};

const run = (tool: string, args: readonly string[]): void => {
  const done = spawnSync(tool, args, { encoding: 'utf8', env: { ...process.env, LC_ALL: 'C' } });
  if (done.status !== 0) throw new Error(`${tool} refused the kernel:\n${done.stderr}`);
};
