/**
 * CPUID of the modelled processor: long mode, SSE2, NX, SYSCALL, CMPXCHG16B, VMX, and nothing that the machine lacks.
 * A hypervisor filters these answers for its guests.
 * @source SDM vol. 2A, CPUID
 */
import type { CpuidResult } from './cpu.ts';
import { RAX, RBX, RCX, RDX, type Vcpu } from './vcpu.ts';

const MAX_BASIC = 0x16;
const MAX_EXTENDED = 0x80000008;

/** Family 6, model 85, stepping 4. */
const SIGNATURE = 0x00050654;
const CLFLUSH_LINE = 8 << 8; // in units of 8 bytes
const ONE_LOGICAL_PROCESSOR = 1 << 16;

/** Leaf 1. */
export const CPUID_1_ECX_VMX = 1 << 5;
export const CPUID_1_ECX_CX16 = 1 << 13;
export const CPUID_1_ECX_HYPERVISOR = 0x80000000;
const FPU = 1 << 0;
const TSC = 1 << 4;
const MSR = 1 << 5;
const PAE = 1 << 6;
const CX8 = 1 << 8;
const PGE = 1 << 13;
const CMOV = 1 << 15;
const CLFSH = 1 << 19;
const MMX = 1 << 23;
const FXSR = 1 << 24;
const SSE = 1 << 25;
const SSE2 = 1 << 26;

/** Leaf 0x80000001. */
const LAHF_LM = 1 << 0;
const PREFETCHW = 1 << 8;
const SYSCALL = 1 << 11;
const NX = 1 << 20;
const RDTSCP = 1 << 27;
const LM = 1 << 29;

const INVARIANT_TSC = 1 << 8;
const PHYSICAL_BITS = 40;
const LINEAR_BITS = 48;

const BRAND = 'Hospes x86-64 processor';
const ZERO: CpuidResult = { eax: 0, ebx: 0, ecx: 0, edx: 0 };

const CRYSTAL_HZ = 1_000_000;

/**
 * What CPUID answers for `leaf` on a processor of `mhz`; no modelled leaf has subleaves. A leaf beyond the last reads as the
 * last basic one; one within the range that is not modelled as zero, which ends a C library's search for caches.
 */
export const hostCpuid = (leaf: number, mhz: number): CpuidResult => {
  switch (leaf >>> 0) {
    case 0:
      return { eax: MAX_BASIC, ...letters('Genu', 'ntel', 'ineI') };
    case 1:
      return {
        eax: SIGNATURE,
        ebx: CLFLUSH_LINE | ONE_LOGICAL_PROCESSOR,
        ecx: CPUID_1_ECX_VMX | CPUID_1_ECX_CX16,
        edx: FPU | TSC | MSR | PAE | CX8 | PGE | CMOV | CLFSH | MMX | FXSR | SSE | SSE2,
      };
    case 0x15: // TSC frequency = crystal * EBX / EAX
      return { eax: 1, ebx: mhz, ecx: CRYSTAL_HZ, edx: 0 };
    case 0x16:
      return { ...ZERO, eax: mhz };
    case 0x80000000:
      return { ...ZERO, eax: MAX_EXTENDED };
    case 0x80000001:
      return { ...ZERO, ecx: LAHF_LM | PREFETCHW, edx: SYSCALL | NX | RDTSCP | LM };
    case 0x80000002:
    case 0x80000003:
    case 0x80000004:
      return brand(((leaf >>> 0) - 0x80000002) * 16);
    case 0x80000005:
    case 0x80000006:
      return { ...ZERO };
    case 0x80000007:
      return { ...ZERO, edx: INVARIANT_TSC };
    case 0x80000008:
      return { ...ZERO, eax: PHYSICAL_BITS | (LINEAR_BITS << 8) };
    default:
      return leaf >>> 0 < MAX_BASIC ? ZERO : hostCpuid(MAX_BASIC, mhz);
  }
};

/** Put an answer where CPUID does. */
export const setCpuid = (vcpu: Vcpu, { eax, ebx, ecx, edx }: CpuidResult): void => {
  vcpu.setHalves(RAX << 3, eax, 0);
  vcpu.setHalves(RBX << 3, ebx, 0);
  vcpu.setHalves(RCX << 3, ecx, 0);
  vcpu.setHalves(RDX << 3, edx, 0);
};

const letters = (ebx: string, ecx: string, edx: string): Omit<CpuidResult, 'eax'> => ({
  ebx: packed(ebx),
  ecx: packed(ecx),
  edx: packed(edx),
});

const brand = (from: number): CpuidResult => {
  const part = BRAND.slice(from, from + 16).padEnd(16, '\0');
  return {
    eax: packed(part.slice(0, 4)),
    ...letters(part.slice(4, 8), part.slice(8, 12), part.slice(12)),
  };
};

/** Four characters as a register holds them. */
const packed = (four: string): number => {
  let value = 0;
  for (let at = 3; at >= 0; at--) value = value * 256 + four.charCodeAt(at);
  return value;
};
