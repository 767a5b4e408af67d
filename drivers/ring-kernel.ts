/** The kernels that can have split drivers: those with event channels and grants. */
import type { EventChannels, Grants, Kernel } from '../guest-kernel/index.ts';

/** What a ring driver needs of its kernel. */
export interface RingKernel extends Pick<Kernel, 'cpu' | 'frames' | 'virt' | 'sharedPage'> {
  readonly events: EventChannels;
  readonly grants: Grants;
}

/** Whether `kernel` is such a one. */
export function hasRings(kernel: Kernel): kernel is Kernel & RingKernel {
  return kernel.events !== undefined && kernel.grants !== undefined;
}
