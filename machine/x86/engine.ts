/**
 * Executes a vCPU's machine code until time is up, an instruction faults, or one leaves the engine. What happens then is
 * the caller's: the engine knows no hypervisor, delivers no exception and reads no clock but that of the vCPU's CPU.
 */
import { CAUSE_WORK } from '../account.ts';
import type { Machine } from '../machine.ts';
import { ICOUNT, type Vcpu } from '../vcpu.ts';
import { Evaluator } from './evaluator.ts';
import type { Outcome } from './state.ts';
import { VcpuMemory } from './vcpu-memory.ts';
import { VcpuState } from './vcpu-state.ts';

const DONE: Outcome = { kind: 'done' };

export class Engine {
  readonly #machine: Machine;
  readonly #evaluators: Evaluator[] = [];

  constructor(machine: Machine) {
    this.#machine = machine;
  }

  /**
   * Run to the horizon of the vCPU's CPU: `done`. Or to an instruction that faults (RIP is at it, nothing has changed), or
   * one that leaves (RIP is at it still). An instruction is charged when it completes or leaves.
   */
  run(vcpu: Vcpu): Outcome {
    const { clock } = vcpu.pcpu;
    while (clock[0]! < clock[1]!) {
      const outcome = this.step(vcpu);
      if (outcome.kind !== 'done') return outcome;
    }
    return DONE;
  }

  /** One instruction; of a repeated string instruction one iteration. */
  step(vcpu: Vcpu): Outcome {
    const outcome = this.#evaluator(vcpu).step();
    if (outcome.kind !== 'fault') {
      vcpu.pcpu.charge(CAUSE_WORK, this.#machine.costs.instruction);
      vcpu.set(ICOUNT, vcpu.get(ICOUNT) + 1);
    }
    return outcome;
  }

  #evaluator(vcpu: Vcpu): Evaluator {
    const known = this.#evaluators[vcpu.index];
    if (known) return known;
    const { memory, mmu } = this.#machine;
    const made = new Evaluator(
      new VcpuState(memory, vcpu),
      new VcpuMemory(memory, mmu, vcpu, (host) => memory.wrote(memory.frameOf(host))),
    );
    this.#evaluators[vcpu.index] = made;
    return made;
  }
}
