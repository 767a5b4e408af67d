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

  itNeeds(BUSYBOX, hasBusybox, 'takes as many instructions and cycles each time', () => {
    const { directory } = sandbox;
    const counts = [1, 2].map(() => {
      sandbox.reset();
      const { instructions, cycles } = linux.run(
        { program: busybox, args: ['busybox', 'sort', 'text.txt'], directory },
        LIMIT,
      );
      return { instructions, cycles };
    });
    expect(counts[1]).toEqual(counts[0]);
    expect(counts[0]!.instructions).toBeGreaterThan(10_000);
  });
});
