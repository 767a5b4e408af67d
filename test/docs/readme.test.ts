/** The README says what is: its kernel is the example, its output is the output, its status table is the table. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { runMode } from '../../cli/host.ts';
import { MODES } from '../../cli/result.ts';
import { kernel } from '../../examples/hello.ts';
import { IMPLEMENTED } from '../../hypervisor/hypercalls.ts';
import { DEFAULT_PRESET } from '../../machine/presets.ts';
import * as hypercalls from '../../protocol/hypercalls.ts';

const readme = readFileSync(new URL('../../README.md', import.meta.url), 'utf8');

describe('README', () => {
  it('shows examples/hello.ts as it is', () => {
    const source = readFileSync(new URL('../../examples/hello.ts', import.meta.url), 'utf8');
    expect(readme).toContain(`\`\`\`ts\n${source}\`\`\``);
  });

  it('shows what hello prints in each mode, and its ratios', async () => {
    const results = [];
    for (const mode of MODES) {
      results.push(
        await runMode(mode, {
          guest: kernel,
          preset: DEFAULT_PRESET,
          memoryBytes: 64 << 20,
          vcpus: 1,
          disks: [],
          limit: Number.POSITIVE_INFINITY,
        }),
      );
    }
    for (const { mode, console } of results) expect(readme).toContain(`── ${mode} ──\n${console}`);
    const native = results[0]!.cycles;
    const row = readme.split('\n').find((line) => line.startsWith('│ ratio to native'))!;
    const ratios = results.map(({ cycles }) => (cycles / native).toFixed(2));
    expect(row.match(/\d+\.\d\d/g)).toEqual(ratios);
  });

  it('lists every hypercall, and as done or partial exactly those with a handler', () => {
    const rows = [...readme.matchAll(/^\| (\d+) \| (\w+) \| (done|partial|-ENOSYS)/gm)];
    const listed = rows.map(([, number, name]) => [`__HYPERVISOR_${name}`, Number(number)]);
    const numbers = Object.entries(hypercalls).filter(([, value]) => typeof value === 'number');
    expect(listed).toEqual(numbers.sort(([, a], [, b]) => Number(a) - Number(b)));
    const implemented = rows
      .filter(([, , , status]) => status !== '-ENOSYS')
      .map(([, nr]) => Number(nr));
    expect(implemented).toEqual(IMPLEMENTED);
  });
});
