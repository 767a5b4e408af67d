/**
 * What the conformance kit found, for people (a table of rules, then every schedule that shows a fault) and for
 * programs (JSON).
 */
import { Table } from 'console-table-printer';
import { BLK_RULES } from '../drivers/conformance/blk-rules.ts';
import { BYTE_RULES } from '../protocol/conformance/byte-rules.ts';
import type { Role } from '../protocol/conformance/peer.ts';
import { RING_RULES, type Rule } from '../protocol/conformance/rules.ts';
import { describeVerdict, type Outcome, type Report } from '../protocol/conformance/verdict.ts';
import type { ConformanceCommand } from './conformance-command.ts';

const OUTCOMES: readonly Outcome[] = ['pass', 'fail', 'warn', 'skip'];
const TITLES = new Map(
  ([...RING_RULES, ...BYTE_RULES, ...BLK_RULES] as readonly Rule[]).map(({ id, title }) => [
    id,
    title,
  ]),
);

type About = Pick<ConformanceCommand, 'protocol' | 'peer' | 'peerCommand' | 'seed'>;

export const reportText = (about: About, report: Report): string => {
  const { verdicts, explored, pictureHeader } = report;
  const parts = [heading(about), table(report)];
  for (const outcome of ['fail', 'warn', 'skip'] as const) {
    const found = verdicts.filter((verdict) => verdict.outcome === outcome);
    const texts = found.map((verdict, i) => {
      // One schedule can break two rules: it is printed once.
      const twin = found.slice(0, i).find(({ steps }) => steps?.length && steps === verdict.steps);
      if (!twin) return `${describeVerdict(verdict, pictureHeader)}\n`;
      return `${describeVerdict({ ...verdict, steps: [] })} (the schedule of ${twin.rule})\n`;
    });
    if (texts.length > 0) parts.push(texts.join(outcome === 'skip' ? '' : '\n'));
  }
  const searched = [...explored].map(([role, { states, runs, complete }]) => {
    const extent = complete ? 'every interleaving' : 'not every interleaving';
    return `${role}: ${count(states)} states in ${count(runs)} runs, ${extent}\n`;
  });
  if (searched.length > 0) parts.push(searched.join(''));
  parts.push(`${summary(report)}\n`);
  return parts.join('\n');
};

export const reportJson = (about: About, { verdicts, explored }: Report): string => {
  const { protocol, peer, peerCommand, seed } = about;
  const value = {
    ...{ protocol, peer, peerCommand, seed },
    verdicts: verdicts.map((verdict) => ({ ...verdict, title: TITLES.get(verdict.rule) })),
    explored: [...explored].map(([role, found]) => ({ role, ...found })),
  };
  return `${JSON.stringify(value, undefined, 2)}\n`;
};

const count = (n: number): string => n.toLocaleString('en-US');

const heading = ({ protocol, peer, peerCommand, seed }: About): string => {
  const subject =
    peer ?? (peerCommand === undefined ? 'the drivers of Hospes' : `'${peerCommand}'`);
  return `${protocol}: ${subject}, seed ${seed}\n`;
};

/** A row for each rule, a column for each role. */
const table = ({ verdicts }: Report): string => {
  const roles = (['front', 'back'] as const).filter((role) =>
    verdicts.some((one) => one.role === role),
  );
  const drawn = new Table({
    shouldDisableColors: true,
    columns: [
      { name: 'rule', title: 'rule', alignment: 'left' },
      { name: 'title', title: 'what it says', alignment: 'left' },
      ...roles.map((role) => ({ name: role, title: role, alignment: 'left' as const })),
    ],
  });
  const rules = [...new Set(verdicts.map(({ rule }) => rule))].sort();
  const cell = (rule: string, role: Role): string =>
    verdicts.find((one) => one.rule === rule && one.role === role)?.outcome ?? '';
  for (const rule of rules) {
    const cells = Object.fromEntries(roles.map((role) => [role, cell(rule, role)]));
    drawn.addRow({ rule, title: TITLES.get(rule) ?? '', ...cells });
  }
  return `${drawn.render()}\n`;
};

const summary = ({ verdicts }: Report): string =>
  OUTCOMES.map(
    (outcome) => `${verdicts.filter((one) => one.outcome === outcome).length} ${outcome}`,
  ).join(', ');
