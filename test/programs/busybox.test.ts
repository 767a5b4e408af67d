/** Debian's busybox does on the engine what it does natively, and to the same files. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect } from 'vitest';
import { itNeeds } from '../support/tools.ts';
import { cases } from './busybox-cases.ts';
import { contents } from './busybox-contents.ts';
import { parseCommand } from './command-line.ts';
import { Linux } from './linux.ts';
import { type Command, type Result, runNative } from './native.ts';
import { BUSYBOX, busybox, hasBusybox } from './needs.ts';
import { Sandbox } from './sandbox.ts';

const LIMIT = 1e9;

const linux = new Linux();
const sandbox = new Sandbox(contents);
afterAll(() => sandbox.dispose());

/** Runs the lines one after another in a fresh folder. */
const play = (lines: readonly string[], run: (command: Command) => Result): string[] => {
  sandbox.reset();
  const seen: string[] = [];
  for (const line of lines) {
    const { words, from, to } = parseCommand(line);
    const { directory } = sandbox;
    const input = from === undefined ? new Uint8Array() : readFileSync(join(directory, from));
    const args = ['busybox', ...words];
    const { status, output, errors } = run({ program: busybox, args, directory, input });
    if (to === undefined) seen.push(output);
    else writeFileSync(join(directory, to), output, 'latin1');
    seen.push(errors, `${line}: ${status}`);
  }
  return [...seen, ...sandbox.describe()];
};

describe('busybox', () => {
  for (const lines of cases)
    itNeeds(BUSYBOX, hasBusybox, lines.join('; '), () => {
      const native = play(lines, runNative);
      const engine = play(lines, (command) => {
        const run = linux.run(command, LIMIT);
        return { ...run, errors: run.errors + run.report };
      });
      expect(engine).toEqual(native);
    });

  itNeeds(
    BUSYBOX,
    hasBusybox,
    'takes as many instructions and cycles each time, and by the evaluator alone',
    () => {
      for (const words of [
        ['sort', 'keys.txt'],
        ['sha256sum', 'keys.txt'],
        ['awk', '{ s += $2 / 3 } END { print s }', 'keys.txt'],
      ]) {
        sandbox.reset();
        const { directory } = sandbox;
        const command = { program: busybox, args: ['busybox', ...words], directory };
        const first = linux.run(command, LIMIT);
        expect(first.instructions).toBeGreaterThan(10_000);
        expect(linux.run(command, LIMIT)).toEqual(first);
        expect(linux.runExactly(command, LIMIT)).toEqual(first);
      }
    },
  );
});
