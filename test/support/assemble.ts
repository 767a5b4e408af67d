/** Small pieces of machine code, assembled on the spot by gcc: for tests of processors. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CompileError } from './c-program.ts';

/** `source` (GNU syntax, AT&T operands) as it lies in memory from `origin` on. */
export const assemble = (source: string, origin: number): Uint8Array => {
  const directory = mkdtempSync(join(tmpdir(), 'hospes-s-'));
  try {
    const file = join(directory, 'code.s');
    const binary = join(directory, 'code');
    writeFileSync(file, source);
    const link = `-Wl,--oformat=binary,--build-id=none,-Ttext=0x${origin.toString(16)},-e0`;
    const flags = ['-nostdlib', '-static', '-no-pie', link, '-o', binary, file];
    const done = spawnSync('gcc', flags, { encoding: 'utf8' });
    if (done.status !== 0) throw new CompileError(done.stderr);
    return readFileSync(binary);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
};
