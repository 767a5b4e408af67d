import { describe, expect, it } from 'vitest';
import { Twins } from './twins.ts';

const CASES = 1500;

describe('the interpreter', () => {
  it('does what the evaluator does, on random code in random slices', () => {
    const twins = new Twins(1);
    for (let i = 0; i < CASES; i++) twins.compare();
    const { differences, instructions, faults } = twins.tally;
    expect(differences.slice(0, 3)).toEqual([]);
    expect(instructions).toBeGreaterThan(20 * CASES);
    expect(faults).toBeGreaterThan(CASES / 2);
  }, 60_000);
});
