/** A machine whose only vCPU runs at CPL 3 in 16 MiB, mapped as they are in pages of 4 KiB. */
import { CR4_OSFXSR } from '../../machine/control-registers.ts';
import { Machine } from '../../machine/machine.ts';
import { DEFAULT_PRESET } from '../../machine/presets.ts';
import { PTE_P, PTE_RW, PTE_US, pteHi, pteLo } from '../../machine/pte.ts';
import {
  CR3,
  CR4,
  RFLAGS,
  RFLAGS_FIXED,
  RFLAGS_IF,
  RIP,
  RSP,
  type Vcpu,
} from '../../machine/vcpu.ts';
import type { Engine } from '../../machine/x86/engine.ts';

export const GUEST_BYTES = 16 << 20;
const FRAMES = GUEST_BYTES >> 12;
const TABLES = FRAMES >> 9;
const STACK_TOP = GUEST_BYTES - 64;

export interface Guest {
  readonly machine: Machine;
  readonly vcpu: Vcpu;
}

export const newGuest = (): Guest => {
  const frames = FRAMES + TABLES + 3;
  const machine = new Machine({ preset: DEFAULT_PRESET, frames, vcpus: 1, pcpus: 1 });
  const { memory } = machine;
  const entry = (table: number, index: number, frame: number): void => {
    const word = (memory.frameAt(table) >>> 2) + 2 * index;
    memory.u32[word] = pteLo(frame, PTE_P | PTE_RW | PTE_US);
    memory.u32[word + 1] = pteHi(frame);
  };
  const [first, level2, level3, level4] = [FRAMES, ...[0, 1, 2].map((i) => FRAMES + TABLES + i)];
  for (let page = 0; page < FRAMES; page++) entry(first + (page >> 9), page & 511, page);
  for (let table = 0; table < TABLES; table++) entry(level2!, table, first + table);
  entry(level3!, 0, level2!);
  entry(level4!, 0, level3!);
  const vcpu = machine.allocateVcpu();
  vcpu.set(CR3, level4! * 4096);
  vcpu.set(CR4, CR4_OSFXSR);
  vcpu.cpl = 3;
  vcpu.selectTlb(1);
  return { machine, vcpu };
};

export const load = ({ machine: { memory } }: Guest, address: number, bytes: Uint8Array): void =>
  memory.u8.set(bytes, memory.frameAt(0) + address);

/** From `entry` to a system call, anything else being an error. */
export const runToSyscall = (engine: Engine, { vcpu }: Guest, entry: number): void => {
  vcpu.set(RIP, entry);
  vcpu.setGpr(RSP, STACK_TOP);
  vcpu.set(RFLAGS, RFLAGS_FIXED | RFLAGS_IF);
  const outcome = engine.run(vcpu);
  if (outcome.kind === 'exit' && outcome.reason === 'syscall') return;
  const what =
    outcome.kind === 'fault'
      ? `exception ${outcome.fault.vector} (${outcome.fault.address.toString(16)})`
      : outcome.kind;
  throw new Error(`the interpreter: ${what} at ${vcpu.rip.toString(16)}`);
};
