/**
 * Segments, descriptor tables and debug registers of a PV kernel, all of which it may change only
 * by asking.
 * @source xen/xen.h:76; SDM vol. 3, 3.4.5 (descriptors), 17.2 (debug registers)
 */
import { isCanonical } from '../machine/pte.ts';
import { DR0, FS_BASE, GS_BASE, KERNEL_GS_BASE } from '../machine/vcpu.ts';
import { EFAULT, EINVAL, ENODEV, EPERM } from '../protocol/errno.ts';
import { PAGE_SIZE } from '../protocol/units.ts';
import {
  FIRST_RESERVED_GDT_ENTRY,
  SEGBASE_FS,
  SEGBASE_GS_KERNEL,
  SEGBASE_GS_USER,
  SEGBASE_GS_USER_SEL,
} from '../protocol/xen.ts';
import { setGdtFrames } from './base-pointer.ts';
import { descriptorLo, sanitizeDescriptor } from './descriptors.ts';
import { guestRange } from './guest-range.ts';
import type { Handler } from './op.ts';
import { TYPE_SEG_DESC, TYPE_WRITABLE } from './page-types.ts';
import type { XenVcpu } from './xen-vcpu.ts';

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
  const hi = sanitizeDescriptor(caller.argHi(1), caller.argLo(1));
  if (hi < 0) return xen.refuse(caller, EINVAL, 'the descriptor would give privilege', { address });

  const word = (machine.memory.frameAt(mfn) + (address & (PAGE_SIZE - 1))) >>> 2;
  frames.markUsed(mfn);
  machine.memory.u32[word] = descriptorLo(caller.argLo(1), hi);
  machine.memory.u32[word + 1] = hi;
  return 0;
};

/** fpu_taskswitch(set): CR0.TS as the guest sees it. */
export const fpuTaskswitch: Handler = (_xen, caller) => {
  caller.taskSwitched = caller.argLo(0) !== 0;
  return 0;
};

/** Bits of DR6 and DR7 that read as one, those that can be set, and DR7.GD. */
const DR6_ONES = 0xffff0ff0;
const DR6_BITS = 0xe00f;
const DR7_ONES = 0x400;
const DR7_ZEROS = 0xd800;
const DR7_GD = 0x2000;

/** DR4 and DR5 are other names of DR6 and DR7 as long as CR4.DE is clear, which it is. */
const named = (reg: number): number => (reg === 4 || reg === 5 ? reg + 2 : reg);

/** Why debug register `reg` cannot be `value`: an errno, or 0 when it now is. */
export const setDebugRegister = (vcpu: XenVcpu, number: number, value: number): number => {
  const reg = named(number);
  if (reg < 4 && !guestRange(value, 1)) return EPERM;
  if (reg >= 6 && (value < 0 || value >= 2 ** 32)) return EINVAL;
  if (reg === 7 && (value & DR7_GD) !== 0) return EPERM;

  vcpu.arch.set(DR0 + reg * 8, value);
  return 0;
};

/** Debug register `reg` as the guest reads it. */
export const debugRegister = (vcpu: XenVcpu, number: number): number => {
  const reg = named(number);
  const value = vcpu.arch.get(DR0 + reg * 8);
  if (reg === 6) return ((value & DR6_BITS) | DR6_ONES) >>> 0;
  return reg === 7 ? ((value & ~DR7_ZEROS) | DR7_ONES) >>> 0 : value;
};

const isDebugRegister = (vcpu: XenVcpu): boolean => vcpu.argHi(0) === 0 && vcpu.argLo(0) <= 7;

/**
 * set_debugreg(reg, value). @errors -ENODEV for a register that is not there, -EPERM for an address
 * of Xen's or none and for DR7.GD, -EINVAL for reserved bits
 */
export const setDebugreg: Handler = (xen, caller) => {
  const [reg, value] = [caller.argLo(0), caller.arg(1)];
  if (!isDebugRegister(caller))
    return xen.refuse(caller, ENODEV, 'no such debug register', { reg });
  const errno = setDebugRegister(caller, reg, value);
  if (errno === 0) return 0;
  return xen.refuse(caller, errno, 'no value that the debug register may have', { reg, value });
};

/** get_debugreg(reg). @errors -ENODEV */
export const getDebugreg: Handler = (xen, caller) => {
  const reg = caller.argLo(0);
  if (!isDebugRegister(caller))
    return xen.refuse(caller, ENODEV, 'no such debug register', { reg });
  return debugRegister(caller, reg);
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
