import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { MODES, OUTCOMES } from '../../cli/result.ts';
import { ROOT } from './hospes.ts';
import { violations } from './schema.ts';

const schema = JSON.parse(readFileSync(`${ROOT}/docs/report.schema.json`, 'utf8'));
const mode = {
  ...{ mode: 'pv', outcome: 'crash', why: 'it did', cycles: 3, console: 'x' },
  causes: [{ cause: 'guest work', count: 1, cycles: 3 }],
};
const report = { kernel: 'k.ts', preset: 'p', modes: [mode] };

describe('docs/report.schema.json', () => {
  it('takes one comparison, or several under runs', () => {
    expect(violations(report, schema)).toEqual([]);
    expect(violations({ runs: [report, report] }, schema)).toEqual([]);
  });

  it.each([
    ['a fraction of a cycle', { cycles: 1.5 }],
    ['an unknown outcome', { outcome: 'tired' }],
    ['an unknown field', { extra: 1 }],
    ['a cause without a count', { causes: [{ cause: 'x', cycles: 1 }] }],
    ['no console', { console: undefined }],
  ])('refuses %s', (_case, change) => {
    const wrong = { ...report, modes: [{ ...mode, ...change }] };
    expect(violations(wrong, schema)).not.toEqual([]);
  });

  it('knows every mode and every outcome', () => {
    const { properties } = schema.$defs.mode;
    expect(properties.mode.enum).toEqual([...MODES]);
    expect(properties.outcome.enum).toEqual([...OUTCOMES]);
  });
});
