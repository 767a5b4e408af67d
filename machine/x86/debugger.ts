/**
 * Whoever watches machine code from outside: asked between two instructions, before the next is executed. While it thinks, no
 * virtual time passes, and nothing that it may do here makes any: a watched run is the same run.
 */
import type { Vcpu } from '../vcpu.ts';

export interface Debugger {
  /** Addresses; before the instruction at one of them `before` is called. */
  readonly breakpoints: ReadonlySet<number>;
  /**
   * `vcpu` is about to execute the instruction at its RIP. @returns how many may be executed until the next call, if no breakpoint
   * comes first. If only one, the evaluator does it, and `accessed` hears of its accesses.
   */
  before(vcpu: Vcpu): number | Promise<number>;
  accessed(vcpu: Vcpu, va: number, bytes: number, write: boolean): void;
}

export const NO_BREAKPOINTS: ReadonlySet<number> = new Set();
