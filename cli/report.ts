/**
 * The table of a comparison: one column per mode, one row per cause, counts beside cycles. It fits 100 columns.
 */
import { Table } from 'console-table-printer';
import { type Row, rowsOf } from './report-rows.ts';
import type { Comparison, ModeResult } from './result.ts';

const WIDTH = 100;

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
    table.addRow(cellsOf(row.detail ? `  ${row.title}` : row.title, modes, cell));
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

/** How many times native's cycles. */
export const ratio = (mode: ModeResult, native: ModeResult): string =>
  native.cycles > 0 ? (mode.cycles / native.cycles).toFixed(2) : '';
