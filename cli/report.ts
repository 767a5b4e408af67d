/**
 * The table of a comparison: one column per mode, one row per cause, counts beside cycles. Causes of one kind
 * stand together under a heading with their sum; domain 0's share is one row. It fits 100 columns.
 */
import { Table } from 'console-table-printer';
import { type CauseLine, type Comparison, DOMAIN0, type ModeResult } from './result.ts';

const WIDTH = 100;

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

interface Row {
  readonly title: string;
  /** What the mode's lines add up to in this row; undefined when there are none. */
  readonly of: (mode: ModeResult) => { count: number; cycles: number } | undefined;
}

/** How numbers are shortened, from not at all to most; the first that fits is used. */
interface Scale {
  readonly note: string;
  readonly count: (n: number) => string;
  readonly cycles: (n: number) => string;
}

const whole = (n: number): string => Math.round(n).toLocaleString('en-US');
const short = (n: number): string =>
  n < 100_000 ? whole(n) : n < 1e8 ? `${whole(n / 1e3)}k` : `${whole(n / 1e6)}M`;

const SCALES: readonly Scale[] = [
  { note: '', count: whole, cycles: whole },
  { note: '', count: short, cycles: whole },
  { note: ', in thousands', count: short, cycles: (n) => whole(n / 1e3) },
  { note: ', in millions', count: short, cycles: (n) => whole(n / 1e6) },
];

/** @returns the table, its lines at most 100 columns wide, with a title line above. */
export const reportTable = (comparison: Comparison): string => {
  const rows = rowsOf(comparison.modes);
  let text = '';
  for (const scale of SCALES) {
    const title = `${comparison.kernel} on ${comparison.preset}: virtual cycles${scale.note}`;
    text = `${title}\n${render(comparison.modes, rows, scale)}\n`;
    if (text.split('\n').every((line) => line.length <= WIDTH)) break;
  }
  return text;
};

const render = (modes: readonly ModeResult[], rows: readonly Row[], scale: Scale): string => {
  const table = new Table({
    shouldDisableColors: true,
    columns: [
      { name: 'cause', title: 'cause', alignment: 'left' },
      ...modes.map(({ mode }) => ({ name: mode, title: mode, alignment: 'right' as const })),
    ],
  });
  const native = modes.find(({ mode }) => mode === 'native');
  table.addRow(cellsOf('outcome', modes, (mode) => mode.outcome));
  if (native) table.addRow(cellsOf('ratio to native', modes, (mode) => ratio(mode, native)));
  table.addRow(
    cellsOf('total cycles', modes, (mode) => scale.cycles(mode.cycles)),
    {
      separator: true,
    },
  );
  const widths = modes.map((mode) =>
    Math.max(...rows.map((row) => scale.cycles(row.of(mode)?.cycles ?? 0).length)),
  );
  for (const row of rows) {
    const cell = (mode: ModeResult): string => {
      const sum = row.of(mode);
      if (!sum) return '';
      return `${scale.count(sum.count)}  ${scale.cycles(sum.cycles).padStart(widths[modes.indexOf(mode)]!)}`;
    };
    table.addRow(cellsOf(row.title, modes, cell));
  }
  return table.render();
};

const cellsOf = (
  title: string,
  modes: readonly ModeResult[],
  cell: (mode: ModeResult) => string,
): Record<string, string> => ({
  cause: title,
  ...Object.fromEntries(modes.map((mode) => [mode.mode, cell(mode)])),
});

const ratio = (mode: ModeResult, native: ModeResult): string =>
  native.cycles > 0 ? (mode.cycles / native.cycles).toFixed(2) : '';

const rowsOf = (modes: readonly ModeResult[]): Row[] => {
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
    { title: heading, of: (mode) => sumOf(mode.causes, (cause) => cause.startsWith(prefix)) },
    ...members.sort().map((cause) => causeRow(`  ${cause.slice(prefix.length)}`, cause)),
  ];
};

const causeRow = (title: string, cause: string): Row => ({
  title,
  of: (mode) => sumOf(mode.causes, (name) => name === cause),
});

/** Domain 0's cycles together; its count is how often it was switched to. */
const domain0Row: Row = {
  title: DOMAIN0_ROW,
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
