/**
 * Where the processor enters this kernel: IDT gates for exceptions and the PIC's lines, and LSTAR
 * for system calls. Each stub reads the frame that the processor pushed and leaves by IRETQ or
 * SYSRET.
 * @source SDM vol. 3, 6.14 (frames), vol. 2, SYSCALL
 */
import type { Cpu } from '../../machine/cpu.ts';
import {
  hasErrorCode,
  R8,
  R9,
  R10,
  R11,
  RAX,
  RCX,
  RDI,
  RDX,
  RFLAGS_IF,
  RSI,
  RSP,
  SYS_EXIT,
  VECTOR_PF,
} from '../layout.ts';
import type { TrapHandlers } from '../traps.ts';
import { IRQ_LINES, IRQ_VECTOR, type Pic } from './pic.ts';
import { type Segments, STAR_VALUE } from './segments.ts';
import type { BareUserMode } from './user-mode.ts';

const EXCEPTIONS = 32;
const VECTOR_BP = 3;
const MSR_EFER = 0xc0000080;
const MSR_STAR = 0xc0000081;
const MSR_LSTAR = 0xc0000082;
const MSR_FMASK = 0xc0000084;
/** System calls, and the NX bit. */
const EFER_SCE_NXE = 0x801n;

export interface BareEntries {
  readonly handlers: TrapHandlers;
  readonly user: BareUserMode;
  readonly pic: Pic;
  readonly panic: (why: string, error: unknown) => void;
}

export class BareTraps {
  readonly #cpu: Cpu;
  readonly #entries: BareEntries;

  /** Fills the IDT and sets up SYSCALL. */
  constructor(cpu: Cpu, segments: Segments, entries: BareEntries) {
    this.#cpu = cpu;
    this.#entries = entries;
    for (let vector = 0; vector < EXCEPTIONS; vector++) {
      const address = cpu.entry(() => this.#fault(vector));
      segments.setGate(vector, address, vector === VECTOR_BP ? 3 : 0);
    }
    for (let line = 0; line < IRQ_LINES; line++) {
      segments.setGate(
        IRQ_VECTOR + line,
        cpu.entry(() => this.#interrupt(line)),
      );
    }
    cpu.wrmsr(MSR_EFER, cpu.rdmsr(MSR_EFER) | EFER_SCE_NXE);
    cpu.wrmsr(MSR_STAR, STAR_VALUE);
    cpu.wrmsr(MSR_LSTAR, BigInt.asUintN(64, BigInt(cpu.entry(() => this.#syscall()))));
    cpu.wrmsr(MSR_FMASK, BigInt(RFLAGS_IF));
  }

  #fault(vector: number): void {
    const cpu = this.#cpu;
    const sp = cpu.reg(RSP);
    const rax = cpu.reg(RAX);
    const rip = hasErrorCode(vector) ? sp + 8 : sp;
    const fault = {
      vector,
      error: rip === sp ? 0 : cpu.load32(sp),
      address: vector === VECTOR_PF ? cpu.readCr(2) : 0,
      rip: cpu.loadNumber(rip),
      user: (cpu.load16(rip + 8) & 3) !== 0,
    };
    try {
      this.#entries.handlers.fault(fault);
    } finally {
      cpu.setReg(RAX, rax);
      cpu.setReg(RSP, rip);
      cpu.iretq();
    }
  }

  #interrupt(line: number): void {
    const cpu = this.#cpu;
    const sp = cpu.reg(RSP);
    const rax = cpu.reg(RAX);
    try {
      this.#entries.pic.handle(line);
    } catch (error) {
      this.#entries.panic(`the handler of interrupt ${line}`, error);
    } finally {
      cpu.setReg(RAX, rax);
      cpu.setReg(RSP, sp);
      cpu.iretq();
    }
  }

  #syscall(): void {
    const cpu = this.#cpu;
    const { user } = this.#entries;
    const sp = cpu.reg(RSP);
    const rip = cpu.reg(RCX);
    const flags = cpu.reg(R11);
    cpu.setReg(RSP, user.kernelSp);
    const nr = cpu.reg(RAX);
    if (nr === SYS_EXIT) {
      user.exit();
      return;
    }
    const [a1, a2, a3] = [cpu.reg(RDI), cpu.reg(RSI), cpu.reg(RDX)];
    const [a4, a5, a6] = [cpu.reg(R10), cpu.reg(R8), cpu.reg(R9)];
    let result = 0;
    try {
      result = this.#entries.handlers.syscall(nr, a1, a2, a3, a4, a5, a6);
    } finally {
      cpu.setReg(RAX, result);
      cpu.setReg(RSP, sp);
      cpu.sysret(rip, flags);
    }
  }
}
