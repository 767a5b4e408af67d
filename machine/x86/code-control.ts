/**
 * What executing an instruction outside the engine takes: whose it is, its operands, and how it may end. An act either
 * completes (RIP is past it, or where it leads) or throws a Fault with RIP at it.
 */
import { CAUSE_PRIVILEGED } from '../account.ts';
import { VECTOR_GP } from '../exit.ts';
import { leave } from '../leave.ts';
import type { Machine } from '../machine.ts';
import type { Underneath } from '../underneath.ts';
import { CONTROLS, type Vcpu } from '../vcpu.ts';
import type { Operation } from './decoder.ts';
import { Evaluator } from './evaluator.ts';
import type { Operand } from './operands.ts';
import { Fault, isCanonical } from './state.ts';
import { VcpuMemory } from './vcpu-memory.ts';
import { VcpuState } from './vcpu-state.ts';

/** Executes `op`, which is at RIP. */
export type Act = (cpu: CodeControl, op: Operation) => void;

/** Where a selector or CR0 is stored: memory gets 16 bits of it, a register as many as the operand size has. */
export const stored = (to: Operand): Operand => (to.kind === 'memory' ? { ...to, width: 2 } : to);

export class CodeControl {
  readonly machine: Machine;
  readonly vcpu: Vcpu;
  readonly underneath: Underneath;
  /** Operands of the operation that it attends to. */
  readonly operands: Evaluator;
  readonly memory: VcpuMemory;
  /** Interrupts were enabled: look for one, after one more instruction if `shadow` says so. */
  window = false;
  shadow = false;

  constructor(machine: Machine, vcpu: Vcpu, underneath: Underneath) {
    const { memory, mmu } = machine;
    this.machine = machine;
    this.vcpu = vcpu;
    this.underneath = underneath;
    const wrote = (host: number): void => memory.wrote(memory.frameOf(host));
    this.memory = new VcpuMemory(memory, mmu, vcpu, wrote);
    this.operands = new Evaluator(new VcpuState(memory, vcpu), this.memory);
  }

  /** Does one of CONTROL_* ask for an exit? */
  exits(control: number): boolean {
    return (this.vcpu.lo(CONTROLS) & control) !== 0;
  }

  /** Leave for whoever is underneath, who does `op` and retires it. */
  leave(op: Operation, reason: number, a = 0, b = 0, c = 0): void {
    leave(this.underneath, this.vcpu, op.length, reason, a, b, c);
  }

  /** `op` is done. */
  next(op: Operation): void {
    this.vcpu.rip += op.length;
  }

  /** `op` is done, at the cost of an instruction that only the kernel has. */
  nextPrivileged(op: Operation): void {
    this.vcpu.pcpu.charge(CAUSE_PRIVILEGED, this.machine.costs.privileged);
    this.next(op);
  }

  read(address: bigint, bytes: number): bigint {
    return this.memory.read(this.#canonical(address, bytes), bytes, false);
  }

  write(address: bigint, bytes: number, value: bigint): void {
    this.memory.write(this.#canonical(address, bytes), bytes, value);
  }

  #canonical(address: bigint, bytes: number): bigint {
    const last = BigInt.asUintN(64, address + BigInt(bytes - 1));
    if (isCanonical(address) && isCanonical(last)) return address;
    throw new Fault(VECTOR_GP);
  }
}
