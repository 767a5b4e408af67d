/** docs/costs.md is the presets, written out. Regenerate it with UPDATE_DOCS=1. */
import { readFileSync, writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { FIGURES, type Preset } from '../../machine/costs.ts';
import { presets } from '../../machine/presets.ts';

const FILE = new URL('../../docs/costs.md', import.meta.url);

const table = ({ name, title, mhz, vpid, figures }: Preset): string => {
  const rows = FIGURES.map((figure) => {
    const { cycles, source } = figures[figure];
    return `| ${figure} | ${cycles.toLocaleString('en-US')} | ${source.replaceAll('|', '\\|')} |`;
  });
  const tags = vpid
    ? 'TLB entries are tagged (VPID)'
    : 'no VPID: VM entries and exits flush the TLB';
  return [
    `## ${name}: ${title}`,
    `${mhz.toLocaleString('en-US')} MHz; ${tags}.`,
    ['| figure | cycles | source |', '|---|---|---|', ...rows].join('\n'),
  ].join('\n\n');
};

const page = `# What things cost

Every architectural event charges cycles from a preset, chosen by \`--cpu\`. A figure that no publication gives says how it was derived or
that it is an estimate; what the figures mean is in \`machine/costs.ts\`. This page is generated from the presets.

${presets.map(table).join('\n\n')}
`;

describe('docs/costs.md', () => {
  it('has every figure of every preset with its source', () => {
    if (process.env['UPDATE_DOCS'] === '1') writeFileSync(FILE, page);
    expect(readFileSync(FILE, 'utf8')).toBe(page);
  });
});
