/**
 * The privileged and I/O instructions of TypeScript code. At CPL 0 each executes, or exits if a control asks for it;
 * elsewhere it raises #GP with its operands in the registers that OP_* names, so that a hypervisor may emulate it.
 */
import { CAUSE_PORT_IO, CAUSE_PRIVILEGED } from './account.ts';
import { CR_FIELDS, type CrNumber, writeControlRegister } from './control-registers.ts';
import type { CpuidResult } from './cpu.ts';
import { hostCpuid, setCpuid } from './cpuid.ts';
import {
  CONTROL_CPUID,
  CONTROL_CR3_LOAD,
  CONTROL_INVLPG,
  CONTROL_IO,
  CONTROL_MSR,
  CONTROL_RDTSC,
  EXIT_CPUID,
  EXIT_CR_ACCESS,
  EXIT_HLT,
  EXIT_INVLPG,
  EXIT_IO_INSTRUCTION,
  EXIT_RDMSR,
  EXIT_RDTSC,
  EXIT_WRMSR,
  OP_CLI,
  OP_HLT,
  OP_IN,
  OP_INS,
  OP_INVLPG,
  OP_LGDT,
  OP_LIDT,
  OP_LTR,
  OP_MOV_FROM_CR0,
  OP_MOV_FROM_CR2,
  OP_MOV_FROM_CR3,
  OP_MOV_FROM_CR4,
  OP_MOV_TO_CR0,
  OP_MOV_TO_CR2,
  OP_MOV_TO_CR3,
  OP_MOV_TO_CR4,
  OP_OUT,
  OP_OUTS,
  OP_RDMSR,
  OP_STI,
  OP_WRMSR,
  VECTOR_GP,
} from './exit.ts';
import { IO_IN, IO_REP, IO_STRING, ioAccess, outValue, setIn } from './io-access.ts';
import { readMsr, writeMsr } from './msrs.ts';
import type { ScriptControl } from './script-control.ts';
import type { ScriptMemory } from './script-memory.ts';
import {
  CONTROLS,
  GDTR_BASE,
  GDTR_LIMIT,
  IDTR_BASE,
  IDTR_LIMIT,
  RAX,
  RBX,
  RCX,
  RDI,
  RDX,
  RFLAGS,
  RFLAGS_IF,
  RSI,
  TR_BASE,
  type Vcpu,
} from './vcpu.ts';

const CR_WRITES = {
  0: OP_MOV_TO_CR0,
  2: OP_MOV_TO_CR2,
  3: OP_MOV_TO_CR3,
  4: OP_MOV_TO_CR4,
} as const;
const CR_READS = {
  0: OP_MOV_FROM_CR0,
  2: OP_MOV_FROM_CR2,
  3: OP_MOV_FROM_CR3,
  4: OP_MOV_FROM_CR4,
} as const;

export class ScriptIo {
  readonly #control: ScriptControl;
  readonly #memory: ScriptMemory;
  readonly #vcpu: Vcpu;

  constructor(control: ScriptControl, memory: ScriptMemory) {
    this.#control = control;
    this.#memory = memory;
    this.#vcpu = control.vcpu;
  }

