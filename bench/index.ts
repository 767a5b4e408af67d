/** `npm run bench`: every figure beside its reference, measured in the same run. `-- --json` prints the rows. */
import { Table } from 'console-table-printer';
import { benchCpu } from './cpu.ts';
import { benchDomains } from './domains.ts';
import { benchEvents } from './events.ts';
import { hostFigures } from './reference.ts';
import { benchRing } from './ring.ts';
import type { BenchRow } from './types.ts';

const json = process.argv.includes('--json');
const say = (what: string): void => {
  if (!json) process.stderr.write(`${what}…\n`);
};

say('the host');
const host = hostFigures();
const rows: BenchRow[] = [];
say('the ring');
rows.push(...(await benchRing()));
say('instructions and hypercalls');
rows.push(...(await benchCpu(host)));
say('events');
rows.push(...(await benchEvents(host)));
say('domains');
rows.push(...(await benchDomains(host)));

const show = (value: number): string =>
  value >= 100 ? Math.round(value).toLocaleString('en-US') : value.toFixed(1);

if (json) {
  console.log(JSON.stringify(rows, null, 2));
} else {
  const table = new Table({
    shouldDisableColors: true,
    columns: [{ name: 'figure', alignment: 'left' }],
  });
  for (const { name, value, unit, reference, aim } of rows) {
    table.addRow({
      figure: name,
      hospes: `${show(value)} ${unit}`,
      reference: reference ? `${show(reference.value)} ${unit}, ${reference.name}` : '',
      ratio: reference ? (value / reference.value).toFixed(2) : '',
      aim: aim ?? '',
    });
  }
  table.printTable();
}
