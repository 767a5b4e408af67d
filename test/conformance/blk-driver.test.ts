/**
 * Whole block drivers before the kit: ours pass, and for each rule there is one that breaks it and is found.
 *
 * - each mutant is tried by its own rule; with CONFORMANCE_FULL=1 by all rules, of which no other may fail
 * - whatever a subject does, or does not do, the kit comes to a verdict
 */
import { describe, expect, it } from 'vitest';
import { type BlkConformance, runBlkConformance } from '../../cli/conformance-blk.ts';
import { BLK_RULES, type BlkRule } from '../../drivers/conformance/blk-rules.ts';
import { defineKernel } from '../../drivers/index.ts';
import type { Verdict } from '../../protocol/conformance/verdict.ts';
import { BACK_MUTANTS } from './mutants/back-mutants.ts';
import { FRONT_MUTANTS } from './mutants/front-mutants.ts';
import { backOf, SmallBack } from './mutants/small-back.ts';
import { frontOf, SmallFront } from './mutants/small-front.ts';

const FULL = process.env['CONFORMANCE_FULL'] === '1';
const ROLES = ['back', 'front'] as const;
const NOT_OFFERED: Readonly<Record<string, string>> = {
  'BLK-22': 'it does not offer a barrier',
  'BLK-23': 'it does not offer a discard',
  'BLK-24': 'it does not offer indirect segments',
};

/** Verdicts by rule, those that passed left out. */
const findings = (verdicts: readonly Verdict[]): Record<string, string> =>
  Object.fromEntries(
    verdicts
      .filter(({ outcome }) => outcome !== 'pass')
      .map(({ rule, outcome, why }) => [rule, `${outcome}: ${why}`]),
  );

const skips = (role: string): Record<string, string> =>
  role === 'front'
    ? {}
    : Object.fromEntries(Object.entries(NOT_OFFERED).map(([rule, why]) => [rule, `skip: ${why}`]));

const binding = (role: 'front' | 'back'): string[] =>
  BLK_RULES.filter(({ roles }) => (roles as readonly string[]).includes(role)).map(({ id }) => id);

describe.each(ROLES)('the block kit, before a %s end', (role) => {
  it('passes ours, and has a verdict for every rule', async () => {
    const verdicts = await runBlkConformance({ role, seed: 1 });
    expect(findings(verdicts)).toEqual(skips(role));
    expect(verdicts.map(({ rule }) => rule)).toEqual(binding(role));
    expect(verdicts.every((verdict) => verdict.role === role)).toBe(true);
  });

  it('passes a small one, with another seed', async () => {
    const subjects: Record<string, BlkConformance> = {
      back: { role: 'back', subject: backOf(SmallBack), seed: 7 },
      front: { role: 'front', subject: frontOf(SmallFront), seed: 7 },
    };
    expect(findings(await runBlkConformance(subjects[role]!))).toEqual(skips(role));
  });

  it('has a mutant for every rule', () => {
    const mutants = role === 'back' ? BACK_MUTANTS : FRONT_MUTANTS;
    expect([...new Set(mutants.map(([rule]) => rule))]).toEqual(binding(role));
  });
});

/** The rules by which a mutant is tried, and what is to come of it. */
const tried = async (subject: BlkConformance, rule: BlkRule): Promise<void> => {
  const verdicts = await runBlkConformance(FULL ? subject : { ...subject, rules: [rule] });
  const found = verdicts.filter(({ outcome }) => outcome === 'fail' || outcome === 'warn');
  expect(found.map((verdict) => verdict.rule)).toEqual([rule]);
  expect(found[0]!.why).toMatch(/^[^\n]+[^.\n]$/);
};

describe('the block kit finds a back end that', () => {
  it.each(BACK_MUTANTS.map(([rule, title, subject]) => ({ rule, title, subject })))(
    '$title ($rule)',
    ({ rule, subject }) => tried({ role: 'back', subject, seed: 1 }, rule),
  );
});

describe('the block kit finds a front end that', () => {
  it.each(FRONT_MUTANTS.map(([rule, title, subject]) => ({ rule, title, subject })))(
    '$title ($rule)',
    ({ rule, subject }) => tried({ role: 'front', subject, seed: 1 }, rule),
  );
});

describe('the block kit', () => {
  const some: BlkRule[] = ['BLK-01', 'BLK-17', 'BLK-28', 'BLK-33', 'BLK-38'];
  const whole = { seed: 1, rules: some };

  const bad: Readonly<Record<string, BlkConformance>> = {
    'a back end that never opens': {
      role: 'back',
      ...whole,
      subject: () => ({ open: async () => undefined, stop: () => undefined }),
    },
    'a back end that kills its domain': {
      role: 'back',
      ...whole,
      subject: ({ kernel }) => ({ open: async () => kernel.crash('no'), stop: () => undefined }),
    },
    'a guest that obeys nothing': {
      role: 'front',
      ...whole,
      subject: defineKernel(() => new Promise(() => undefined)),
    },
    'a guest that crashes': {
      role: 'front',
      ...whole,
      subject: defineKernel(async (k) => k.crash('no')),
    },
    'a guest that never rests': {
      role: 'front',
      seed: 1,
      rules: ['BLK-01'],
      subject: defineKernel(async (k) => {
        for (;;) await k.cpu.work(1_000_000);
      }),
    },
  };
  it.each(Object.keys(bad))('comes to an end with %s', async (name) => {
    const verdicts = await runBlkConformance(bad[name]!);
    expect(verdicts.map(({ outcome }) => outcome)).toEqual(verdicts.map(() => 'fail'));
    expect(verdicts).toHaveLength(bad[name]!.rules!.length);
  });

  it.each(ROLES)('says the same twice of a %s end', async (role) => {
    const subject: BlkConformance =
      role === 'back'
        ? { role, subject: backOf(SmallBack), ...whole }
        : { role, subject: frontOf(SmallFront), ...whole };
    expect(await runBlkConformance(subject)).toEqual(await runBlkConformance(subject));
  });
});
