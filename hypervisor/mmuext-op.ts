/**
 * mmuext_op(list, count, done, domid): a batch of operations on page tables other than entries. It
 * stops at the first failure; `done` receives how many succeeded.
 * @source xen/xen.h:343
 */
import { isCanonical } from '../machine/pte.ts';
import { EACCES, EFAULT, EINVAL, ENOSYS, EOPNOTSUPP, EPERM } from '../protocol/errno.ts';
import * as abi from '../protocol/xen.ts';
import { newBaseptr, newUserBaseptr } from './base-pointer.ts';
import { loadLdt } from './descriptor-tables.ts';
import type { Domain } from './domain.ts';
import { guestRange } from './guest-range.ts';
import type { Hypervisor } from './hypervisor.ts';
import { pageOwner, reportDone, settle } from './mmu-update.ts';
import type { Handler } from './op.ts';
import { FRAME_PINNED, TYPE_WRITABLE } from './page-types.ts';
import {
  flushDomain,
  flushDomainPage,
  flushLocal,
  flushLocalPage,
  flushMask,
  readVcpuMask,
} from './tlb.ts';
import type { XenVcpu } from './xen-vcpu.ts';

const operation = new Uint32Array(abi.MmuextOp.size / 4);
const operationBytes = new Uint8Array(operation.buffer);
const ARG1 = abi.MmuextOp.offset.arg1 / 4;
const ARG2 = abi.MmuextOp.offset.arg2 / 4;
const MAX_LDT_ENTRIES = 8192;

/** Arguments of the operation at hand: an MFN, or a signed address. */
const mfnAt = (word: number): number => operation[word + 1]! * 4294967296 + operation[word]!;
const addressAt = (word: number): number =>
  (operation[word + 1]! | 0) * 4294967296 + operation[word]!;

export { newBaseptr, newUserBaseptr, setGdtFrames } from './base-pointer.ts';

/** One operation on the frames of `pages`. */
type Operation = (xen: Hypervisor, caller: XenVcpu, pages: Domain) => number;

/**
 * @errors -ESRCH -EPERM for the domain; -EFAULT for the list; -ENOSYS for an unknown operation;
 * those of each
 */
export const mmuextOp: Handler = (xen, caller) => {
  const list = caller.arg(0);
  const count = caller.argLo(1);
  const pages = pageOwner(xen, caller, caller.argLo(3) & 0xffff);
  if (typeof pages === 'number') return pages;

  let done = 0;
  let result = 0;
  for (; done < count; done++) {
    if ((done & 63) === 63 && xen.checkPreempt(caller)) break;
    const va = list + done * abi.MmuextOp.size;
    if (!xen.copyFromGuest(caller, va, operationBytes)) {
      const detail = { index: done, va };
      result = xen.refuse(caller, EFAULT, 'the operation list is not readable', detail);
      break;
    }
    result = perform(xen, caller, pages);
    settle(xen, caller, 1);
    if (result !== 0) break;
  }
  return reportDone(xen, caller, caller.arg(2), done, result);
};

const perform = (xen: Hypervisor, caller: XenVcpu, pages: Domain): number => {
  const cmd = operation[0]!;
  if (caller.domain.kind === 'hvm' && cmd > abi.MMUEXT_UNPIN_TABLE) {
    return xen.refuse(caller, EOPNOTSUPP, 'not an operation for a hardware-assisted domain', {
      cmd,
    });
  }
  const act = OPERATIONS.get(cmd);
  if (!act) return xen.refuse(caller, ENOSYS, 'no such mmuext_op', { cmd });
  if (pages !== caller.domain && !ON_OTHERS.has(cmd)) {
    return xen.refuse(caller, EPERM, 'not an operation on another domain', { cmd });
  }
  return act(xen, caller, pages);
};

const pin =
  (level: number): Operation =>
  (xen, caller, pages) => {
    if (pages.kind === 'hvm') return 0;
    const { frames } = xen;
    const mfn = mfnAt(ARG1);
    const result = frames.getType(mfn, pages, level);
    if (result !== 0) return xen.refuse(caller, -result, frames.rule, { mfn, level });
    if ((frames.flags[mfn]! & FRAME_PINNED) !== 0) {
      frames.putType(mfn);
      return xen.refuse(caller, EINVAL, 'the table is pinned already', { mfn });
    }

    frames.flags[mfn]! |= FRAME_PINNED;
    return 0;
  };

const unpin: Operation = (xen, caller, pages) => {
  if (pages.kind === 'hvm') return 0;
  const { frames } = xen;
  const mfn = mfnAt(ARG1);
  if (!frames.belongs(mfn, pages.id) || (frames.flags[mfn]! & FRAME_PINNED) === 0) {
    return xen.refuse(caller, EINVAL, 'the frame is not a pinned table of the domain', { mfn });
  }

  frames.flags[mfn]! &= ~FRAME_PINNED;
  frames.putType(mfn);
  return 0;
};

const loadRoot =
  (load: typeof newBaseptr): Operation =>
  (xen, caller) => {
    const result = load(xen, caller, mfnAt(ARG1));
    if (result === 0) xen.chargeHypercall(caller, xen.machine.costs.tlbFlush);
    return result;
  };

