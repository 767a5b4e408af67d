import { describe, expect } from 'vitest';
import type { CodeMode } from '../../../machine/vcpu.ts';
import { itNeeds } from '../../support/tools.ts';
import { compareCases, newTally } from './compare.ts';
import { formsOf } from './generator.ts';
import { hasOracle, nativeOracle, ORACLE } from './native-oracle.ts';

const BATCH = 20_000;

describe('the evaluator', () => {
  for (const [mode, what, batches] of [
    [64, '140,000 random cases', 7],
    [32, '40,000 random cases of compatibility mode', 2],
    [16, '20,000 of its code of 16 bits', 1],
  ] as const) {
    const name = `does what the processor does, in ${what}`;
    itNeeds(ORACLE, hasOracle, name, () => compare(mode, batches));
  }
});

function compare(mode: CodeMode, batches: number): void {
  const oracle = nativeOracle();
  const tally = newTally();
  try {
    for (let seed = 0; seed < batches; seed++) compareCases(oracle, seed, BATCH, tally, mode);
  } finally {
    oracle.dispose();
  }
  expect(tally.differences.slice(0, 3)).toEqual([]);
  expect(tally.compared).toBe(BATCH * batches);
  expect(tally.faults).toBeGreaterThan(tally.compared / 5);
  expect(tally.explained + tally.skipped).toBeLessThan(tally.compared / 20);
  // what always faults completes never: the three undefined instructions and int3
  const always = new Set(['ud0', 'ud1', 'ud2', 'int3']);
  const missed = formsOf(mode).filter(
    ({ row, text }) => !always.has(row.name) && !tally.forms.has(`${row.name} ${text}`),
  );
  expect(missed.map(({ row, text }) => `${row.name} ${text}`)).toEqual([]);
}
