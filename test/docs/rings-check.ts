/**
 * Whether docs/rings.md and the tests agree: a rule without a test, a test without a rule, and every way in which the
 * one may name the other wrongly. Each fault is one sentence; no fault is an empty list.
 */
import type { Rule } from '../../protocol/conformance/rules.ts';

/** What the document is held against. */
export interface RuleLists {
  /** The rules of each kit, by the numbers of the document. */
  readonly kits: readonly (readonly Rule[])[];
  /** The rings that a kit tests, by the names of the command. */
  readonly rings: readonly string[];
  /** Whatever else names a rule: scenarios, mutants. */
  readonly named: readonly { readonly who: string; readonly rule: string }[];
}

/** The text of a test file, undefined if there is none. */
export type ReadTest = (path: string) => string | undefined;

interface Section {
  readonly id: string;
  readonly title: string;
  readonly body: string;
}

type Roles = readonly string[];

interface ByKit {
  readonly roles: Roles;
  /** Where a rule is checked by others of the kit, on these rings. */
  readonly rules: readonly string[];
  readonly rings: readonly string[];
}

interface ByTest {
  readonly path: string;
  readonly titles: readonly string[];
}

const RULE = /^([A-Z]+-\d\d) (\S.*)$/;

export function checkRules(text: string, lists: RuleLists, readTest: ReadTest): string[] {
  const headings = text.split(/^### /m).slice(1);
  const faults: string[] = [];
  const sections: Section[] = [];
  for (const part of headings) {
    const [heading, ...lines] = part.split(/^## /m)[0]!.split('\n') as [string, ...string[]];
    const [, id, title] = RULE.exec(heading) ?? [];
    if (id && title) sections.push({ id, title, body: lines.join('\n').trim() });
    else faults.push(`"${heading}" is no heading of a rule`);
  }
  const kit = new Map(lists.kits.flat().map((rule) => [rule.id, rule]));
  const has = new Set(sections.map(({ id }) => id));
  return [
    ...faults,
    ...numbering(sections),
    ...sections.flatMap((section) => checkSection(section, kit, lists.rings, readTest)),
    ...[...kit.keys()].filter((id) => !has.has(id)).map((id) => `${id} of the kit has no section`),
    ...lists.named
      .filter(({ rule }) => !has.has(rule))
      .map(({ who, rule }) => `${who} names ${rule}, which has no section`),
  ];
}

/** From 01 on, in order, for each prefix. */
function numbering(sections: readonly Section[]): string[] {
  const last = new Map<string, number>();
  const faults: string[] = [];
  for (const { id } of sections) {
    const [prefix, number] = id.split('-') as [string, string];
    const before = last.get(prefix) ?? 0;
    if (Number(number) !== before + 1) {
      faults.push(`${id} does not come after ${prefix}-${String(before).padStart(2, '0')}`);
    }
    last.set(prefix, Number(number));
  }
  return faults;
}

function checkSection(
  { id, title, body }: Section,
  kit: ReadonlyMap<string, Rule>,
  rings: readonly string[],
  readTest: ReadTest,
): string[] {
  const source = line(body, 'Source');
  const checked = line(body, 'Checked by');
  const words = body.split('*Source:*')[0]!.trim();
  const faults = [
    ...(words === '' || words.startsWith('*') ? [`${id} says nothing`] : []),
    ...(source ? [] : [`${id} has no Source`]),
  ];
  if (!checked) return [...faults, `${id} has no Checked by`];
  const by = parse(checked);
  if (typeof by === 'string') return [...faults, `${id}: cannot read "${by}" in Checked by`];
  const rule = kit.get(id);
  const own = by.kits.filter(({ rules }) => rules.length === 0);
  if (rule && rule.title !== title) faults.push(`${id} is "${rule.title}" in the kit`);
  if (rule && own.length === 0) faults.push(`${id} is checked by the kit, but does not say so`);
  if (!rule && own.length > 0) faults.push(`${id} is not checked by the kit`);
  if (rule && own.some(({ roles }) => !same(roles, rule.roles))) {
    faults.push(`${id} is checked by kit (${rule.roles.join(', ')}), and says otherwise`);
  }
  const borrowed = by.kits.filter(({ rules }) => rules.length > 0);
  const more = borrowed.flatMap((one) => checkBorrowed(one, kit, rings));
  const tests = by.tests.flatMap((test) => checkTest(test, readTest));
  return [...faults, ...[...more, ...tests].map((fault) => `${id}: ${fault}`)];
}

function checkBorrowed(
  { roles, rules, rings }: ByKit,
  kit: ReadonlyMap<string, Rule>,
  known: readonly string[],
): string[] {
  const bound = new Set(rules.flatMap((id) => kit.get(id)?.roles ?? []));
  return [
    ...rules.filter((id) => !kit.has(id)).map((id) => `${id} is not checked by the kit`),
    ...rings.filter((ring) => !known.includes(ring)).map((ring) => `there is no ring ${ring}`),
    ...(same(roles, [...bound])
      ? []
      : [`${rules.join(', ')} bind ${[...bound].join(', ') || 'nobody'}, not ${roles.join(', ')}`]),
  ];
}

function checkTest({ path, titles }: ByTest, readTest: ReadTest): string[] {
  const source = readTest(path);
  if (source === undefined) return [`there is no ${path}`];
  const found = testTitles(source);
  return titles
    .filter((title) => !found.has(title))
    .map((title) => `${path} has no test "${title}"`);
}

function same(some: Roles, others: Roles): boolean {
  return [...some].sort().join() === [...others].sort().join();
}

/** What follows `*Name:*`, up to the next such line, an empty line or the end, as one line. */
function line(body: string, name: string): string | undefined {
  const [, found] =
    new RegExp(`^\\*${name}:\\*([\\s\\S]*?)(?=\\n\\*|\\n\\n|$(?![\\s\\S]))`, 'm').exec(body) ?? [];
  return found?.replaceAll(/\s+/g, ' ').trim() || undefined;
}

const KIT = /kit(?: \(([a-z, ]+)\))?(?: by ([A-Z0-9, -]+) on (`[^`]+`(?:, `[^`]+`)*))?/y;
const TEST = /`([^`]+)` ("[^"]+"(?:, "[^"]+")*)/y;

/** `kit (front, back)`, kit (…) by other rules on named rings, a test file with titles; with `; ` between them. */
function parse(text: string): { kits: ByKit[]; tests: ByTest[] } | string {
  const kits: ByKit[] = [];
  const tests: ByTest[] = [];
  for (let at = 0; ; at += 2) {
    KIT.lastIndex = TEST.lastIndex = at;
    const kit = KIT.exec(text);
    const test = TEST.exec(text);
    if (kit) {
      const [, roles = '', rules, rings = ''] = kit;
      const named = [...rings.matchAll(/`([^`]+)`/g)].map(([, ring]) => ring!);
      kits.push({ roles: roles.split(', '), rules: rules?.split(', ') ?? [], rings: named });
    } else if (test) {
      const titles = [...test[2]!.matchAll(/"([^"]+)"/g)].map(([, title]) => title!);
      tests.push({ path: test[1]!, titles });
    } else return text.slice(at);
    at += (kit ?? test)![0].length;
    if (at === text.length) return { kits, tests };
    if (!text.startsWith('; ', at)) return text.slice(at);
  }
}

