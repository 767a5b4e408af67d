import fc from 'fast-check';
import { describe, it } from 'vitest';
import { DEEDS } from './hostile-instructions.ts';
import { runHostile } from './hostile-run.ts';

const RUNS = Number(process.env['HOSTILE_RUNS'] ?? 60);
const SEED = Number(process.env['HOSTILE_SEED'] ?? 20051205);

const step = fc.record({ deed: fc.constantFrom(...DEEDS), seed: fc.nat() });

describe('a hostile PV domain', () => {
  it('breaks neither the host nor its neighbour, whatever it executes', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.array(step, { maxLength: 60, size: 'max' }), { minLength: 1, maxLength: 2 }),
        fc.integer({ min: 1, max: 2 }),
        fc.boolean(),
        async (lists, pcpus, trace) => {
          await runHostile(lists, { pcpus, trace });
        },
      ),
      { numRuns: RUNS, seed: SEED, endOnFailure: process.env['HOSTILE_FAST'] !== undefined },
    );
  });
});
