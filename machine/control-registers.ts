/**
 * MOV to a control register as the processor does it, whoever's code it is in.
 * @source SDM vol. 3, 4.10.4.1 (what it invalidates)
 */
import { CAUSE_PRIVILEGED } from './account.ts';
import type { Machine } from './machine.ts';
import { CR0, CR2, CR3, CR4, type Vcpu } from './vcpu.ts';

/** Monitor coprocessor, emulation, task switched, alignment mask; FXSAVE and SSE are there. */
export const CR0_MP = 0x2;
export const CR0_EM = 0x4;
export const CR0_TS = 0x8;
export const CR0_AM = 0x40000;
export const CR4_OSFXSR = 0x200;

export type CrNumber = 0 | 2 | 3 | 4;

export const CR_FIELDS = { 0: CR0, 2: CR2, 3: CR3, 4: CR4 } as const;

export const writeControlRegister = (
  machine: Machine,
  vcpu: Vcpu,
  n: CrNumber,
  value: number,
): void => {
  const { mmu, costs } = machine;
  vcpu.set(CR_FIELDS[n], value);
  if (n !== 2) mmu.flush(vcpu);
  vcpu.pcpu.charge(CAUSE_PRIVILEGED, n === 2 ? costs.privileged : costs.tlbFlush);
};
