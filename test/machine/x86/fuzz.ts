/**
 * `npm run fuzz:isa -- --seconds N [--seed S] [--mode 64|32|16] [--twins BLOCKS]`: until the time is over, fresh random cases against the
 * processor, of every mode unless one is given, and blocks of random code on the interpreter against the evaluator: so many after each
 * batch of cases; `--twins 0` is for the processor alone.
 */
import { parseArgs } from 'node:util';
import type { CodeMode } from '../../../machine/vcpu.ts';
import { compareCases, newTally } from './compare.ts';
import { hasOracle, nativeOracle, ORACLE } from './native-oracle.ts';
import { Twins } from './twins.ts';

const BATCH = 20_000;
/** They take about as long as a batch of cases. */
const BLOCKS = '2000';
const SHOWN = 10;
const EVERY_MODE: readonly CodeMode[] = [64, 64, 64, 32, 16];

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '60' },
    seed: { type: 'string', default: String(Date.now() % 1e9) },
    mode: { type: 'string' },
    twins: { type: 'string', default: BLOCKS },
  },
});
if (!hasOracle) throw new Error(`fuzz:isa needs ${ORACLE}`);
const end = Date.now() + Number(values.seconds) * 1000;
const modes = values.mode === undefined ? EVERY_MODE : [Number(values.mode) as CodeMode];
const blocks = Number(values.twins);
const first = Number(values.seed);
console.log(`first seed ${first}`);
const oracle = nativeOracle();
const tally = newTally();
const twins = new Twins(first);
try {
  for (let n = 0; Date.now() < end && tally.differences.length < 1000; n++) {
    compareCases(oracle, first + n, BATCH, tally, modes[n % modes.length]);
    for (let i = 0; i < blocks && twins.tally.differences.length < SHOWN; i++) twins.compare();
  }
} finally {
  oracle.dispose();
}
for (const each of [...tally.differences.slice(0, SHOWN), ...twins.tally.differences])
  console.log(`\n${each}`);
const classes = new Map<string, number>();
for (const each of tally.differences) {
  const lines = each.split('\n');
  const key = `${lines[0]!.split(' ')[0]}: ${lines
    .slice(2, -1)
    .map((l) => l.trim().split(' ')[0])
    .join(' ')}`;
  classes.set(key, (classes.get(key) ?? 0) + 1);
}
for (const [key, n] of [...classes].sort((a, b) => b[1] - a[1]).slice(0, 60))
  console.log(`${n} ${key}`);
const { compared, faults, explained, skipped, differences, forms } = tally;
console.log(
  `\n${compared} cases, ${forms.size} forms, ${faults} faults; ${differences.length} unexplained differences; ` +
    `not compared: ${explained} explained, ${skipped} outside the window`,
);
const { cases, instructions, differences: apart } = twins.tally;
console.log(
  `${cases} blocks of code, ${instructions} instructions; ${apart.length} differences between interpreter and evaluator`,
);
process.exitCode = differences.length + apart.length > 0 ? 1 : 0;
