/**
 * Register state as Xen passes it: the frame that the iret hypercall pops, the register block, and
 * the whole context that VCPUOP_initialise starts a vCPU with.
 * @source arch-x86/xen-x86_64.h:110 (iret_context), :162 (cpu_user_regs); arch-x86/xen.h:162
 */
import { array, bytes, i64n, pad, struct, type TypeOf, u8, u16, u32, u64, u64n } from './layout.ts';
import { Mfn } from './units.ts';
import { TrapInfo } from './xen.ts';

export const VGCF_i387_valid = 0x1;
export const VGCF_in_kernel = 0x4;
export const VGCF_failsafe_disables_events = 0x8;
export const VGCF_syscall_disables_events = 0x10;
export const VGCF_online = 0x20;
export const VGCF_in_syscall = 0x100;

/** What HYPERVISOR_iret pops from the kernel stack; RAX is at the lowest address. */
export const IretContext = struct('iret_context', {
  rax: u64,
  r11: u64,
  rcx: u64,
  flags: u64n, // VGCF_in_syscall: return by SYSRET
  rip: i64n,
  cs: u64n,
  rflags: u64n,
  rsp: i64n,
  ss: u64n,
});
export type IretContext = TypeOf<typeof IretContext>;

export const CpuUserRegs = struct(
  'cpu_user_regs',
  {
    r15: u64,
    r14: u64,
    r13: u64,
    r12: u64,
    rbp: u64,
    rbx: u64,
    r11: u64,
    r10: u64,
    r9: u64,
    r8: u64,
    rax: u64,
    rcx: u64,
    rdx: u64,
    rsi: u64,
    rdi: u64,
    errorCode: u32,
    entryVector: u32,
    rip: i64n,
    cs: u16,
    pad0: pad(2, 2),
    savedUpcallMask: u8,
    pad1: pad(3),
    rflags: u64n,
    rsp: i64n,
    ss: u16,
    pad2: pad(6, 2),
    es: u16,
    pad3: pad(6, 2),
    ds: u16,
    pad4: pad(6, 2),
    fs: u16,
    pad5: pad(6, 2),
    gs: u16,
    pad6: pad(6, 2),
  },
  {
    pad0: '_pad0',
    pad1: '_pad1',
    pad2: '_pad2',
    pad3: '_pad3',
    pad4: '_pad4',
    pad5: '_pad5',
    pad6: '_pad6',
  },
);
export type CpuUserRegs = TypeOf<typeof CpuUserRegs>;

export const VcpuGuestContext = struct('vcpu_guest_context', {
  fpuCtxt: bytes(512),
  flags: u64n, // VGCF_*
  userRegs: CpuUserRegs,
  trapCtxt: array(TrapInfo, 256), // indexed by vector
  ldtBase: i64n,
  ldtEnts: u64n,
  gdtFrames: array(Mfn, 16),
  gdtEnts: u64n,
  kernelSs: u64n,
  kernelSp: i64n,
  ctrlreg: array(u64n, 8), // [3] kernel root, [1] user root, both as CR3 values
  debugreg: array(u64, 8),
  eventCallbackEip: i64n,
  failsafeCallbackEip: i64n,
  syscallCallbackEip: i64n,
  vmAssist: u64n, // bitmap of VMASST_TYPE_*
  fsBase: i64n,
  gsBaseKernel: i64n,
  gsBaseUser: i64n,
});
export type VcpuGuestContext = TypeOf<typeof VcpuGuestContext>;
