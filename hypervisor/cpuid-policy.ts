/**
 * CPUID as guests see it: the processor's answers without what a guest of that kind cannot have,
 * and the leaves by which a guest knows that Xen is below.
 * @source arch-x86/cpuid.h
 */
import type { CpuidResult } from '../machine/cpu.ts';
import { CPUID_1_ECX_HYPERVISOR, CPUID_1_ECX_VMX, hostCpuid } from '../machine/cpuid.ts';
import type { XenVcpu } from './xen-vcpu.ts';
import { XEN_MAJOR, XEN_MINOR } from './xen-version.ts';

const FIRST_LEAF = 0x40000000;
const LAST_LEAF = 0x40000005;
/** "XenVMMXenVMM". */
const SIGNATURE: CpuidResult = {
  eax: LAST_LEAF,
  ebx: 0x566e6558,
  ecx: 0x65584d4d,
  edx: 0x4d4d566e,
};
const HYPERCALL_PAGES = 1;
export const HYPERCALL_MSR = 0x40000000;
const FEATURE_PRESERVE_AD = 1;
const HVM_VCPU_ID_PRESENT = 8;
const HVM_DOMID_PRESENT = 16;
const MACHINE_ADDRESS_BITS = 40;

/** Leaf 1 EDX: page-size extensions, virtual-8086 extensions, MTRRs, global pages, PSE36. */
const PV_HIDDEN_EDX = (1 << 3) | (1 << 1) | (1 << 12) | (1 << 13) | (1 << 17);

const NONE: CpuidResult = { eax: 0, ebx: 0, ecx: 0, edx: 0 };

/** What CPUID gives to `vcpu` on a processor of `mhz`. */
export const guestCpuid = (vcpu: XenVcpu, leaf: number, mhz: number): CpuidResult => {
  if (leaf >= FIRST_LEAF && leaf < FIRST_LEAF + 0x100) return xenLeaf(vcpu, leaf);
  const answer = hostCpuid(leaf, mhz);
  if (leaf !== 1) return answer;
  const pv = vcpu.domain.kind === 'pv';
  return {
    ...answer,
    ecx: ((answer.ecx & ~CPUID_1_ECX_VMX) | CPUID_1_ECX_HYPERVISOR) >>> 0,
    edx: (pv ? answer.edx & ~PV_HIDDEN_EDX : answer.edx) >>> 0,
  };
};

const xenLeaf = (vcpu: XenVcpu, leaf: number): CpuidResult => {
  const pv = vcpu.domain.kind === 'pv';
  switch (leaf - FIRST_LEAF) {
    case 0:
      return SIGNATURE;
    case 1:
      return { ...NONE, eax: (XEN_MAJOR << 16) | XEN_MINOR };
    case 2:
      return {
        ...NONE,
        eax: HYPERCALL_PAGES,
        ebx: HYPERCALL_MSR,
        ecx: pv ? FEATURE_PRESERVE_AD : 0,
      };
    case 4:
      if (pv) return NONE;
      return {
        eax: HVM_VCPU_ID_PRESENT | HVM_DOMID_PRESENT,
        ebx: vcpu.id,
        ecx: vcpu.domain.id,
        edx: 0,
      };
    case 5:
      return pv ? { ...NONE, ebx: MACHINE_ADDRESS_BITS } : NONE;
    default:
      return NONE;
  }
};
