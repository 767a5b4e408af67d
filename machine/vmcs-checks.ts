/**
 * What a VM entry checks: the controls first (the VM-entry instruction fails), then the guest state (the entry fails
 * like an exit, reason 33). Each check returns the rule that was broken.
 * @source SDM vol. 3, 27.2.1 and 27.3.1
 */
import { hasErrorCode } from './exit.ts';
import { RFLAGS_IF } from './vcpu.ts';
import * as field from './vmcs-fields.ts';
import type { Vmcs } from './vmcs-region.ts';

const PHYSICAL_LIMIT = 2 ** 40;
const CANONICAL = 2 ** 47;

const CR0_PE = 1;
const CR0_NW = 1 << 29;
const CR0_CD = 1 << 30;
const CR0_PG = 0x80000000;
const CR4_PAE = 1 << 5;
const EFER_LME = 1 << 8;
const EFER_LMA = 1 << 10;
const EFER_DEFINED = 0xd01;
const RFLAGS_VM = 1 << 17;
const RFLAGS_RESERVED = 0xffc08028;
const RFLAGS_ONE = 2;

const AR_TYPE = 0xf;
const AR_CODE = 0x9;
const AR_S = 1 << 4;
const AR_PRESENT = 1 << 7;
const AR_L = 1 << 13;
const AR_DB = 1 << 14;
const AR_UNUSABLE = 1 << 16;

const BLOCKING_BY_STI = 1;
const BLOCKING_BY_MOV_SS = 2;
const INTERRUPTIBILITY_DEFINED = 0x1f;
const MAX_ACTIVITY_STATE = 3;

const CPU_BASED_KNOWN =
  field.CPU_BASED_HLT_EXITING |
  field.CPU_BASED_INVLPG_EXITING |
  field.CPU_BASED_RDTSC_EXITING |
  field.CPU_BASED_CR3_LOAD_EXITING |
  field.CPU_BASED_UNCOND_IO_EXITING |
  field.CPU_BASED_USE_MSR_BITMAPS |
  field.CPU_BASED_ACTIVATE_SECONDARY;
const SECONDARY_KNOWN = field.SECONDARY_ENABLE_EPT | field.SECONDARY_ENABLE_VPID;

/** The rule that the controls break, or undefined. */
export const controlProblem = (vmcs: Vmcs): string | undefined => {
  const cpuBased = vmcs.read(field.CPU_BASED_VM_EXEC_CONTROL);
  if ((cpuBased & ~CPU_BASED_KNOWN) !== 0)
    return 'CPU_BASED_VM_EXEC_CONTROL sets a control that does not exist';
  const secondary = vmcs.read(field.SECONDARY_VM_EXEC_CONTROL);
  if ((cpuBased & field.CPU_BASED_ACTIVATE_SECONDARY) !== 0) {
    if ((secondary & ~SECONDARY_KNOWN) !== 0)
      return 'SECONDARY_VM_EXEC_CONTROL sets a control that does not exist';
    const vpid = (secondary & field.SECONDARY_ENABLE_VPID) !== 0;
    if (vpid && vmcs.read(field.VIRTUAL_PROCESSOR_IDENTIFIER) === 0)
      return 'VPID is enabled and zero';
    if (
      (secondary & field.SECONDARY_ENABLE_EPT) !== 0 &&
      !eptPointerValid(vmcs.read(field.EPT_POINTER))
    ) {
      return 'EPT_POINTER is not a write-back table of four levels';
    }
  }
  return injectionProblem(vmcs);
};

/** The rule that the guest state breaks, or undefined. */
export const guestStateProblem = (vmcs: Vmcs): string | undefined =>
  registerProblem(vmcs) ?? segmentProblem(vmcs) ?? activityProblem(vmcs);

const eptPointerValid = (pointer: number): boolean =>
  pointer > 0 && pointer < PHYSICAL_LIMIT && (pointer & 0x3f) === 0x1e && (pointer & 0xf80) === 0;

const injectionProblem = (vmcs: Vmcs): string | undefined => {
  const info = vmcs.read(field.VM_ENTRY_INTR_INFO);
  if ((info & field.INTR_INFO_VALID) === 0) return undefined;
  const type = info & field.INTR_TYPE_MASK;
  const vector = info & 0xff;
  const exception = type === field.INTR_TYPE_HARDWARE_EXCEPTION;
  if (type === 1 << 8 || type === field.INTR_TYPE_MASK)
    return 'VM_ENTRY_INTR_INFO has a reserved type';
  if (type === field.INTR_TYPE_NMI && vector !== 2)
    return 'VM_ENTRY_INTR_INFO: an NMI has vector 2';
  if (exception && vector > 31)
    return 'VM_ENTRY_INTR_INFO: a hardware exception has a vector up to 31';
  const error = (info & field.INTR_INFO_ERROR_CODE) !== 0;
  if (error !== (exception && hasErrorCode(vector))) {
    return 'VM_ENTRY_INTR_INFO: the error code does not fit the vector';
  }
  return (info & 0x7ffff000) === 0 ? undefined : 'VM_ENTRY_INTR_INFO sets reserved bits';
};

const canonical = (address: number): boolean => address >= -CANONICAL && address < CANONICAL;

