/** The compiled kernels of test/guests/compiled, built on the spot, and booted as domains. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { runMode } from '../../cli/host.ts';
import type { ModeResult } from '../../cli/result.ts';
import { Symbols } from '../../cli/symbols.ts';
import { parseImage } from '../../hypervisor/image.ts';
import type { BlockStore } from '../../machine/block-store.ts';
import { DEFAULT_PRESET } from '../../machine/presets.ts';
import type { TraceRecord } from '../../machine/trace.ts';
import { CompileError } from './c-program.ts';
import { hasHeader, hasTool } from './tools.ts';

export const canCompileKernels = hasTool('gcc') && hasHeader('xen/xen.h');
export const KERNEL_TOOLS = 'gcc and the headers of Xen (libxen-dev)';

const FOLDER = fileURLToPath(new URL('../guests/compiled/', import.meta.url));
const EXAMPLES = fileURLToPath(new URL('../../examples/c/', import.meta.url));
/** No library, no floating point, nothing that would need a loader; guest frame n lies at n * 4096. */
const FLAGS = [
  ...['-std=gnu11', '-O2', '-ffreestanding', '-mgeneral-regs-only', '-mno-red-zone'],
  ...[
    '-fno-stack-protector',
    '-fcf-protection=none',
    '-fno-pie',
    '-no-pie',
    '-static',
    '-nostdlib',
  ],
  '-Wl,--build-id=none,-Ttext-segment=0x100000',
];
const MEMORY = 64 << 20;
/** Ten seconds of virtual time. */
const LIMIT = 10 * DEFAULT_PRESET.mhz * 1_000_000;

/** The ELF file of kernel `name`. @throws CompileError */
export const compileKernel = (name: string): Uint8Array =>
  link([`${FOLDER}start.S`, `${FOLDER}${name}.c`]);

/** The ELF file of example `name`, which is all in one file. @throws CompileError */
export const compileExample = (name: string): Uint8Array => link([`${EXAMPLES}${name}.c`]);

/** The ELF file of a kernel that is `code` and nothing else: it begins there, with a boot stack. @throws CompileError */
export const assembleKernel = (code: string): Uint8Array =>
  link(['-x', 'assembler-with-cpp', '-'], `${NOTES}\n.text\n.globl _start\n_start:\n${code}\n`);

const NOTES = `
#include <xen/elfnote.h>
#define NOTE(type, directive, value) \\
  .balign 4; .long 4, 2f - 1f, type; .asciz "Xen"; 1: directive value; 2: .balign 4
.section .note.Xen, "a", @note
NOTE(XEN_ELFNOTE_XEN_VERSION, .asciz, "xen-3.0")
NOTE(XEN_ELFNOTE_LOADER, .asciz, "generic")
.section .note.GNU-stack, "", @progbits`;

const link = (sources: readonly string[], input = ''): Uint8Array => {
  const directory = mkdtempSync(join(tmpdir(), 'hospes-k-'));
  try {
    const file = join(directory, 'kernel');
    const done = spawnSync('gcc', [...FLAGS, '-o', file, ...sources], { input, encoding: 'utf8' });
    if (done.status !== 0) throw new CompileError(done.stderr);
    return readFileSync(file);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
};

export interface KernelOptions {
  vcpus?: number;
  cmdline?: string;
  disks?: readonly BlockStore[];
  limit?: number;
  trace?: (record: TraceRecord) => void;
}

/** Boot `file` as a domain. @returns how it ended, and what its console got */
export const bootKernel = async (
  file: Uint8Array,
  { vcpus = 1, disks = [], limit = LIMIT, ...more }: KernelOptions = {},
): Promise<ModeResult & { console: string }> => {
  let console = '';
  const result = await runMode('pv', {
    ...{
      guest: { image: parseImage(file), symbols: new Symbols(file) },
      preset: DEFAULT_PRESET,
      memoryBytes: MEMORY,
    },
    ...{ vcpus, disks, limit, ...more },
    onConsole: (speaker, bytes) => {
      if (speaker === 'guest') console += Buffer.from(bytes).toString('latin1');
    },
  });
  return { ...result, console };
};
