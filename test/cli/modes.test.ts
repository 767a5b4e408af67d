/** One kernel through the whole command in every mode: disks, consoles, failures, traces. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { Comparison } from '../../cli/result.ts';
import { type Folder, folderWith, type Ran } from './hospes.ts';

const MODES = ['native', 'pv', 'hvm'] as const;

const kernel = (body: string): string => `
import { defineKernel } from 'hospes/drivers';
export const kernel = defineKernel(async (k) => {
  ${body}
});
`;

/** Shows the first byte of sector 1 of xvdb, and adds one to it. */
const COUNTER = kernel(`
  const disk = await k.disk('xvdb');
  const sector = await disk.read(1, 1);
  await k.console.write('was ' + sector[0] + '\\n');
  sector[0]!++;
  await disk.write(1, sector);
  await disk.flush();
`);

const compare = (folder: Folder, ...args: string[]): { ran: Ran; report: Comparison } => {
  const ran = folder.hospes('compare', 'k.ts', '--json', ...args);
  return { ran, report: JSON.parse(ran.stdout) };
};

describe('a disk', () => {
  it('starts the same in every mode of a comparison, which leaves its file alone', () => {
    const folder = folderWith({ 'k.ts': COUNTER, 'd.img': new Uint8Array(2048) });
    const { report } = compare(folder, '--disk', 'xvdb=d.img');
    expect(report.modes).toMatchObject(
      MODES.map((mode) => ({ mode, outcome: 'poweroff', console: 'was 0\n' })),
    );
    expect(readFileSync(`${folder.path}/d.img`).every((byte) => byte === 0)).toBe(true);
  });

  it('keeps what a run writes, whatever the mode of the next', () => {
    const folder = folderWith({ 'k.ts': COUNTER, 'd.img': new Uint8Array(2048) });
    const said = MODES.map(
      (mode) => folder.hospes('run', 'k.ts', '--mode', mode, '--disk', 'xvdb=d.img').stdout,
    );
    expect(said.map((text) => text.split('\n')[0])).toEqual(['was 0', 'was 1', 'was 2']);
    expect(readFileSync(`${folder.path}/d.img`)[512]).toBe(3);
  });

  it('that is read-only refuses the write in every mode', () => {
    const folder = folderWith({ 'k.ts': COUNTER, 'd.img': new Uint8Array(2048) });
    const { ran, report } = compare(folder, '--disk', 'xvdb=d.img,ro');
    for (const mode of report.modes) expect(mode).toMatchObject({ outcome: 'crash' });
    expect(ran.status).toBe(1);
  });
});

describe('in every mode a kernel', () => {
  it('that throws is reported with its message and its place', () => {
    const folder = folderWith({ 'k.ts': kernel("throw new TypeError('no such thing');") });
    const { ran, report } = compare(folder);
    for (const mode of report.modes) {
      expect(mode.outcome).toBe('crash');
      expect(mode.why).toMatch(/^its kernel threw: TypeError: no such thing \(k\.ts:4\); /);
    }
    expect(ran.stderr.split('\n').filter((line) => line !== '')).toHaveLength(3);
    expect(ran.status).toBe(1);
  });

  it('that asks for more memory than there is ends by an error of its own', () => {
    const folder = folderWith({ 'k.ts': kernel('for (;;) k.frames.alloc();') });
    const { report } = compare(folder, '--memory', '4M');
    for (const mode of report.modes) expect(mode.why).toMatch(/out of frames/i);
  });

  it('that never returns is ended by --limit, counted from its first instruction', () => {
    const folder = folderWith({ 'k.ts': kernel('for (;;) await k.cpu.work(1000);') });
    const { report } = compare(folder, '--limit', '50000000');
    for (const mode of report.modes) {
      expect(mode.outcome).toBe('limit');
      expect(mode.cycles).toBeGreaterThanOrEqual(50_000_000);
      expect(mode.cycles).toBeLessThan(51_000_000);
    }
  });

  it('that waits for what can never happen hangs', () => {
    const folder = folderWith({ 'k.ts': kernel('await new Promise(() => {});') });
    for (const mode of compare(folder).report.modes) expect(mode.outcome).toBe('hang');
  });

  it('that reboots did not power off: status 1', () => {
    const folder = folderWith({ 'k.ts': kernel('k.reboot();') });
    const { ran, report } = compare(folder);
    for (const mode of report.modes) expect(mode.outcome).toBe('reboot');
    expect(ran.status).toBe(1);
  });

  it('runs in the least and in the most memory that --memory takes', () => {
    const folder = folderWith({ 'k.ts': kernel("await k.console.write('up\\n');") });
    for (const memory of ['1M', '1G']) {
      for (const mode of compare(folder, '--memory', memory).report.modes) {
        expect(mode).toMatchObject({ outcome: 'poweroff', console: 'up\n' });
      }
    }
  });
});

describe('a run', () => {
  it.each(MODES)('in mode %s writes the same trace and the same report twice', (mode) => {
    const folder = folderWith({ 'k.ts': COUNTER, 'd.img': new Uint8Array(2048) });
    const args = ['--mode', mode, '--disk', 'xvdb=d.img,ro', '--json'];
    const first = folder.hospes('run', 'k.ts', ...args, '--trace', 'a');
    const second = folder.hospes('run', 'k.ts', ...args, '--trace', 'b');
    expect(second.stdout).toBe(first.stdout);
    expect(readFileSync(`${folder.path}/a`).equals(readFileSync(`${folder.path}/b`))).toBe(true);
  });

  it('has the same cycles with a trace and without', () => {
    const folder = folderWith({ 'k.ts': COUNTER, 'd.img': new Uint8Array(2048) });
    const args = ['run', 'k.ts', '--disk', 'xvdb=d.img,ro', '--json'];
    expect(folder.hospes(...args, '--trace', 'a').stdout).toBe(folder.hospes(...args).stdout);
  });

  it('in mode pv may have several virtual CPUs', () => {
    const folder = folderWith({ 'k.ts': kernel("await k.console.write('up\\n');") });
    const ran = folder.hospes('run', 'k.ts', '--vcpus', '4');
    expect([ran.status, ran.stdout.split('\n')[0]]).toEqual([0, 'up']);
  });
});

describe('the causes of a report', () => {
  it('sum to its cycles in every mode, and list domain 0 apart', () => {
    const folder = folderWith({ 'k.ts': COUNTER, 'd.img': new Uint8Array(2048) });
    const { report } = compare(folder, '--disk', 'xvdb=d.img');
    for (const { cycles, causes } of report.modes) {
      expect(causes.reduce((sum, line) => sum + line.cycles, 0)).toBe(cycles);
    }
    const [native, pv, hvm] = report.modes.map(({ causes }) => causes.map(({ cause }) => cause));
    expect(native).toContain('port I/O');
    expect(pv).toContain('hypercall event_channel_op');
    expect(pv!.some((cause) => cause.startsWith('domain 0: '))).toBe(true);
    expect(hvm).toContain('exit I/O instruction');
    expect(hvm!.some((cause) => cause.startsWith('domain 0: '))).toBe(false);
  });
});
