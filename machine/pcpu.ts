/**
 * A physical CPU: a clock in cycles, the instant at which whoever runs on it must look up (the horizon),
 * and the account that its cycles are charged to.
 */
import type { Account } from './account.ts';

export class Pcpu {
  readonly index: number;
  /** [0] now, [1] horizon: in a typed array so that a charge allocates nothing. */
  readonly clock = new Float64Array([0, Number.POSITIVE_INFINITY]);
  account: Account;

  constructor(index: number, account: Account) {
    this.index = index;
    this.account = account;
  }

  get now(): number {
    return this.clock[0]!;
  }

  get horizon(): number {
    return this.clock[1]!;
  }

  set horizon(time: number) {
    this.clock[1] = time;
  }

  limitHorizon(time: number): void {
    if (time < this.clock[1]!) this.clock[1] = time;
  }

  /** Spend `cycles` on `cause` (an index of Causes), counting one occurrence. */
  charge(cause: number, cycles: number): void {
    this.account.cycles[cause]! += cycles;
    this.account.count[cause]! += 1;
    this.clock[0]! += cycles;
  }

  /** Spend `cycles` on `cause` for `count` occurrences. */
  chargeMany(cause: number, count: number, cycles: number): void {
    this.account.cycles[cause]! += cycles;
    this.account.count[cause]! += count;
    this.clock[0]! += cycles;
  }

  /** Move to `time` if that is later, charging the wait to `cause`. */
  advanceTo(time: number, cause: number): void {
    const wait = time - this.clock[0]!;
    if (wait > 0) this.charge(cause, wait);
  }
}
