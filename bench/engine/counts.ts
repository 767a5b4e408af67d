/**
 * How many instructions a kernel retires. Engines that count exactly say so themselves; QEMU, where it is, counts
 * once more with a plugin of ours, and the counts must agree.
 */
import { spawnSync } from 'node:child_process';
import { hasTool } from '../../test/support/tools.ts';
import { gcc, once } from './programs.ts';
import type { Program } from './types.ts';

/** Instructions around kernel() that one engine executes and another does not. */
const AROUND = 16;

export type Counter = (program: Program, bits: 32 | 64) => number | undefined;

/** Undefined where QEMU is not installed, or does not take the plugin. */
export const qemuCounter = (directory: string): Counter => {
  if (!hasTool('qemu-x86_64')) return () => undefined;
  const plugin = once(() => gcc(directory, 'count.so', '-shared', '-fPIC', 'count.c'));
  return ({ image64, image32 }, bits) => {
    const [command, image] = bits === 64 ? ['qemu-x86_64', image64] : ['qemu-i386', image32];
    const done = spawnSync(command, ['-plugin', plugin(), image()], { encoding: 'utf8' });
    const count = Number(done.stderr);
    return done.status === 0 && count > 0 ? count : undefined;
  };
};

/** The count that all agree on. */
export const agreedCount = (
  what: string,
  counts: ReadonlyArray<number | undefined>,
): number | undefined => {
  const known = counts.filter((count) => count !== undefined);
  if (Math.max(...known) - Math.min(...known) > AROUND)
    throw new Error(`${what}: instructions were counted as ${known.join(' and ')}`);
  return known[0];
};
