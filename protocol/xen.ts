/**
 * The heart of the interface: names of domains, virtual interrupts, page-table operations and the
 * structs that carry them. Shared pages and boot records have files of their own.
 * @source xen/xen.h, arch-x86/xen.h, arch-x86/xen-x86_64.h
 */
import {
  array,
  i64,
  i64n,
  out,
  struct,
  type TypeOf,
  u8,
  u16,
  u32,
  u64,
  u64n,
  union,
} from './layout.ts';
import { Domid, Mfn, Va } from './units.ts';

/** The newest interface that the headers describe. @source xen-compat.h:13 */
export const __XEN_LATEST_INTERFACE_VERSION__ = 0x00040e00;

// Domain ids that name no ordinary domain. @source xen.h:562
export const DOMID_FIRST_RESERVED = Domid(0x7ff0);
export const DOMID_SELF = Domid(0x7ff0);
export const DOMID_IO = Domid(0x7ff1);
export const DOMID_XEN = Domid(0x7ff2);
export const DOMID_COW = Domid(0x7ff3);
export const DOMID_INVALID = Domid(0x7ff4);
export const DOMID_IDLE = Domid(0x7fff);
export const DOMID_MASK = 0x7fff;

// Virtual interrupts: per vCPU (TIMER, DEBUG, XENOPROF, XENPMU) or global. @source xen.h:164
export const VIRQ_TIMER = 0;
export const VIRQ_DEBUG = 1;
export const VIRQ_CONSOLE = 2;
export const VIRQ_DOM_EXC = 3;
export const VIRQ_TBUF = 4;
export const VIRQ_DEBUGGER = 6;
export const VIRQ_XENOPROF = 7;
export const VIRQ_CON_RING = 8;
export const VIRQ_PCPU_STATE = 9;
export const VIRQ_MEM_EVENT = 10;
export const VIRQ_ARGO = 11;
export const VIRQ_ENOMEM = 12;
export const VIRQ_XENPMU = 13;
export const VIRQ_ARCH_0 = 16;
export const VIRQ_ARCH_1 = 17;
export const VIRQ_ARCH_2 = 18;
export const VIRQ_ARCH_3 = 19;
export const VIRQ_ARCH_4 = 20;
export const VIRQ_ARCH_5 = 21;
export const VIRQ_ARCH_6 = 22;
export const VIRQ_ARCH_7 = 23;
export const NR_VIRQS = 24;

// The command in the low two bits of mmu_update.ptr. @source xen.h:334
export const MMU_NORMAL_PT_UPDATE = 0;
export const MMU_MACHPHYS_UPDATE = 1;
export const MMU_PT_UPDATE_PRESERVE_AD = 2;
export const MMU_PT_UPDATE_NO_TRANSLATE = 3;

// mmuext_op.cmd. @source xen.h:405
export const MMUEXT_PIN_L1_TABLE = 0;
export const MMUEXT_PIN_L2_TABLE = 1;
export const MMUEXT_PIN_L3_TABLE = 2;
export const MMUEXT_PIN_L4_TABLE = 3;
export const MMUEXT_UNPIN_TABLE = 4;
export const MMUEXT_NEW_BASEPTR = 5;
export const MMUEXT_TLB_FLUSH_LOCAL = 6;
export const MMUEXT_INVLPG_LOCAL = 7;
export const MMUEXT_TLB_FLUSH_MULTI = 8;
export const MMUEXT_INVLPG_MULTI = 9;
export const MMUEXT_TLB_FLUSH_ALL = 10;
export const MMUEXT_INVLPG_ALL = 11;
export const MMUEXT_FLUSH_CACHE = 12;
export const MMUEXT_SET_LDT = 13;
export const MMUEXT_NEW_USER_BASEPTR = 15;
export const MMUEXT_CLEAR_PAGE = 16;
export const MMUEXT_COPY_PAGE = 17;
export const MMUEXT_FLUSH_CACHE_GLOBAL = 18;
export const MMUEXT_MARK_SUPER = 19;
export const MMUEXT_UNMARK_SUPER = 20;

