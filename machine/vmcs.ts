/**
 * VM entry and VM exit: guest state moves between the vCPU block and its VMCS, controls take effect, events are injected.
 * Host state is not loaded: what runs after an exit is the hypervisor's TypeScript.
 * @source SDM vol. 3, chapters 27 and 28
 */
import { deliver } from './exceptions.ts';
import * as exit from './exit.ts';
import type { Machine } from './machine.ts';
import type { Vcpu } from './vcpu.ts';
import * as block from './vcpu.ts';
import { controlProblem, guestStateProblem } from './vmcs-checks.ts';
import * as field from './vmcs-fields.ts';
import type { Vmcs } from './vmcs-region.ts';

export { Vmcs } from './vmcs-region.ts';

/** The guest state: field of the vCPU block, field of the VMCS. */
const GUEST_STATE: ReadonlyArray<readonly [number, number]> = [
  [block.ES, field.GUEST_ES_SELECTOR],
  [block.CS, field.GUEST_CS_SELECTOR],
  [block.SS, field.GUEST_SS_SELECTOR],
  [block.DS, field.GUEST_DS_SELECTOR],
  [block.FS, field.GUEST_FS_SELECTOR],
  [block.GS, field.GUEST_GS_SELECTOR],
  [block.EFER, field.GUEST_IA32_EFER],
  [block.GDTR_LIMIT, field.GUEST_GDTR_LIMIT],
  [block.IDTR_LIMIT, field.GUEST_IDTR_LIMIT],
  [block.CR0, field.GUEST_CR0],
  [block.CR3, field.GUEST_CR3],
  [block.CR4, field.GUEST_CR4],
  [block.FS_BASE, field.GUEST_FS_BASE],
  [block.GS_BASE, field.GUEST_GS_BASE],
  [block.TR_BASE, field.GUEST_TR_BASE],
  [block.GDTR_BASE, field.GUEST_GDTR_BASE],
  [block.IDTR_BASE, field.GUEST_IDTR_BASE],
  [block.DR0 + 7 * 8, field.GUEST_DR7],
  [block.RSP * 8, field.GUEST_RSP],
  [block.RIP, field.GUEST_RIP],
  [block.RFLAGS, field.GUEST_RFLAGS],
];

/** Access rights of flat code and flat data at DPL 0; what says that code is of 64 or of 32 bits. */
const CODE_RIGHTS = 0x809b;
const CODE_LONG = 0x2000;
const CODE_BIG = 0x4000;
const DATA_RIGHTS = 0xc093;
const DPL_SHIFT = 5;
const EFER_LMA = 1 << 10;

/** Which primary control makes which instruction leave; the last two of VMX need none. */
const EXITING: ReadonlyArray<readonly [number, number]> = [
  [field.CPU_BASED_HLT_EXITING, exit.CONTROL_HLT],
  [field.CPU_BASED_INVLPG_EXITING, exit.CONTROL_INVLPG],
  [field.CPU_BASED_RDTSC_EXITING, exit.CONTROL_RDTSC],
  [field.CPU_BASED_CR3_LOAD_EXITING, exit.CONTROL_CR3_LOAD],
  [field.CPU_BASED_UNCOND_IO_EXITING, exit.CONTROL_IO],
];
const ALWAYS_EXITING = exit.CONTROL_CPUID | exit.CONTROL_VMCALL;

const CR_ACCESS_READ = 1 << 4;
/** Those of an I/O access that the qualification has. */
const IO_QUALIFICATION = 0xffff003f;

/** Fill the guest-state area from the vCPU block: what a VM exit saves, and how a VMM prepares the first entry. */
export const saveGuestState = (vcpu: Vcpu, vmcs: Vmcs): void => {
  for (const [register, encoding] of GUEST_STATE) vmcs.write(encoding, vcpu.get(register));
  const size = vcpu.mode === 64 ? CODE_LONG : vcpu.mode === 32 ? CODE_BIG : 0;
  vmcs.write(field.GUEST_CS_AR_BYTES, CODE_RIGHTS | size | (vcpu.cpl << DPL_SHIFT));
  vmcs.write(field.GUEST_SS_AR_BYTES, DATA_RIGHTS | (vcpu.cpl << DPL_SHIFT));
  const entry = vmcs.read(field.VM_ENTRY_CONTROLS);
  const longMode = (vcpu.lo(block.EFER) & EFER_LMA) !== 0;
  vmcs.write(
    field.VM_ENTRY_CONTROLS,
    longMode ? entry | field.VM_ENTRY_IA32E_MODE : entry & ~field.VM_ENTRY_IA32E_MODE,
  );
};

