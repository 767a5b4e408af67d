/**
 * mmu_update(list, count, done, domid): a batch of page-table entries and machine-to-physical
 * entries. It stops at the first failure; `done` receives how many succeeded either way.
 * @source xen/xen.h:272
 */
import { EFAULT, EINVAL, ENOSYS, EPERM, ESRCH } from '../protocol/errno.ts';
import {
  DOMID_IO,
  DOMID_SELF,
  DOMID_XEN,
  MMU_MACHPHYS_UPDATE,
  MMU_NORMAL_PT_UPDATE,
  MMU_PT_UPDATE_NO_TRANSLATE,
  MMU_PT_UPDATE_PRESERVE_AD,
  MmuUpdate,
} from '../protocol/xen.ts';
import type { Domain } from './domain.ts';
import type { Hypervisor } from './hypervisor.ts';
import type { Handler } from './op.ts';
import { setL1Entry, setTableEntry } from './page-entry.ts';
import { TYPE_L1, TYPE_L4, TYPE_WRITABLE } from './page-types.ts';
import { flushDomain } from './tlb.ts';
import type { XenVcpu } from './xen-vcpu.ts';

/** One request, copied in: ptr, then val, as halves. */
const request = new Uint32Array(MmuUpdate.size / 4);
const requestBytes = new Uint8Array(request.buffer);
const doneWord = new Uint32Array(1);
const doneBytes = new Uint8Array(doneWord.buffer);

/**
 * @errors -ESRCH -EPERM for the domains; -EFAULT for the list; -ENOSYS for a command; those of an
 * entry
 */
export const mmuUpdate: Handler = (xen, caller) => {
  const list = caller.arg(0);
  const count = caller.argLo(1);
  const foreign = caller.argLo(3);
  const tables = foreign >>> 16 === 0 ? caller.domain : xen.domain((foreign >>> 16) - 1);
  if (!tables) return xen.refuse(caller, ESRCH, 'no such domain', { domid: (foreign >>> 16) - 1 });
  const pages = pageOwner(xen, caller, foreign & 0xffff);
  if (typeof pages === 'number') return reportDone(xen, caller, caller.arg(2), 0, pages);
  if (tables !== caller.domain && !caller.domain.privileged) {
    const errno = xen.refuse(caller, EPERM, 'the tables of another domain', { domid: tables.id });
    return reportDone(xen, caller, caller.arg(2), 0, errno);
  }

  const { frames } = xen;
  frames.stale = false;
  let done = 0;
  let charged = 0;
  let result = 0;
  for (; done < count; done++) {
    if (done - charged === 64) {
      settle(xen, caller, 64);
      charged = done;
      if (xen.checkPreempt(caller)) break;
    }
    const va = list + done * MmuUpdate.size;
    if (!xen.copyFromGuest(caller, va, requestBytes)) {
      result = xen.refuse(caller, EFAULT, 'the request list is not readable', { index: done, va });
      break;
    }
    result = apply(xen, caller, tables, pages);
    if (result !== 0) break;
  }
  settle(xen, caller, done - charged);
  if (frames.stale) flushDomain(xen, caller, tables);
  return reportDone(xen, caller, caller.arg(2), done, result);
};

/** Write how many elements of a batch succeeded, when the caller asked for it. @returns `result` */
export const reportDone = (
  xen: Hypervisor,
  caller: XenVcpu,
  va: number,
  done: number,
  result: number,
): number => {
  doneWord[0] = done;
  if (va !== 0) xen.copyToGuest(caller, va, doneBytes);
  return result;
};

/** Whose frames a request is about, or the errno. @errors -ESRCH -EPERM */
export const pageOwner = (xen: Hypervisor, caller: XenVcpu, domid: number): Domain | number => {
  if (domid === DOMID_SELF) return caller.domain;
  if (domid === caller.domain.id)
    return xen.refuse(caller, ESRCH, 'its own number does not name itself', { domid });
  if ((domid === DOMID_IO || domid === DOMID_XEN) && !caller.domain.privileged)
    return xen.refuse(caller, EPERM, 'frames of no domain', { domid });
  const domain = xen.domain(domid);
  if (!domain) return xen.refuse(caller, ESRCH, 'no such domain', { domid });
  if (!caller.domain.privileged)
    return xen.refuse(caller, EPERM, 'frames of another domain', { domid });
  return domain;
};

/** Charge for `elements` of a batch, and for the entries that were validated meanwhile. */
export const settle = (xen: Hypervisor, caller: XenVcpu, elements: number): void => {
  const { hypercallEntry, pageValidate } = xen.machine.costs;
  const { validated } = xen.frames;
  xen.frames.validated = 0;
  if (elements + validated > 0) {
    xen.chargeHypercall(caller, elements * hypercallEntry + validated * pageValidate);
  }
};

const apply = (xen: Hypervisor, caller: XenVcpu, tables: Domain, pages: Domain): number => {
  const lo = request[0]!;
  switch (lo & 7) {
    case MMU_NORMAL_PT_UPDATE:
    case MMU_PT_UPDATE_PRESERVE_AD:
    case MMU_PT_UPDATE_NO_TRANSLATE:
      return updateEntry(xen, caller, tables, pages, (lo & 7) === MMU_PT_UPDATE_PRESERVE_AD);
    case MMU_MACHPHYS_UPDATE:
      return updateM2p(xen, caller, tables, pages);
    default:
      return xen.refuse(caller, ENOSYS, 'no such mmu_update command', { command: lo & 7 });
  }
};

const frameOf = (): number => request[1]! * 0x100000 + (request[0]! >>> 12);

const updateEntry = (
  xen: Hypervisor,
  caller: XenVcpu,
  tables: Domain,
  pages: Domain,
  keepAd: boolean,
): number => {
  const { frames } = xen;
  const mfn = frameOf();
  if (!frames.belongs(mfn, tables.id)) {
    return xen.refuse(caller, EINVAL, 'the table is not a frame of the domain', { mfn });
  }
  const offset = request[0]! & 0xff8;
  const lo = request[2]!;
  const hi = request[3]!;
  const type = frames.typeCount[mfn]! > 0 ? frames.type[mfn]! : TYPE_WRITABLE;
  let result = -EINVAL;
  frames.rule = 'the frame is in use as another type';
  if (type === TYPE_WRITABLE) {
    const word = (frames.memory.frameAt(mfn) + offset) >>> 2;
    frames.memory.u32[word] = lo;
    frames.memory.u32[word + 1] = hi;
    frames.markUsed(mfn);
    return 0;
  }
  if (type === TYPE_L1) {
    const word = (frames.memory.frameAt(mfn) + offset) >>> 2;
    result = setL1Entry(frames, word, lo, hi, tables.id, pages.id, keepAd);
  } else if (type <= TYPE_L4 && pages === tables) {
    result = setTableEntry(frames, mfn, offset >>> 3, type, lo, hi, keepAd);
  }
  return result === 0
    ? 0
    : xen.refuse(caller, -result, frames.rule, { table: mfn, slot: offset >>> 3 });
};

const updateM2p = (xen: Hypervisor, caller: XenVcpu, tables: Domain, pages: Domain): number => {
  if (tables !== caller.domain)
    return xen.refuse(caller, EPERM, 'machine-to-physical entries for another domain');
  const mfn = frameOf();
  if (pages.kind !== 'pv' || !xen.frames.belongs(mfn, pages.id)) {
    return xen.refuse(caller, EINVAL, 'machine-to-physical entry of a frame that is not yours', {
      mfn,
    });
  }
  xen.frames.setM2p(mfn, request[2]!, request[3]!);
  return 0;
};
