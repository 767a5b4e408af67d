/** A machine with one vCPU at CPL 3 in 64-bit mode, on page tables of its own; nothing under it. */
import { Machine } from '../../../machine/machine.ts';
import { DEFAULT_PRESET } from '../../../machine/presets.ts';
import { PTE_NX_HI, PTE_P, PTE_RW, PTE_US, tableIndex } from '../../../machine/pte.ts';
import { CR0, CR3, CR4, EFER, type Vcpu } from '../../../machine/vcpu.ts';
import { Engine } from '../../../machine/x86/engine.ts';

/** PG, AM, WP, NE, ET, MP, PE; PAE, OSFXSR, OSXMMEXCPT; SCE, LME, LMA, NXE. */
export const LONG_CR0 = 0x80050033;
export const LONG_CR4 = 0x620;
const LONG_EFER = 0xd01;

export class EngineMachine {
  readonly machine: Machine;
  readonly vcpu: Vcpu;
  readonly engine: Engine;
  #frames = 1;

  constructor(frames: number) {
    this.machine = new Machine({ preset: DEFAULT_PRESET, frames, vcpus: 1, pcpus: 1 });
    this.vcpu = this.machine.allocateVcpu();
    this.engine = new Engine(this.machine);
    const { vcpu } = this;
    vcpu.set(CR0, LONG_CR0);
    vcpu.set(CR3, 0);
    vcpu.set(CR4, LONG_CR4);
    vcpu.set(EFER, LONG_EFER);
    vcpu.cpl = 3;
    vcpu.selectTlb(1);
  }

  /** A frame that nothing uses yet. */
  frame(): number {
    return this.#frames++;
  }

  /** Map frame `mfn` (a new one) at `va`. @returns the frame */
  map(va: number, rights: 'r' | 'rw' | 'rx' | 'rwx', mfn = this.frame()): number {
    const { u32 } = this.machine.memory;
    let table = 0;
    for (let level = 4; level > 1; level--) {
      const word = this.#entry(table, va, level);
      if ((u32[word]! & PTE_P) === 0) u32[word] = (this.frame() << 12) | PTE_P | PTE_RW | PTE_US;
      table = u32[word]! >>> 12;
    }
    const word = this.#entry(table, va, 1);
    u32[word] = (mfn << 12) | PTE_P | PTE_US | (rights.includes('w') ? PTE_RW : 0);
    u32[word + 1] = rights.includes('x') ? 0 : PTE_NX_HI;
    return mfn;
  }

  #entry(table: number, va: number, level: number): number {
    return (this.machine.memory.frameAt(table) >>> 2) + 2 * tableIndex(va, level);
  }
}
