/**
 * VCPUOP_initialise: the state in which a further vCPU of a PV domain begins.
 * @source arch-x86/xen.h:172 (vcpu_guest_context)
 */
import { isCanonical } from '../machine/pte.ts';
import {
  FS_BASE,
  GS_BASE,
  KERNEL_GS_BASE,
  R8,
  R9,
  R10,
  R11,
  R12,
  R13,
  R14,
  R15,
  RAX,
  RBP,
  RBX,
  RCX,
  RDI,
  RDX,
  RFLAGS,
  RFLAGS_FIXED,
  RFLAGS_IF,
  RSI,
  RSP,
  SS,
} from '../machine/vcpu.ts';
import { EEXIST, EFAULT, EINVAL } from '../protocol/errno.ts';
import { VcpuInfo } from '../protocol/shared-info.ts';
import { PAGE_SIZE } from '../protocol/units.ts';
import {
  VcpuGuestContext,
  VGCF_failsafe_disables_events,
  VGCF_in_kernel,
  VGCF_online,
  VGCF_syscall_disables_events,
} from '../protocol/vcpu-context.ts';
import { FIRST_RESERVED_GDT_ENTRY } from '../protocol/xen.ts';
import { newBaseptr, newUserBaseptr, setGdtFrames } from './base-pointer.ts';
import type { Hypervisor } from './hypervisor.ts';
import type { XenVcpu } from './xen-vcpu.ts';

/** VM and IOPL: never a guest's to set. */
const DROPPED_FLAGS = 0x20000 | 0x3000;

/** @errors -EFAULT, -EEXIST when done before, -EINVAL, and of the page tables' types */
export const initialise = (xen: Hypervisor, caller: XenVcpu, vcpu: XenVcpu, va: number): number => {
  const bytes = new Uint8Array(VcpuGuestContext.size);
  if (!xen.copyFromGuest(caller, va, bytes)) {
    return xen.refuse(caller, EFAULT, 'vcpu_guest_context is not readable', { va });
  }
  if (vcpu.initialised)
    return xen.refuse(caller, EEXIST, 'the vCPU is initialised already', { vcpu: vcpu.id });
  const context = VcpuGuestContext.get(new DataView(bytes.buffer));
  const { userRegs } = context;
  const addresses = [
    userRegs.rip,
    context.eventCallbackEip,
    context.failsafeCallbackEip,
    context.syscallCallbackEip,
  ];
  if (!addresses.every(isCanonical))
    return xen.refuse(caller, EINVAL, 'an address is not canonical');
  if (context.gdtEnts > FIRST_RESERVED_GDT_ENTRY)
    return xen.refuse(caller, EINVAL, 'the GDT reaches into Xen’s part');
  const tables = loadTables(xen, vcpu, context);
  if (tables < 0) return tables;

  for (const trap of context.trapCtxt) {
    if (trap.address !== 0 && isCanonical(trap.address)) {
      vcpu.traps.set(trap.vector, { flags: trap.flags, cs: trap.cs | 3, address: trap.address });
    }
  }
  vcpu.kernelSs = context.kernelSs | 3;
  vcpu.kernelSp = context.kernelSp;
  vcpu.eventCallback.address = context.eventCallbackEip;
  vcpu.failsafeCallback.address = context.failsafeCallbackEip;
  vcpu.failsafeCallback.maskEvents = (context.flags & VGCF_failsafe_disables_events) !== 0;
  vcpu.syscallCallback.address = context.syscallCallbackEip;
  vcpu.syscallCallback.maskEvents = (context.flags & VGCF_syscall_disables_events) !== 0;
  loadRegisters(vcpu, context);
  xen.machine.memory.u8[vcpu.info + VcpuInfo.offset.evtchnUpcallMask] = 1;
  vcpu.initialised = true;
  if (context.flags & VGCF_online) {
    vcpu.state = 'runnable';
    xen.scheduler.admit(vcpu, xen.now);
  }
  return 0;
};

/**
 * Roots and descriptor pages, with their types; what was taken before a refusal is given back at a
 * later try or at death.
 */
const loadTables = (xen: Hypervisor, vcpu: XenVcpu, context: VcpuGuestContext): number => {
  if ((context.flags & VGCF_in_kernel) === 0)
    return xen.refuse(vcpu, EINVAL, 'a vCPU begins in kernel mode');
  const kernel = newBaseptr(xen, vcpu, Math.floor(context.ctrlreg[3]! / PAGE_SIZE));
  if (kernel < 0) return kernel;
  const user = newUserBaseptr(xen, vcpu, Math.floor(context.ctrlreg[1]! / PAGE_SIZE));
  if (user < 0) return user;
  const frames = context.gdtFrames.slice(0, Math.ceil(context.gdtEnts / 512));
  return frames.length === 0 ? 0 : setGdtFrames(xen, vcpu, frames);
};

const loadRegisters = (vcpu: XenVcpu, context: VcpuGuestContext): void => {
  const { arch } = vcpu;
  const regs = context.userRegs;
  const general = [
    [RAX, regs.rax],
    [RBX, regs.rbx],
    [RCX, regs.rcx],
    [RDX, regs.rdx],
    [RSI, regs.rsi],
    [RDI, regs.rdi],
    [RBP, regs.rbp],
    [R8, regs.r8],
    [R9, regs.r9],
    [R10, regs.r10],
    [R11, regs.r11],
    [R12, regs.r12],
    [R13, regs.r13],
    [R14, regs.r14],
    [R15, regs.r15],
  ] as const;
  for (const [register, value] of general) arch.setBig(register << 3, value);
  arch.setGpr(RSP, regs.rsp);
  arch.rip = regs.rip;
  arch.setCode(regs.cs | 3);
  arch.set(SS, regs.ss | 3);
  arch.setHalves(RFLAGS, (regs.rflags & ~DROPPED_FLAGS) | RFLAGS_IF | RFLAGS_FIXED, 0);
  arch.set(FS_BASE, context.fsBase);
  arch.set(GS_BASE, context.gsBaseKernel);
  arch.set(KERNEL_GS_BASE, context.gsBaseUser);
};
