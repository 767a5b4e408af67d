/**
 * MSRs of a PV guest: a few are its own, a few read as constants, the rest do not exist for it.
 * @source SDM vol. 4; arch-x86/cpuid.h
 */
import { VECTOR_GP } from '../machine/exit.ts';
import { isCanonical } from '../machine/pte.ts';
import { EFER, FS_BASE, GS_BASE, KERNEL_GS_BASE, RAX, RCX, RDX } from '../machine/vcpu.ts';
import type { XenVcpu } from './xen-vcpu.ts';

const TSC = 0x10;
const APIC_BASE = 0x1b;
const MISC_ENABLE = 0x1a0;
const PAT = 0x277;
const EFER_MSR = 0xc0000080;
const BASES = new Map([
  [0xc0000100, FS_BASE],
  [0xc0000101, GS_BASE],
  [0xc0000102, KERNEL_GS_BASE],
]);
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
  const base = BASES.get(msr);
  if (base !== undefined) return answer(vcpu, arch.lo(base), arch.hi(base));
  switch (msr) {
    case EFER_MSR:
      return answer(vcpu, arch.lo(EFER), 0);
    case TSC:
      return answer(vcpu, arch.pcpu.now >>> 0, Math.floor(arch.pcpu.now / 2 ** 32));
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

/** WRMSR of a PV guest. @returns false for #GP */
export const writeMsr = (vcpu: XenVcpu): boolean => {
  const { arch } = vcpu;
  const msr = arch.lo(RCX << 3);
  const lo = arch.lo(RAX << 3);
  const hi = arch.lo(RDX << 3);
  const base = BASES.get(msr);
  if (base !== undefined) {
    if (!isCanonical((hi | 0) * 2 ** 32 + lo)) return false;
    arch.setHalves(base, lo, hi);
    return true;
  }
  if (msr === EFER_MSR) return lo === arch.lo(EFER) && hi === 0;
  return msr === MISC_ENABLE;
};
