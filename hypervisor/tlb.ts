/**
 * Flushing translations of a PV domain's vCPUs. Rights that an entry lost are flushed before the
 * hypercall that changed it returns, so a frame is never reused while a TLB entry still leads to
 * it.
 */
import type { Domain } from './domain.ts';
import type { Hypervisor } from './hypervisor.ts';
import type { XenVcpu } from './xen-vcpu.ts';

/** Which vCPUs a guest's bitmap named: one u32 for each 32 of them. */
const mask = new Uint32Array(64);
const maskBytes = new Uint8Array(mask.buffer);

export const flushDomain = (xen: Hypervisor, caller: XenVcpu, domain: Domain): void => {
  const { vcpus } = domain;
  for (let i = 0; i < vcpus.length; i++) xen.machine.mmu.flush(vcpus[i]!.arch);
  xen.chargeHypercall(caller, xen.machine.costs.tlbFlush);
};

export const flushDomainPage = (
  xen: Hypervisor,
  caller: XenVcpu,
  domain: Domain,
  va: number,
): void => {
  const { vcpus } = domain;
  for (let i = 0; i < vcpus.length; i++) xen.machine.mmu.flushPage(vcpus[i]!.arch, va);
  xen.chargeHypercall(caller, xen.machine.costs.invlpg);
};

export const flushLocal = (xen: Hypervisor, caller: XenVcpu): void => {
  xen.machine.mmu.flush(caller.arch);
  xen.chargeHypercall(caller, xen.machine.costs.tlbFlush);
};

export const flushLocalPage = (xen: Hypervisor, caller: XenVcpu, va: number): void => {
  xen.machine.mmu.flushPage(caller.arch, va);
  xen.chargeHypercall(caller, xen.machine.costs.invlpg);
};

/** Copy in the bitmap at `va`, 64 vCPUs to the word. @returns false when it is not readable. */
export const readVcpuMask = (xen: Hypervisor, caller: XenVcpu, va: number): boolean => {
  const bytes = Math.ceil(caller.domain.vcpus.length / 64) * 8;
  return xen.copyFromGuest(caller, va, maskBytes.subarray(0, bytes));
};

/** Flush on the caller's sibling vCPUs that the last mask named: one page, or everything. */
export const flushMask = (xen: Hypervisor, caller: XenVcpu, page: boolean, va: number): void => {
  const { vcpus } = caller.domain;
  const { mmu, costs } = xen.machine;
  for (let i = 0; i < vcpus.length; i++) {
    if ((mask[i >> 5]! & (1 << (i & 31))) === 0) continue;
    if (page) mmu.flushPage(vcpus[i]!.arch, va);
    else mmu.flush(vcpus[i]!.arch);
  }
  xen.chargeHypercall(caller, page ? costs.invlpg : costs.tlbFlush);
};
