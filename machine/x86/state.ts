/**
 * What instructions act on, and how they end.
 */
import type { CodeMode } from '../vcpu.ts';
import type { Operation } from './decoder.ts';
import type { X87State } from './x87-state.ts';

export interface State {
  readonly gpr: BigUint64Array;
  /** XMM0 to XMM15. */
  readonly vectors: Record<number, bigint>;
  readonly x87: X87State;
  mxcsr: number;
  rip: bigint;
  rflags: number;
  fsBase: bigint;
  gsBase: bigint;
  cpl: number;
  /** That of the segment that CS names. */
  readonly mode: CodeMode;
  readonly cr0: number;
  readonly cr4: number;
}

/** Monitor coprocessor, emulation, task switched, alignment mask; FXSAVE and SSE are there. */
export const CR0_MP = 0x2;
export const CR0_EM = 0x4;
export const CR0_TS = 0x8;
export const CR0_AM = 0x40000;
export const CR4_OSFXSR = 0x200;

/** Addresses are linear and canonical. What is refused throws a Fault and changes nothing, across pages, too. */
export interface LinearMemory {
  /** `intent`: the same bytes are about to be written. */
  read(address: bigint, bytes: number, intent: boolean): bigint;
  write(address: bigint, bytes: number, value: bigint): void;
  /** Up to `bytes` bytes of code; fewer if the next may not be fetched. */
  fetch(address: bigint, bytes: number): Uint8Array;
  /** Throws the fault of fetching from `address`. */
  refuseFetch(address: bigint): never;
}

export class Fault {
  readonly vector: number;
  readonly error: number;
  /** CR2 of a page fault. */
  readonly address: bigint;

  constructor(vector: number, error = 0, address = 0n) {
    this.vector = vector;
    this.error = error;
    this.address = address;
  }
}

export type Outcome =
  | { readonly kind: 'done' }
  | { readonly kind: 'fault'; readonly fault: Fault }
  | { readonly kind: 'exit'; readonly reason: string; readonly operation: Operation };

/** Bits 63 to 47 are equal. */
export const isCanonical = (address: bigint): boolean =>
  BigInt.asUintN(64, BigInt.asIntN(48, address)) === address;
