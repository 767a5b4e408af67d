/**
 * What a docstring of the hypervisor says can go wrong, some test provokes: for each errno after `@errors` there is a
 * test that names it beside the operation, or a case of the real Xen's that got it.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import * as errno from '../../protocol/errno.ts';
import * as grants from '../../protocol/grant-table.ts';

const ROOT = new URL('../../', import.meta.url);
const read = (file: string): string => readFileSync(new URL(file, ROOT), 'utf8');
const under = (folder: string): string[] =>
  readdirSync(new URL(folder, ROOT), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts'))
    .map((file) => `${folder}/${file}`);

interface Promised {
  readonly file: string;
  /** What the docstring is on. */
  readonly name: string;
  /** Names by which a test may speak of it. */
  readonly aliases: readonly string[];
  readonly code: string;
}

const DOCSTRING = /\/\*\*((?:(?!\*\/)[\s\S])*)\*\/\n *(export )?(?:const )?(\w+)/g;
const REGISTERED =
  /(?:OPS\[(\w+)\] = |\[abi\.(\w+), |(?:pv|both)\(nr\.__HYPERVISOR_(\w+), \d, )(.*)/g;

/** Xen's names of the operations that a function does, by function, as tables of handlers say. */
const operationsOf = (text: string): Map<string, string[]> => {
  const names = new Map<string, string[]>();
  for (const [, op, abi, call, handler] of text.matchAll(REGISTERED)) {
    for (const [word] of handler!.matchAll(/\w+/g))
      names.set(word, [...(names.get(word) ?? []), (op ?? abi ?? call)!]);
  }
  return names;
};

const SOURCES = under('hypervisor').map((file) => ({ file, text: read(file) }));
const OPERATIONS = operationsOf(SOURCES.map(({ text }) => text).join('\n'));
const EXPORTED = /export const (\w+)/g;

/** What tests call a function: its operations; of a part of several, those of its file, or any. */
const aliasesOf = (text: string, name: string, exported: boolean): string[] => {
  const own = operationsOf(text);
  const found = (exported ? OPERATIONS : own).get(name);
  if (found) return exported ? [name, ...found] : found;
  const others = [...text.matchAll(EXPORTED)].flatMap(([, other]) => OPERATIONS.get(other!) ?? []);
  const near = [...own.values(), others].flat();
  const many = near.length > 0 ? near : [...OPERATIONS.values()].flat();
  return exported ? [name, ...many] : many;
};

/** `-EINVAL, GNTST_bad_page, _bad_handle` as whole names. */
const codesIn = (text: string): string[] =>
  [...text.matchAll(/-(E[A-Z0-9]+)\b|(?<!\w)(?:GNTST)?_(\w+)/g)].map(
    ([, name, status]) => name ?? `GNTST_${status}`,
  );

const PROMISES: readonly Promised[] = SOURCES.flatMap(({ file, text }) =>
  [...text.matchAll(DOCSTRING)].flatMap(([, doc, exported, name]) => {
    const promise = /@errors([^@]*)/.exec(doc!.replaceAll(/\s*\n\s*\*\s*/g, ' '))?.[1] ?? '';
    const aliases = aliasesOf(text, name!, exported !== undefined);
    return codesIn(promise).map((code) => ({ file, name: name!, aliases, code }));
  }),
);

/** The words of each group of tests. */
const TESTS = under('test')
  .filter((file) => file.endsWith('.test.ts') && file !== 'test/docs/errors.test.ts')
  .flatMap((file) =>
    read(file)
      .replaceAll('__HYPERVISOR_', '')
      .split(/^(?=describe\()/m)
      .slice(1),
  )
  .map((group) => new Set(group.match(/\w+/g)));
const ANSWERS = Object.values(
  (
    JSON.parse(read('test/hypervisor/real-xen-answers.json')) as {
      answers: Record<string, Record<string, number | string>>;
    }
  ).answers,
).flatMap((cases) => Object.entries(cases));
const NUMBERS: Readonly<Record<string, unknown>> = { ...errno, ...grants };

const numberOf = (code: string): number => {
  const number = NUMBERS[code];
  return code.startsWith('E') ? -Number(number) : Number(number);
};

const isTested = ({ aliases, code }: Promised): boolean =>
  TESTS.some((words) => words.has(code) && aliases.some((alias) => words.has(alias))) ||
  ANSWERS.some(
    ([title, answer]) =>
      answer === numberOf(code) &&
      aliases.some((alias) => title.includes(alias.replace(/^(EVTCHN|VCPU|SCHED|PHYSDEV)OP_/, ''))),
  );

describe('every errno named in a docstring', () => {
  it('is one', () => {
    expect(PROMISES.length).toBeGreaterThan(100);
    expect(PROMISES.filter(({ code }) => !Number.isInteger(numberOf(code)))).toEqual([]);
  });

  it('is provoked by a test', () => {
    const untested = PROMISES.filter((promise) => !isTested(promise));
    expect(untested.map(({ file, name, code }) => `${file}: ${name}: ${code}`)).toEqual([]);
  });
});
