/**
 * Which addresses can be a guest's at all. Xen looks at no more than that when it is given an
 * address to use later.
 */
import { isCanonical } from '../machine/pte.ts';
import { HYPERVISOR_VIRT_END, HYPERVISOR_VIRT_START } from '../protocol/xen.ts';

/** All of `size` bytes at `va` are canonical and none is in the part of Xen. */
export const guestRange = (va: number, size: number): boolean =>
  isCanonical(va) &&
  isCanonical(va + size - 1) &&
  (va + size <= HYPERVISOR_VIRT_START || va >= HYPERVISOR_VIRT_END);
