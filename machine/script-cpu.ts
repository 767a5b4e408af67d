/**
 * A processor whose instructions are called by TypeScript code: what the guest holds (`GuestCpu`, with nothing of
 * the machine reachable from it) and what runs it (`ScriptCpu`). Code runs until its microtasks have drained; then long work
 * goes on, or waiters resume, or the kernel's idle routine executes.
 */
import { CAUSE_SYSCALL } from './account.ts';
import type { BootRecord, Code, Cpu, CpuidResult, Guest } from './cpu.ts';
import {
  CONTROL_SYSCALL, CONTROL_VMCALL, EXIT_SYSCALL, EXIT_VMCALL, VECTOR_GP, VECTOR_UD,
} from './exit.ts';
import type { Machine } from './machine.ts';
import { type CrNumber, ScriptIo } from './script-io.ts';
import { describe, HALTED, ScriptControl } from './script-control.ts';
import { ScriptMemory } from './script-memory.ts';
import type { ScriptText } from './script-text.ts';
import { ScriptWork } from './script-work.ts';
import { turn } from './turn.ts';
import type { Processor, Underneath } from './underneath.ts';
import {
  CONTROLS, CS, EFER, FMASK, LSTAR, R10, R11, R8, R9, RAX, RCX, RDI, RDX, RFLAGS, RFLAGS_FIXED, RFLAGS_IF,
  RSI, RSP, SS, STAR, type Vcpu,
} from './vcpu.ts';

type Argument = number | bigint | undefined;

const EFER_SCE = 1;

export class ScriptCpu implements Processor {
  readonly vcpu: Vcpu;
  readonly #control: ScriptControl;
  readonly #work: ScriptWork;
  readonly #cpu: GuestCpu;
  readonly #idle: { routine: Code };
  #start: (() => unknown) | undefined;

