import { describe, expect, it } from 'vitest';
import { billOf, totalOf } from '../../cli/bill.ts';
import { reportTable } from '../../cli/report.ts';
import type { CauseLine, Comparison, ModeResult } from '../../cli/result.ts';
import { Account } from '../../machine/account.ts';

const mode = (name: ModeResult['mode'], causes: CauseLine[]): ModeResult => ({
  ...{ mode: name, outcome: 'poweroff', console: '', causes, cycles: totalOf(causes) },
});

const comparison = (scale: number): Comparison => ({
  kernel: 'examples/archive.ts',
  preset: 'skylake-2018',
  modes: [
    mode('native', [
      { cause: 'guest work', count: 1234 * scale, cycles: 1_000_000 * scale },
      { cause: 'I/O wait', count: 10, cycles: 500_000 * scale },
    ]),
    mode('pv', [
      { cause: 'guest work', count: 1234 * scale, cycles: 1_000_000 * scale },
      { cause: 'hypercall update_va_mapping', count: 7, cycles: 7000 },
      { cause: 'hypercall event_channel_op', count: 3, cycles: 500 },
      { cause: 'events', count: 3, cycles: 900 },
      { cause: 'domain 0: guest work', count: 55, cycles: 1000 },
      { cause: 'domain 0: context switches', count: 4, cycles: 4000 },
      { cause: 'I/O wait', count: 10, cycles: 1_986_600 * scale },
    ]),
    mode('hvm', [
      { cause: 'exit I/O instruction', count: 4, cycles: 400_000 * scale },
      { cause: 'exit EPT violation', count: 2, cycles: 20_000 },
      { cause: 'fault #PF', count: 2, cycles: 2000 },
    ]),
  ],
});

/** The cells of the row whose first cell is `title`. */
const row = (table: string, title: string): string[] | undefined =>
  table
    .split('\n')
    .map((line) => line.split('│').map((cell) => cell.trim()))
    .find((cells) => cells[1] === title)
    ?.slice(2, -1);

describe('the report table', () => {
  const table = reportTable(comparison(1));

  it('has one column per mode, with thousands separated', () => {
    expect(row(table, 'cause')).toEqual(['native', 'pv', 'hvm']);
    expect(row(table, 'total cycles')).toEqual(['1,500,000', '3,000,000', '422,000']);
    expect(row(table, 'outcome')).toEqual(['poweroff', 'poweroff', 'poweroff']);
  });

  it('gives the ratio to native, if native ran', () => {
    expect(row(table, 'ratio to native')).toEqual(['1.00', '2.00', '0.28']);
    const alone = { ...comparison(1), modes: [comparison(1).modes[1]!] };
    expect(row(reportTable(alone), 'ratio to native')).toBeUndefined();
  });

  it('shows counts beside cycles, and nothing where a cause never occurred', () => {
    const [native, pv, hvm] = row(table, 'guest work')!.map((cell) => cell.split(/\s+/));
    expect([native, pv, hvm]).toEqual([['1,234', '1,000,000'], ['1,234', '1,000,000'], ['']]);
  });

  it('sums hypercalls, exits and faults over their members', () => {
    expect(row(table, 'hypercalls')![1]!.split(/\s+/)).toEqual(['10', '7,500']);
    expect(row(table, 'event_channel_op')![1]!.split(/\s+/)).toEqual(['3', '500']);
    expect(row(table, 'exits')![2]!.split(/\s+/)).toEqual(['6', '420,000']);
    expect(row(table, '#PF')![2]!.split(/\s+/)).toEqual(['2', '2,000']);
  });

  it('has one row for domain 0: how often it ran, and all it cost', () => {
    expect(row(table, 'domain 0')![1]!.split(/\s+/)).toEqual(['4', '5,000']);
    expect(table).not.toContain('domain 0:');
  });

  it('has rows that sum to the total, headings aside', () => {
    const titles = [
      'guest work',
      'hypercalls',
      'exits',
      'faults',
      'events',
      'domain 0',
      'I/O wait',
    ];
    const cycles = (column: number): number =>
      titles.reduce((sum, title) => {
        const cell = row(table, title)?.[column] ?? '';
        return sum + Number((cell.split(/\s+/)[1] ?? '0').replaceAll(',', ''));
      }, 0);
    expect([0, 1, 2].map(cycles)).toEqual([1_500_000, 3_000_000, 422_000]);
  });

  it.each([1, 1000, 1e6, 1e8])('fits 100 columns at %d times the numbers', (scale) => {
    const widest = Math.max(
      ...reportTable(comparison(scale))
        .split('\n')
        .map((l) => l.length),
    );
    expect(widest).toBeLessThanOrEqual(100);
  });
});

describe('the bill', () => {
  it('lists what occurred, by cause, and sums to the total in whole cycles', () => {
    const guest = new Account();
    const idle = new Account();
    const domain0 = new Account();
    guest.cycles[0] = 10;
    guest.count[0] = 2;
    guest.cycles[1] = 5;
    guest.count[1] = 1;
    idle.cycles[1] = 7;
    idle.count[1] = 1;
    domain0.cycles[0] = 3;
    domain0.count[0] = 1;

    const lines = billOf(
      ['guest work', 'I/O wait', 'never'],
      [
        { prefix: '', accounts: [guest, idle] },
        { prefix: 'domain 0: ', accounts: [domain0] },
      ],
    );

    expect(lines).toEqual([
      { cause: 'guest work', count: 2, cycles: 10 },
      { cause: 'I/O wait', count: 2, cycles: 12 },
      { cause: 'domain 0: guest work', count: 1, cycles: 3 },
    ]);
    expect(totalOf(lines)).toBe(25);
  });
});