const multi =
  (page: boolean): Operation =>
  (xen, caller) => {
    const va = addressAt(ARG1);
    const mask = addressAt(ARG2);
    if (!readVcpuMask(xen, caller, mask))
      return xen.refuse(caller, EINVAL, 'the vCPU mask is not readable', { va: mask });
    if (!page || isCanonical(va)) flushMask(xen, caller, page, va);
    return 0;
  };

const flushAll: Operation = (xen, caller) => {
  flushDomain(xen, caller, caller.domain);
  return 0;
};

const invlpgAll: Operation = (xen, caller) => {
  const va = addressAt(ARG1);
  if (isCanonical(va)) flushDomainPage(xen, caller, caller.domain, va);
  return 0;
};

const flushHere: Operation = (xen, caller) => {
  flushLocal(xen, caller);
  return 0;
};

const invlpgHere: Operation = (xen, caller) => {
  const va = addressAt(ARG1);
  if (isCanonical(va)) flushLocalPage(xen, caller, va);
  return 0;
};

/** Caches are not modelled; who may flush them is. @errors `errno` without hardware */
const flushCache =
  (errno: number): Operation =>
  (xen, caller) =>
    caller.domain.privileged
      ? 0
      : xen.refuse(caller, errno, 'cache flush by a domain without hardware');

/** Selectors are looked up in it at each use, so it needs no type. @errors -EINVAL */
const setLdt: Operation = (xen, caller) => {
  const va = addressAt(ARG1);
  const entries = operation[ARG2]!;
  if (
    entries > MAX_LDT_ENTRIES ||
    (entries > 0 && ((va & 4095) !== 0 || !guestRange(va, entries * 8)))
  )
    return xen.refuse(caller, EINVAL, 'bad address or size of the LDT', { va, entries });

  loadLdt(caller, va, entries);
  return 0;
};

/** Zero a frame, or copy frame arg2 to it. @errors -EINVAL for a frame that may not be written */
const writeFrame =
  (copy: boolean): Operation =>
  (xen, caller, pages) => {
    const { frames } = xen;
    const to = mfnAt(ARG1);
    const from = mfnAt(ARG2);
    if (copy && !frames.belongs(from, pages.id)) {
      return xen.refuse(caller, EINVAL, 'the source is not a frame of the domain', { mfn: from });
    }
    if (frames.getType(to, pages, TYPE_WRITABLE) !== 0) {
      return xen.refuse(caller, EINVAL, 'the frame may not be written', { mfn: to });
    }

    const { memory } = frames;
    const at = memory.frameAt(to);
    if (copy) memory.u8.copyWithin(at, memory.frameAt(from), memory.frameAt(from) + 4096);
    else memory.u8.fill(0, at, at + 4096);
    memory.wrote(to);
    frames.putType(to);
    xen.chargeHypercall(caller, xen.machine.costs.frameCopy);
    return 0;
  };

const superPage: Operation = (xen, caller) =>
  xen.refuse(caller, EOPNOTSUPP, 'super pages are not offered');

/** Operations that a privileged domain may do on another's frames. */
const ON_OTHERS: ReadonlySet<number> = new Set([
  abi.MMUEXT_PIN_L1_TABLE,
  abi.MMUEXT_PIN_L2_TABLE,
  abi.MMUEXT_PIN_L3_TABLE,
  abi.MMUEXT_PIN_L4_TABLE,
  abi.MMUEXT_UNPIN_TABLE,
  abi.MMUEXT_CLEAR_PAGE,
  abi.MMUEXT_COPY_PAGE,
  abi.MMUEXT_MARK_SUPER,
  abi.MMUEXT_UNMARK_SUPER,
]);

const OPERATIONS: ReadonlyMap<number, Operation> = new Map([
  [abi.MMUEXT_PIN_L1_TABLE, pin(1)],
  [abi.MMUEXT_PIN_L2_TABLE, pin(2)],
  [abi.MMUEXT_PIN_L3_TABLE, pin(3)],
  [abi.MMUEXT_PIN_L4_TABLE, pin(4)],
  [abi.MMUEXT_UNPIN_TABLE, unpin],
  [abi.MMUEXT_NEW_BASEPTR, loadRoot(newBaseptr)],
  [abi.MMUEXT_NEW_USER_BASEPTR, loadRoot(newUserBaseptr)],
  [abi.MMUEXT_TLB_FLUSH_LOCAL, flushHere],
  [abi.MMUEXT_INVLPG_LOCAL, invlpgHere],
  [abi.MMUEXT_TLB_FLUSH_MULTI, multi(false)],
  [abi.MMUEXT_INVLPG_MULTI, multi(true)],
  [abi.MMUEXT_TLB_FLUSH_ALL, flushAll],
  [abi.MMUEXT_INVLPG_ALL, invlpgAll],
  [abi.MMUEXT_FLUSH_CACHE, flushCache(EACCES)],
  [abi.MMUEXT_FLUSH_CACHE_GLOBAL, flushCache(EINVAL)],
  [abi.MMUEXT_SET_LDT, setLdt],
  [abi.MMUEXT_CLEAR_PAGE, writeFrame(false)],
  [abi.MMUEXT_COPY_PAGE, writeFrame(true)],
  [abi.MMUEXT_MARK_SUPER, superPage],
  [abi.MMUEXT_UNMARK_SUPER, superPage],
]);