// How update_va_mapping flushes; UVMF_MULTI and UVMF_ALL are or-ed in. @source xen.h:472
export const UVMF_NONE = 0;
export const UVMF_TLB_FLUSH = 1;
export const UVMF_INVLPG = 2;
export const UVMF_FLUSHTYPE_MASK = 3;
export const UVMF_MULTI = 0;
export const UVMF_LOCAL = 0;
export const UVMF_ALL = 4;

export const CONSOLEIO_write = 0;
export const CONSOLEIO_read = 1;

// vm_assist(cmd, type). @source xen.h:511
export const VMASST_CMD_enable = 0;
export const VMASST_CMD_disable = 1;
export const VMASST_TYPE_4gb_segments = 0;
export const VMASST_TYPE_4gb_segments_notify = 1;
export const VMASST_TYPE_writable_pagetables = 2;
export const VMASST_TYPE_pae_extended_cr3 = 3;
export const VMASST_TYPE_architectural_iopl = 4;
export const VMASST_TYPE_runstate_update_flag = 5;
export const VMASST_TYPE_m2p_strict = 32;

// Flat segments in the part of every GDT that belongs to Xen. @source xen-x86_64.h:29
export const FLAT_RING3_CS32 = 0xe023;
export const FLAT_RING3_CS64 = 0xe033;
export const FLAT_RING3_DS32 = 0xe02b;
export const FLAT_RING3_DS64 = 0;
export const FLAT_RING3_SS32 = 0xe02b;
export const FLAT_RING3_SS64 = 0xe02b;
export const FLAT_KERNEL_DS = FLAT_RING3_DS64;
export const FLAT_KERNEL_CS = FLAT_RING3_CS64;
export const FLAT_KERNEL_SS = FLAT_RING3_SS64;
export const FLAT_USER_DS = FLAT_RING3_DS64;
export const FLAT_USER_CS = FLAT_RING3_CS64;
export const FLAT_USER_SS = FLAT_RING3_SS64;
export const FIRST_RESERVED_GDT_PAGE = 14;
export const FIRST_RESERVED_GDT_BYTE = 14 * 4096;
export const FIRST_RESERVED_GDT_ENTRY = (14 * 4096) / 8;

// Xen's share of every address space, as signed addresses. @source xen-x86_64.h:56
export const HYPERVISOR_VIRT_START = Va(-0x800000000000);
export const HYPERVISOR_VIRT_END = Va(-0x780000000000);
export const MACH2PHYS_VIRT_START = Va(-0x800000000000);
export const MACH2PHYS_VIRT_END = Va(-0x7fc000000000);
export const MACH2PHYS_NR_ENTRIES = 0x4000000000 / 8;

// set_segment_base(which, base). @source xen-x86_64.h:78
export const SEGBASE_FS = 0;
export const SEGBASE_GS_USER = 1;
export const SEGBASE_GS_KERNEL = 2;
export const SEGBASE_GS_USER_SEL = 3;

export const MmuUpdate = struct('mmu_update', {
  ptr: u64n, // machine address of the entry; MMU_* in bits 0-1
  val: u64, // the new entry: a bigint, because NX is bit 63
});
export type MmuUpdate = TypeOf<typeof MmuUpdate>;

export const MmuextOp = struct('mmuext_op', {
  cmd: u32,
  arg1: union('arg1', { mfn: Mfn, linearAddr: i64n }),
  arg2: union('arg2', { nrEnts: u32, vcpumask: i64n, srcMfn: Mfn }),
});
export type MmuextOp = TypeOf<typeof MmuextOp>;

export const MulticallEntry = struct('multicall_entry', {
  op: u64n,
  result: out(i64n),
  args: array(i64, 6),
});
export type MulticallEntry = TypeOf<typeof MulticallEntry>;

/** One virtual IDT gate; an entry with address 0 ends the table. @source arch-x86/xen.h:140 */
export const TrapInfo = struct('trap_info', {
  vector: u8,
  flags: u8, // bits 0-1: who may raise it by INT; bit 2: mask events on entry
  cs: u16,
  address: i64n,
});
export type TrapInfo = TypeOf<typeof TrapInfo>;
