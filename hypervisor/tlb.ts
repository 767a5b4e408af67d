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
/** In place of an address: no page begins there. */
const EVERYTHING = 1;

export const flushDomain = (xen: Hypervisor, caller: XenVcpu, domain: Domain): void => {
  const { vcpus } = domain;
  for (let i = 0; i < vcpus.length; i++) xen.machine.mmu.flush(vcpus[i]!.arch);
  flushed(xen, caller, domain.id, EVERYTHING);
};

export const flushDomainPage = (
  xen: Hypervisor,
  caller: XenVcpu,
  domain: Domain,
  va: number,
): void => {
  const { vcpus } = domain;
  for (let i = 0; i < vcpus.length; i++) xen.machine.mmu.flushPage(vcpus[i]!.arch, va);
  flushed(xen, caller, domain.id, va);
};

export const flushLocal = (xen: Hypervisor, caller: XenVcpu): void => {
  xen.machine.mmu.flush(caller.arch);
  flushed(xen, caller, caller.domain.id, EVERYTHING);
};

export const flushLocalPage = (xen: Hypervisor, caller: XenVcpu, va: number): void => {
  xen.machine.mmu.flushPage(caller.arch, va);
  flushed(xen, caller, caller.domain.id, va);
};

/** Copy in the bitmap at `va`, 64 vCPUs to the word. @returns false when it is not readable. */
export const readVcpuMask = (xen: Hypervisor, caller: XenVcpu, va: number): boolean => {
  const bytes = Math.ceil(caller.domain.vcpus.length / 64) * 8;
  return xen.copyFromGuest(caller, va, maskBytes.subarray(0, bytes));
};

/** Flush on the caller's sibling vCPUs that the last mask named: one page, or everything. */
export const flushMask = (xen: Hypervisor, caller: XenVcpu, page: boolean, va: number): void => {
  const { vcpus } = caller.domain;
  const { mmu } = xen.machine;
  for (let i = 0; i < vcpus.length; i++) {
    if ((mask[i >> 5]! & (1 << (i & 31))) === 0) continue;
    if (page) mmu.flushPage(vcpus[i]!.arch, va);
    else mmu.flush(vcpus[i]!.arch);
  }
  flushed(xen, caller, caller.domain.id, page ? va : EVERYTHING);
};

/** Charge a flush of domain `domid`'s translations of `va`, or of everything, and tell the trace. */
const flushed = (xen: Hypervisor, caller: XenVcpu, domid: number, va: number): void => {
  const { costs, trace } = xen.machine;
  xen.chargeHypercall(caller, va === EVERYTHING ? costs.tlbFlush : costs.invlpg);
  if (!trace.on) return;
  const page = va === EVERYTHING ? {} : { va };
  trace.emit({ time: xen.now, who: caller.name, kind: 'tlb-flush', domid, ...page });
};
