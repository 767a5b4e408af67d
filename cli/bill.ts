/**
 * The bill: accounts of cycles turned into the cause lines of a report. Every cycle of every physical CPU between
 * the guest's first instruction and its end stands in exactly one line, so the lines sum to the total.
 */
import type { Account } from '../machine/account.ts';
import type { CauseLine, DOMAIN0 } from './result.ts';

/** Accounts whose causes are listed under one prefix ('' for the guest and for the idle machine). */
export interface Billed {
  readonly prefix: '' | typeof DOMAIN0;
  readonly accounts: readonly Account[];
}

/** Lines in the order of `names` (the machine's causes), first the guest's. Causes that never occurred are left out. */
export const billOf = (names: readonly string[], parts: readonly Billed[]): CauseLine[] =>
  parts.flatMap(({ prefix, accounts }) =>
    names.flatMap((name, id) => {
      const count = accounts.reduce((sum, account) => sum + account.count[id]!, 0);
      const cycles = Math.round(accounts.reduce((sum, account) => sum + account.cycles[id]!, 0));
      return count === 0 && cycles === 0 ? [] : [{ cause: `${prefix}${name}`, count, cycles }];
    }),
  );

export const totalOf = (causes: readonly CauseLine[]): number =>
  causes.reduce((sum, line) => sum + line.cycles, 0);
