/**
 * VMCS field encodings by their SDM names, and the bits of the controls and interruption fields that this machine knows.
 * An encoding tells its own width (bits 14-13: 16, 64, 32 bits, natural), type (bits 11-10) and index (bits 9-1).
 * @source SDM vol. 3, appendix B and chapter 25
 */

export const VIRTUAL_PROCESSOR_IDENTIFIER = 0x0000;

export const GUEST_ES_SELECTOR = 0x0800;
export const GUEST_CS_SELECTOR = 0x0802;
export const GUEST_SS_SELECTOR = 0x0804;
export const GUEST_DS_SELECTOR = 0x0806;
export const GUEST_FS_SELECTOR = 0x0808;
export const GUEST_GS_SELECTOR = 0x080a;

export const HOST_CS_SELECTOR = 0x0c02;
export const HOST_SS_SELECTOR = 0x0c04;
export const HOST_TR_SELECTOR = 0x0c0c;

export const EPT_POINTER = 0x201a;
export const GUEST_PHYSICAL_ADDRESS = 0x2400;
export const VMCS_LINK_POINTER = 0x2800;
export const GUEST_IA32_EFER = 0x2806;
export const HOST_IA32_EFER = 0x2c02;

export const PIN_BASED_VM_EXEC_CONTROL = 0x4000;
export const CPU_BASED_VM_EXEC_CONTROL = 0x4002;
export const EXCEPTION_BITMAP_FIELD = 0x4004;
export const VM_EXIT_CONTROLS = 0x400c;
export const VM_ENTRY_CONTROLS = 0x4012;
export const VM_ENTRY_INTR_INFO = 0x4016;
export const VM_ENTRY_EXCEPTION_ERROR_CODE = 0x4018;
export const VM_ENTRY_INSTRUCTION_LEN = 0x401a;
export const SECONDARY_VM_EXEC_CONTROL = 0x401e;

export const VM_INSTRUCTION_ERROR = 0x4400;
export const VM_EXIT_REASON = 0x4402;
export const VM_EXIT_INTR_INFO = 0x4404;
export const VM_EXIT_INTR_ERROR_CODE = 0x4406;
export const IDT_VECTORING_INFO = 0x4408;
export const VM_EXIT_INSTRUCTION_LEN = 0x440c;

export const GUEST_GDTR_LIMIT = 0x4810;
export const GUEST_IDTR_LIMIT = 0x4812;
export const GUEST_CS_AR_BYTES = 0x4816;
export const GUEST_SS_AR_BYTES = 0x4818;
export const GUEST_INTERRUPTIBILITY_INFO = 0x4824;
export const GUEST_ACTIVITY_STATE = 0x4826;

export const CR0_GUEST_HOST_MASK = 0x6000;
export const CR4_GUEST_HOST_MASK = 0x6002;
export const CR0_READ_SHADOW = 0x6004;
export const CR4_READ_SHADOW = 0x6006;

export const EXIT_QUALIFICATION = 0x6400;
export const GUEST_LINEAR_ADDRESS = 0x640a;

export const GUEST_CR0 = 0x6800;
export const GUEST_CR3 = 0x6802;
export const GUEST_CR4 = 0x6804;
export const GUEST_FS_BASE = 0x680e;
export const GUEST_GS_BASE = 0x6810;
export const GUEST_TR_BASE = 0x6814;
export const GUEST_GDTR_BASE = 0x6816;
export const GUEST_IDTR_BASE = 0x6818;
export const GUEST_DR7 = 0x681a;
export const GUEST_RSP = 0x681c;
export const GUEST_RIP = 0x681e;
export const GUEST_RFLAGS = 0x6820;

export const HOST_CR0 = 0x6c00;
export const HOST_CR3 = 0x6c02;
export const HOST_CR4 = 0x6c04;
export const HOST_RSP = 0x6c14;
export const HOST_RIP = 0x6c16;

/** Primary processor-based controls. */
export const CPU_BASED_HLT_EXITING = 1 << 7;
export const CPU_BASED_INVLPG_EXITING = 1 << 9;
export const CPU_BASED_RDTSC_EXITING = 1 << 12;
export const CPU_BASED_CR3_LOAD_EXITING = 1 << 15;
export const CPU_BASED_UNCOND_IO_EXITING = 1 << 24;
/** Set: with the all-zero bitmap of this machine, no MSR access exits. Clear: every one does. */
export const CPU_BASED_USE_MSR_BITMAPS = 1 << 28;
export const CPU_BASED_ACTIVATE_SECONDARY = 0x80000000;
/** Secondary ones. */
export const SECONDARY_ENABLE_EPT = 1 << 1;
export const SECONDARY_ENABLE_VPID = 1 << 5;
/** Pin-based: an external interrupt leaves the guest. */
export const PIN_BASED_EXT_INTR_EXITING = 1 << 0;
export const VM_ENTRY_IA32E_MODE = 1 << 9;

/** Interruption information, for entry and exit alike (SDM 25.8.3, 25.9.2). */
export const INTR_INFO_VALID = 0x80000000;
export const INTR_INFO_ERROR_CODE = 1 << 11;
export const INTR_TYPE_EXTERNAL = 0 << 8;
export const INTR_TYPE_NMI = 2 << 8;
export const INTR_TYPE_HARDWARE_EXCEPTION = 3 << 8;
export const INTR_TYPE_SOFTWARE_INTERRUPT = 4 << 8;
export const INTR_TYPE_SOFTWARE_EXCEPTION = 6 << 8;
export const INTR_TYPE_MASK = 7 << 8;

/** Basic exit reason of a VM entry that found invalid guest state; bit 31 of the reason marks such a failure. */
export const EXIT_INVALID_GUEST_STATE = 33;
export const VM_ENTRY_FAILURE = 0x80000000;

/** VM-instruction errors (SDM 31.4). */
export const VMERR_ENTRY_INVALID_CONTROL = 7;