  cpuid(leaf: number, subleaf: number): CpuidResult {
    const vcpu = this.#vcpu;
    this.#control.tick();
    vcpu.setGpr(RAX, leaf);
    vcpu.setGpr(RCX, subleaf);
    if (this.#exits(CONTROL_CPUID)) {
      this.#control.exit(EXIT_CPUID);
    } else {
      setCpuid(vcpu, hostCpuid(leaf, this.#control.machine.preset.mhz));
      this.#privileged();
    }
    return {
      eax: vcpu.lo(RAX << 3),
      ebx: vcpu.lo(RBX << 3),
      ecx: vcpu.lo(RCX << 3),
      edx: vcpu.lo(RDX << 3),
    };
  }

  rdtsc(): number {
    this.#control.tick();
    if (!this.#exits(CONTROL_RDTSC)) return Math.floor(this.#control.pcpu.now);
    this.#control.exit(EXIT_RDTSC);
    return this.#vcpu.lo(RDX << 3) * 4294967296 + this.#vcpu.lo(RAX << 3);
  }

  readCr(n: CrNumber): number {
    this.#control.tick();
    if (this.#refused(CR_READS[n])) return this.#vcpu.gpr(RAX);
    this.#privileged();
    return this.#vcpu.get(CR_FIELDS[n]);
  }

  writeCr(n: CrNumber, value: number): void {
    const vcpu = this.#vcpu;
    this.#control.tick();
    vcpu.setGpr(RAX, value);
    if (this.#refused(CR_WRITES[n])) return;
    if (n === 3 && this.#exits(CONTROL_CR3_LOAD)) {
      this.#control.exit(EXIT_CR_ACCESS, 3, 0, value);
      return;
    }
    writeControlRegister(this.#control.machine, vcpu, n, value);
  }

  invlpg(va: number): void {
    this.#control.tick();
    this.#vcpu.setGpr(RAX, va);
    if (this.#refused(OP_INVLPG)) return;
    if (this.#exits(CONTROL_INVLPG)) {
      this.#control.exit(EXIT_INVLPG, va);
      return;
    }
    const { mmu, costs } = this.#control.machine;
    mmu.flushPage(this.#vcpu, va);
    this.#control.charge(CAUSE_PRIVILEGED, costs.invlpg);
  }

  rdmsr(msr: number): bigint {
    const vcpu = this.#vcpu;
    this.#control.tick();
    vcpu.setGpr(RCX, msr);
    const result = (): bigint => (BigInt(vcpu.lo(RDX << 3)) << 32n) | BigInt(vcpu.lo(RAX << 3));
    if (this.#refused(OP_RDMSR)) return result();
    if (this.#exits(CONTROL_MSR)) {
      this.#control.exit(EXIT_RDMSR);
      return result();
    }
    this.#control.charge(CAUSE_PRIVILEGED, this.#control.machine.costs.msr);
    if (readMsr(vcpu)) return result();
    this.#control.raise(VECTOR_GP, 0, 0, OP_RDMSR);
    return 0n;
  }

  wrmsr(msr: number, value: bigint): void {
    const vcpu = this.#vcpu;
    this.#control.tick();
    vcpu.setGpr(RCX, msr);
    vcpu.setGpr(RAX, Number(BigInt.asUintN(32, value)));
    vcpu.setGpr(RDX, Number(BigInt.asUintN(32, value >> 32n)));
    if (this.#refused(OP_WRMSR)) return;
    if (this.#exits(CONTROL_MSR)) {
      this.#control.exit(EXIT_WRMSR);
      return;
    }
    this.#control.charge(CAUSE_PRIVILEGED, this.#control.machine.costs.msr);
    if (!writeMsr(vcpu)) this.#control.raise(VECTOR_GP, 0, 0, OP_WRMSR);
  }

  cli(): void {
    this.#control.tick();
    if (this.#refused(OP_CLI)) return;
    this.#privileged();
    this.#vcpu.setHalves(RFLAGS, this.#vcpu.lo(RFLAGS) & ~RFLAGS_IF, 0);
  }

  /** Interrupts are let in after the next instruction, so that none slips in between STI and HLT. */
  sti(): void {
    this.#control.tick();
    if (this.#refused(OP_STI)) return;
    this.#privileged();
    this.#vcpu.setHalves(RFLAGS, this.#vcpu.lo(RFLAGS) | RFLAGS_IF, 0);
    this.#control.pcpu.limitHorizon(this.#control.pcpu.now);
  }

  hlt(): void {
    if (this.#control.lost) this.#control.tick();
    this.#privileged();
    if (!this.#refused(OP_HLT)) this.#control.exit(EXIT_HLT);
  }

  /** LIDT and LGDT. */
  loadTable(which: 'idt' | 'gdt', base: number, limit: number): void {
    const vcpu = this.#vcpu;
    this.#control.tick();
    vcpu.setGpr(RAX, base);
    vcpu.setGpr(RDX, limit);
    if (this.#refused(which === 'idt' ? OP_LIDT : OP_LGDT)) return;
    this.#privileged();
    vcpu.set(which === 'idt' ? IDTR_BASE : GDTR_BASE, base);
    vcpu.set(which === 'idt' ? IDTR_LIMIT : GDTR_LIMIT, limit);
  }

  ltr(base: number): void {
    this.#control.tick();
    this.#vcpu.setGpr(RAX, base);
    if (this.#refused(OP_LTR)) return;
    this.#privileged();
    this.#vcpu.set(TR_BASE, base);
  }

  in(port: number, size: 1 | 2 | 4): number {
    const vcpu = this.#vcpu;
    this.#control.tick();
    const access = ioAccess(port, size, IO_IN);
    if (!this.#ioRefused(OP_IN, access)) {
      if (this.#exits(CONTROL_IO)) this.#control.exit(EXIT_IO_INSTRUCTION, access);
      else setIn(vcpu, size, this.#read(port, size));
    }
    return outValue(vcpu, size);
  }

  out(port: number, size: 1 | 2 | 4, value: number): void {
    this.#control.tick();
    this.#vcpu.setGpr(RAX, value >>> 0);
    const access = ioAccess(port, size, 0);
    if (this.#ioRefused(OP_OUT, access)) return;
    if (this.#exits(CONTROL_IO)) this.#control.exit(EXIT_IO_INSTRUCTION, access);
    else this.#write(port, size, value);
  }

  /** REP INSW: `count` words from `port` to memory at `va`. */
  insw(port: number, va: number, count: number): void {
    if (this.#string(OP_INS, port, RDI, va, count)) return;
    for (let i = 0; i < count; i++) this.#memory.store(va + 2 * i, 2, this.#read(port, 2));
  }

  outsw(port: number, va: number, count: number): void {
    if (this.#string(OP_OUTS, port, RSI, va, count)) return;
    for (let i = 0; i < count; i++) this.#write(port, 2, this.#memory.load(va + 2 * i, 2));
  }

  /** @returns true when someone else executed the string instruction. */
  #string(op: number, port: number, pointer: number, va: number, count: number): boolean {
    const vcpu = this.#vcpu;
    this.#control.tick();
    vcpu.setGpr(RCX, count);
    vcpu.setGpr(pointer, va);
    const access = ioAccess(port, 2, IO_STRING | IO_REP | (op === OP_INS ? IO_IN : 0));
    if (this.#ioRefused(op, access)) return true;
    if (!this.#exits(CONTROL_IO)) return false;
    this.#control.exit(EXIT_IO_INSTRUCTION, access);
    return true;
  }

  #read(port: number, size: number): number {
    const { machine, pcpu } = this.#control;
    this.#control.charge(CAUSE_PORT_IO, machine.costs.portIo);
    return machine.bus.read(port, size, pcpu.now);
  }

  #write(port: number, size: number, value: number): void {
    const { machine, pcpu } = this.#control;
    this.#control.charge(CAUSE_PORT_IO, machine.costs.portIo);
    machine.bus.write(port, size, value, pcpu.now);
  }

  #exits(control: number): boolean {
    return (this.#vcpu.lo(CONTROLS) & control) !== 0;
  }

  #privileged(): void {
    this.#control.charge(CAUSE_PRIVILEGED, this.#control.machine.costs.privileged);
  }

  /** #GP(0) unless at CPL 0. @returns true when refused (a hypervisor may have done it meanwhile). */
  #refused(op: number): boolean {
    if (this.#vcpu.cpl === 0) return false;
    this.#control.raise(VECTOR_GP, 0, 0, op);
    return true;
  }

  /** #GP(0) when CPL > IOPL; there is no I/O permission bitmap. */
  #ioRefused(op: number, access: number): boolean {
    if (this.#vcpu.cpl <= ((this.#vcpu.lo(RFLAGS) >>> 12) & 3)) return false;
    this.#control.raise(VECTOR_GP, 0, access, op);
    return true;
  }
}
