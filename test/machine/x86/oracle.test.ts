import { cpus } from 'node:os';
import { describe, expect, it } from 'vitest';
import { itNeeds } from '../../support/tools.ts';
import { compareCases, newTally } from './compare.ts';
import { forms } from './generator.ts';
import { hasOracle, nativeOracle, ORACLE } from './native-oracle.ts';

const BATCH = 20_000;
const BATCHES = 6;

// What another maker's processor does otherwise is not listed yet in explained.ts: nothing could be installed for it.
const known = !hasOracle || /^AMD/.test(cpus()[0]?.model ?? '');

describe('the evaluator', () => {
  const name = 'does what the processor does, in 120,000 random cases';
  if (!known) it.skip(`${name} [skipped: so far only for AMD's processors, see docs/isa.md]`);
  else itNeeds(ORACLE, hasOracle, name, compare);
});

function compare(): void {
  const oracle = nativeOracle();
  const tally = newTally();
  try {
    for (let seed = 0; seed < BATCHES; seed++) compareCases(oracle, seed, BATCH, tally);
  } finally {
    oracle.dispose();
  }
  expect(tally.differences.slice(0, 3)).toEqual([]);
  expect(tally.compared).toBe(BATCH * BATCHES);
  expect(tally.faults).toBeGreaterThan(tally.compared / 5);
  expect(tally.explained + tally.skipped).toBeLessThan(tally.compared / 20);
  // what always faults completes never: the three undefined instructions and int3
  const always = new Set(['ud0', 'ud1', 'ud2', 'int3']);
  const missed = forms.filter(
    ({ row, text }) => !always.has(row.name) && !tally.forms.has(`${row.name} ${text}`),
  );
  expect(missed.map(({ row, text }) => `${row.name} ${text}`)).toEqual([]);
}
