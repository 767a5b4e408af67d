/**
 * What a report shows of a comparison, row by row: causes of one kind together under a heading with their sum, domain 0's
 * share as one row.
 */
import { type CauseLine, DOMAIN0, type ModeResult } from './result.ts';

/** Kinds of cause, in the order of the rows: a heading, the prefix that its causes share, and what stands alone. */
const GROUPS: ReadonlyArray<{ heading?: string; prefix: string }> = [
  { prefix: 'guest work' },
  { prefix: 'system calls' },
  { prefix: 'privileged instructions' },
  { heading: 'hypercalls', prefix: 'hypercall ' },
  { heading: 'exits', prefix: 'exit ' },
  { heading: 'faults', prefix: 'fault ' },
  { prefix: 'page-walk references' },
  { prefix: 'TLB misses' },
];
const LAST = 'I/O wait';
const DOMAIN0_ROW = 'domain 0';

export interface Row {
  readonly title: string;
  /** One cause under the heading before it, whose sum has it already. */
  readonly detail: boolean;
  /** What the mode's lines add up to in this row; undefined when there are none. */
  readonly of: (mode: ModeResult) => { count: number; cycles: number } | undefined;
}

/** The rows for `modes`; those that are no detail sum to each mode's total. */
export const rowsOf = (modes: readonly ModeResult[]): Row[] => {
  const causes = [...new Set(modes.flatMap((mode) => mode.causes.map((line) => line.cause)))];
  const guest = causes.filter((cause) => !cause.startsWith(DOMAIN0));
  const grouped = GROUPS.flatMap((group) => groupRows(group, guest));
  const known = (cause: string): boolean =>
    cause === LAST || GROUPS.some(({ prefix }) => cause.startsWith(prefix));
  const others = guest.filter((cause) => !known(cause)).map((cause) => causeRow(cause, cause));
  const domain0 = causes.length > guest.length ? [domain0Row] : [];
  const waiting = guest.includes(LAST) ? [causeRow(LAST, LAST)] : [];
  return [...grouped, ...others, ...domain0, ...waiting];
};

const groupRows = (group: { heading?: string; prefix: string }, causes: string[]): Row[] => {
  const { heading, prefix } = group;
  const members = causes.filter((cause) => cause.startsWith(prefix));
  if (heading === undefined) return members.map((cause) => causeRow(cause, cause));
  if (members.length === 0) return [];
  return [
    {
      title: heading,
      detail: false,
      of: (mode) => sumOf(mode.causes, (cause) => cause.startsWith(prefix)),
    },
    ...members.sort().map((cause) => causeRow(cause.slice(prefix.length), cause, true)),
  ];
};

const causeRow = (title: string, cause: string, detail = false): Row => ({
  title,
  detail,
  of: (mode) => sumOf(mode.causes, (name) => name === cause),
});

/** Domain 0's cycles together; its count is how often it was switched to. */
const domain0Row: Row = {
  title: DOMAIN0_ROW,
  detail: false,
  of: (mode) => {
    const all = sumOf(mode.causes, (cause) => cause.startsWith(DOMAIN0));
    const runs = sumOf(mode.causes, (cause) => cause === `${DOMAIN0}context switches`);
    return all && { count: runs?.count ?? 0, cycles: all.cycles };
  },
};

const sumOf = (
  lines: readonly CauseLine[],
  belongs: (cause: string) => boolean,
): { count: number; cycles: number } | undefined => {
  const chosen = lines.filter((line) => belongs(line.cause));
  if (chosen.length === 0) return undefined;
  return {
    count: chosen.reduce((sum, line) => sum + line.count, 0),
    cycles: chosen.reduce((sum, line) => sum + line.cycles, 0),
  };
};