/**
 * VMLAUNCH or VMRESUME: check, load the guest, inject the event of VM_ENTRY_INTR_INFO.
 * @returns true when the guest runs. False: invalid controls set VM_INSTRUCTION_ERROR; invalid guest state sets
 * VM_EXIT_REASON to 33 with bit 31, and nothing was loaded; a triple fault on injection is an exit already made.
 */
export const vmEntry = (machine: Machine, vcpu: Vcpu, vmcs: Vmcs): boolean => {
  vmcs.write(field.VM_INSTRUCTION_ERROR, 0);
  if (controlProblem(vmcs) !== undefined) {
    vmcs.write(field.VM_INSTRUCTION_ERROR, field.VMERR_ENTRY_INVALID_CONTROL);
    return false;
  }
  vcpu.pcpu.chargeMany(vmcs.cause(machine.causes), 0, machine.costs.vmEntry);
  if (guestStateProblem(vmcs) !== undefined) {
    vmcs.write(field.VM_EXIT_REASON, field.VM_ENTRY_FAILURE + field.EXIT_INVALID_GUEST_STATE);
    vmcs.write(field.EXIT_QUALIFICATION, 0);
    return false;
  }
  vmcs.launched = true;
  loadGuestState(vcpu, vmcs);
  loadControls(vcpu, vmcs);
  if (!tagged(machine, vmcs)) machine.mmu.flush(vcpu);
  return inject(machine, vcpu, vmcs);
};

/** The guest has left, and why is in its exit record: save it all in the VMCS, charged to the cause `exit NAME`. */
export const vmExit = (machine: Machine, vcpu: Vcpu, vmcs: Vmcs): void => {
  saveGuestState(vcpu, vmcs);
  vmcs.write(field.VM_EXIT_REASON, vcpu.lo(block.EXIT_REASON));
  vmcs.write(field.VM_EXIT_INTR_INFO, 0);
  vmcs.write(field.IDT_VECTORING_INFO, 0);
  vmcs.write(field.EXIT_QUALIFICATION, 0);
  saveExitInformation(vcpu, vmcs);
  vcpu.pcpu.charge(vmcs.cause(machine.causes), machine.costs.vmExit);
  if (!tagged(machine, vmcs)) machine.mmu.flush(vcpu);
};

/** TLB entries survive transitions: the processor has VPIDs and this VMCS uses one. */
const tagged = (machine: Machine, vmcs: Vmcs): boolean =>
  machine.preset.vpid && (secondaryControls(vmcs) & field.SECONDARY_ENABLE_VPID) !== 0;

const secondaryControls = (vmcs: Vmcs): number =>
  (vmcs.read(field.CPU_BASED_VM_EXEC_CONTROL) & field.CPU_BASED_ACTIVATE_SECONDARY) === 0
    ? 0
    : vmcs.read(field.SECONDARY_VM_EXEC_CONTROL);

const loadGuestState = (vcpu: Vcpu, vmcs: Vmcs): void => {
  for (const [register, encoding] of GUEST_STATE) vcpu.set(register, vmcs.read(encoding));
  const cpl = (vmcs.read(field.GUEST_SS_AR_BYTES) >> DPL_SHIFT) & 3;
  vcpu.cpl = cpl;
  const code = vmcs.read(field.GUEST_CS_AR_BYTES);
  vcpu.setCode(vcpu.get(block.CS), code & CODE_LONG ? 64 : code & CODE_BIG ? 32 : 16);
  vcpu.selectTlb(cpl === 3 ? 1 : 0);
};

