/**
 * The model-specific registers that the processor has: those that SYSCALL, segments and long mode need, and the TSC.
 * RDMSR and WRMSR as they execute, whoever decides that they do: number in ECX, value in EDX:EAX.
 * @source SDM vol. 4, table 2-2; vol. 3, 2.2.1 (IA32_EFER)
 */
import { isCanonical } from './pte.ts';
import {
  CSTAR,
  EFER,
  FMASK,
  FS_BASE,
  GS_BASE,
  KERNEL_GS_BASE,
  LSTAR,
  RAX,
  RCX,
  RDX,
  STAR,
  SYSENTER_CS,
  SYSENTER_EIP,
  SYSENTER_ESP,
  TSC_AUX,
  type Vcpu,
} from './vcpu.ts';

export const MSR_TSC = 0x10;
export const MSR_EFER = 0xc0000080;
export const MSR_FS_BASE = 0xc0000100;
export const MSR_GS_BASE = 0xc0000101;
export const MSR_KERNEL_GS_BASE = 0xc0000102;
export const MSR_TSC_AUX = 0xc0000103;

const FIELDS = new Map<number, number>([
  [0x174, SYSENTER_CS],
  [0x175, SYSENTER_ESP],
  [0x176, SYSENTER_EIP],
  [MSR_EFER, EFER],
  [0xc0000081, STAR],
  [0xc0000082, LSTAR],
  [0xc0000083, CSTAR],
  [0xc0000084, FMASK],
  [MSR_FS_BASE, FS_BASE],
  [MSR_GS_BASE, GS_BASE],
  [MSR_KERNEL_GS_BASE, KERNEL_GS_BASE],
  [MSR_TSC_AUX, TSC_AUX],
]);
const NOT_ADDRESSES: readonly number[] = [STAR, FMASK, SYSENTER_CS];
/** What RDTSC and RDMSR of the TSC give: the clock of the CPU. */
export const readTsc = (vcpu: Vcpu): void => {
  const { now } = vcpu.pcpu;
  vcpu.setHalves(RAX << 3, now >>> 0, 0);
  vcpu.setHalves(RDX << 3, Math.floor(now / 2 ** 32), 0);
};

/** EFER bits that may change while paging is on: SCE and NXE; LME and LMA stay set. */
const EFER_OWN = 0x801;
const EFER_FIXED = 0x500;

/** @returns false for #GP: there is no such MSR */
export const readMsr = (vcpu: Vcpu): boolean => {
  const msr = vcpu.lo(RCX << 3);
  const field = FIELDS.get(msr);
  if (field !== undefined) {
    vcpu.setHalves(RAX << 3, vcpu.lo(field), 0);
    vcpu.setHalves(RDX << 3, vcpu.hi(field), 0);
  } else if (msr === MSR_TSC) {
    readTsc(vcpu);
  }
  return field !== undefined || msr === MSR_TSC;
};

/** @returns false for #GP: no such MSR, or a value that it cannot have */
export const writeMsr = (vcpu: Vcpu): boolean => {
  const field = FIELDS.get(vcpu.lo(RCX << 3));
  const lo = vcpu.lo(RAX << 3);
  const hi = vcpu.lo(RDX << 3);
  if (field === undefined) return false;
  if (field === EFER) {
    if (hi !== 0 || (lo & ~EFER_OWN) !== EFER_FIXED) return false;
  } else if (field === TSC_AUX) {
    if (hi !== 0) return false;
  } else if (!NOT_ADDRESSES.includes(field) && !isCanonical((hi | 0) * 2 ** 32 + lo)) {
    return false;
  }
  vcpu.setHalves(field, lo, hi);
  return true;
};
