/**
 * The same guest twice gives the same trace, byte by byte.
 *
 * - twice in one process; in two fresh ones; in one with another time zone, language, locale and heap
 * - a guest that does a bit of everything: faults, user mode, timers, threads, disk, console, an error of its own
 * - and on another machine: the digests in golden-traces.json were made on one. What a guest or a figure costs is in a trace, so
 *   a change of either makes new ones: UPDATE_GOLDEN=1
 * - `process.hrtime`, `Date` and `Math.random` of the host play no part: hosts differ in them all the time
 */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { traceJson } from '../../cli/trace-file.ts';
import { MemoryStore } from '../../machine/block-store.ts';
import { folderWith, ROOT } from '../cli/hospes.ts';
import { bootGuest, type Kernel, MODES, pattern } from '../support/guests.ts';

const everything = async (k: Kernel): Promise<void> => {
  const space = k.newAddressSpace();
  space.activate();
  const restore = k.traps.onFault(({ address }) =>
    space.map(address - (address % 4096), k.frames.alloc(), { write: true }),
  );
  for (let i = 0; i < 20; i++) k.cpu.store32(0x400000 + i * 4096, i);
  restore();
  k.traps.onSyscall((nr) => nr + 1);
  k.runUser(() => {
    for (let i = 0; i < 20; i++) k.cpu.syscall(i);
  });
  const disk = await k.disk('xvda');
  const threads = [1, 2, 3].map((n) =>
    k.threads.spawn(`thread ${n}`, async () => {
      for (let i = 0; i < 3; i++) {
        await k.time.sleep(n * 70_000);
        await disk.write(n * 16 + i, await disk.read(i * 5, 9));
        await k.console.write(`${n} ${i} at ${k.time.nanos()}\n`);
      }
    }),
  );
  for (const thread of threads) await thread.done;
  await k.cpu.work(1_000_000);
};

const FILE = `
import { defineKernel } from 'hospes/drivers';
export const kernel = defineKernel(${everything.toString()});
`;

const GOLDEN = join(ROOT, 'test/guests/golden-traces.json');
const golden = (changed: Record<string, string>): string =>
  `${JSON.stringify({ ...JSON.parse(readFileSync(GOLDEN, 'utf8')), ...changed }, null, 2)}\n`;

/** The settings of very different hosts. */
const HOSTS: readonly NodeJS.ProcessEnv[] = [
  {},
  {
    TZ: 'Pacific/Auckland',
    LANG: 'tr_TR.UTF-8',
    LC_ALL: 'C',
    NODE_OPTIONS: '--max-old-space-size=300',
  },
];

const hospes = (cwd: string, args: readonly string[], env: NodeJS.ProcessEnv): Promise<string> =>
  new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [join(ROOT, 'bin/hospes.js'), ...args], {
      cwd,
      env: { ...process.env, ...env },
    });
    let said = '';
    child.stdout.on('data', (bytes: Buffer) => {
      said += bytes.toString();
    });
    child.stderr.on('data', (bytes: Buffer) => {
      said += bytes.toString();
    });
    child.on('error', reject);
    child.on('close', (status) => {
      if (status === 0) resolve(said);
      else reject(new Error(`status ${status}: ${said}`));
    });
  });

describe.each(MODES)('a trace in mode %s', (mode) => {
  it('is the same twice in one process', async () => {
    const disks = (): MemoryStore[] => [new MemoryStore(pattern(100))];
    const once = async (): Promise<string[]> => {
      const { verdict, trace, why } = await bootGuest(mode, everything, { disks });
      expect([verdict, why]).toEqual(['success', undefined]);
      return trace.map(traceJson);
    };
    const first = await once();
    expect(first.length).toBeGreaterThan(mode === 'native' ? 20 : 200);
    expect(await once()).toEqual(first);
    const digest = createHash('sha256').update(first.join('\n')).digest('hex');
    if (process.env['UPDATE_GOLDEN'] === '1') writeFileSync(GOLDEN, golden({ [mode]: digest }));
    expect(digest).toBe(JSON.parse(readFileSync(GOLDEN, 'utf8'))[mode]);
  });

  it('is the same in fresh processes on hosts with other settings', async () => {
    const folders = HOSTS.map(() => folderWith({ 'kernel.ts': FILE, 'disk.img': pattern(100) }));
    const args = ['--mode', mode, '--disk', 'xvda=disk.img', '--json', '--trace', 'trace'];
    const runs = folders.map(({ path }, n) =>
      hospes(path, ['run', 'kernel.ts', ...args], HOSTS[n]!),
    );
    const said = await Promise.all(runs);
    expect(said[1]).toBe(said[0]);
    const [a, b] = folders.map(({ path }) => readFileSync(join(path, 'trace')));
    expect(a!.length).toBeGreaterThan(1000);
    expect(a!.equals(b!)).toBe(true);
  });
});
