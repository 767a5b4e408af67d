/**
 * What a PV vCPU has loaded: the L4 tables that it walks in kernel and in user mode, and its
 * descriptor table. Each holds type references, so it stays what it was validated as while it is
 * loaded.
 */
import { CR3 } from '../machine/vcpu.ts';
import { EINVAL } from '../protocol/errno.ts';
import type { Hypervisor } from './hypervisor.ts';
import { showM2p, TYPE_L4 } from './page-types.ts';
import type { XenVcpu } from './xen-vcpu.ts';

/**
 * Make `mfn` the kernel root of a vCPU, validating it as an L4. @errors -EINVAL, and those of its
 * entries
 */
export const newBaseptr = (xen: Hypervisor, vcpu: XenVcpu, mfn: number): number => {
  const { frames } = xen;
  if (mfn !== vcpu.kernelRoot) {
    const result = getRoot(xen, vcpu, mfn);
    if (result !== 0) return result;

    const old = vcpu.kernelRoot;
    vcpu.kernelRoot = mfn;
    showM2p(frames, mfn);
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

/**
 * Load a descriptor table of these frames; none unloads it. @errors -EINVAL for a frame that cannot
 * be one: the old table stays
 */
export const setGdtFrames = (xen: Hypervisor, vcpu: XenVcpu, mfns: readonly number[]): number => {
  const result = vcpu.domain.memory.loadGdt(vcpu, mfns);
  return result === 0 ? 0 : xen.refuse(vcpu, -result, xen.frames.rule);
};

const getRoot = (xen: Hypervisor, vcpu: XenVcpu, mfn: number): number => {
  const { frames } = xen;
  const own = frames.belongs(mfn, vcpu.domain.id);
  const result = own ? frames.getType(mfn, vcpu.domain, TYPE_L4) : -EINVAL;
  if (result === 0) return 0;
  return xen.refuse(vcpu, -result, own ? frames.rule : 'the root is not a frame of the domain', {
    mfn,
  });
};