const loadControls = (vcpu: Vcpu, vmcs: Vmcs): void => {
  const cpuBased = vmcs.read(field.CPU_BASED_VM_EXEC_CONTROL);
  let controls = ALWAYS_EXITING;
  for (const [control, exiting] of EXITING) {
    if ((cpuBased & control) !== 0) controls |= exiting;
  }
  if ((cpuBased & field.CPU_BASED_USE_MSR_BITMAPS) === 0) controls |= exit.CONTROL_MSR;
  vcpu.set(block.CONTROLS, controls);
  vcpu.set(block.EXCEPTION_BITMAP, vmcs.read(field.EXCEPTION_BITMAP_FIELD));
  const ept = (secondaryControls(vmcs) & field.SECONDARY_ENABLE_EPT) !== 0;
  vcpu.set(block.EPTP, ept ? Math.floor(vmcs.read(field.EPT_POINTER) / 4096) : 0);
};

const inject = (machine: Machine, vcpu: Vcpu, vmcs: Vmcs): boolean => {
  const info = vmcs.read(field.VM_ENTRY_INTR_INFO);
  if ((info & field.INTR_INFO_VALID) === 0) return true;
  vmcs.write(field.VM_ENTRY_INTR_INFO, info & ~field.INTR_INFO_VALID);
  const type = info & field.INTR_TYPE_MASK;
  const error =
    (info & field.INTR_INFO_ERROR_CODE) === 0 ? 0 : vmcs.read(field.VM_ENTRY_EXCEPTION_ERROR_CODE);
  // The gate's DPL is checked for what software raised, as for INT n.
  const software =
    type === field.INTR_TYPE_SOFTWARE_INTERRUPT || type === field.INTR_TYPE_SOFTWARE_EXCEPTION;
  // The VM-entry instruction length is that of what is injected: RIP is past it already.
  if (deliver(machine.mmu, vcpu, info & 0xff, error, software ? 0 : undefined)) return true;
  vmExit(machine, vcpu, vmcs);
  return false;
};

/** Qualification, addresses and interruption information, by exit reason (SDM 28.2). */
const saveExitInformation = (vcpu: Vcpu, vmcs: Vmcs): void => {
  const a = vcpu.get(block.EXIT_A);
  const b = vcpu.get(block.EXIT_B);
  const c = vcpu.get(block.EXIT_C);
  switch (vcpu.lo(block.EXIT_REASON)) {
    case exit.EXIT_EXCEPTION:
      saveException(vmcs, a, b, c);
      break;
    case exit.EXIT_INVLPG:
      vmcs.write(field.EXIT_QUALIFICATION, a);
      break;
    case exit.EXIT_CR_ACCESS:
      vmcs.write(field.EXIT_QUALIFICATION, a | (b === 1 ? CR_ACCESS_READ : 0));
      break;
    case exit.EXIT_IO_INSTRUCTION:
      vmcs.write(field.EXIT_QUALIFICATION, (a & IO_QUALIFICATION) >>> 0);
      break;
    case exit.EXIT_EPT_VIOLATION:
      vmcs.write(field.EXIT_QUALIFICATION, b);
      vmcs.write(field.GUEST_PHYSICAL_ADDRESS, a);
      vmcs.write(field.GUEST_LINEAR_ADDRESS, c);
      break;
    case exit.EXIT_EPT_MISCONFIG:
      vmcs.write(field.GUEST_PHYSICAL_ADDRESS, a);
      break;
  }
};

const saveException = (vmcs: Vmcs, vector: number, error: number, address: number): void => {
  const type =
    vector === exit.VECTOR_NMI
      ? field.INTR_TYPE_NMI
      : vector === exit.VECTOR_BP
        ? field.INTR_TYPE_SOFTWARE_EXCEPTION
        : field.INTR_TYPE_HARDWARE_EXCEPTION;
  const withError = exit.hasErrorCode(vector);
  vmcs.write(
    field.VM_EXIT_INTR_INFO,
    field.INTR_INFO_VALID | type | vector | (withError ? field.INTR_INFO_ERROR_CODE : 0),
  );
  if (withError) vmcs.write(field.VM_EXIT_INTR_ERROR_CODE, error);
  if (vector === exit.VECTOR_PF) vmcs.write(field.EXIT_QUALIFICATION, address);
};