const TOKEN =
  /\/\/[^\n]*|\/\*[\s\S]*?\*\/|'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"|`(?:\\[\s\S]|[^`\\])*`/g;

/** The titles of `it`, `it.each` and `itNeeds` in a file, as they are written there; of none that is skipped. */
export function testTitles(source: string): Set<string> {
  const strings: string[] = [];
  const code = source.replaceAll(TOKEN, (token) => {
    if (token.startsWith('/')) return '';
    return `"${strings.push(token.slice(1, -1).replaceAll(/\\(.)/g, '$1')) - 1}"`;
  });
  const titles = new Set<string>();
  for (const { 0: call, 1: name, 2: how, index } of code.matchAll(
    /\b(it|itNeeds)((?:\.\w+)*)\(/g,
  )) {
    if (/skip|todo/.test(how!)) continue;
    let at = index + call.length;
    if (how!.endsWith('.each')) at = code.indexOf('(', closing(code, at)) + 1;
    const argument = name === 'itNeeds' ? /^[^,]*,[^,]*,\s*"(\d+)"/ : /^\s*"(\d+)"/;
    const [, title] = argument.exec(code.slice(at)) ?? [];
    if (title) titles.add(strings[Number(title)]!);
  }
  return titles;
}

/** One past the parenthesis that closes the one before `at`. */
function closing(code: string, at: number): number {
  let depth = 1;
  while (depth > 0 && at < code.length) {
    const character = code[at++];
    if (character === '(') depth++;
    if (character === ')') depth--;
  }
  return at;
}
