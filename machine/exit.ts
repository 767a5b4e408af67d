/**
 * Why control left the guest, and with what. One numbering for both kinds of guest: where VMX has a
 * basic exit reason we use its number (SDM vol. 3, appendix C); SYSCALL, which no VMCS reports, has ours.
 * Details lie in the vCPU block's EXIT_A..D; results are written to the guest's registers. RIP is at the instruction; whoever
 * does it instead calls `vcpu.retire()`.
 */

/** A: vector; B: error code (or 0); C: address of a #PF; D: OP_* of a privileged instruction (#GP), C its operand; else 0. */
export const EXIT_EXCEPTION = 0;
export const EXIT_EXTERNAL_INTERRUPT = 1;
export const EXIT_TRIPLE_FAULT = 2;
export const EXIT_INTERRUPT_WINDOW = 7;
/** Leaf in RAX, subleaf in RCX; the answer goes to RAX, RBX, RCX, RDX. */
export const EXIT_CPUID = 10;
export const EXIT_HLT = 12;
/** A: address. */
export const EXIT_INVLPG = 14;
export const EXIT_RDTSC = 16;
export const EXIT_VMCALL = 18;
/** A: CR number; B: 0 write, 1 read; C: the value written. */
export const EXIT_CR_ACCESS = 28;
/** A: the access, as in io-access.ts. */
export const EXIT_IO_INSTRUCTION = 30;
/** MSR number in RCX; value in EDX:EAX. */
export const EXIT_RDMSR = 31;
export const EXIT_WRMSR = 32;
/** A: guest-physical address; B: qualification (bit 0 read, 1 write, 2 fetch, 3-5 what the entry allows); C: guest VA. */
export const EXIT_EPT_VIOLATION = 48;
export const EXIT_EPT_MISCONFIG = 49;
/** SYSCALL executed where EFER.SCE routes it to a hypervisor (PV): number in RAX, arguments RDI RSI RDX R10 R8 R9. RIP is past it. */
export const EXIT_SYSCALL = 256;
/** SYSENTER where the processor's entry is a hypervisor's. */
export const EXIT_SYSENTER = 257;

const NAMES = new Map<number, string>([
  [EXIT_EXCEPTION, 'exception'],
  [EXIT_EXTERNAL_INTERRUPT, 'external interrupt'],
  [EXIT_TRIPLE_FAULT, 'triple fault'],
  [EXIT_INTERRUPT_WINDOW, 'interrupt window'],
  [EXIT_CPUID, 'CPUID'],
  [EXIT_HLT, 'HLT'],
  [EXIT_INVLPG, 'INVLPG'],
  [EXIT_RDTSC, 'RDTSC'],
  [EXIT_VMCALL, 'VMCALL'],
  [EXIT_CR_ACCESS, 'CR access'],
  [EXIT_IO_INSTRUCTION, 'I/O instruction'],
  [EXIT_RDMSR, 'RDMSR'],
  [EXIT_WRMSR, 'WRMSR'],
  [EXIT_EPT_VIOLATION, 'EPT violation'],
  [EXIT_EPT_MISCONFIG, 'EPT misconfiguration'],
  [EXIT_SYSCALL, 'SYSCALL'],
  [EXIT_SYSENTER, 'SYSENTER'],
]);

export const exitName = (reason: number): string => NAMES.get(reason) ?? `reason ${reason}`;

/** Bits of the vCPU block's CONTROLS: which instructions leave the guest although its CPL allows them. */
export const CONTROL_HLT = 1;
export const CONTROL_IO = 2;
export const CONTROL_CPUID = 4;
export const CONTROL_RDTSC = 8;
export const CONTROL_CR3_LOAD = 16;
export const CONTROL_INVLPG = 32;
export const CONTROL_MSR = 64;
/** SYSCALL and SYSENTER go to the hypervisor, not to where the guest's MSRs say (a PV guest: they are the hypervisor's). */
export const CONTROL_SYSCALL = 128;
/** VMCALL is an instruction here (VMX non-root), not #UD. */
export const CONTROL_VMCALL = 256;

/** Privileged instruction behind a #GP exit (EXIT_D). EXIT_C has its operand: the general register of a MOV; of MOV DR the
 *  debug register, too, from bit 4 on; of I/O the access, as in io-access.ts. TypeScript code moves to and from RAX, and has the
 *  address for INVLPG, LIDT, LGDT in RAX, the limit in RDX. */
