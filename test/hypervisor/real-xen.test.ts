/**
 * The real Xen as the judge: the same calls with the same arguments, made here by a PV guest, get
 * the answers that it gave, but for the listed differences.
 */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { AREAS } from './real-xen/areas.ts';
import { DIFFERENCES } from './real-xen/differences.ts';
import { type Answers, answersOf } from './real-xen/live-rig.ts';

const { answers: recorded } = JSON.parse(
  readFileSync(new URL('./real-xen-answers.json', import.meta.url), 'utf8'),
) as { answers: Record<string, Answers> };

const differencesOf = (area: string) =>
  DIFFERENCES.filter((difference) => difference.area === area).map((difference) => ({
    ...difference,
    names: Object.keys(recorded[area] ?? {}).filter((name) =>
      new RegExp(`^(${difference.cases.source})$`).test(name),
    ),
  }));

describe('the answers of Xen 4.17', () => {
  it.each(Object.entries(AREAS))('are ours too: %s', async (area, cases) => {
    const expected: Answers = { ...recorded[area] };
    for (const { names, ours } of differencesOf(area)) {
      for (const name of names) expected[name] = ours;
    }
    expect(await answersOf(cases)).toEqual(expected);
  });

  it.each(Object.keys(AREAS))('differ where the list says so: %s', (area) => {
    for (const { names, ours, cases } of differencesOf(area)) {
      expect(names, cases.source).not.toEqual([]);
      for (const name of names) expect(recorded[area]?.[name], name).not.toBe(ours);
    }
  });

  it('are there for every area', () => {
    expect(Object.keys(recorded)).toEqual(Object.keys(AREAS));
    expect(DIFFERENCES.filter(({ area }) => !(area in AREAS))).toEqual([]);
  });
});
