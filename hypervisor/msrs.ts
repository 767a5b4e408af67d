/**
 * MSRs of a PV guest: a few are its own, a few read as constants, the rest do not exist for it.
 * @source SDM vol. 4; arch-x86/cpuid.h
 */
import { VECTOR_GP } from '../machine/exit.ts';
import * as machine from '../machine/msrs.ts';
import {
  MSR_EFER,
  MSR_FS_BASE,
  MSR_GS_BASE,
  MSR_KERNEL_GS_BASE,
  MSR_TSC,
  MSR_TSC_AUX,
} from '../machine/msrs.ts';
import { pteFrame } from '../machine/pte.ts';
import { EFER, RAX, RCX, RDX } from '../machine/vcpu.ts';
import { HYPERCALL_MSR } from './cpuid-policy.ts';
import { writeHypercallPage } from './hypercall-page.ts';
import type { Hypervisor } from './hypervisor.ts';
import { TYPE_WRITABLE } from './page-types.ts';
import type { XenVcpu } from './xen-vcpu.ts';

const APIC_BASE = 0x1b;
const MISC_ENABLE = 0x1a0;
const PAT = 0x277;
/** The segment bases, and what RDTSCP gives, are the guest's own. */
const OWN: readonly number[] = [MSR_FS_BASE, MSR_GS_BASE, MSR_KERNEL_GS_BASE, MSR_TSC_AUX];
const APIC_ENABLED = 0xfee00800;
const APIC_BSP = 0x100;
const PAT_LO = 0x00070406;
const PAT_HI = 0x0501;
/** The hypervisor's own range, where nothing is made up. */
const XEN_FIRST = 0x40000000;
const XEN_LAST = 0x400002ff;

const answer = (vcpu: XenVcpu, lo: number, hi: number): true => {
  vcpu.arch.setHalves(RAX << 3, lo, 0);
  vcpu.arch.setHalves(RDX << 3, hi, 0);
  return true;
};

/** RDMSR of a PV guest. @returns false for #GP */
export const readMsr = (vcpu: XenVcpu): boolean => {
  const { arch } = vcpu;
  const msr = arch.lo(RCX << 3);
  if (OWN.includes(msr) || msr === MSR_EFER || msr === MSR_TSC) return machine.readMsr(arch);
  switch (msr) {
    case APIC_BASE:
      return answer(vcpu, APIC_ENABLED | (vcpu.id === 0 ? APIC_BSP : 0), 0);
    case PAT:
      return answer(vcpu, PAT_LO, PAT_HI);
    case MISC_ENABLE:
      return answer(vcpu, 1, 0);
  }
  // Early code probes MSRs before it can take a #GP: until then a missing one reads as zero.
  if (vcpu.traps.has(VECTOR_GP) || (msr >= XEN_FIRST && msr <= XEN_LAST)) return false;
  return answer(vcpu, 0, 0);
};

/** Fill a writable frame of the guest's; there is only page 0. */
const installHypercallPage = (
  xen: Hypervisor,
  vcpu: XenVcpu,
  mfn: number,
  page: number,
): boolean => {
  const { frames, machine } = xen;
  if (page !== 0 || !frames.belongs(mfn, vcpu.domain.id)) return false;
  if (frames.getType(mfn, vcpu.domain, TYPE_WRITABLE) !== 0) return false;
  writeHypercallPage(machine.memory, mfn);
  frames.markUsed(mfn);
  frames.putType(mfn);
  return true;
};

/** WRMSR of a PV guest. @returns false for #GP */
export const writeMsr = (xen: Hypervisor, vcpu: XenVcpu): boolean => {
  const { arch } = vcpu;
  const msr = arch.lo(RCX << 3);
  const lo = arch.lo(RAX << 3);
  const hi = arch.lo(RDX << 3);
  if (OWN.includes(msr)) return machine.writeMsr(arch);
  if (msr === MSR_EFER) return lo === arch.lo(EFER) && hi === 0;
  if (msr === HYPERCALL_MSR) return installHypercallPage(xen, vcpu, pteFrame(lo, hi), lo & 0xfff);
  return msr === MISC_ENABLE;
};
