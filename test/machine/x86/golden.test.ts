/** What a processor once answered. Ask one again with UPDATE_GOLDEN=1, after a change of rows or of the generator. */
import { cpus } from 'node:os';
import { describe, expect, it } from 'vitest';
import { decode } from '../../../machine/x86/decoder.ts';
import { CASE_BYTES, Case } from './case.ts';
import { describeCase } from './compare.ts';
import { asked, readGolden, writeGolden } from './golden.ts';
import { nativeOracle } from './native-oracle.ts';
import { differences, Subject } from './subject.ts';

if (process.env['UPDATE_GOLDEN'] === '1') {
  const oracle = nativeOracle();
  writeGolden(oracle, cpus()[0]!.model);
  oracle.dispose();
}

describe('the evaluator', () => {
  const { count, cases, results } = readGolden();
  const each = Array.from({ length: count }, (_, i) => new Case(cases, i));

  it('does what a processor did', () => {
    const subject = new Subject();
    const ours = new Case(new ArrayBuffer(CASE_BYTES), 0);
    const found: string[] = [];
    each.forEach((test, i) => {
      expect(subject.run(test, ours)).toBeDefined();
      const differing = differences(ours, new Case(results, i));
      if (differing.length > 0) found.push(describeCase(test, differing));
    });
    expect(found.slice(0, 3)).toEqual([]);
  });

  it('was compared in every form: else ask a processor again', () => {
    const seen = new Set(
      each
        .map(({ code, mode }) => decode(code, mode))
        .map((op) => (typeof op === 'string' ? op : op.form)),
    );
    expect(asked.filter((form) => !seen.has(form)).map(({ text }) => text)).toEqual([]);
  });
});
