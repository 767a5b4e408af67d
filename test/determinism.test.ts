/** Nothing below cli/ reads the host's clock or randomness, or waits for the host: by name, in every source file. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const FOLDERS = ['protocol', 'machine', 'hypervisor', 'guest-kernel', 'drivers', 'examples'];
const HOST =
  /\bDate\b|\bMath\.random\b|\bperformance\b|\bcrypto\b|\bset(Timeout|Interval)\b|['"]node:/;
/** The one place that asks the host's event loop for its turn, and the scripts of `npm start`, which are host programs. */
const EXCEPT = new Set(['machine/turn.ts', 'examples/start.ts', 'examples/make-tar.ts']);

/** Code without its comments. */
const codeOf = (source: string): string => source.replace(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, '');

describe('determinism', () => {
  const files = FOLDERS.flatMap((folder) =>
    readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.ts'))
      .map((name) => `${folder}/${name.replaceAll('\\', '/')}`),
  ).filter((file) => !EXCEPT.has(file));

  it.each(files)('%s asks the host for nothing', (file) => {
    expect(codeOf(readFileSync(join(ROOT, file), 'utf8'))).not.toMatch(HOST);
  });
});
