/** docs/rings.md has a rule for every test of a ring, and a test for every rule. */
import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { BLK_RULES } from '../../drivers/conformance/blk-rules.ts';
import { BYTE_RULES } from '../../protocol/conformance/byte-rules.ts';
import { RING_PROTOCOLS } from '../../protocol/conformance/ring-protocols.ts';
import { RING_RULES } from '../../protocol/conformance/rules.ts';
import { SCENARIOS } from '../../protocol/conformance/scenarios.ts';
import { BYTE_MUTANTS } from '../conformance/mutants/byte-mutants.ts';
import { RING_MUTANTS } from '../conformance/mutants/ring-mutants.ts';
import { checkRules, type RuleLists, testTitles } from './rings-check.ts';

const ROOT = new URL('../../', import.meta.url);
const page = readFileSync(new URL('docs/rings.md', ROOT), 'utf8');

const LISTS: RuleLists = {
  kits: [RING_RULES, BYTE_RULES, BLK_RULES],
  rings: RING_PROTOCOLS.map(({ name }) => name),
  named: [
    ...SCENARIOS.map(({ rule }) => ({ who: 'a scenario', rule })),
    ...[...RING_MUTANTS, ...BYTE_MUTANTS].map(({ name, rule }) => ({
      who: `the mutant "${name}"`,
      rule,
    })),
  ],
};

const readTest = (path: string): string | undefined => {
  const file = new URL(path, ROOT);
  const isTest = /^test\/[\w/-]+\.test\.ts$/.test(path);
  return isTest && existsSync(file) ? readFileSync(file, 'utf8') : undefined;
};

const check = (text: string, more: Partial<RuleLists> = {}): string[] =>
  checkRules(text, { ...LISTS, ...more }, readTest);

/** The page with one thing changed; it must be there. */
const changed = (from: string | RegExp, to: string): string => {
  const text = page.replace(from, to);
  expect(text).not.toBe(page);
  return text;
};

const section = (id: string): RegExp => new RegExp(`### ${id} [\\s\\S]*?(?=\\n##)`);

describe('docs/rings.md', () => {
  it('has a test for every rule, and a rule for every test', () => {
    expect(check(page)).toEqual([]);
  });

  it('has lines that fit', () => {
    const prose = page.split('\n').filter((text) => !text.startsWith('|'));
    expect(prose.filter((text) => text.length > 140)).toEqual([]);
  });
});

describe('the check of docs/rings.md', () => {
  const fifth = /(### RING-05 [\s\S]*?)\*Source:\*.*\n/;
  const eleventh = /(### RING-11 [\s\S]*?)\n\*Checked by:\*.*/;
  const scenario = { who: 'a scenario', rule: 'RING-99' };

  it.each([
    ['no source', changed(fifth, '$1'), ['RING-05 has no Source']],
    ['no test', changed(eleventh, '$1'), ['RING-11 has no Checked by']],
    [
      'no words',
      changed(/(### RING-08 .*\n)[\s\S]*?(?=\*Source)/, '$1\n'),
      ['RING-08 says nothing'],
    ],
    [
      'a heading that is none of a rule',
      changed('### RING-26 A', '### RING 26 A'),
      [
        '"RING 26 A message is copied once" is no heading of a rule',
        'RING-26 of the kit has no section',
        'the mutant "message checked in the slot, then copied" names RING-26, which has no section',
      ],
    ],
    ['a number left out', changed(section('NET-03'), ''), ['NET-04 does not come after NET-02']],
    [
      'a number twice',
      changed('### NET-04 ', '### NET-03 '),
      ['NET-03 does not come after NET-03', 'NET-05 does not come after NET-03'],
    ],
    [
      'a title that the kit does not have',
      changed('### RING-22 Indices are 32', '### RING-22 Indices are 64'),
      ['RING-22 is "Indices are 32 bits wide" in the kit'],
    ],
    [
      'a role too few',
      changed(/(### RING-23 [\s\S]*?)kit \(front, back\)/, '$1kit (back)'),
      ['RING-23 is checked by kit (front, back), and says otherwise'],
    ],
    [
      'a role too many',
      changed('*Checked by:* kit (front)', '*Checked by:* kit (front, back)'),
      ['RING-01 is checked by kit (front), and says otherwise'],
    ],
    [
      'no role',
      changed('*Checked by:* kit (front)', '*Checked by:* kit'),
      ['RING-01 is checked by kit (front), and says otherwise'],
    ],
    [
      'only a test where the kit checks',
      changed('kit (front)', '`test/protocol/ring.test.ts` "rounds down to a power of two"'),
      ['RING-01 is checked by the kit, but does not say so'],
    ],
    [
      'the kit where it does not check',
      changed(/(### NET-03 [\s\S]*?)(`test.*)/, '$1kit (front); $2'),
      ['NET-03 is not checked by the kit'],
    ],
    [
      'another rule that the kit does not have',
      changed('by RING-04, RING-06 on', 'by RING-04, RING-60 on'),
      ['NET-01: RING-60 is not checked by the kit'],
    ],
    [
      'another rule that binds another',
      changed('by RING-04, RING-06 on', 'by RING-13 on'),
      ['NET-01: RING-13 bind front, not front, back'],
    ],
    [
      'a ring that does not exist',
      changed('`ring:netif-rx`', '`ring:netif-ctrl`'),
      ['NET-01: there is no ring ring:netif-ctrl'],
    ],
    [
      'a file that does not exist',
      changed('`test/protocol/netif-rules.test.ts`', '`test/protocol/netif-ruins.test.ts`'),
      ['NET-03: there is no test/protocol/netif-ruins.test.ts'],
    ],
    [
      'a title that no test has',
      changed('"is one packet of one slot"', '"is one packet of one slo"'),
      ['NET-04: test/protocol/netif.test.ts has no test "is one packet of one slo"'],
    ],
    [
      'what cannot be read',
      changed('"are names that netif.h has"', '"are names that netif.h has", by hand'),
      ['NET-03: cannot read ", by hand" in Checked by'],
    ],
    [
      'a rule of the kit that is not there',
      changed(section('RING-26'), ''),
      [
        'RING-26 of the kit has no section',
        'the mutant "message checked in the slot, then copied" names RING-26, which has no section',
      ],
    ],
  ])('finds %s', (_what, text, faults) => {
    expect(check(text)).toEqual(faults);
  });

  it('finds a rule that only a scenario names, and one of another kit', () => {
    expect(check(page, { named: [scenario] })).toEqual([
      'a scenario names RING-99, which has no section',
    ]);
    const kits = [...LISTS.kits, [{ id: 'FB-01', title: 'A screen', roles: ['front'] as const }]];
    expect(check(page, { kits })).toEqual(['FB-01 of the kit has no section']);
  });

  it('finds nothing but faults in an empty page', () => {
    expect(check('').length).toBe(LISTS.kits.flat().length + LISTS.named.length);
  });

  it('reads the titles of a test file as they are written, without skipped ones', () => {
    const source = `
      // it('in a comment', f)
      describe('group', () => {
        it('plain', f);
        it("it's", f);
        it(
          'on its own line', f);
        it('it\\'s escaped', f);
        it.each([['a)', f(1)], ["b('"]])('%s of each', f);
        it.each(LIST.map((one) => [one.name]))(
          'of a map', f);
        it.skip('skipped', f);
        it.todo('to come');
        itNeeds('gcc', available && more(1), 'with a tool', f);
        edit('no test', f);
      });`;
    expect([...testTitles(source)]).toEqual([
      ...['plain', "it's", 'on its own line', "it's escaped", '%s of each', 'of a map'],
      'with a tool',
    ]);
  });
});
