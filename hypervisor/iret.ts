/**
 * The iret hypercall: how a PV kernel returns from a trap, an upcall or to user mode. The frame on
 * its stack holds what to load; the RPL of its CS says which mode.
 * @source arch-x86/xen-x86_64.h:97 (iret_context)
 */

import { codeMode } from '../machine/descriptor.ts';
import { VECTOR_GP } from '../machine/exit.ts';
import { isCanonical } from '../machine/pte.ts';
import { R11, RAX, RCX, RFLAGS, RFLAGS_FIXED, RFLAGS_IF, RSP, SS } from '../machine/vcpu.ts';
import { VcpuInfo } from '../protocol/shared-info.ts';
import { IretContext, VGCF_in_syscall } from '../protocol/vcpu-context.ts';
import { VMASST_TYPE_architectural_iopl } from '../protocol/xen.ts';
import { toggleMode } from './bounce.ts';
import { hasAssist } from './domain.ts';
import type { Handler } from './op.ts';
import { deliverTrap } from './pv-traps.ts';

/** What a handler returns when it has set the guest's registers itself. */
export const KEEP_RAX = 2 ** 60;

/** VM and IOPL: never a guest's to set. A guest that wants it finds IOPL in its frames all the same. */
const DROPPED_FLAGS = 0x20000 | 0x3000;
const IOPL_SHIFT = 12;
const UPCALL_MASK = VcpuInfo.offset.evtchnUpcallMask;
const at = IretContext.offset;
const frame = new Uint8Array(IretContext.size);
const view = new DataView(frame.buffer);

const signed = (offset: number): number =>
  view.getInt32(offset + 4, true) * 2 ** 32 + view.getUint32(offset, true);

/**
 * iret(): the frame is at RSP. An unreadable frame, or user mode without a user root, ends the
 * domain.
 */
export const iret: Handler = (xen, caller) => {
  const { arch, domain } = caller;
  const stack = arch.gpr(RSP);
  if (!xen.copyFromGuest(caller, stack, frame)) {
    xen.crash(
      domain,
      `${caller.name}: the iret frame at rsp 0x${hexadecimal(stack)} is not readable`,
    );
    return KEEP_RAX;
  }
  const toUser = (view.getUint8(at.cs) & 3) === 3;
  if (toUser && caller.userRoot === 0) {
    xen.crash(domain, `${caller.name}: iret to user mode without a user page table`);
    return KEEP_RAX;
  }

  if (toUser) toggleMode(caller);
  const rflags = view.getUint32(at.rflags, true);
  arch.setHalves(RAX << 3, view.getUint32(at.rax, true), view.getUint32(at.rax + 4, true));
  if ((view.getUint32(at.flags, true) & VGCF_in_syscall) === 0) {
    arch.setHalves(R11 << 3, view.getUint32(at.r11, true), view.getUint32(at.r11 + 4, true));
    arch.setHalves(RCX << 3, view.getUint32(at.rcx, true), view.getUint32(at.rcx + 4, true));
  }
  arch.setGpr(RSP, signed(at.rsp));
  const cs = view.getUint16(at.cs, true) | 3;
  arch.setCode(cs, codeMode(xen.descriptor(arch, cs)));
  arch.set(SS, view.getUint16(at.ss, true) | 3);
  arch.setHalves(RFLAGS, (rflags & ~DROPPED_FLAGS) | RFLAGS_IF | RFLAGS_FIXED, 0);
  if (hasAssist(domain, VMASST_TYPE_architectural_iopl)) domain.iopl = (rflags >>> IOPL_SHIFT) & 3;
  arch.rip = signed(at.rip);
  xen.machine.memory.u8[caller.info + UPCALL_MASK] = rflags & RFLAGS_IF ? 0 : 1;
  if (!isCanonical(arch.rip)) deliverTrap(xen, caller, VECTOR_GP, 0, 0);
  return KEEP_RAX;
};

const hexadecimal = (va: number): string => BigInt.asUintN(64, BigInt(va)).toString(16);
