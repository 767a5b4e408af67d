/** A program of ours in C, run on the engine and natively. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { compileC } from '../support/c-program.ts';
import { Linux, type Run } from './linux.ts';
import { type Result, runNative } from './native.ts';

/** No program needs so many cycles. */
const LIMIT = 1e9;

const linux = new Linux();

const inFolder = <T>(run: (directory: string) => T): T => {
  const directory = mkdtempSync(join(tmpdir(), 'hospes-program-'));
  try {
    return run(directory);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
};

export interface Program {
  /** Each run in an empty folder. */
  native(args: readonly string[], input?: string): Result;
  engine(args: readonly string[], input?: string): Run;
}

/** For `use`, c/NAME.c is compiled. */
export const withProgram = (
  name: string,
  options: readonly string[],
  env: Readonly<Record<string, string>>,
  use: (program: Program) => void,
): void => {
  const source = readFileSync(new URL(`c/${name}.c`, import.meta.url), 'utf8');
  const compiled = compileC(source, [...options, '-w', '-fno-builtin', '-lm']);
  const command = (args: readonly string[], input: string, directory: string) => ({
    program: compiled.path,
    args: [name, ...args],
    directory,
    input: Buffer.from(input),
  });
  try {
    use({
      native: (args, input = '') =>
        inFolder((directory) => runNative(command(args, input, directory), env)),
      engine: (args, input = '') =>
        inFolder((directory) => linux.run(command(args, input, directory), LIMIT)),
    });
  } finally {
    compiled.dispose();
  }
};
