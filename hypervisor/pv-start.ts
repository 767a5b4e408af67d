/**
 * The registers with which vCPUs of a PV domain begin.
 * @source arch-x86/xen-x86_64.h; xen/xen.h:690 (start-of-day)
 */
import { CONTROL_CPUID, CONTROL_SYSCALL } from '../machine/exit.ts';
import {
  CONTROLS,
  CR0,
  CR4,
  EFER,
  EXCEPTION_BITMAP,
  RFLAGS,
  RFLAGS_FIXED,
  RFLAGS_IF,
  RSI,
  RSP,
  SS,
} from '../machine/vcpu.ts';
import { FLAT_KERNEL_CS, FLAT_KERNEL_SS } from '../protocol/xen.ts';
import { newBaseptr } from './base-pointer.ts';
import { showTables } from './descriptor-tables.ts';
import type { Hypervisor } from './hypervisor.ts';
import type { XenVcpu } from './xen-vcpu.ts';

/** PG, AM, WP, NE, ET, MP, PE; PAE, OSFXSR, OSXMMEXCPT; SCE, LME, LMA, NXE. */
const BOOT_CR0 = 0x80050033;
const BOOT_CR4 = 0x620;
const BOOT_EFER = 0xd01;

/**
 * What holds for every PV vCPU: CPL 3, and every exception, SYSCALL and CPUID goes to the
 * hypervisor.
 */
export const preparePvVcpu = (vcpu: XenVcpu): void => {
  const { arch } = vcpu;
  arch.set(CR0, BOOT_CR0);
  arch.set(CR4, BOOT_CR4);
  arch.set(EFER, BOOT_EFER);
  arch.setCode(FLAT_KERNEL_CS);
  arch.set(SS, FLAT_KERNEL_SS);
  arch.set(RFLAGS, RFLAGS_IF | RFLAGS_FIXED);
  arch.set(CONTROLS, CONTROL_SYSCALL | CONTROL_CPUID);
  arch.set(EXCEPTION_BITMAP, 0xffffffff);
  showTables(vcpu);
  arch.cpl = 3;
  arch.selectTlb(0);
};

/** The first vCPU: at the kernel's entry, on the boot stack, start_info in RSI. */
export const startPv = (
  xen: Hypervisor,
  vcpu: XenVcpu,
  built: { rip: number; rsp: number; startInfo: number; cr3Mfn: number },
): void => {
  const { arch } = vcpu;
  arch.rip = built.rip;
  arch.setGpr(RSP, built.rsp);
  arch.setGpr(RSI, built.startInfo);
  // Loading the root takes a reference of its own beside the pin, so that leaving it does not undo
  // the pin.
  if (newBaseptr(xen, vcpu, built.cr3Mfn) !== 0) throw new Error(`boot root: ${xen.frames.rule}`);
  vcpu.kernelSs = FLAT_KERNEL_SS;
  vcpu.kernelSp = built.rsp;
};
