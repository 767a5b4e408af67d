/**
 * `npm run fuzz:isa -- --seconds N [--seed S] [--mode 64|32|16]`: until the time is over, fresh random cases against the processor, and blocks of
 * random code on the interpreter against the evaluator.
 */
import { parseArgs } from 'node:util';
import type { CodeMode } from '../../../machine/vcpu.ts';
import { compareCases, newTally } from './compare.ts';
import { hasOracle, nativeOracle, ORACLE } from './native-oracle.ts';
import { Twins } from './twins.ts';

const BATCH = 20_000;
/** Blocks of code for a batch of cases, which take about as long. */
const BLOCKS = 2000;
const SHOWN = 10;

const { values } = parseArgs({
  options: { seconds: { type: 'string' }, seed: { type: 'string' }, mode: { type: 'string' } },
});
if (!hasOracle) throw new Error(`fuzz:isa needs ${ORACLE}`);
const end = Date.now() + Number(values.seconds ?? 60) * 1000;
const mode = Number(values.mode ?? 64) as CodeMode;
let seed = Number(values.seed ?? Date.now() % 1e9);
console.log(`first seed ${seed}`);
const oracle = nativeOracle();
const tally = newTally();
const twins = new Twins(seed);
try {
  while (Date.now() < end && tally.differences.length < 1000) {
    compareCases(oracle, seed++, BATCH, tally, mode);
    for (let i = 0; i < BLOCKS && twins.tally.differences.length < SHOWN; i++) twins.compare();
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
