/**
 * Segments, descriptor tables and debug registers of a PV kernel, all of which it may change only
 * by asking.
 * @source xen/xen.h:76; SDM vol. 3, 3.4.5 (descriptors), 17.2 (debug registers)
 */
import { isCanonical } from '../machine/pte.ts';
import { DR0, FS_BASE, GS_BASE, KERNEL_GS_BASE } from '../machine/vcpu.ts';
import { EFAULT, EINVAL, EPERM } from '../protocol/errno.ts';
import { PAGE_SIZE } from '../protocol/units.ts';
import {
  FIRST_RESERVED_GDT_ENTRY,
  HYPERVISOR_VIRT_END,
  HYPERVISOR_VIRT_START,
  SEGBASE_FS,
  SEGBASE_GS_KERNEL,
  SEGBASE_GS_USER,
  SEGBASE_GS_USER_SEL,
} from '../protocol/xen.ts';
import { setGdtFrames } from './base-pointer.ts';
import { sanitizeDescriptor } from './descriptors.ts';
import type { Handler } from './op.ts';
import { TYPE_SEG_DESC, TYPE_WRITABLE } from './page-types.ts';

const ENTRIES_PER_FRAME = PAGE_SIZE / 8;
const frameList = new Uint8Array((FIRST_RESERVED_GDT_ENTRY / ENTRIES_PER_FRAME) * 8);
const frameView = new DataView(frameList.buffer);

/**
 * set_gdt(frames, entries): each frame becomes a descriptor page. @errors -EINVAL -EFAULT, and of
 * the frames' types
 */
export const setGdt: Handler = (xen, caller) => {
  const entries = caller.argLo(1);
  if (entries > FIRST_RESERVED_GDT_ENTRY)
    return xen.refuse(caller, EINVAL, 'the GDT reaches into the part of Xen', { entries });
  const list = frameList.subarray(0, Math.ceil(entries / ENTRIES_PER_FRAME) * 8);
  if (list.length > 0 && !xen.copyFromGuest(caller, caller.arg(0), list)) {
    return xen.refuse(caller, EFAULT, 'the list of GDT frames is not readable', {
      va: caller.arg(0),
    });
  }
  const frames: number[] = [];
  for (let at = 0; at < list.length; at += 8) {
    frames.push(frameView.getUint32(at + 4, true) * 2 ** 32 + frameView.getUint32(at, true));
  }
  return setGdtFrames(xen, caller, frames);
};

/**
 * update_descriptor(machine address, descriptor): one entry of a frame of its own that no page
 * table is in. @errors -EINVAL
 */
export const updateDescriptor: Handler = (xen, caller) => {
  const address = caller.arg(0);
  const mfn = Math.floor(address / PAGE_SIZE);
  const { frames, machine } = xen;
  if ((address & 7) !== 0 || !frames.belongs(mfn, caller.domain.id)) {
    return xen.refuse(caller, EINVAL, 'no descriptor of its own is there', { address });
  }
  const type = frames.type[mfn];
  if (frames.typeCount[mfn] !== 0 && type !== TYPE_SEG_DESC && type !== TYPE_WRITABLE) {
    return xen.refuse(caller, EINVAL, 'the frame is a page table', { mfn });
  }
  const hi = sanitizeDescriptor(caller.argHi(1));
  if (hi < 0) return xen.refuse(caller, EINVAL, 'the descriptor would give privilege', { address });

  const word = (machine.memory.frameAt(mfn) + (address & (PAGE_SIZE - 1))) >>> 2;
  frames.markUsed(mfn);
  machine.memory.u32[word] = caller.argLo(1);
  machine.memory.u32[word + 1] = hi;
  return 0;
};

/** fpu_taskswitch(set): CR0.TS as the guest sees it. */
export const fpuTaskswitch: Handler = (_xen, caller) => {
  caller.taskSwitched = caller.argLo(0) !== 0;
  return 0;
};

/**
 * set_debugreg(reg, value). @errors -EINVAL for a register that is not there, -EPERM for an address
 * of Xen's or none
 */
export const setDebugreg: Handler = (xen, caller) => {
  const reg = caller.argLo(0);
  const value = caller.arg(1);
  if (reg > 7 || reg === 4 || reg === 5)
    return xen.refuse(caller, EINVAL, 'no such debug register', { reg });
  const xens = value >= HYPERVISOR_VIRT_START && value < HYPERVISOR_VIRT_END;
  if (reg < 4 && (!isCanonical(value) || xens)) {
    return xen.refuse(caller, EPERM, 'a breakpoint outside the guest', { reg, value });
  }

  caller.arch.set(DR0 + reg * 8, value);
  return 0;
};

/** get_debugreg(reg). @errors -EINVAL */
export const getDebugreg: Handler = (xen, caller) => {
  const reg = caller.argLo(0);
  if (reg > 7 || reg === 4 || reg === 5)
    return xen.refuse(caller, EINVAL, 'no such debug register', { reg });
  return caller.arch.get(DR0 + reg * 8);
};

/**
 * set_segment_base(which, base): a kernel asks in kernel mode, so the user's GS base is the shadow
 * one. @errors -EINVAL
 */
export const setSegmentBase: Handler = (xen, caller) => {
  const which = caller.argLo(0);
  const base = caller.arg(1);
  if (which === SEGBASE_GS_USER_SEL) {
    if ((caller.argLo(1) & 0xfffc) !== 0)
      return xen.refuse(caller, EINVAL, 'only the null selector loads here');
    caller.arch.set(KERNEL_GS_BASE, 0);
    return 0;
  }
  const field =
    which === SEGBASE_FS ? FS_BASE : which === SEGBASE_GS_USER ? KERNEL_GS_BASE : GS_BASE;
  if (which > SEGBASE_GS_KERNEL || !isCanonical(base)) {
    return xen.refuse(caller, EINVAL, 'no such segment base, or not a canonical address', {
      which,
      base,
    });
  }

  caller.arch.set(field, base);
  return 0;
};
