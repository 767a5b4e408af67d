/**
 * Kernels in C, compiled here against Xen's headers, print what the real Xen made them print. The text files beside them are
 * its answers: Xen 4.17 under QEMU, as a domain of 64 MiB with a processor of Intel's, two for `smp`, a disk for `block`.
 */
import { readFileSync } from 'node:fs';
import { describe, expect } from 'vitest';
import { MemoryStore } from '../../machine/block-store.ts';
import {
  bootKernel,
  canCompileKernels,
  compileExample,
  compileKernel,
  KERNEL_TOOLS,
  type KernelOptions,
} from '../support/c-kernel.ts';
import { itNeeds } from '../support/tools.ts';

/** Lines of the real Xen that are others here: of what QEMU's processor leaves out, we do what hardware does. */
const DIFFERENCES: Readonly<Record<string, string>> = {
  // A processor of Intel's faults at the jump; QEMU's goes there first, as AMD's do.
  'jump to what is no address: vector 13, error 0, rip elsewhere':
    'jump to what is no address: vector 13, error 0, rip +10',
  // QEMU looks for an x87 exception only at FWAIT, and knows none of SSE.
  'x87 at the next instruction: done': 'x87 at the next instruction: vector 16, error 0, rip +15',
  'SSE: done': 'SSE: vector 19, error 0, rip +16',
};

const answers = (name: string): string =>
  readFileSync(new URL(`compiled/${name}.txt`, import.meta.url), 'utf8')
    .split('\n')
    .map((line) => DIFFERENCES[line] ?? line)
    .join('\n');

/** Sector n has the bytes 7n, 7n + 1, … */
const disk = (): MemoryStore =>
  new MemoryStore(Uint8Array.from({ length: 64 * 512 }, (_, i) => (i >> 9) * 7 + (i & 511)));

const KERNELS: ReadonlyArray<readonly [name: string, what: string, options?: () => KernelOptions]> =
  [
    ['hello', 'a console that is full more than once'],
    ['traps', 'every exception, with error code and place'],
    ['privileged', 'instructions that need privilege'],
    ['events', 'upcalls, masked, nested and polled'],
    ['pages', 'page tables'],
    ['user', 'user mode'],
    ['timer', 'time'],
    ['smp', 'two virtual CPUs', () => ({ vcpus: 2 })],
    ['block', 'xenstore, grants and a disk', () => ({ disks: [disk()] })],
  ];

describe('a compiled kernel', () => {
  for (const [name, what, options] of KERNELS) {
    itNeeds(KERNEL_TOOLS, canCompileKernels, `${name}: ${what}, as on the real Xen`, async () => {
      const run = await bootKernel(compileKernel(name), options?.());
      expect(run.console).toBe(answers(name));
      expect(run.outcome).toBe('poweroff');
    });
  }
});

describe('the example', () => {
  itNeeds(KERNEL_TOOLS, canCompileKernels, 'hello.c says what it runs on', async () => {
    const run = await bootKernel(compileExample('hello'));
    expect(run).toMatchObject({
      console:
        'Hello from a compiled kernel with 16384 pages of memory.\nUnder me: Xen ABI 4.17, reached by hypercall.\n',
      outcome: 'poweroff',
    });
  });

  itNeeds(KERNEL_TOOLS, canCompileKernels, 'faults.c mends its faults', async () => {
    const { console, outcome } = await bootKernel(compileExample('faults'));
    const touched = [0, 1, 2].map((i) => `write page ${i}\n  fault at window + ${i * 4097}\n`);
    expect([console, outcome]).toEqual([`${touched.join('')}read them: abc\n`, 'poweroff']);
  });
});
