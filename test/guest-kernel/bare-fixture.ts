/** A kernel on the bare board, as the tests of this folder boot it. */
import type { Kernel } from '../../guest-kernel/index.ts';
import { bootKernel } from '../../guest-kernel/index.ts';
import { Board } from '../../machine/board.ts';
import { Machine } from '../../machine/machine.ts';
import { DEFAULT_PRESET } from '../../machine/presets.ts';

/** How a kernel ended, and what it wrote. */
export interface KernelRun {
  readonly outcome: string;
  readonly why: string;
  readonly console: string;
}

/** Boots `main` in 4 MiB; an assertion that fails in it is thrown here. */
export async function runBare(main: (kernel: Kernel) => Promise<void>): Promise<KernelRun> {
  const machine = new Machine({ preset: DEFAULT_PRESET, frames: 1024, vcpus: 1, pcpus: 1 });
  machine.limit = 5 * DEFAULT_PRESET.mhz * 1_000_000;
  let console = '';
  const serial = (byte: number): void => {
    console += String.fromCharCode(byte);
  };
  const board = new Board(machine, { disks: [], serial });
  let failure: unknown;
  const end = await board.run((cpu, boot) =>
    bootKernel(cpu, boot, async (kernel) => {
      try {
        await main(kernel);
      } catch (error) {
        if (error instanceof Error && error.name === 'AssertionError') failure = error;
        throw error;
      }
    }),
  );
  if (failure) throw failure;
  if (end.outcome === 'hang' || end.outcome === 'limit') throw new Error(end.why);
  return { ...end, console };
}
