/** Small C programs, compiled on the spot in a temporary directory: the reference for ABI and rings. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A compiled program; `dispose` removes it. */
export interface CProgram {
  /** Of the executable. */
  readonly path: string;
  run(args?: readonly string[], input?: string): string;
  dispose(): void;
}

/** The compiler refused the source. */
export class CompileError extends Error {
  readonly diagnostics: string;

  constructor(diagnostics: string) {
    super(`gcc refused the program:\n${diagnostics}`);
    this.name = 'CompileError';
    this.diagnostics = diagnostics;
  }
}

/** Compiles `source` with gcc. CompileError if it does not compile. */
export function compileC(source: string, options: readonly string[] = ['-O2']): CProgram {
  const directory = mkdtempSync(join(tmpdir(), 'hospes-c-'));
  const dispose = () => rmSync(directory, { recursive: true, force: true });
  const file = join(directory, 'program.c');
  const binary = join(directory, 'program');
  writeFileSync(file, source);
  const flags = ['-std=gnu11', '-fmax-errors=0', '-o', binary, file, ...options];
  const compiled = spawnSync('gcc', flags, {
    encoding: 'utf8',
    env: { ...process.env, LC_ALL: 'C' },
  });
  if (compiled.status !== 0) {
    dispose();
    throw new CompileError(compiled.stderr);
  }
  return {
    path: binary,
    run: (args = [], input = '') => {
      const maxBuffer = 64 * 1024 * 1024;
      const done = spawnSync(binary, args, { encoding: 'utf8', input, maxBuffer });
      if (done.status !== 0) throw new Error(`program ended with ${done.status}: ${done.stderr}`);
      return done.stdout;
    },
    dispose,
  };
}
