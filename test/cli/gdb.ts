/** A compiled kernel under `hospes run --gdb`, and gdb on it as a user starts it. */
import { type ChildProcessByStdio, spawn, spawnSync } from 'node:child_process';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { onTestFinished } from 'vitest';
import { hasHeader, hasTool } from '../support/tools.ts';
import { type Folder, folderWith, ROOT } from './hospes.ts';

export const GDB = 'gdb, gcc and libxen-dev';
export const hasGdb = hasTool('gdb') && hasTool('gcc') && hasHeader('xen/xen.h');

const SOURCES = join(ROOT, 'test/guests/compiled');
const FLAGS = [
  ...['-g', '-O0', '-fno-omit-frame-pointer', '-ffreestanding', '-nostdlib', '-static'],
  ...['-no-pie', '-fno-pic', '-fno-stack-protector', '-mno-red-zone', '-fcf-protection=none'],
  ...['-fno-asynchronous-unwind-tables', '-mgeneral-regs-only', '-w'],
  ...['-Wl,-Ttext-segment=0x100000', '-Wl,--build-id=none', '-Wl,-z,noexecstack'],
];

/** A folder with the kernel `debugged.c`, compiled, in it. */
export const folderWithKernel = (): Folder => {
  const folder = folderWith({});
  const files = ['debugged.c', 'start.S'].map((name) => join(SOURCES, name));
  const kernel = join(folder.path, 'kernel.elf');
  const made = spawnSync('gcc', [...FLAGS, '-o', kernel, ...files], { encoding: 'utf8' });
  if (made.status !== 0) throw new Error(`gcc refused the kernel:\n${made.stderr}`);
  return folder;
};

type Child = ChildProcessByStdio<null, Readable, Readable>;

/** A program and all that it has printed. */
export class Running {
  text = '';
  /** Its exit status, once it has ended and everything was read. */
  readonly status: Promise<number | null>;
  readonly #child: Child;
  #changed: (() => void)[] = [];

  constructor(command: string, args: readonly string[], cwd: string) {
    const env = { ...process.env, DEBUGINFOD_URLS: '' };
    this.#child = spawn(command, args, { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] });
    for (const stream of [this.#child.stdout, this.#child.stderr])
      stream.on('data', (bytes: Buffer) => {
        this.text += bytes.toString();
        this.#tell();
      });
    this.status = new Promise((resolve) => {
      this.#child.on('close', (status) => {
        resolve(status);
        this.#tell();
      });
    });
    onTestFinished(() => {
      this.#child.kill('SIGKILL');
    });
  }

  /** Resolved when it has printed what fits `pattern`, with what that was. */
  async says(pattern: RegExp): Promise<RegExpExecArray> {
    for (;;) {
      const found = pattern.exec(this.text);
      if (found) return found;
      if (this.#child.exitCode !== null) throw new Error(`ended without ${pattern}:\n${this.text}`);
      await new Promise<void>((resolve) => this.#changed.push(resolve));
    }
  }

  interrupt(): void {
    this.#child.kill('SIGINT');
  }

  #tell(): void {
    for (const changed of this.#changed.splice(0)) changed();
  }
}

/** The kernel, waiting for gdb. */
export const underGdb = async (
  folder: Folder,
  cmdline: string,
  ...more: string[]
): Promise<{ hospes: Running; port: string; gdb: (...commands: string[]) => Running }> => {
  const args = ['run', './kernel.elf', '--gdb', '0', '--cmdline', cmdline, ...more];
  const hospes = new Running(process.execPath, [join(ROOT, 'bin/hospes.js'), ...args], folder.path);
  const [, port = ''] = await hospes.says(/waits for gdb: target remote 127\.0\.0\.1:(\d+)/);
  const gdb = (...commands: string[]): Running => {
    const all = [`target remote 127.0.0.1:${port}`, ...commands];
    const given = all.flatMap((command) => ['-ex', command]);
    return new Running('gdb', ['-nx', '-batch', ...given, 'kernel.elf'], folder.path);
  };
  return { hospes, port, gdb };
};
