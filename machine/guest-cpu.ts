/**
 * The instructions, as the guest sees them: the object that a TypeScript kernel holds. All that it refers to is private,
 * and it is frozen, so nothing of the machine can be reached through it.
 */
import type { CrNumber } from './control-registers.ts';
import type { Code, Cpu, CpuidResult } from './cpu.ts';
import { VECTOR_UD } from './exit.ts';
import type { ScriptControl } from './script-control.ts';
import type { ScriptIo } from './script-io.ts';
import type { ScriptMemory } from './script-memory.ts';
import { type Argument, ScriptTransfer } from './script-transfer.ts';
import type { ScriptWork } from './script-work.ts';
import { RFLAGS, type Vcpu } from './vcpu.ts';

/** What the processor executes when the kernel has nothing else. */
export interface IdleRoutine {
  routine: Code;
}

export class GuestCpu implements Cpu {
  readonly #control: ScriptControl;
  readonly #memory: ScriptMemory;
  readonly #io: ScriptIo;
  readonly #work: ScriptWork;
  readonly #idle: IdleRoutine;
  readonly #vcpu: Vcpu;
  readonly #u32: Uint32Array;
  readonly #u16: Uint16Array;
  readonly #transfer: ScriptTransfer;

  constructor(
    control: ScriptControl,
    memory: ScriptMemory,
    io: ScriptIo,
    work: ScriptWork,
    idle: IdleRoutine,
  ) {
    this.#control = control;
    this.#memory = memory;
    this.#io = io;
    this.#work = work;
    this.#idle = idle;
    this.#vcpu = control.vcpu;
    this.#u32 = control.machine.memory.u32;
    this.#u16 = control.machine.memory.u16;
    this.#transfer = new ScriptTransfer(control, memory);
    Object.freeze(this);
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
    // A dead guest's block may be another's by now.
    if (this.#vcpu.stopped) this.#control.boundary();
    return this.#vcpu.gpr(n & 15);
  }

  setReg(n: number, value: number): void {
    this.#control.tick();
    this.#vcpu.setGpr(n & 15, value);
  }

  flags(): number {
    if (this.#vcpu.stopped) this.#control.boundary();
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

  syscall(
    nr: number,
    a1?: Argument,
    a2?: Argument,
    a3?: Argument,
    a4?: Argument,
    a5?: Argument,
    a6?: Argument,
  ): number {
    return this.#transfer.syscall(nr, a1, a2, a3, a4, a5, a6);
  }

  vmcall(
    nr: number,
    a1?: Argument,
    a2?: Argument,
    a3?: Argument,
    a4?: Argument,
    a5?: Argument,
  ): number {
    return this.#transfer.vmcall(nr, a1, a2, a3, a4, a5);
  }

  sysret(rip: number, rflags: number): void {
    this.#transfer.sysret(rip, rflags);
  }

  iretq(): void {
    this.#transfer.iretq();
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
}

Object.freeze(GuestCpu.prototype);
