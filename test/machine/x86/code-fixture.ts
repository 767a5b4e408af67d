/**
 * A machine on which assembled code runs at CPL 0, identity mapped, with descriptor tables of its own: what CodeCpu does without a
 * hypervisor. HLT ends it.
 */
import { EXIT_HLT } from '../../../machine/exit.ts';
import type { Machine } from '../../../machine/machine.ts';
import { PTE_P, PTE_PS, PTE_RW, PTE_US } from '../../../machine/pte.ts';
import {
  CS,
  EXIT_REASON,
  GDTR_BASE,
  GDTR_LIMIT,
  IDTR_BASE,
  IDTR_LIMIT,
  RSP,
  SS,
  TR_BASE,
  type Vcpu,
} from '../../../machine/vcpu.ts';
import { CodeCpu } from '../../../machine/x86/code-cpu.ts';
import type { Debugger } from '../../../machine/x86/debugger.ts';
import { Engine } from '../../../machine/x86/engine.ts';
import { assemble } from '../../support/assemble.ts';
import { flatMachine, pagingVcpu, Recorder, setEntry } from '../../support/machine-fixture.ts';
import { hasTool, itNeeds } from '../../support/tools.ts';

/** A test that has code assembled. */
export const it = (name: string, test: () => Promise<void>): void =>
  itNeeds('gcc', hasTool('gcc'), name, test);

export const CODE = 0x10000;
export const STACK = 0x20000;
/** Memory for the code to use, and a page that is not mapped. */
export const DATA = 0x30000;
export const UNMAPPED = 0x400000;
const TABLES = 0x8000;
const TSS = 0x9000;
const IDT = 0xa000;
export const KERNEL_STACK = 0x28000;
/** To level 3, at label `user`. */
export const TO_USER = `push $27; push $${STACK - 0x800}; push $0x202; push $35; push $user; iretq`;

/** What selectors name: level 0 code 8 and data 16, level 3 data 24|3 and code 32|3. */
const GDT: readonly bigint[] = [
  0n,
  0x00af9b000000ffffn,
  0x00cf93000000ffffn,
  0x00cff3000000ffffn,
  0x00affb000000ffffn,
  0x0000890090000067n, // 40: a TSS at 0x9000
  0n,
  0x00cf13000000ffffn, // 56: data, not present
  0x00cffb000000ffffn, // 64: 32-bit code of level 3, and the data that SYSRET takes for its stack
  0x00cff3000000ffffn,
];

export interface Ran {
  readonly vcpu: Vcpu;
  readonly machine: Machine;
  readonly recorder: Recorder;
  /** Reasons of exits, HLT at the end. */
  readonly exits: number[];
  /** A general register. */
  reg(n: number): bigint;
  /** 64 bits of memory. */
  word(address: number): bigint;
}

/** Code that makes gates: `vector:label` in the list `gates`, `:3` behind lets level 3 use it. */
const gateCode = (gates: string): string =>
  gates
    .split(' ')
    .filter((gate) => gate !== '')
    .map((gate) => {
      const [vector, label, dpl = '0'] = gate.split(':');
      const at = IDT + Number(vector) * 16;
      const type = dpl === '3' ? 0xee00 : 0x8e00;
      const low = `${label} - ${CODE}`; // CODE is the upper half of the address
      return `movw $${low}, ${at}; movw $8, ${at + 2}; movw $${type}, ${at + 4}; movw $${CODE >> 16}, ${at + 6}`;
    })
    .join('\n');

/** Run `source` from its start until HLT, or until the vCPU has stopped. */
export const runCode = async (
  source: string,
  {
    gates = '',
    prepare,
    debug,
  }: { gates?: string; prepare?: (ran: Ran) => void; debug?: Debugger } = {},
): Promise<Ran> => {
  const machine = flatMachine(1024, 2);
  const { memory } = machine;
  const vcpu = pagingVcpu(machine);
  setEntry(machine, 1, 0, 4, 2, PTE_P | PTE_RW | PTE_US);
  setEntry(machine, 2, 0, 3, 3, PTE_P | PTE_RW | PTE_US);
  setEntry(machine, 3, 0, 2, 0, PTE_P | PTE_RW | PTE_US | PTE_PS);
  memory.u8.set(assemble(`${gateCode(gates)}\n${source}`, CODE), memory.frameBase + CODE);
  for (const [i, d] of GDT.entries())
    memory.view.setBigUint64(memory.frameBase + TABLES + 8 * i, d, true);
  memory.view.setBigUint64(memory.frameBase + TSS + 4, BigInt(KERNEL_STACK), true);
  vcpu.set(GDTR_BASE, TABLES);
  vcpu.set(GDTR_LIMIT, GDT.length * 8 - 1);
  vcpu.set(IDTR_BASE, IDT);
  vcpu.set(IDTR_LIMIT, 0xfff);
  vcpu.set(TR_BASE, TSS);
  vcpu.set(CS, 8);
  vcpu.set(SS, 16);
  vcpu.setGpr(RSP, STACK);
  vcpu.rip = CODE;
  const recorder = new Recorder(machine);
  const ran: Ran = {
    ...{ vcpu, machine, recorder, exits: [] },
    reg: (n) => vcpu.getBig(n * 8),
    word: (address) => memory.view.getBigUint64(memory.frameBase + address, true),
  };
  recorder.onExit = () => {
    const reason = vcpu.lo(EXIT_REASON);
    ran.exits.push(reason);
    vcpu.retire();
    if (reason === EXIT_HLT) recorder.finished = true;
  };
  prepare?.(ran);
  const processor = new CodeCpu(machine, vcpu, recorder, new Engine(machine));
  if (debug) processor.debug(debug);
  recorder.processor = processor;
  // Code that goes astray ends too.
  machine.limit = 100_000;
  await machine.run(recorder);
  return ran;
};
