/**
 * update_va_mapping(va, entry, flags): set the L1 entry for one address of the current tables, and
 * flush.
 * @source xen/xen.h:459 (UVMF_*)
 */
import { isCanonical } from '../machine/pte.ts';
import { EFAULT, EINVAL } from '../protocol/errno.ts';
import {
  UVMF_ALL,
  UVMF_FLUSHTYPE_MASK,
  UVMF_INVLPG,
  UVMF_LOCAL,
  UVMF_TLB_FLUSH,
} from '../protocol/xen.ts';
import type { Domain } from './domain.ts';
import type { Hypervisor } from './hypervisor.ts';
import { pageOwner, settle } from './mmu-update.ts';
import type { Handler } from './op.ts';
import { mayBeAliased, ownL1Word, setL1Entry } from './page-entry.ts';
import {
  flushDomain,
  flushDomainPage,
  flushLocal,
  flushLocalPage,
  flushMask,
  readVcpuMask,
} from './tlb.ts';
import type { XenVcpu } from './xen-vcpu.ts';

/**
 * @errors -EINVAL for an address without an L1 entry of the caller's; those of the entry; -EFAULT
 * for the vCPU mask
 */
export const updateVaMapping: Handler = (xen, caller) => update(xen, caller, caller.domain);

/** The same with a fourth argument: whose frame the entry names. @errors also -ESRCH -EPERM */
export const updateVaMappingOtherdomain: Handler = (xen, caller) => {
  const pages = pageOwner(xen, caller, caller.argLo(3) & 0xffff);
  return typeof pages === 'number' ? pages : update(xen, caller, pages);
};

const update = (xen: Hypervisor, caller: XenVcpu, pages: Domain): number => {
  const va = caller.arg(0);
  const result = mapPage(xen, caller, va, caller.argLo(1), caller.argHi(1), pages.id);
  settle(xen, caller, 0);
  if (result !== 0) return xen.refuse(caller, -result, xen.frames.rule, { va });

  return flush(xen, caller, va, caller.arg(2));
};

/**
 * Set the L1 entry for `va` in the caller's kernel tables to a frame of domain `pages`, and flush
 * what it no longer allows. @errors -EINVAL -EPERM -EBUSY
 */
export const mapPage = (
  xen: Hypervisor,
  caller: XenVcpu,
  va: number,
  lo: number,
  hi: number,
  pages: number,
): number => {
  const { frames } = xen;
  const { domain } = caller;
  const at =
    isCanonical(va) && caller.kernelRoot !== 0 ? xen.machine.mmu.leaf(caller.kernelRoot, va) : -1;
  const word = ownL1Word(frames, at, domain.id);
  if (word < 0) {
    frames.rule = 'no L1 entry of your own for this address';
    return -EINVAL;
  }
  frames.stale = false;
  const result = setL1Entry(frames, word, lo, hi, domain.id, pages, false);
  if (frames.stale) {
    if (mayBeAliased(frames, at, caller.kernelRoot, va)) flushDomain(xen, caller, domain);
    else flushDomainPage(xen, caller, domain, va);
  }
  return result;
};

/**
 * What the guest asked for in `flags`; anything but local or all is the address of a vCPU bitmap.
 */
const flush = (xen: Hypervisor, caller: XenVcpu, va: number, flags: number): number => {
  const type = flags & UVMF_FLUSHTYPE_MASK;
  if (type !== UVMF_TLB_FLUSH && type !== UVMF_INVLPG) return 0;
  const page = type === UVMF_INVLPG;
  const target = flags - type;
  if (target === UVMF_LOCAL) {
    if (page) flushLocalPage(xen, caller, va);
    else flushLocal(xen, caller);
  } else if (target === UVMF_ALL) {
    if (page) flushDomainPage(xen, caller, caller.domain, va);
    else flushDomain(xen, caller, caller.domain);
  } else {
    if (!readVcpuMask(xen, caller, target)) {
      return xen.refuse(caller, EFAULT, 'the vCPU mask is not readable', { va: target });
    }
    flushMask(xen, caller, page, va);
  }
  return 0;
};
