/**
 * The comparison as a page: a bar for each mode, as long as its cycles and divided by what they were spent on, then the
 * table and the consoles. One file with nothing outside it.
 */
import { ratio } from './report.ts';
import { type Row, rowsOf } from './report-rows.ts';
import type { Comparison, ModeResult } from './result.ts';

/** Distinct in light and dark, and to most who see colours differently; one for each kind of cause, in order. */
const COLOURS = [
  '#4477aa',
  '#66ccee',
  '#228833',
  '#ccbb44',
  '#ee6677',
  '#aa3377',
  '#999933',
  '#882255',
  '#44aa99',
  '#dd7733',
  '#7766bb',
  '#aa7755',
  '#337788',
  '#bbbbbb',
];

const STYLE = `
:root { color-scheme: light dark; font: 15px/1.45 system-ui, sans-serif; }
body { max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.4rem; } h2 { font-size: 1.1rem; margin-top: 2.5rem; }
.bars { display: grid; grid-template-columns: max-content 1fr; gap: .6rem 1rem; align-items: center; }
.bar { display: flex; height: 1.8rem; }
.bar i { display: block; min-width: 1px; }
.legend { display: flex; flex-wrap: wrap; gap: .2rem 1.2rem; margin: 1rem 0; padding: 0; list-style: none; }
.swatch { display: inline-block; width: .8em; height: .8em; margin-right: .4em; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .15rem .8rem; text-align: right; border-bottom: 1px solid #8884; }
th:first-child, td:first-child { text-align: left; }
tr.detail td:first-child { padding-left: 2rem; } tr.detail { opacity: .75; }
.count { opacity: .65; }
pre { overflow-x: auto; padding: .6rem; background: #8882; }
`;

/** @returns a whole HTML document. */
export const htmlReport = (comparisons: readonly Comparison[]): string => {
  const kernel = escaped(comparisons[0]?.kernel ?? '');
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>${kernel}</title><style>${STYLE}</style></head>
<body><h1>${kernel}: virtual cycles</h1>
${comparisons.map(section).join('\n')}
</body></html>
`;
};

const section = ({ preset, modes }: Comparison): string => {
  const rows = rowsOf(modes);
  const kinds = rows.filter((row) => !row.detail);
  const native = modes.find(({ mode }) => mode === 'native');
  const longest = Math.max(...modes.map(({ cycles }) => cycles));
  const bars = modes.map((mode) => `<b>${mode.mode}</b>${bar(mode, kinds, longest)}`);
  return `<h2>on ${escaped(preset)}</h2>
<div class="bars">${bars.join('\n')}</div>
<ul class="legend">${kinds.map((kind, n) => `<li>${swatch(n)}${escaped(kind.title)}</li>`).join('')}</ul>
<table><tr><th>cause</th>${modes.map(({ mode }) => `<th colspan="2">${mode}: count, cycles</th>`).join('')}</tr>
${line('outcome', modes, ({ outcome }) => outcome)}
${native ? line('ratio to native', modes, (mode) => ratio(mode, native)) : ''}
${line('total cycles', modes, ({ cycles }) => whole(cycles))}
${rows.map((row) => tableRow(row, modes)).join('\n')}
</table>
${modes.map(consoleOf).join('\n')}`;
};

const bar = (mode: ModeResult, kinds: readonly Row[], longest: number): string => {
  const parts = kinds.map((kind, n) => {
    const cycles = kind.of(mode)?.cycles ?? 0;
    if (cycles === 0) return '';
    const share = ((100 * cycles) / mode.cycles).toFixed(1);
    const title = escaped(`${kind.title}: ${whole(cycles)} cycles, ${share} %`);
    const width = ((100 * cycles) / longest).toFixed(3);
    return `<i style="width:${width}%;background:${colour(n)}" title="${title}"></i>`;
  });
  return `<div class="bar">${parts.join('')}</div>`;
};

const tableRow = (row: Row, modes: readonly ModeResult[]): string => {
  const cells = modes.map((mode) => {
    const sum = row.of(mode);
    if (!sum) return '<td colspan="2"></td>';
    return `<td class="count">${whole(sum.count)}</td><td>${whole(sum.cycles)}</td>`;
  });
  const kind = row.detail ? ' class="detail"' : '';
  return `<tr${kind}><td>${escaped(row.title)}</td>${cells.join('')}</tr>`;
};

const line = (
  title: string,
  modes: readonly ModeResult[],
  cell: (mode: ModeResult) => string,
): string =>
  `<tr><td>${title}</td>${modes.map((mode) => `<td colspan="2">${cell(mode)}</td>`).join('')}</tr>`;

const consoleOf = ({ mode, console, why }: ModeResult): string => {
  const end = why === undefined ? '' : `<p>${escaped(why)}</p>`;
  return `<details><summary>console in mode ${mode}</summary>${end}<pre>${escaped(console)}</pre></details>`;
};

const colour = (n: number): string => COLOURS[n % COLOURS.length]!;
const swatch = (n: number): string =>
  `<span class="swatch" style="background:${colour(n)}"></span>`;
const whole = (n: number): string => Math.round(n).toLocaleString('en-US');

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
};
const escaped = (text: string): string =>
  text.replace(/[&<>"]/g, (character) => ENTITIES[character]!);
