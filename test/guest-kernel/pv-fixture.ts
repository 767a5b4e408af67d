/** A kernel in a PV domain of its own machine, as the tests of this folder boot it. */
import { bootKernel, type Kernel } from '../../guest-kernel/index.ts';
import { Hypervisor } from '../../hypervisor/hypervisor.ts';
import { Machine } from '../../machine/machine.ts';
import { DEFAULT_PRESET } from '../../machine/presets.ts';
import type { KernelRun } from './bare-fixture.ts';

/** Boots each of `mains` in a domain of 16 MiB, the first as domain 0; gives how that one ended. */
export async function runPv(
  ...mains: readonly ((kernel: Kernel) => Promise<void>)[]
): Promise<KernelRun> {
  const machine = new Machine({ preset: DEFAULT_PRESET, frames: 16384, vcpus: 8, pcpus: 1 });
  machine.limit = 5 * DEFAULT_PRESET.mhz * 1_000_000;
  let console = '';
  const consoleIo = (_domid: number, bytes: Uint8Array): void => {
    console += new TextDecoder().decode(bytes);
  };
  const xen = new Hypervisor(machine, { consoleIo });
  let failure: unknown;
  const domains = mains.map((main, i) =>
    xen.create({
      name: `domain ${i}`,
      kind: 'pv',
      memoryBytes: 16 << 20,
      privileged: i === 0,
      guest: (cpu, boot) =>
        bootKernel(cpu, boot, async (kernel) => {
          try {
            await main(kernel);
          } catch (error) {
            if (error instanceof Error && error.name === 'AssertionError') failure ??= error;
            throw error;
          }
        }),
    }),
  );
  for (const domain of domains) xen.unpause(domain);
  const how = await machine.run(xen);
  if (failure) throw failure;
  const end = domains[0]!.end;
  if (!end) throw new Error(`the domain did not end: ${how}`);
  return { outcome: end.outcome, why: end.why, console };
}
