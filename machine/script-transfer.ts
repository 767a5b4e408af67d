/**
 * The instructions that change privilege: SYSCALL, SYSRET, VMCALL, IRETQ, of TypeScript code.
 * @source SDM vol. 2
 */
import { CAUSE_SYSCALL } from './account.ts';
import {
  CONTROL_SYSCALL,
  CONTROL_VMCALL,
  EXIT_SYSCALL,
  EXIT_VMCALL,
  VECTOR_GP,
  VECTOR_UD,
} from './exit.ts';
import type { ScriptControl } from './script-control.ts';
import type { ScriptMemory } from './script-memory.ts';
import { hasSyscall, interruptReturn, systemCall, systemReturn } from './transfer.ts';
import {
  CONTROLS,
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
  type Vcpu,
} from './vcpu.ts';

/** A register argument: what a signed number holds exactly, or a bigint. */
export type Argument = number | bigint | undefined;

export class ScriptTransfer {
  readonly #control: ScriptControl;
  readonly #memory: ScriptMemory;
  readonly #vcpu: Vcpu;
  readonly #syscall: number;

  constructor(control: ScriptControl, memory: ScriptMemory) {
    this.#control = control;
    this.#memory = memory;
    this.#vcpu = control.vcpu;
    this.#syscall = control.machine.costs.syscall / 2;
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

  vmcall(
    nr: number,
    a1?: Argument,
    a2?: Argument,
    a3?: Argument,
    a4?: Argument,
    a5?: Argument,
  ): number {
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
    if (!hasSyscall(vcpu)) {
      control.raise(VECTOR_UD);
      return;
    }
    control.charge(CAUSE_SYSCALL, this.#syscall);
    systemCall(vcpu, vcpu.rip);
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
    systemReturn(vcpu, rip, rflags);
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
    if (interruptReturn(vcpu, { rip, cs, rflags, rsp, ss })) control.openWindow();
    control.follow();
  }

  #arguments(
    nr: number,
    a1: Argument,
    a2: Argument,
    a3: Argument,
    a4: Argument,
    a5: Argument,
  ): void {
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
