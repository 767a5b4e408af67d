/**
 * What a processor of each maker once answered. Ask this machine's again with UPDATE_GOLDEN=1, after a change of rows or of the
 * generator; the other's answers stay, and so may lack a form.
 */
import { cpus } from 'node:os';
import { describe, expect, it } from 'vitest';
import { decode } from '../../../machine/x86/decoder.ts';
import { CASE_BYTES, Case } from './case.ts';
import { describeCase } from './compare.ts';
import { explained } from './explained.ts';
import { asked, readGolden, writeGolden } from './golden.ts';
import { MAKERS } from './maker.ts';
import { nativeOracle } from './native-oracle.ts';
import { differences, Subject } from './subject.ts';

if (process.env['UPDATE_GOLDEN'] === '1') {
  const oracle = nativeOracle();
  writeGolden(oracle, cpus()[0]!.model);
  oracle.dispose();
}

describe('the evaluator', () => {
  const golden = MAKERS.map((maker) => {
    const { count, cases, results } = readGolden(maker);
    const tests = Array.from({ length: count }, (_, i) => {
      const test = new Case(cases, i);
      return { test, op: decode(test.code, test.mode), native: new Case(results, i) };
    });
    return { maker, tests };
  });

  it.each(golden)('does what a processor did: $maker', ({ maker, tests }) => {
    const subject = new Subject(maker);
    const ours = new Case(new ArrayBuffer(CASE_BYTES), 0);
    const found: string[] = [];
    for (const { test, op, native } of tests) {
      if (explained(test, op, maker)) continue;
      expect(subject.run(test, ours)).toBeDefined();
      const differing = differences(ours, native, maker);
      if (differing.length > 0) found.push(describeCase(test, differing));
    }
    expect(found.slice(0, 3)).toEqual([]);
  });

  it('was compared in every form: else ask a processor again', () => {
    const seen = new Set(
      golden.flatMap(({ tests }) => tests).map(({ op }) => (typeof op === 'string' ? op : op.form)),
    );
    expect(asked.filter((form) => !seen.has(form)).map(({ text }) => text)).toEqual([]);
  });
});
