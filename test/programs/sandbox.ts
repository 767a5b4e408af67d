/** The folder that a program works on: the same each time, at the same place, and what it has become as text. */
import { createHash } from 'node:crypto';
import {
  chmodSync,
  lstatSync,
  lutimesSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

/** By name: a text, or bytes; `-> x` a link to x. */
export type Contents = Readonly<Record<string, string | Uint8Array>>;

/** 2020-01-02 03:04:05. */
const MODIFIED = 1_577_934_245;

export class Sandbox {
  readonly directory: string;
  readonly #base = mkdtempSync(join(tmpdir(), 'hospes-program-'));
  readonly #contents: Contents;

  constructor(contents: Contents) {
    this.#contents = contents;
    this.directory = join(this.#base, 'work');
  }

  /** As at first. */
  reset(): void {
    rmSync(this.directory, { recursive: true, force: true });
    mkdirSync(this.directory);
    for (const [name, content] of Object.entries(this.#contents)) {
      const path = join(this.directory, name);
      mkdirSync(dirname(path), { recursive: true });
      if (typeof content === 'string' && content.startsWith('-> ')) {
        symlinkSync(content.slice(3), path);
        lutimesSync(path, MODIFIED, MODIFIED);
      } else {
        writeFileSync(path, content);
        chmodSync(path, 0o644);
      }
    }
    for (const path of this.#all(this.directory).toReversed())
      if (!lstatSync(path).isSymbolicLink()) utimesSync(path, MODIFIED, MODIFIED);
  }

  /** A line for each file: mode, name, and a digest of what it holds. */
  describe(): string[] {
    return this.#all(this.directory).map((path) => {
      const stat = lstatSync(path);
      const name = path.slice(this.directory.length + 1);
      const content = stat.isSymbolicLink()
        ? readlinkSync(path)
        : stat.isFile()
          ? createHash('sha256').update(readFileSync(path)).digest('hex')
          : '';
      return `${stat.mode.toString(8)} ${name} ${content}`;
    });
  }

  dispose(): void {
    rmSync(this.#base, { recursive: true, force: true });
  }

  /** Each folder before what is in it. */
  #all(folder: string): string[] {
    return readdirSync(folder, { withFileTypes: true })
      .sort((a, b) => (a.name < b.name ? -1 : 1))
      .flatMap((entry) => {
        const path = join(folder, entry.name);
        return entry.isDirectory() ? [path, ...this.#all(path)] : [path];
      });
  }
}
