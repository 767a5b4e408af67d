/**
 * What the instructions that change privilege do to the registers, once nothing stands in their way: SYSCALL, SYSRET, IRET.
 * @source SDM vol. 2
 */
import {
  type CodeMode,
  EFER,
  FMASK,
  LSTAR,
  R11,
  RCX,
  RFLAGS,
  RFLAGS_FIXED,
  RFLAGS_IF,
  RSP,
  SS,
  STAR,
  type Vcpu,
} from './vcpu.ts';

const EFER_SCE = 1;
/** What SYSRET and IRETQ take from the RFLAGS they are given; IF and IOPL are decided apart. */
const SYSRET_FLAGS = 0x3c7fd7;
const IRET_FLAGS = 0x3c4dd7;
const IOPL = 0x3000;

/** Is there SYSCALL? */
export const hasSyscall = (vcpu: Vcpu): boolean => (vcpu.lo(EFER) & EFER_SCE) !== 0;

/** SYSCALL: to LSTAR at CPL 0; the code goes on at `next` when it returns. */
export const systemCall = (vcpu: Vcpu, next: number): void => {
  vcpu.setGpr(RCX, next);
  vcpu.setGpr(R11, vcpu.lo(RFLAGS));
  vcpu.setHalves(RFLAGS, vcpu.lo(RFLAGS) & ~vcpu.lo(FMASK), 0);
  vcpu.setCode(vcpu.hi(STAR) & 0xfffc);
  vcpu.set(SS, (vcpu.hi(STAR) & 0xffff) + 8);
  vcpu.cpl = 0;
  vcpu.selectTlb(0);
  vcpu.rip = vcpu.get(LSTAR);
};

/** SYSRET, to 64-bit code or to compatibility mode. */
export const systemReturn = (
  vcpu: Vcpu,
  rip: number,
  rflags: number,
  mode: CodeMode = 64,
): void => {
  vcpu.setHalves(RFLAGS, (rflags & SYSRET_FLAGS) | RFLAGS_FIXED, 0);
  vcpu.setCode(((vcpu.hi(STAR) >>> 16) + (mode === 64 ? 16 : 0)) | 3, mode);
  vcpu.set(SS, ((vcpu.hi(STAR) >>> 16) + 8) | 3);
  vcpu.cpl = 3;
  vcpu.selectTlb(1);
  vcpu.rip = rip;
};

/** What IRETQ pops. */
export interface ReturnFrame {
  rip: number;
  cs: number;
  rflags: number;
  rsp: number;
  ss: number;
  /** That of the segment `cs`; 64-bit if absent. */
  mode?: CodeMode;
}

/** IRETQ to `frame`, whose selectors have been checked. @returns whether interrupts are on */
export const interruptReturn = (vcpu: Vcpu, frame: ReturnFrame): boolean => {
  const { cpl } = vcpu;
  const old = vcpu.lo(RFLAGS);
  // IF changes only at a level that may change it, IOPL only at level 0.
  const own = (cpl === 0 ? IOPL : 0) | (cpl <= ((old >>> 12) & 3) ? RFLAGS_IF : 0);
  const flags = (frame.rflags & (IRET_FLAGS | own)) | (old & (IOPL | RFLAGS_IF) & ~own);
  vcpu.setHalves(RFLAGS, flags | RFLAGS_FIXED, 0);
  vcpu.setGpr(RSP, frame.rsp);
  vcpu.setCode(frame.cs, frame.mode);
  vcpu.set(SS, frame.ss);
  if ((frame.cs & 3) !== cpl) {
    vcpu.cpl = frame.cs & 3;
    vcpu.selectTlb(1);
  }
  vcpu.rip = frame.rip;
  return (flags & RFLAGS_IF) !== 0;
};
