/**
 * `npm start`: makes a tar of this repository's own files, lets `hospes compare` run the archive example on it in every
 * mode, and checks each digest that a guest printed against the host's own.
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Member, makeTar } from './make-tar.ts';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const FOLDERS = ['protocol', 'machine', 'hypervisor', 'guest-kernel', 'drivers', 'cli', 'examples'];
const FILES = ['package.json', 'LICENSE', 'CHANGELOG.md', 'CONTRIBUTING.md'];

interface Report {
  readonly modes: ReadonlyArray<{ mode: string; console: string }>;
}

const ownFiles = (): Member[] => {
  const inFolders = FOLDERS.flatMap((folder) =>
    readdirSync(join(ROOT, folder), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => relative(ROOT, join(entry.parentPath, entry.name))),
  );
  return [...FILES, ...inFolders]
    .sort()
    .map((name) => ({ name, bytes: readFileSync(join(ROOT, name)) }));
};

/** Members whose digest `console` shows wrongly or not at all. */
const mistaken = (console: string, members: readonly Member[]): string[] => {
  const shown = new Map<string, string>();
  for (const line of console.split('\n')) {
    const digest = /\b[0-9a-f]{64}\b/.exec(line)?.[0];
    for (const word of digest ? line.trim().split(/\s+/) : []) shown.set(word, digest!);
  }
  return members
    .filter(
      ({ name, bytes }) => shown.get(name) !== createHash('sha256').update(bytes).digest('hex'),
    )
    .map(({ name }) => name);
};

const checkDigests = (report: Report, members: readonly Member[]): boolean => {
  let right = true;
  for (const { mode, console: said } of report.modes) {
    const wrong = mistaken(said, members);
    right &&= wrong.length === 0;
    const verdict = wrong.length === 0 ? 'all equal' : `NOT equal: ${wrong.join(', ')}`;
    console.log(`${mode}: ${members.length} SHA-256 digests against node:crypto's: ${verdict}`);
  }
  return right && report.modes.length > 0;
};

const folder = mkdtempSync(join(tmpdir(), 'hospes-'));
try {
  const members = ownFiles();
  const tar = join(folder, 'hospes.tar');
  const json = join(folder, 'report.json');
  writeFileSync(tar, makeTar(members));
  const hospes = join(ROOT, 'bin/hospes.js');
  const kernel = join('examples', 'archive.ts');
  const run = spawnSync(
    process.execPath,
    [hospes, 'compare', kernel, '--disk', `xvda=${tar},ro`, '--json', json],
    { cwd: ROOT, stdio: 'inherit' },
  );
  const compared = run.status === 0;
  if (compared) console.log();
  const right = compared && checkDigests(JSON.parse(readFileSync(json, 'utf8')), members);
  process.exitCode = right ? 0 : (run.status ?? 1) || 1;
} finally {
  rmSync(folder, { recursive: true });
}
