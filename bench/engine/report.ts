/** The rows as a table: kernels down, engines across, geometric means below; then the figures with aims. */
import { Table } from 'console-table-printer';
import type { Engine, Figure, Row } from './types.ts';

export const geometricMean = (values: readonly number[]): number =>
  Math.exp(values.reduce((sum, value) => sum + Math.log(value), 0) / values.length);

const show = (value: number): string =>
  value >= 100 ? Math.round(value).toLocaleString('en-US') : value.toFixed(value >= 10 ? 1 : 2);

const mipsOf = (rows: readonly Row[], engine: string, kernels: readonly string[]): number[] =>
  rows
    .filter((row) => row.engine === engine && kernels.includes(row.kernel))
    .map(({ mips }) => mips);

/** The kernels that all of `engines` ran, as nothing else can be compared. */
const common = (rows: readonly Row[], engines: readonly string[]): string[] => {
  const ran = (engine: string, kernel: string): boolean =>
    rows.some((row) => row.engine === engine && row.kernel === kernel);
  const kernels = [...new Set(rows.map(({ kernel }) => kernel))];
  return kernels.filter((kernel) => engines.every((engine) => ran(engine, kernel)));
};

const printRows = (rows: readonly Row[]): void => {
  const kernels = [...new Set(rows.map(({ kernel }) => kernel))];
  const engines = [...new Set(rows.map(({ engine }) => engine))];
  const table = new Table({
    shouldDisableColors: true,
    columns: [
      { name: 'MIPS', alignment: 'left' },
      ...engines.map((name) => ({ name, alignment: 'right' as const })),
    ],
  });
  for (const kernel of kernels) {
    const cells = engines.map((engine) => {
      const [mips] = mipsOf(rows, engine, [kernel]);
      return [engine, mips === undefined ? '' : show(mips)] as const;
    });
    table.addRow({ MIPS: kernel, ...Object.fromEntries(cells) });
  }
  const shared = common(rows, engines);
  const means = engines.map((engine) => {
    const all = mipsOf(rows, engine, shared);
    return [engine, all.length === 0 ? '' : show(geometricMean(all))] as const;
  });
  table.addRow({ MIPS: 'geometric mean', ...Object.fromEntries(means) });
  table.printTable();
  if (shared.length < kernels.length) console.log(`The means are of ${shared.join(', ')}.`);
};

/** What the interpreter is meant to reach, from `rows`. */
export const speedFigures = (rows: readonly Row[]): Figure[] => {
  const mean = (engine: string, beside: string): number =>
    geometricMean(mipsOf(rows, engine, common(rows, [engine, beside])));
  const speed = mean('interpreter', 'interpreter');
  const ratio = mean('interpreter', 'v86-no-jit') / mean('v86-no-jit', 'interpreter');
  const figures = [
    { name: 'interpreter, geometric mean', value: speed, unit: 'MIPS', aim: 'at least 500' },
    { name: 'interpreter by v86 without JIT', value: ratio, unit: 'times', aim: 'at least 5' },
  ];
  return figures.filter(({ value }) => !Number.isNaN(value));
};

export const printReport = (
  rows: readonly Row[],
  figures: readonly Figure[],
  absent: readonly Engine[],
): void => {
  if (rows.length > 0) printRows(rows);
  if (figures.length > 0) {
    const table = new Table({
      shouldDisableColors: true,
      columns: [{ name: 'figure', alignment: 'left' }],
    });
    for (const { name, value, unit, aim } of figures)
      table.addRow({ figure: name, value: `${show(value)} ${unit}`, aim });
    table.printTable();
  }
  for (const { name, absent: hint } of absent) console.log(`${name} is not there: ${hint}`);
};
