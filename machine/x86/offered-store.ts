/**
 * One instruction executed for a vCPU whose store is not its own to make: what it would store is worked out and offered to
 * somebody else. Registers change only if that is accepted.
 */
import { CAUSE_WORK } from '../account.ts';
import type { Machine } from '../machine.ts';
import type { Vcpu } from '../vcpu.ts';
import { decode } from './decoder.ts';
import { Evaluator } from './evaluator.ts';
import { MAX_LENGTH } from './operands.ts';
import type { LinearMemory } from './state.ts';
import { signedNumber, VcpuMemory } from './vcpu-memory.ts';
import { VcpuState } from './vcpu-state.ts';

/** Asked to store `bytes` bytes of `value` at `va`. */
export type Offer = (va: number, bytes: number, value: bigint) => boolean;

/** Operands of instructions that change nothing but general registers and memory. */
const SIMPLE: readonly string[] = ['register', 'memory', 'immediate', 'condition'];

/** @returns false, nothing changed, when the instruction at RIP stores not just once, or its store is not accepted */
export const executeOffering = (machine: Machine, vcpu: Vcpu, offer: Offer): boolean => {
  const { memory, mmu } = machine;
  const own = new VcpuState(memory, vcpu);
  const seen = new VcpuMemory(memory, mmu, vcpu, () => {});
  const op = decode(seen.fetch(own.rip, MAX_LENGTH), own.mode);
  if (typeof op === 'string' || !op.operands.every(({ kind }) => SIMPLE.includes(kind)))
    return false;
  const stores: { va: number; bytes: number; value: bigint }[] = [];
  const held: LinearMemory = {
    read: (address, bytes) => seen.read(address, bytes, false),
    write: (address, bytes, value) => {
      stores.push({ va: signedNumber(address), bytes, value });
    },
    fetch: (address, bytes) => seen.fetch(address, bytes),
    refuseFetch: (address) => seen.refuseFetch(address),
  };
  const { vectors, x87, mxcsr, rip, rflags, fsBase, gsBase, cpl, mode, cr0, cr4 } = own;
  const others = { vectors, x87, mxcsr, rflags, fsBase, gsBase, cpl, mode, cr0, cr4 };
  const copy = { ...others, rip, gpr: own.gpr.slice() };
  const outcome = new Evaluator(copy, held).step();
  const store = stores[0];
  if (outcome.kind !== 'done' || !store || stores.length > 1) return false;
  if (!offer(store.va, store.bytes, store.value)) return false;

  own.gpr.set(copy.gpr);
  own.rip = copy.rip;
  own.rflags = copy.rflags;
  vcpu.pcpu.charge(CAUSE_WORK, machine.costs.instruction);
  return true;
};
