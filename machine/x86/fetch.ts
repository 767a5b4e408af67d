/** Fetching: the bytes at RIP, as many as the instruction has, and the faults of that. */
import { VECTOR_GP, VECTOR_UD } from '../exit.ts';
import type { CodeMode } from '../vcpu.ts';
import { decode, type Operation } from './decoder.ts';
import { MAX_LENGTH } from './operands.ts';
import { Fault, isCanonical, type LinearMemory } from './state.ts';

const PAGE_BYTES = 4096;

/** The operation at `rip`. @throws Fault */
export const fetchOperation = (memory: LinearMemory, rip: bigint, mode: CodeMode): Operation => {
  if (!isCanonical(rip)) throw new Fault(VECTOR_GP);
  // The next page is looked at only by an instruction that reaches it.
  const here = Math.min(MAX_LENGTH, PAGE_BYTES - Number(rip & BigInt(PAGE_BYTES - 1)));
  let bytes = memory.fetch(rip, here);
  let operation = decode(bytes, mode);
  if (operation === 'short' && bytes.length === here && here < MAX_LENGTH) {
    bytes = memory.fetch(rip, MAX_LENGTH);
    operation = decode(bytes, mode);
  }
  if (operation === 'short') memory.refuseFetch(rip + BigInt(bytes.length));
  if (operation === 'long') throw new Fault(VECTOR_GP);
  if (operation === 'undefined') throw new Fault(VECTOR_UD);
  return operation;
};
