/** C compiled by gcc, with the C library in it, does on the engine what it does natively. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect } from 'vitest';
import { compileC } from '../support/c-program.ts';
import { itNeeds } from '../support/tools.ts';
import { Linux, type Run } from './linux.ts';
import { type Command, type Result, runNative } from './native.ts';
import { canRunPrograms, LINUX } from './needs.ts';

/** How much the programs are given to do. */
const AMOUNT = 40;
/** No program needs so many. */
const LIMIT = 1e9;

const linux = new Linux();

const inFolder = <T extends Result>(run: (directory: string) => T): T => {
  const directory = mkdtempSync(join(tmpdir(), 'hospes-program-'));
  try {
    return run(directory);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
};

/** Runs `program` both ways, each in an empty folder. */
const both = (program: string, args: readonly string[], input = '') => {
  const command = { program, args: ['program', ...args], input: Buffer.from(input) };
  const here = (directory: string): Command => ({ ...command, directory });
  return {
    native: inFolder((directory) => runNative(here(directory))),
    engine: inFolder((directory): Run => linux.run(here(directory), LIMIT)),
  };
};

const source = (name: string): string =>
  readFileSync(new URL(`c/${name}.c`, import.meta.url), 'utf8');

describe.each(['-O0', '-O2'])('a static C program, compiled with %s', (level) => {
  const same = (name: string, title: string, ...runs: string[][]): void =>
    itNeeds(LINUX, canRunPrograms, title, () => {
      const program = compileC(source(name), [level, '-w', '-static', '-fno-builtin']);
      try {
        for (const args of runs) {
          const { native, engine } = both(program.path, args, 'typed in\n');
          const { status, output, errors, report } = engine;
          expect({ args, status, output, errors, report }).toEqual({ args, ...native, report: '' });
        }
      } finally {
        program.dispose();
      }
    });

  same('library', 'sorts, allocates, jumps out of functions, multiplies 128 bits', [`${AMOUNT}`]);
  same('printf', 'prints integers and text in every way', ['integers']);
  same('page-ends', 'stops at the last byte before memory that is not there', [`${AMOUNT}`]);
  same('rewriting', 'executes what it has just written', []);
  same('kernel-calls', 'uses files, folders, pipes and mappings', []);

  itNeeds(LINUX, canRunPrograms, 'dies by the signal that Linux would send', () => {
    const program = compileC(source('deaths'), [level, '-w', '-static']);
    try {
      for (let way = 0; way <= 17; way++) {
        const { native, engine } = both(program.path, [`${way}`]);
        const { status, output, errors } = engine;
        expect({ way, status, output, errors }).toEqual({ way, ...native });
      }
    } finally {
      program.dispose();
    }
  });
});
