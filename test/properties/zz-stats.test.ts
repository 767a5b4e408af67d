import { it } from 'vitest';
import fc from 'fast-check';
import { DEEDS } from './hostile-instructions.ts';
import { runHostile } from './hostile-run.ts';
import { PvHost } from '../support/pv-fixture.ts';
import { Machine } from '../../machine/machine.ts';
const step = fc.record({ deed: fc.constantFrom(...DEEDS), seed: fc.nat() });
it('stats', async () => {
  const stats: Record<string, number> = {};
  const add = (k: string) => { stats[k] = (stats[k] ?? 0) + 1; };
  const orig = Machine.prototype.run;
  Machine.prototype.run = function (this: Machine, d: any) {
    this.trace.listen((r: any) => {
      if (r.who === 'd0v0') return;
      if (r.kind === 'hypercall') add(`${r.name} ${r.result === undefined ? 'keep' : r.result < 0 ? r.result : '>=0'}`);
      if (r.kind === 'domain') add(`domain ${r.state} ${(r.why ?? '').replace(/0x[0-9a-f]+|-?\d+/g, 'N').slice(0, 90)}`);
      if (r.kind === 'refuse') add(`refuse ${r.rule}`);
    });
    return orig.call(this, d);
  } as any;
  const lists = fc.sample(fc.array(fc.array(step, { maxLength: 60, size: 'max' }), { minLength: 1, maxLength: 2 }), { numRuns: 300, seed: 5 });
  let n = 0;
  for (const l of lists) { n += l.flat().length; await runHostile(l, {}); }
  console.log(n, Object.entries(stats).sort().map(([k, v]) => `${v} ${k}`).join('\n'));
}, 300000);
