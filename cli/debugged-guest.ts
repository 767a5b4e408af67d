/**
 * A guest of machine code as whoever debugs it sees it: its vCPUs, its memory by their tables, and how it is ended from outside.
 * Looking changes nothing.
 */
import type { Domain, DomainEnd } from '../hypervisor/domain.ts';
import type { Hypervisor } from '../hypervisor/hypervisor.ts';
import { end } from '../hypervisor/lifecycle.ts';
import { peekBytes } from '../machine/peek.ts';
import { CR3, type Vcpu } from '../machine/vcpu.ts';
import { CodeCpu } from '../machine/x86/code-cpu.ts';
import type { Debugger } from '../machine/x86/debugger.ts';
import type { State } from '../machine/x86/state.ts';
import { VcpuState } from '../machine/x86/vcpu-state.ts';
import type { Symbols } from './symbols.ts';

export interface DebuggedVcpu {
  readonly id: number;
  readonly vcpu: Vcpu;
  readonly state: State;
  /** What it does: running, runnable, blocked, offline. */
  readonly activity: string;
}

/** A debugger, which hears of the guest's end, too. */
export interface DebugSession extends Debugger {
  /** The guest will execute nothing more. */
  ended(how: Pick<DomainEnd, 'why'> & { readonly outcome: string }): void | Promise<void>;
}

export class DebuggedGuest {
  readonly vcpus: readonly DebuggedVcpu[];
  readonly symbols: Symbols;
  readonly #xen: Hypervisor;
  readonly #domain: Domain;

  constructor(xen: Hypervisor, domain: Domain, symbols: Symbols) {
    this.symbols = symbols;
    this.#xen = xen;
    this.#domain = domain;
    const { memory } = xen.machine;
    this.vcpus = domain.vcpus.map((vcpu) => ({
      ...{ id: vcpu.id, vcpu: vcpu.arch, state: new VcpuState(memory, vcpu.arch) },
      get activity() {
        return vcpu.cpu ? 'running' : vcpu.state;
      },
    }));
  }

  of(vcpu: Vcpu): DebuggedVcpu {
    return this.vcpus.find((each) => each.vcpu === vcpu)!;
  }

  /** Who executed when it ended. */
  get endedOn(): DebuggedVcpu | undefined {
    const { endedOn } = this.#domain;
    return endedOn && this.vcpus[endedOn.id];
  }

  debug(by: Debugger): void {
    for (const { processor } of this.#domain.vcpus)
      if (processor instanceof CodeCpu) processor.debug(by);
  }

  /** As many of the `bytes` bytes at `va` as are mapped in a row. */
  read(vcpu: Vcpu, va: number, bytes: number): Uint8Array {
    if (!hasTables(vcpu)) return new Uint8Array();
    return peekBytes(this.#xen.machine.memory, vcpu, va, bytes);
  }

  /** What the guest itself may not write, a debugger may not, either: page tables, above all. @returns whether it was written */
  write(vcpu: Vcpu, va: number, bytes: Uint8Array): boolean {
    return hasTables(vcpu) && this.#xen.machine.mmu.write(vcpu, va, bytes);
  }

  /** End it, as if it had been destroyed. */
  kill(why: string): void {
    end(this.#xen, this.#domain, { outcome: 'destroyed', why });
  }
}

/** One that was not brought up yet has none. */
const hasTables = (vcpu: Vcpu): boolean => vcpu.get(CR3) !== 0;
