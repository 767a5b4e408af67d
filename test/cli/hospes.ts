/** The `hospes` command as a user runs it, and a folder of the user's own, outside the checkout. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { onTestFinished } from 'vitest';

export const ROOT = fileURLToPath(new URL('../..', import.meta.url));

export interface Ran {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export const hospesIn = (cwd: string, args: readonly string[]): Ran =>
  spawnSync(process.execPath, [join(ROOT, 'bin/hospes.js'), ...args], { cwd, encoding: 'utf8' });

export class Folder {
  readonly path = mkdtempSync(join(tmpdir(), 'hospes-test-'));

  /** A file in the folder, by its relative name. @returns its path. */
  write(name: string, content: string | Uint8Array): string {
    const path = join(this.path, name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, content);
    return path;
  }

  hospes(...args: string[]): Ran {
    return hospesIn(this.path, args);
  }
}

/** A folder that is gone after the test; `files` are written into it. */
export const folderWith = (files: Readonly<Record<string, string | Uint8Array>>): Folder => {
  const folder = new Folder();
  onTestFinished(() => rmSync(folder.path, { recursive: true }));
  for (const [name, content] of Object.entries(files)) folder.write(name, content);
  return folder;
};

/** A kernel for bare hardware, without any library: writes a line to COM1 and powers off. */
export const BARE_HELLO = `
import type { Guest } from 'hospes/machine';

const say = (put: (byte: number) => void, text: string): void => {
  for (const byte of new TextEncoder().encode(text)) put(byte);
};

export const kernel: Guest = async (cpu) => {
  say((byte) => cpu.out8(0x3f8, byte), 'hello\\n');
  await cpu.work(1000);
  cpu.out16(0xb004, 0x2000);
};
`;