export const OP_MOV_TO_CR0 = 1;
export const OP_MOV_TO_CR2 = 2;
export const OP_MOV_TO_CR3 = 3;
export const OP_MOV_TO_CR4 = 4;
export const OP_MOV_FROM_CR0 = 5;
export const OP_MOV_FROM_CR2 = 6;
export const OP_MOV_FROM_CR3 = 7;
export const OP_MOV_FROM_CR4 = 8;
export const OP_HLT = 9;
export const OP_CLI = 10;
export const OP_STI = 11;
export const OP_INVLPG = 12;
export const OP_LIDT = 13;
export const OP_LGDT = 14;
export const OP_LTR = 15;
export const OP_RDMSR = 16;
export const OP_WRMSR = 17;
export const OP_IN = 18;
export const OP_OUT = 19;
export const OP_INS = 20;
export const OP_OUTS = 21;
export const OP_MOV_TO_CR8 = 22;
export const OP_MOV_FROM_CR8 = 23;
export const OP_MOV_TO_DR = 24;
export const OP_MOV_FROM_DR = 25;
export const OP_CLTS = 26;
export const OP_LMSW = 27;
export const OP_LLDT = 28;
export const OP_SWAPGS = 29;
export const OP_SYSRET = 30;
export const OP_INVD = 31;
export const OP_WBINVD = 32;

const OP_NAMES = [
  'none',
  'MOV to CR0',
  'MOV to CR2',
  'MOV to CR3',
  'MOV to CR4',
  'MOV from CR0',
  'MOV from CR2',
  'MOV from CR3',
  'MOV from CR4',
  'HLT',
  'CLI',
  'STI',
  'INVLPG',
  'LIDT',
  'LGDT',
  'LTR',
  'RDMSR',
  'WRMSR',
  'IN',
  'OUT',
  'INS',
  'OUTS',
  'MOV to CR8',
  'MOV from CR8',
  'MOV to DR',
  'MOV from DR',
  'CLTS',
  'LMSW',
  'LLDT',
  'SWAPGS',
  'SYSRET',
  'INVD',
  'WBINVD',
];
/** Above every OP_*. */
export const OPS = OP_NAMES.length;

export const opName = (op: number): string => OP_NAMES[op] ?? `op ${op}`;

/** Exception vectors. */
export const VECTOR_DE = 0;
export const VECTOR_DB = 1;
export const VECTOR_NMI = 2;
export const VECTOR_BP = 3;
export const VECTOR_OF = 4;
export const VECTOR_BR = 5;
export const VECTOR_UD = 6;
export const VECTOR_NM = 7;
export const VECTOR_DF = 8;
export const VECTOR_TS = 10;
export const VECTOR_NP = 11;
export const VECTOR_SS = 12;
export const VECTOR_GP = 13;
export const VECTOR_PF = 14;
export const VECTOR_MF = 16;
export const VECTOR_AC = 17;
export const VECTOR_XM = 19;

const VECTOR_NAMES = new Map([
  [VECTOR_DE, '#DE'],
  [VECTOR_DB, '#DB'],
  [VECTOR_NMI, 'NMI'],
  [VECTOR_BP, '#BP'],
  [VECTOR_OF, '#OF'],
  [VECTOR_BR, '#BR'],
  [VECTOR_UD, '#UD'],
  [VECTOR_NM, '#NM'],
  [VECTOR_DF, '#DF'],
  [VECTOR_TS, '#TS'],
  [VECTOR_NP, '#NP'],
  [VECTOR_SS, '#SS'],
  [VECTOR_GP, '#GP'],
  [VECTOR_PF, '#PF'],
  [VECTOR_MF, '#MF'],
  [VECTOR_AC, '#AC'],
  [VECTOR_XM, '#XM'],
]);

export const vectorName = (vector: number): string =>
  VECTOR_NAMES.get(vector) ?? `vector ${vector}`;
/** Vectors for which the processor pushes an error code (SDM vol. 3, 6.13). */
export const hasErrorCode = (vector: number): boolean =>
  vector === 8 || (vector >= 10 && vector <= 14) || vector === 17;
