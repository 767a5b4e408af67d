/**
 * `npm run bench:engine`: kernels in C, compiled by gcc -O2, in retired guest instructions per microsecond for the
 * x86-64 engine and others, all measured in this run. `-- --json` prints the rows alone; `--kernel NAME`, `--seconds N`
 * (for each engine and kernel).
 */
import { parseArgs } from 'node:util';
import { hasTool } from '../../test/support/tools.ts';
import { agreedCount, type Counter, qemuCounter } from './counts.ts';
import { decoding, dispatching, startUp } from './figures.ts';
import { interpreter } from './interpreter.ts';
import { native, qemuUser } from './native.ts';
import { KERNELS, withPrograms } from './programs.ts';
import { printReport, speedFigures } from './report.ts';
import type { Budget, Engine, Program, Row, Run } from './types.ts';
import { v86, v86NoJit } from './v86.ts';

const ENGINES: readonly Engine[] = [interpreter, native, qemuUser, v86, v86NoJit];
const RUNS = 5;
/**
 * Seconds of processor time in which the host compiles our interpreter well: it does so beside us, once in a process, and
 * its time would count as ours.
 */
const WARM_UP = 3;

const { values: options } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    kernel: { type: 'string' },
    seconds: { type: 'string', default: '1' },
  },
});

const say = (what: string): void => {
  if (!options.json) process.stderr.write(`${what}…\n`);
};

/** The others go on. */
const complain = (message: string): void => {
  process.stderr.write(`bench:engine: ${message}\n`);
  process.exitCode = 1;
};

const fail = (message: string): never => {
  process.stderr.write(`bench:engine: ${message}\n`);
  process.exit(1);
};

const median = (values: readonly number[]): number => {
  const sorted = values.toSorted((a, b) => a - b);
  return (sorted[(sorted.length - 1) >> 1]! + sorted[sorted.length >> 1]!) / 2;
};

const checked = (program: Program, results: ReadonlyMap<Engine, readonly Run[]>): void => {
  const of = (engine: Engine | undefined): number | undefined =>
    engine && results.get(engine)?.[0]?.checksum;
  const reference = results.has(native) ? native : [...results.keys()][0];
  for (const [engine, runs] of results)
    for (const { checksum } of runs)
      if (checksum !== of(reference))
        throw new Error(
          `${program.kernel}: ${engine.name} gives ${checksum}, ${reference!.name} ${of(reference)}`,
        );
};

const measure = async (program: Program, count: Counter, budget: Budget): Promise<Row[]> => {
  const results = new Map<Engine, readonly Run[]>();
  for (const engine of ENGINES) {
    if (engine.absent !== undefined) continue;
    say(`${program.kernel}, ${engine.name}`);
    try {
      results.set(engine, await engine.run(program, budget));
    } catch (thrown) {
      complain(`${program.kernel}, ${engine.name}: ${thrown}`);
    }
  }
  checked(program, results);
  const instructions = (bits: 32 | 64): number | undefined => {
    const own = [...results].filter(([engine]) => engine.bits === bits);
    if (own.length === 0) return undefined;
    const counts = own.flatMap(([, runs]) => runs.map((run) => run.instructions));
    return agreedCount(`${program.kernel}, ${bits} bits`, [...counts, count(program, bits)]);
  };
  const retired = { 32: instructions(32), 64: instructions(64) };
  return [...results].flatMap(([engine, runs]) => {
    const mips = retired[engine.bits];
    if (mips === undefined) return [];
    // The first half warms up: a busy host takes several runs to compile what it has seen to be hot.
    const warm = runs.slice(runs.length >> 1);
    const time = median(warm.map(({ microseconds }) => microseconds));
    return [{ kernel: program.kernel, engine: engine.name, mips: mips / time }];
  });
};

const kernels = KERNELS.filter((name) => options.kernel === undefined || name === options.kernel);
if (kernels.length === 0) fail(`there is no kernel ${options.kernel}, only ${KERNELS.join(', ')}`);
const seconds = Number(options.seconds);
if (!(seconds >= 0)) fail(`--seconds takes a number, not ${options.seconds}`);
if (!hasTool('gcc')) fail('the kernels are compiled by gcc: apt install gcc');

const { rows, figures } = await withPrograms(kernels, async (programs, directory) => {
  const count = qemuCounter(directory);
  const all: Row[] = [];
  say('the interpreter warms up');
  await interpreter.run(programs[0]!, { seconds: WARM_UP, runs: 1 }).catch(() => {}); // said below
  for (const program of programs)
    all.push(...(await measure(program, count, { seconds, runs: RUNS })));
  return {
    rows: all,
    figures: options.json ? [] : [startUp(), decoding(programs), dispatching(directory)],
  };
});

if (options.json) console.log(JSON.stringify(rows, null, 2));
else
  printReport(
    rows,
    [...speedFigures(rows), ...figures],
    ENGINES.filter(({ absent }) => absent !== undefined),
  );
