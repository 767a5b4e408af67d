/**
 * The `hospes` command on the main thread: reads arguments, has the worker do the work, prints. Its exit
 * status: 0 every guest powered off, 1 one did not (or a ring page cannot be), 2 wrong usage or bad input.
 */
import { writeFileSync } from 'node:fs';
import { type Command, parseCommand } from './commands.ts';
import { ConsolePrinter } from './console-printer.ts';
import { htmlReport } from './html-report.ts';
import type { Job, Run } from './job.ts';
import { reportTable } from './report.ts';
import type { Comparison, ModeResult } from './result.ts';
import { printRing } from './ring-command.ts';
import { type Launcher, type Listener, supervise } from './supervise.ts';
import { readTrace, traceJson, traceLine } from './trace-file.ts';
import { UsageError } from './usage-error.ts';

/** What `bin/hospes.js` knows. */
export interface Start extends Launcher {
  readonly version: string;
}

const OK = 0;
const GUEST_FAILED = 1;
const IMPOSSIBLE = 1; // what a ring page says
const NOT_CONFORMING = 1;
const WRONG_USAGE = 2;

/** @returns the exit status; everything was printed. */
export const main = async (argv: readonly string[], start: Start): Promise<number> => {
  leaveWhenUnread();
  try {
    const command = parseCommand(argv, start.version, print);
    if (command.name === 'told') return OK;
    if (command.name === 'trace') return printTrace(command.file, command.json);
    if (command.name === 'ring') return (await printRing(command, print)) ? OK : IMPOSSIBLE;
    if (command.name === 'conformance') {
      const { runConformance } = await import('./conformance-run.ts');
      return (await runConformance(command, print)) ? OK : NOT_CONFORMING;
    }
    return await work(command, start);
  } catch (error) {
    return complain(error, argv.includes('--debug'));
  }
};

const print = (text: string | Uint8Array): void => {
  process.stdout.write(text);
};

const warn = (sentence: string): void => {
  process.stderr.write(`hospes: ${sentence}\n`);
};

/** `hospes … | head`: nobody reads on, so there is nothing more to do. */
const leaveWhenUnread = (): void => {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(OK);
    throw error;
  });
};

const complain = (error: unknown, debug: boolean): number => {
  const known = error instanceof UsageError;
  const said = error instanceof Error ? error : new Error(String(error));
  warn(known ? said.message : `internal error: ${said.message}`);
  if (debug) process.stderr.write(`${typeof said.cause === 'string' ? said.cause : said.stack}\n`);
  return known ? WRONG_USAGE : GUEST_FAILED;
};

const work = async (
  { name, job, json, html }: Extract<Command, { job: Job }>,
  start: Start,
): Promise<number> => {
  const results: Array<{ run: Run; result: ModeResult }> = [];
  const human = json !== true;
  const end = (run: Run, result: ModeResult): void => {
    results.push({ run, result });
  };
  await supervise(job, start, human ? new Narrator(name, job, end) : new Progress(end));

  const comparisons = comparisonsOf(job, results);
  if (human) for (const comparison of comparisons) print(`\n${reportTable(comparison)}`);
  if (json !== false) deliver(json, comparisons);
  if (html !== undefined) writeReport(html, '--html', htmlReport(comparisons));
  for (const { run, result } of results) {
    if (result.outcome !== 'poweroff') warn(failure(run, result, comparisons.length > 1));
  }
  return results.every(({ result }) => result.outcome === 'poweroff') ? OK : GUEST_FAILED;
};

const failure = ({ mode, preset }: Run, { outcome, why }: ModeResult, several: boolean): string => {
  const where = several ? `${mode} on ${preset}` : mode;
  return `${where}: the guest ended by ${outcome}: ${why ?? 'no reason was given'}`;
};

const comparisonsOf = (
  job: Job,
  results: ReadonlyArray<{ run: Run; result: ModeResult }>,
): Comparison[] => {
  const presets = [...new Set(job.runs.map(({ preset }) => preset))];
  return presets.map((preset) => ({
    ...{ kernel: job.kernel, preset },
    modes: results.filter(({ run }) => run.preset === preset).map(({ result }) => result),
  }));
};

/** One comparison as it is; several as `{ runs: […] }`. */
const deliver = (target: string | true, comparisons: readonly Comparison[]): void => {
  const value = comparisons.length === 1 ? comparisons[0] : { runs: comparisons };
  const text = `${JSON.stringify(value, undefined, 2)}\n`;
  if (target === true) print(text);
  else writeReport(target, '--json', text);
};

const writeReport = (file: string, option: string, text: string): void => {
  try {
    writeFileSync(file, text);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const sentence = `report ${file} cannot be written (${code}): give ${option} a writable path`;
    throw new UsageError(sentence);
  }
};

/** For people: the consoles as they are written, under a heading for each run when there are several. */
class Narrator implements Listener {
  readonly end: Listener['end'];
  readonly #headings: 'none' | 'mode' | 'preset';
  #printer = new ConsolePrinter(print);

  constructor(name: 'run' | 'compare', job: Job, end: Listener['end']) {
    const presets = new Set(job.runs.map(({ preset }) => preset)).size;
    this.#headings = name === 'run' ? 'none' : presets > 1 ? 'preset' : 'mode';
    this.end = (run, result) => {
      this.#printer.endLine();
      end(run, result);
    };
  }

  begin({ mode, preset }: Run): void {
    this.#printer = new ConsolePrinter(print);
    if (this.#headings === 'none') return;
    print(this.#headings === 'mode' ? `── ${mode} ──\n` : `── ${mode} on ${preset} ──\n`);
  }

  say(speaker: string, bytes: Uint8Array): void {
    this.#printer.say(speaker, bytes);
  }
}

/** For programs: nothing but, on a terminal, what is being done. */
class Progress implements Listener {
  readonly end: Listener['end'];

  constructor(end: Listener['end']) {
    this.end = end;
  }

  begin({ mode, preset }: Run): void {
    if (process.stderr.isTTY) warn(`running ${mode} on ${preset}`);
  }

  say(): void {
    // Consoles are part of the report.
  }
}

const printTrace = (file: string, json: boolean): number => {
  readTrace(file, (record) => print(`${json ? traceJson(record) : traceLine(record)}\n`));
  return OK;
};
