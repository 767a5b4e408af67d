/** The kernels that can have split drivers: those with event channels and grants. */
import type { EventChannels, Grants, Kernel } from '../guest-kernel/index.ts';

/** What a ring driver needs of its kernel. */
export interface RingKernel extends Pick<Kernel, 'cpu' | 'frames' | 'virt' | 'sharedPage' | 'xen'> {
  readonly events: EventChannels;
  readonly grants: Grants;
}

/** Whether `kernel` is such a one. */
export function hasRings(kernel: Kernel): kernel is Kernel & RingKernel {
  return kernel.events !== undefined && kernel.grants !== undefined;
}

/** Lets other virtual CPUs run, if any is ready, before the caller goes on. */
export async function giveWay({ xen, cpu }: RingKernel): Promise<void> {
  if (!xen) return;
  xen.yield();
  await cpu.resumed();
}