  constructor(machine: Machine, vcpu: Vcpu, underneath: Underneath, text: ScriptText) {
    this.vcpu = vcpu;
    this.#control = new ScriptControl(machine, vcpu, underneath, text);
    const memory = new ScriptMemory(this.#control);
    const io = new ScriptIo(this.#control, memory);
    this.#work = new ScriptWork(this.#control);
    this.#idle = {
      routine: () => {
        io.sti();
        io.hlt();
      },
    };
    this.#cpu = new GuestCpu(this.#control, memory, io, this.#work, this.#idle);
    Object.freeze(this.#cpu);
    this.#start = () => this.#control.text.code(vcpu.rip)?.();
  }

  /** Make `guest` the code at the entry point; without this, the code at RIP is (a secondary vCPU's). */
  boot(guest: Guest, record: BootRecord): void {
    const boot = Object.freeze({ startInfo: record.startInfo });
    this.#start = () => guest(this.#cpu, boot);
  }

  async run(): Promise<void> {
    // A microtask of ours, so that turn() comes after the guest's.
    await undefined;
    if (this.#attempt(() => this.#resume())) {
      for (;;) {
        await turn();
        if (this.vcpu.stopped || this.#control.preempted()) break;
        if (!this.#attempt(() => this.#proceed())) break;
      }
    }
    this.#control.park();
  }

  #resume(): void {
    const start = this.#start;
    if (start) this.#control.begin();
    this.#control.resume();
    if (!start) {
      this.#work.wake();
      return;
    }
    this.#start = undefined;
    const running = start();
    if (running instanceof Promise) running.catch((error: unknown) => this.#escaped(error));
  }

  /** The code has drained: go on with long work, or wake who waits, or idle. */
  #proceed(): void {
    if (this.#work.advance()) return;
    if (this.#work.wake()) return;
    this.#idle.routine();
  }

  /** @returns false when the guest ended in it. */
  #attempt(act: () => void): boolean {
    try {
      act();
    } catch (error) {
      this.#escaped(error);
    }
    return !this.vcpu.stopped;
  }

  #escaped(error: unknown): void {
    if (error !== HALTED && !this.vcpu.stopped) {
      this.#control.fail(`its kernel threw: ${describe(error)}`);
      this.vcpu.stopped = true;
    }
  }
}

/** The instructions, as the guest sees them. Its fields are private, so a guest can reach nothing else through it. */
class GuestCpu implements Cpu {
  readonly #control: ScriptControl;
  readonly #memory: ScriptMemory;
  readonly #io: ScriptIo;
  readonly #work: ScriptWork;
  readonly #idle: { routine: Code };
  readonly #vcpu: Vcpu;
  readonly #u32: Uint32Array;
  readonly #u16: Uint16Array;
  readonly #syscall: number;

  constructor(control: ScriptControl, memory: ScriptMemory, io: ScriptIo, work: ScriptWork, idle: { routine: Code }) {
    this.#control = control;
    this.#memory = memory;
    this.#io = io;
    this.#work = work;
    this.#idle = idle;
    this.#vcpu = control.vcpu;
    this.#u32 = control.machine.memory.u32;
    this.#u16 = control.machine.memory.u16;
    this.#syscall = control.machine.costs.syscall / 2;
  }

  entry(code: Code): number {
    return this.#control.text.entry(code);
  }

  load8(va: number): number {
    return this.#memory.load(va, 1);
  }

  load16(va: number): number {
    return this.#memory.load(va, 2);
  }

  load32(va: number): number {
    return this.#memory.load(va, 4);
  }

  load64(va: number): bigint {
    return this.#memory.load64(va);
  }

  store8(va: number, value: number): void {
    this.#memory.store(va, 1, value);
  }

  store16(va: number, value: number): void {
    this.#memory.store(va, 2, value);
  }

  store32(va: number, value: number): void {
    this.#memory.store(va, 4, value);
  }

  store64(va: number, value: bigint): void {
    this.#memory.store64(va, value);
  }

  loadNumber(va: number): number {
    return this.#memory.loadNumber(va);
  }

  storeNumber(va: number, value: number): void {
    this.#memory.storeNumber(va, value);
  }

  loadBytes(va: number, into: Uint8Array): void {
    this.#memory.loadBytes(va, into);
  }

  storeBytes(va: number, from: Uint8Array): void {
    this.#memory.storeBytes(va, from);
  }

  fillBytes(va: number, length: number, value: number): void {
    this.#memory.fillBytes(va, length, value);
  }

  exchange32(va: number, value: number): number {
    const word = this.#memory.locked(va, 4) >>> 2;
    const old = this.#u32[word]!;
    this.#u32[word] = value;
    return old;
  }

  compareExchange32(va: number, expected: number, value: number): number {
    const word = this.#memory.locked(va, 4) >>> 2;
    const old = this.#u32[word]!;
    if (old === expected >>> 0) this.#u32[word] = value;
    return old;
  }

  and32(va: number, mask: number): number {
    const word = this.#memory.locked(va, 4) >>> 2;
    const old = this.#u32[word]!;
    this.#u32[word] = old & mask;
    return old;
  }

  or32(va: number, bits: number): number {
    const word = this.#memory.locked(va, 4) >>> 2;
    const old = this.#u32[word]!;
    this.#u32[word] = old | bits;
    return old;
  }

  compareExchange16(va: number, expected: number, value: number): number {
    const word = this.#memory.locked(va, 2) >>> 1;
    const old = this.#u16[word]!;
    if (old === (expected & 0xffff)) this.#u16[word] = value;
    return old;
  }

  reg(n: number): number {
    return this.#vcpu.gpr(n & 15);
  }

  setReg(n: number, value: number): void {
    this.#control.tick();
    this.#vcpu.setGpr(n & 15, value);
  }

  flags(): number {
    return this.#vcpu.lo(RFLAGS);
  }

  work(cycles: number): Promise<void> {
    return this.#work.queue(cycles);
  }

  resumed(): Promise<void> {
    return this.#work.resumed();
  }

  idle(routine: Code): void {
    this.#idle.routine = routine;
  }

  syscall(nr: number, a1?: Argument, a2?: Argument, a3?: Argument, a4?: Argument, a5?: Argument, a6?: Argument): number {
    const control = this.#control;
    const vcpu = this.#vcpu;
    const { clock } = control.pcpu;
    if (clock[0]! >= clock[1]!) control.boundary();
    this.#arguments(nr, a1, a2, a3, a4, a5);
    if (a6 !== undefined) this.#argument(R9, a6);
    if (vcpu.lo(CONTROLS) & CONTROL_SYSCALL) control.call(EXIT_SYSCALL);
    else this.#systemCall();
    return vcpu.gpr(RAX);
  }

  vmcall(nr: number, a1?: Argument, a2?: Argument, a3?: Argument, a4?: Argument, a5?: Argument): number {
    const control = this.#control;
    control.tick();
    this.#arguments(nr, a1, a2, a3, a4, a5);
    if (this.#vcpu.lo(CONTROLS) & CONTROL_VMCALL) control.call(EXIT_VMCALL);
    else control.raise(VECTOR_UD);
    return this.#vcpu.gpr(RAX);
  }

  /** SYSCALL without a hypervisor: to LSTAR at CPL 0 (SDM vol. 2, SYSCALL). */
  #systemCall(): void {
    const control = this.#control;
    const vcpu = this.#vcpu;
    if ((vcpu.lo(EFER) & EFER_SCE) === 0) {
      control.raise(VECTOR_UD);
      return;
    }
    control.charge(CAUSE_SYSCALL, this.#syscall);
    vcpu.setGpr(RCX, vcpu.rip);
    vcpu.setGpr(R11, vcpu.lo(RFLAGS));
    vcpu.setHalves(RFLAGS, vcpu.lo(RFLAGS) & ~vcpu.lo(FMASK), 0);
    vcpu.set(CS, vcpu.hi(STAR) & 0xfffc);
    vcpu.set(SS, (vcpu.hi(STAR) & 0xffff) + 8);
    vcpu.cpl = 0;
    vcpu.selectTlb(0);
    vcpu.rip = vcpu.get(LSTAR);
    control.follow();
  }

  sysret(rip: number, rflags: number): void {
    const control = this.#control;
    const vcpu = this.#vcpu;
    control.tick();
    vcpu.setGpr(RCX, rip);
    vcpu.setGpr(R11, rflags);
    if (vcpu.cpl !== 0) {
      control.raise(VECTOR_GP);
      return;
    }
    control.charge(CAUSE_SYSCALL, this.#syscall);
    vcpu.setHalves(RFLAGS, (rflags & 0x3c7fd7) | RFLAGS_FIXED, 0);
    vcpu.set(CS, ((vcpu.hi(STAR) >>> 16) + 16) | 3);
    vcpu.set(SS, ((vcpu.hi(STAR) >>> 16) + 8) | 3);
    vcpu.cpl = 3;
    vcpu.selectTlb(1);
    vcpu.rip = rip;
    if (rflags & RFLAGS_IF) control.openWindow();
    control.follow();
  }

  iretq(): void {
    const control = this.#control;
    const vcpu = this.#vcpu;
    const stack = vcpu.gpr(RSP);
    const rip = this.#memory.loadNumber(stack);
    const cs = this.#memory.loadNumber(stack + 8) & 0xffff;
    const rflags = this.#memory.loadNumber(stack + 16);
    const rsp = this.#memory.loadNumber(stack + 24);
    const ss = this.#memory.loadNumber(stack + 32) & 0xffff;
    if ((cs & 3) < vcpu.cpl) {
      control.raise(VECTOR_GP, cs & 0xfffc);
      return;
    }
    // IF changes only at a level that may change it (SDM vol. 2, IRET).
    const mayMask = vcpu.cpl <= ((vcpu.lo(RFLAGS) >>> 12) & 3);
    const interrupts = mayMask ? rflags & RFLAGS_IF : vcpu.lo(RFLAGS) & RFLAGS_IF;
    vcpu.setHalves(RFLAGS, (rflags & 0x3c7dd7 & ~0x3000) | RFLAGS_FIXED | interrupts, 0);
    vcpu.setGpr(RSP, rsp);
    vcpu.set(CS, cs);
    vcpu.set(SS, ss);
    if ((cs & 3) !== vcpu.cpl) {
      vcpu.cpl = cs & 3;
      vcpu.selectTlb(1);
    }
    vcpu.rip = rip;
    if (interrupts) control.openWindow();
    control.follow();
  }

  jump(rip: number): void {
    this.#control.tick();
    this.#control.jump(rip);
  }

  here(): number {
    return this.#control.here;
  }

  int(vector: number): void {
    this.#control.tick();
    this.#control.interrupt(vector & 0xff);
  }

  ud2(): void {
    this.#control.tick();
    this.#control.raise(VECTOR_UD);
  }

  cpuid(leaf: number, subleaf = 0): CpuidResult {
    return this.#io.cpuid(leaf, subleaf);
  }

  rdtsc(): number {
    return this.#io.rdtsc();
  }

  readCr(n: CrNumber): number {
    return this.#io.readCr(n);
  }

  writeCr(n: CrNumber, value: number): void {
    this.#io.writeCr(n, value);
  }

  invlpg(va: number): void {
    this.#io.invlpg(va);
  }

  rdmsr(msr: number): bigint {
    return this.#io.rdmsr(msr);
  }

  wrmsr(msr: number, value: bigint): void {
    this.#io.wrmsr(msr, value);
  }

  cli(): void {
    this.#io.cli();
  }

  sti(): void {
    this.#io.sti();
  }

  hlt(): void {
    this.#io.hlt();
  }

  lidt(base: number, limit: number): void {
    this.#io.loadTable('idt', base, limit);
  }

  lgdt(base: number, limit: number): void {
    this.#io.loadTable('gdt', base, limit);
  }

  ltr(base: number): void {
    this.#io.ltr(base);
  }

  in8(port: number): number {
    return this.#io.in(port, 1);
  }

  in16(port: number): number {
    return this.#io.in(port, 2);
  }

  in32(port: number): number {
    return this.#io.in(port, 4);
  }

  out8(port: number, value: number): void {
    this.#io.out(port, 1, value);
  }

  out16(port: number, value: number): void {
    this.#io.out(port, 2, value);
  }

  out32(port: number, value: number): void {
    this.#io.out(port, 4, value);
  }

  insw(port: number, va: number, count: number): void {
    this.#io.insw(port, va, count);
  }

  outsw(port: number, va: number, count: number): void {
    this.#io.outsw(port, va, count);
  }

  #arguments(nr: number, a1: Argument, a2: Argument, a3: Argument, a4: Argument, a5: Argument): void {
    this.#argument(RAX, nr);
    if (a1 === undefined) return;
    this.#argument(RDI, a1);
    if (a2 === undefined) return;
    this.#argument(RSI, a2);
    if (a3 === undefined) return;
    this.#argument(RDX, a3);
    if (a4 === undefined) return;
    this.#argument(R10, a4);
    if (a5 !== undefined) this.#argument(R8, a5);
  }

  #argument(register: number, value: number | bigint): void {
    if (typeof value === 'bigint') this.#vcpu.setBig(register << 3, value);
    else if ((value | 0) === value) this.#vcpu.setHalves(register << 3, value, value >> 31);
    else this.#vcpu.set(register << 3, value);
  }
}

Object.freeze(GuestCpu.prototype);
