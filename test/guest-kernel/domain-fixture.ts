/** Kernels in domains of a machine of their own, as the tests of this folder boot them. */
import { bootKernel, type Kernel } from '../../guest-kernel/index.ts';
import { Hypervisor } from '../../hypervisor/hypervisor.ts';
import { Machine } from '../../machine/machine.ts';
import { DEFAULT_PRESET } from '../../machine/presets.ts';
import type { KernelRun } from './bare-fixture.ts';

type Main = (kernel: Kernel) => Promise<void>;

/**
 * Boots each of `mains` in a PV domain of 16 MiB, the first as domain 0; gives how that one ended.
 */
export const runPv = (...mains: readonly Main[]): Promise<KernelRun> => runDomains('pv', mains);

/** Boots `main` in a hardware-assisted domain. */
export const runHvm = (main: Main): Promise<KernelRun> => runDomains('hvm', [main]);

async function runDomains(kind: 'pv' | 'hvm', mains: readonly Main[]): Promise<KernelRun> {
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
      kind,
      memoryBytes: 16 << 20,
      privileged: kind === 'pv' && i === 0,
      serial: (byte) => {
        console += String.fromCharCode(byte);
      },
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
