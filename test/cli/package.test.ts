/**
 * The package as a user gets it: packed, unpacked into an empty folder beside its dependencies (links to this checkout's, so
 * that no registry is asked), its command run on a TypeScript kernel there and its types checked.
 */
import { spawnSync } from 'node:child_process';
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Ran, ROOT } from './hospes.ts';

const SOURCES = [
  'protocol',
  'machine',
  'hypervisor',
  'guest-kernel',
  'drivers',
  'cli',
  'bin',
  'docs',
  'examples',
];
const FILES = ['package.json', 'tsconfig.json', 'tsconfig.build.json', 'LICENSE', 'CHANGELOG.md'];

const KERNEL = `
import { defineKernel } from 'hospes/drivers';

export const kernel = defineKernel(async (k) => {
  await k.console.write('installed\\n');
});
`;

const TYPED = `
import { runMode, type ModeResult } from 'hospes';
import { defineKernel } from 'hospes/drivers';
import { bootKernel } from 'hospes/guest-kernel';
import { Hypervisor } from 'hospes/hypervisor';
import { type Cpu, Memory } from 'hospes/machine';
import { DOMID_SELF } from 'hospes/protocol';
import { type Report, ringSuite } from 'hospes/protocol/conformance';

export const frames: number = new Memory({ vcpus: 1, frames: 4 }).frames;
export const flags = (cpu: Cpu): number => cpu.flags();
export const total = (result: ModeResult): number => result.cycles;
export const failed = ({ verdicts }: Report): boolean => verdicts.some(({ outcome }) => outcome === 'fail');
export const all = [ringSuite, runMode, defineKernel, bootKernel, Hypervisor, DOMID_SELF];
`;

let folder: string;

const run = (cwd: string, command: string, ...args: string[]): Ran =>
  spawnSync(command, args, { cwd, encoding: 'utf8' });

const must = (ran: Ran): string => {
  expect(ran.status, `${ran.stdout}${ran.stderr}`).toBe(0);
  return ran.stdout;
};

/** Pack a copy of the checkout, so that nothing is built in the checkout itself. */
const pack = (): string => {
  const copy = join(folder, 'checkout');
  for (const name of [...SOURCES, ...FILES]) {
    cpSync(join(ROOT, name), join(copy, name), { recursive: true });
  }
  symlinkSync(join(ROOT, 'node_modules'), join(copy, 'node_modules'));
  must(run(copy, 'npm', 'pack', '--pack-destination', folder));
  return join(folder, readdirSync(folder).find((name) => name.endsWith('.tgz'))!);
};

const install = (tarball: string, user: string): void => {
  const modules = join(user, 'node_modules');
  mkdirSync(join(modules, 'hospes'), { recursive: true });
  must(run(user, 'tar', '-xzf', tarball, '-C', join(modules, 'hospes'), '--strip-components=1'));
  for (const name of Object.keys(manifest().dependencies)) {
    symlinkSync(join(ROOT, 'node_modules', name), join(modules, name));
  }
};

const manifest = (): { dependencies: Record<string, string>; exports: Record<string, unknown> } =>
  JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'hospes-package-'));
  const user = join(folder, 'user');
  install(pack(), user);
  writeFileSync(join(user, 'kernel.ts'), KERNEL);
  writeFileSync(join(user, 'typed.mts'), TYPED);
}, 300_000);

afterAll(() => rmSync(folder, { recursive: true }));

describe('the packed package', () => {
  it('holds what it needs and no sources or tests', () => {
    const inside = readdirSync(join(folder, 'user/node_modules/hospes')).sort();
    const wanted = ['CHANGELOG.md', 'LICENSE', 'bin', 'dist', 'docs', 'examples', 'package.json'];
    expect(inside.filter((name) => name !== 'README.md')).toEqual(wanted);
  });

  it.each(['native', 'pv', 'hvm'])('runs a TypeScript kernel in an empty folder: %s', (mode) => {
    const user = join(folder, 'user');
    const bin = 'node_modules/hospes/bin/hospes.js';
    const out = must(
      run(user, process.execPath, bin, 'run', 'kernel.ts', '--mode', mode, '--json'),
    );
    const { modes } = JSON.parse(out);
    expect(modes).toMatchObject([{ mode, outcome: 'poweroff', console: 'installed\n' }]);
  });

  it('has every export, with types', () => {
    const user = join(folder, 'user');
    const paths = Object.keys(manifest().exports).filter((path) => !path.endsWith('.json'));
    const imports = paths
      .map((path) => `await import('${path.replace('.', 'hospes')}');`)
      .join('\n');
    must(run(user, process.execPath, '--input-type=module', '-e', imports));
    const tsc = join(ROOT, 'node_modules/.bin/tsc');
    const flags = ['--strict', '--noEmit', '--module', 'nodenext', '--target', 'es2022'];
    must(run(user, tsc, ...flags, '--typeRoots', join(ROOT, 'node_modules/@types'), 'typed.mts'));
  });
});
