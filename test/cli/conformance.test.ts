import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { reportText } from '../../cli/conformance-report.ts';
import * as c from '../support/c-peer.ts';
import { itNeeds } from '../support/tools.ts';
import { folderWith, hospesIn, ROOT } from './hospes.ts';

const MUTANTS = fileURLToPath(new URL('../conformance/mutants/ring-mutants.c', import.meta.url));
const NO_MODULE = new Uint8Array([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0]); // a module of nothing

const hospes = (...args: string[]) => hospesIn(ROOT, ['conformance', ...args]);

describe('hospes conformance', () => {
  it.each([
    [
      'an unknown protocol',
      ['ring:vscsi'],
      /protocol 'ring:vscsi' is unknown: use one of ring:blkif, /,
    ],
    ['no protocol', [], /missing required argument 'protocol'/],
    ['no peer', ['console'], /no peer is given: use either --peer FILE.wasm or --peer-command/],
    ['two peers', ['console', '--peer', 'a', '--peer-command', 'b'], /two peers are given/],
    ['a peer for blk', ['blk', '--peer', 'a'], /blk takes no peer yet/],
    ['a role that there is not', ['blk', '--role', 'middle'], /Allowed choices are front, back/],
    ['a seed that is no number', ['blk', '--seed', 'x'], /--seed x is not a seed/],
    [
      'a seed that is too large',
      ['blk', '--seed', '2147483648'],
      /--seed 2147483648 is not a seed/,
    ],
    ['a file that does not exist', ['console', '--peer', 'none.wasm'], /none.wasm does not exist/],
    ['a folder', ['console', '--peer', 'test'], /peer test cannot be read \(EISDIR\)/],
    [
      'a file that is no module',
      ['console', '--peer', 'README.md'],
      /README.md is not a WebAssembly module/,
    ],
    ['a command that dies', ['console', '--peer-command', 'echo oops >&2; exit 3'], /oops/],
    ['a command that says nothing sensible', ['console', '--peer-command', 'echo hello'], /hello/],
  ])('refuses %s in one sentence', (_what, args, sentence) => {
    const { status, stdout, stderr } = hospes(...args);
    expect(stderr).toMatch(sentence);
    expect(stderr.trimEnd().split('\n')).toHaveLength(1);
    expect([status, stdout]).toEqual([2, '']);
  });

  it('refuses a module that has nothing to test, saying how to link it', () => {
    const folder = folderWith({ 'empty.wasm': NO_MODULE });
    const { status, stdout, stderr } = folder.hospes(
      'conformance',
      'ring:blkif',
      '--peer',
      'empty.wasm',
    );
    expect(stderr).toMatch(/^hospes: empty.wasm .*--import-memory/);
    expect([status, stdout]).toEqual([2, '']);
  });

  it('tests the block drivers of Hospes itself', () => {
    const { status, stdout } = hospes('blk', '--json');
    const report = JSON.parse(stdout) as { verdicts: { rule: string; outcome: string }[] };
    const others = report.verdicts.filter(({ outcome }) => outcome !== 'pass');
    expect(others.map(({ rule, outcome }) => `${rule} ${outcome}`)).toEqual([
      'BLK-22 skip',
      'BLK-23 skip',
      'BLK-24 skip',
    ]);
    expect(status).toBe(0);
  });

  itNeeds(c.WASM, c.canCompileWasm, 'passes a correct module, and says how far it looked', () => {
    const folder = folderWith({ 'peer.wasm': c.wasmPeer('ring-peer.c', '-DPROTOCOL_netif_rx') });
    const { status, stdout, stderr } = folder.hospes(
      'conformance',
      'ring:netif-rx',
      '--peer',
      'peer.wasm',
    );
    expect(stderr).toBe('');
    expect(stdout).toMatch(/^ring:netif-rx: peer.wasm, seed 1\n/);
    expect(stdout).toMatch(/│ RING-24 │ Nobody sleeps while work waits +│ pass +│ pass │/);
    expect(stdout).toMatch(/\nfront: [\d,]+ states in [\d,]+ runs, every interleaving\n/);
    expect(stdout).toMatch(/\n45 pass, 0 fail, 0 warn, 0 skip\n$/);
    expect(status).toBe(0);
  });

  itNeeds(
    c.WASM,
    c.canCompileWasm,
    'shows the schedule that breaks a rule, the same for the same seed',
    () => {
      const module = c.wasmPeer(MUTANTS, '-DMUTANT_no_second_look');
      const folder = folderWith({ 'peer.wasm': module });
      const run = (...more: string[]) =>
        folder.hospes(
          'conformance',
          'ring:blkif',
          '--peer',
          'peer.wasm',
          '--role',
          'front',
          ...more,
        );
      const { status, stdout } = run();
      expect(stdout).toMatch(/\nRING-17 front: fail: the peer sleeps, but message 1 came before/);
      expect(stdout).toMatch(/\n {5}1 {2}front init → 4 .*\.\.\.\.\n/);
      expect(stdout).toMatch(/front final_check → 0: sleeps .*\n/);
      expect(status).toBe(1);
      const json = run('--json', '--seed', '5');
      const report = JSON.parse(json.stdout) as {
        seed: number;
        verdicts: {
          rule: string;
          outcome: string;
          steps?: { who: string; what: string; picture: string }[];
        }[];
        explored: { role: string; states: number }[];
      };
      const fault = report.verdicts.find(({ rule }) => rule === 'RING-17')!;
      expect([report.seed, fault.outcome, json.status]).toEqual([5, 'fail', 1]);
      expect(fault.steps?.at(-1)).toMatchObject({ who: 'front', what: 'final_check → 0: sleeps' });
      expect(report.explored[0]?.states).toBeGreaterThan(100);
      expect(run('--json', '--seed', '5').stdout).toBe(json.stdout);
    },
  );

  itNeeds(c.NATIVE, c.canCompileNative, 'tests a process', () => {
    const program = c.nativePeer('byte-peer.c', '-DPROTOCOL_console');
    const { status, stdout, stderr } = hospes('console', '--peer-command', program);
    expect(stderr).toBe('');
    expect(stdout).toMatch(/ 0 fail, /);
    expect(status).toBe(0);
    expect(existsSync(program)).toBe(true);
  });
});

