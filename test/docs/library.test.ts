/** The programs in docs/library.md and docs/conformance.md run, and say what one would expect. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const programsOf = (page: string): string[] => {
  const text = readFileSync(join(ROOT, page), 'utf8');
  return [...text.matchAll(/```ts\n([\s\S]*?)```/g)].map(([, code]) => code!);
};
const programs = programsOf('docs/library.md');
// Inside the package, so that its own name resolves.
mkdirSync(join(ROOT, 'build'), { recursive: true });
const folder = mkdtempSync(join(ROOT, 'build/docs-'));
afterAll(() => rmSync(folder, { recursive: true }));

const run = (code: string): { status: number | null; output: string } => {
  const file = join(folder, 'program.mts');
  writeFileSync(file, code);
  const args = ['--import', 'tsx', '--conditions=hospes-source', file];
  const { status, stdout, stderr } = spawnSync(process.execPath, args, {
    cwd: ROOT,
    encoding: 'utf8',
  });
  return { status, output: stdout + stderr };
};

describe('docs/library.md', () => {
  it('shows a program that compares the modes', () => {
    const { status, output } = run(programs[0]!);
    expect(output).toMatch(/native .* pv .* hvm/);
    expect(output).toContain('total cycles');
    expect(status).toBe(0);
  });

  it('shows a program that follows a domain', () => {
    const { status, output } = run(programs[1]!);
    expect(output).toContain('hypercall');
    expect(output).toContain('one poweroff');
    expect(status).toBe(0);
  });

  it('shows what to do about rejections, and it loads', () => {
    expect(run(programs[2]!)).toEqual({ status: 0, output: '' });
  });
});

describe('docs/conformance.md', () => {
  const [program] = programsOf('docs/conformance.md') as [string];

  it('shows a test of a ring that keeps every rule', () => {
    expect(run(program)).toEqual({ status: 0, output: '' });
  });

  it('shows one that says which rule is broken', () => {
    const { status, output } = run(program.replace('Number(ring.push())', '(ring.push(), 0)'));
    expect(output).toMatch(
      /^RING-10 front: fail: a push of \(0, 1\] does not notify: req_event is 1\n/m,
    );
    expect(status).toBe(0);
  });
});