const registerProblem = (vmcs: Vmcs): string | undefined => {
  const cr0 = vmcs.read(field.GUEST_CR0);
  const cr3 = vmcs.read(field.GUEST_CR3);
  const efer = vmcs.read(field.GUEST_IA32_EFER);
  const rflags = vmcs.read(field.GUEST_RFLAGS);
  const paging = (cr0 & CR0_PG) !== 0;
  const longMode = (vmcs.read(field.VM_ENTRY_CONTROLS) & field.VM_ENTRY_IA32E_MODE) !== 0;
  if (cr0 < 0 || cr0 > 0xffffffff) return 'GUEST_CR0 sets reserved bits';
  if (paging && (cr0 & CR0_PE) === 0) return 'GUEST_CR0 has PG without PE';
  if ((cr0 & CR0_NW) !== 0 && (cr0 & CR0_CD) === 0) return 'GUEST_CR0 has NW without CD';
  if (longMode && !(paging && (vmcs.read(field.GUEST_CR4) & CR4_PAE) !== 0)) {
    return 'IA-32e mode without paging and PAE';
  }
  if (cr3 < 0 || cr3 >= PHYSICAL_LIMIT) return 'GUEST_CR3 exceeds the physical-address width';
  if (efer < 0 || efer > 0xffffffff || (efer & ~EFER_DEFINED) !== 0)
    return 'GUEST_IA32_EFER sets reserved bits';
  if (((efer & EFER_LMA) !== 0) !== longMode)
    return 'GUEST_IA32_EFER.LMA differs from the IA-32e control';
  if (paging && ((efer & EFER_LME) !== 0) !== longMode)
    return 'GUEST_IA32_EFER.LME differs from LMA';
  if (
    rflags < 0 ||
    rflags > 0xffffffff ||
    (rflags & RFLAGS_RESERVED) !== 0 ||
    (rflags & RFLAGS_ONE) === 0
  ) {
    return 'GUEST_RFLAGS sets reserved bits, or clears bit 1';
  }
  if (longMode && (rflags & RFLAGS_VM) !== 0) return 'GUEST_RFLAGS.VM in IA-32e mode';
  return canonical(vmcs.read(field.GUEST_RIP)) ? undefined : 'GUEST_RIP is not canonical';
};

const segmentProblem = (vmcs: Vmcs): string | undefined => {
  for (const [name, encoding] of BASES) {
    if (!canonical(vmcs.read(encoding))) return `${name} is not canonical`;
  }
  if (vmcs.read(field.GUEST_GDTR_LIMIT) > 0xffff) return 'GUEST_GDTR_LIMIT exceeds 16 bits';
  if (vmcs.read(field.GUEST_IDTR_LIMIT) > 0xffff) return 'GUEST_IDTR_LIMIT exceeds 16 bits';
  const code = vmcs.read(field.GUEST_CS_AR_BYTES);
  if ((code & (AR_S | AR_PRESENT)) !== (AR_S | AR_PRESENT) || (code & AR_UNUSABLE) !== 0) {
    return 'GUEST_CS_AR_BYTES is not a present segment';
  }
  if ((code & AR_CODE) !== AR_CODE) return 'GUEST_CS_AR_BYTES is not accessed code';
  if ((code & (AR_L | AR_DB)) === (AR_L | AR_DB)) return 'GUEST_CS_AR_BYTES has both L and D';
  const stack = vmcs.read(field.GUEST_SS_AR_BYTES);
  const conforming = (code & AR_TYPE) >= 0xc;
  if (!conforming && ((code ^ stack) & 0x60) !== 0) return 'CS and SS differ in DPL';
  return undefined;
};

const BASES: ReadonlyArray<readonly [string, number]> = [
  ['GUEST_FS_BASE', field.GUEST_FS_BASE],
  ['GUEST_GS_BASE', field.GUEST_GS_BASE],
  ['GUEST_TR_BASE', field.GUEST_TR_BASE],
  ['GUEST_GDTR_BASE', field.GUEST_GDTR_BASE],
  ['GUEST_IDTR_BASE', field.GUEST_IDTR_BASE],
];

const activityProblem = (vmcs: Vmcs): string | undefined => {
  const blocking = vmcs.read(field.GUEST_INTERRUPTIBILITY_INFO);
  const interrupts = (vmcs.read(field.GUEST_RFLAGS) & RFLAGS_IF) !== 0;
  const info = vmcs.read(field.VM_ENTRY_INTR_INFO);
  const external =
    (info & field.INTR_INFO_VALID) !== 0 &&
    (info & field.INTR_TYPE_MASK) === field.INTR_TYPE_EXTERNAL;
  const shadows = blocking & (BLOCKING_BY_STI | BLOCKING_BY_MOV_SS);
  if (vmcs.read(field.GUEST_ACTIVITY_STATE) > MAX_ACTIVITY_STATE)
    return 'GUEST_ACTIVITY_STATE does not exist';
  if ((blocking & ~INTERRUPTIBILITY_DEFINED) !== 0)
    return 'GUEST_INTERRUPTIBILITY_INFO sets reserved bits';
  if (shadows === (BLOCKING_BY_STI | BLOCKING_BY_MOV_SS))
    return 'blocking by STI and by MOV SS at once';
  if ((blocking & BLOCKING_BY_STI) !== 0 && !interrupts) return 'blocking by STI while IF is clear';
  if (external && !interrupts) return 'an external interrupt is injected while IF is clear';
  if (external && shadows !== 0)
    return 'an external interrupt is injected while interrupts are blocked';
  return vmcs.read(field.VMCS_LINK_POINTER) === -1
    ? undefined
    : 'VMCS_LINK_POINTER is not all ones';
};