describe('the report', () => {
  it('prints a schedule that breaks two rules once', () => {
    const steps = [{ who: 'front', what: 'init → 4', picture: '....' }] as const;
    const fail = { role: 'front', outcome: 'fail', why: 'it sleeps', steps } as const;
    const verdicts = [
      { rule: 'RING-16', ...fail },
      { rule: 'RING-24', ...fail },
    ];
    const about = { protocol: 'ring:blkif', peer: 'a.wasm', seed: 1 };
    const text = reportText(about, { verdicts, explored: new Map(), pictureHeader: 'slots' });
    expect(text.match(/init → 4/g)).toHaveLength(1);
    expect(text).toContain('RING-24 front: fail: it sleeps (the schedule of RING-16)');
  });
});

describe('docs/conformance.md', () => {
  const page = readFileSync(new URL('../../docs/conformance.md', import.meta.url), 'utf8');

  itNeeds(c.WASM, c.canCompileWasm, 'shows a failure as it is printed', () => {
    const folder = folderWith({ 'peer.wasm': c.wasmPeer(MUTANTS, '-DMUTANT_lost_arm') });
    const { stdout } = folder.hospes(
      'conformance',
      'ring:blkif',
      '--peer',
      'peer.wasm',
      '--role',
      'back',
    );
    const shown = /A failure looks like this[\s\S]*?```\n([\s\S]*?)```/.exec(page)![1]!;
    expect(stdout).toContain(shown);
  });
});
