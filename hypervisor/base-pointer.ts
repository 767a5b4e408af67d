/**
 * Roots: the L4 tables that a PV vCPU walks in kernel and in user mode. Each root holds a type reference, so it stays a
 * validated L4 as long as it is loaded.
 */
import { CR3 } from '../machine/vcpu.ts';
import { EINVAL } from '../protocol/errno.ts';
import type { Hypervisor } from './hypervisor.ts';
import { TYPE_L4 } from './page-types.ts';
import type { XenVcpu } from './xen-vcpu.ts';

/** Make `mfn` the kernel root of a vCPU, validating it as an L4. @errors -EINVAL, and those of its entries */
export const newBaseptr = (xen: Hypervisor, vcpu: XenVcpu, mfn: number): number => {
  const { frames } = xen;
  if (mfn !== vcpu.kernelRoot) {
    const result = getRoot(xen, vcpu, mfn);
    if (result !== 0) return result;

    const old = vcpu.kernelRoot;
    vcpu.kernelRoot = mfn;
    if (vcpu.kernelMode) vcpu.arch.set(CR3, mfn * 4096);
    if (old !== 0) frames.putType(old);
  }
  xen.machine.mmu.flush(vcpu.arch);
  return 0;
};

/** Make `mfn` the user root, or take the user root away with 0. @errors as newBaseptr */
export const newUserBaseptr = (xen: Hypervisor, vcpu: XenVcpu, mfn: number): number => {
  if (mfn === vcpu.userRoot) return 0;
  if (mfn !== 0) {
    const result = getRoot(xen, vcpu, mfn);
    if (result !== 0) return result;
  }

  const old = vcpu.userRoot;
  vcpu.userRoot = mfn;
  if (!vcpu.kernelMode) vcpu.arch.set(CR3, mfn * 4096);
  if (old !== 0) xen.frames.putType(old);
  xen.machine.mmu.flush(vcpu.arch);
  return 0;
};

const getRoot = (xen: Hypervisor, vcpu: XenVcpu, mfn: number): number => {
  if (!xen.frames.belongs(mfn, vcpu.domain.id)) {
    xen.frames.rule = 'the root is not a frame of the domain';
    return -EINVAL;
  }
  return xen.frames.getType(mfn, vcpu.domain, TYPE_L4);
};
