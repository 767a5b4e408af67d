/** What the command says and how it exits: one row for each wrong use and each bad input. */
import { chmodSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { BARE_HELLO, folderWith, ROOT } from './hospes.ts';
import { violations } from './schema.ts';

const SCHEMA = JSON.parse(readFileSync(`${ROOT}/docs/report.schema.json`, 'utf8'));
const IDLE_FOREVER = `export const kernel = async (cpu) => { await new Promise(() => {}); };`;

/** One sentence on standard error, no stack, nothing on standard output. */
const expectRefusal = (ran: { status: number | null; stdout: string; stderr: string }): void => {
  expect(ran.stdout).toBe('');
  expect(ran.stderr).toMatch(/^hospes: [^\n]+\n$/);
  expect(ran.status).toBe(2);
};

describe('hospes', () => {
  it('prints help and version, status 0', () => {
    const folder = folderWith({});
    const help = folder.hospes('--help');
    expect([help.status, help.stderr]).toEqual([0, '']);
    expect(help.stdout).toMatch(/\n {2}run .*\n {2}compare [\s\S]*\n {2}trace /);
    expect(folder.hospes('run', '--help').stdout).toMatch(/--disk <name=file\[,ro\]>/);
    expect(folder.hospes('--version').stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
  });

  it.each([
    ['no command', [], /no command given: use run, compare, trace, conformance or ring/],
    ['an unknown command', ['start'], /unknown command 'start'/],
    ['an unknown option', ['run', 'k.ts', '--moed', 'pv'], /unknown option '--moed'.*--mode/],
    ['a missing kernel argument', ['run'], /missing required argument 'kernel'/],
    ['a missing value', ['run', 'k.ts', '--mode'], /option '--mode <mode>' argument missing/],
    ['two kernels', ['run', 'k.ts', 'k.ts'], /too many arguments/],
    ['an unknown mode', ['run', 'k.ts', '--mode', 'xen'], /mode 'xen' is unknown.*native, pv, hvm/],
    ['an unknown mode of several', ['compare', 'k.ts', '--modes', 'pv,x'], /mode 'x' is unknown/],
    ['an unknown preset', ['run', 'k.ts', '--cpu', 'z80'], /processor 'z80' is unknown.*skylake/],
    ['a bad memory size', ['run', 'k.ts', '--memory', 'big'], /--memory big is not a size/],
    [
      'more memory than there is',
      ['run', 'k.ts', '--memory', '64G'],
      /more than there is.*at most 1G/,
    ],
    ['a bad limit', ['run', 'k.ts', '--limit', 'soon'], /--limit soon is not a number of cycles/],
    ['vCPUs outside pv', ['run', 'k.ts', '--vcpus', '2', '--mode', 'hvm'], /needs --mode pv/],
    ['a disk without a file', ['run', 'k.ts', '--disk', 'd.img'], /names no file.*xvda=disk\.img/],
    ['a kernel that is missing', ['run', 'none.ts'], /kernel none\.ts does not exist/],
    ['a kernel that is a folder', ['run', '.'], /kernel \. is not a file/],
    [
      'a kernel that is no module',
      ['run', 'k.txt'],
      /k\.txt is no ELF file, and no module.*\.ts, \.mts, \.js, \.mjs/,
    ],
    ['a trace that is missing', ['trace', 'none'], /trace none does not exist/],
    ['a trace that is none', ['trace', 'k.ts'], /k\.ts is not a trace/],
    ['a disk given twice', ['run', 'k.ts', ...disks('a', 'a')], /--disk xvda is given twice/],
  ])('refuses %s', (_case, args, sentence) => {
    const ran = folderWith({ 'k.ts': BARE_HELLO, 'k.txt': '' }).hospes(...args);
    expectRefusal(ran);
    expect(ran.stderr).toMatch(sentence);
  });
});

function disks(...files: string[]): string[] {
  return files.flatMap((file) => ['--disk', `xvda=${file}`]);
}

describe('a bad kernel file', () => {
  it.each([
    [
      'does not parse',
      'const x = 1;\nexport const = ;\n',
      /k\.ts does not parse: line 2, column \d+/,
    ],
    ['exports no kernel', 'export const other = 1;', /k\.ts exports no kernel: add `export const/],
    ['exports something else', 'export const kernel = 5;', /kernel that is not a function/],
    [
      'throws while it loads',
      'interface X { a: 1 }\n\nthrow new Error("no luck");',
      /k\.ts throws while it loads: no luck \(k\.ts:3\)/,
    ],
    ['imports what is missing', 'import "./no.ts";', /imports what cannot be found: .*no\.ts/],
    [
      'imports a name that is missing',
      'import { Nothing } from "hospes/machine";\nNothing();',
      /does not link: .*Nothing/,
    ],
    [
      'never finishes loading',
      'await new Promise(() => {});',
      /does not finish loading: its thread ended/,
    ],
  ])('%s: status 2', (_case, source, sentence) => {
    const ran = folderWith({ 'k.ts': source }).hospes('run', 'k.ts');
    expectRefusal(ran);
    expect(ran.stderr).toMatch(sentence);
  });

  it('shows the stack with --debug', () => {
    const folder = folderWith({ 'k.ts': 'export const a = 1;\nthrow new Error("no luck");' });
    expect(folder.hospes('run', 'k.ts', '--debug').stderr).toMatch(/\n +at .*k\.ts:2/);
  });
});

describe('a bad disk', () => {
  it.each([
    ['is missing', 'none.img', /none\.img does not exist/],
    ['is empty', 'empty.img', /empty\.img is empty/],
    ['is no multiple of 512', 'odd.img', /odd\.img has 700 bytes.*truncate -s 1024/],
    ['may not be written', 'sealed.img', /sealed\.img is not writable: give it read-only/],
  ])('%s: status 2', (_case, name, sentence) => {
    const images = { 'odd.img': new Uint8Array(700), 'sealed.img': new Uint8Array(512) };
    const folder = folderWith({ 'k.ts': BARE_HELLO, 'empty.img': '', ...images });
    chmodSync(`${folder.path}/sealed.img`, 0o444);
    const ran = folder.hospes('run', 'k.ts', '--mode', 'native', '--disk', `xvda=${name}`);
    expectRefusal(ran);
    expect(ran.stderr).toMatch(sentence);
  });

  it('is fine read-only, and in a comparison, which writes nowhere', () => {
    const folder = folderWith({ 'k.ts': BARE_HELLO, 'sealed.img': new Uint8Array(512) });
    chmodSync(`${folder.path}/sealed.img`, 0o444);
    const run = folder.hospes('run', 'k.ts', '--mode', 'native', '--disk', 'xvda=sealed.img,ro');
    const compare = folder.hospes('compare', 'k.ts', '--modes', 'native', ...disks('sealed.img'));
    expect([run.status, compare.status]).toEqual([0, 0]);
  });
});

describe('a kernel that fails', () => {
  const native = ['--mode', 'native'];

  it('by throwing at once: its message and its place, status 1', () => {
    const source =
      '\nexport const kernel = async (): Promise<void> => {\n  throw new Error("boom");\n};';
    const ran = folderWith({ 'k.ts': source }).hospes('run', 'k.ts', ...native);
    expect(ran.stderr).toMatch(/^hospes: native: the guest ended by crash: .*boom \(k\.ts:3\)\n$/);
    expect(ran.status).toBe(1);
  });

  it('by leaving a promise rejected: status 1', () => {
    const source = `export const kernel = async () => {
      void Promise.reject(new Error('left behind'));
      await new Promise(() => {});
    };`;
    const ran = folderWith({ 'k.ts': source }).hospes('run', 'k.ts', ...native);
    expect(ran.stderr).toMatch(/ended by crash: .*rejected: Error: left behind \(k\.ts:2\)\n$/);
    expect(ran.status).toBe(1);
  });

  it('by waiting for what can never happen: outcome hang, status 1', () => {
    const ran = folderWith({ 'k.ts': IDLE_FOREVER }).hospes('run', 'k.ts', ...native);
    expect(ran.stderr).toMatch(/ended by hang: /);
    expect(ran.status).toBe(1);
  });

  it.each([
    ['executing instructions', 'for (;;) cpu.flags() + cpu.load8(-0x80000000);'],
    ['computing', 'for (;;) await cpu.work(1000);'],
  ])('by never returning, %s: --limit ends it', (_case, loop) => {
    const source = `export const kernel = async (cpu) => { ${loop} };`;
    const folder = folderWith({ 'k.ts': source });
    const ran = folder.hospes('run', 'k.ts', ...native, '--limit', '1000000', '--json');
    const [mode] = JSON.parse(ran.stdout).modes;
    expect(mode).toMatchObject({ mode: 'native', outcome: 'limit' });
    expect(mode.cycles).toBeGreaterThanOrEqual(1_000_000);
    expect(mode.cycles).toBeLessThan(1_100_000);
    expect(ran.stderr).toMatch(/ended by limit: the cycle limit was reached\n$/);
    expect(ran.status).toBe(1);
  });

  it('by looping without an instruction: --limit ends it, and the next mode gets its turn', () => {
    const source = `export const kernel = async (cpu) => {
      cpu.out8(0x3f8, 0x61);
      cpu.out8(0x3f8, 10);
      for (;;);
    };`;
    const folder = folderWith({ 'k.ts': source });
    const args = ['--modes', 'native,hvm', '--limit', '1e9', '--json'];
    const ran = folder.hospes('compare', 'k.ts', ...args);
    const { modes } = JSON.parse(ran.stdout);
    expect(modes).toMatchObject([
      { mode: 'native', outcome: 'limit', cycles: 0, console: 'a\n' },
      { mode: 'hvm', outcome: 'limit', cycles: 0, console: 'a\n' },
    ]);
    expect(ran.stderr).toMatch(/looped for 5 s of host time without executing an instruction/);
    expect(ran.status).toBe(1);
  });
});

describe('hospes run', () => {
  it('prints the console, then the table', () => {
    const ran = folderWith({ 'k.ts': BARE_HELLO }).hospes('run', 'k.ts', '--mode', 'native');
    expect(ran.stdout).toMatch(/^hello\n\nk\.ts on skylake-2018: virtual cycles\n┌/);
    expect([ran.status, ran.stderr]).toEqual([0, '']);
  });

  it('writes only JSON with --json, whatever the kernel logs', () => {
    const source = `console.log('noise');\n${BARE_HELLO}`;
    const ran = folderWith({ 'k.ts': source }).hospes('run', 'k.ts', '--mode', 'native', '--json');
    const report = JSON.parse(ran.stdout);
    expect(violations(report, SCHEMA)).toEqual([]);
    expect(report).toMatchObject({ kernel: 'k.ts', preset: 'skylake-2018' });
    expect(report.modes[0]).toMatchObject({ outcome: 'poweroff', console: 'hello\n' });
    expect(report.modes[0]).not.toHaveProperty('why');
    expect(ran.stderr).toBe('noise\n');
  });

  it('takes a kernel in JavaScript, and one in a folder of CommonJS', () => {
    const source = 'export const kernel = async (cpu) => cpu.out16(0xb004, 0x2000);';
    const folder = folderWith({
      'k.js': source,
      'k.mjs': source,
      'k.mts': source,
      'package.json': '{}',
    });
    for (const name of ['k.js', 'k.mjs', 'k.mts']) {
      expect(folder.hospes('run', name, '--mode', 'native').status).toBe(0);
    }
  });

  it('writes the same trace twice, which hospes trace prints', () => {
    const folder = folderWith({ 'k.ts': BARE_HELLO });
    for (const name of ['a', 'b']) {
      folder.hospes('run', 'k.ts', '--mode', 'hvm', '--trace', name);
    }
    const [a, b] = ['a', 'b'].map((name) => readFileSync(`${folder.path}/${name}`));
    expect(a!.equals(b!)).toBe(true);
    const text = folder.hospes('trace', 'a');
    const json = folder.hospes('trace', 'a', '--json');
    expect(text.status).toBe(0);
    const lines = text.stdout.trimEnd().split('\n');
    expect(lines.length).toBeGreaterThan(5);
    const records = json.stdout.trimEnd().split('\n');
    expect(records.map((line) => JSON.parse(line).time)).toHaveLength(lines.length);
  });
});

describe('hospes compare', () => {
  it('writes the report to a file with --json FILE, and still prints the table', () => {
    const folder = folderWith({ 'k.ts': BARE_HELLO });
    const ran = folder.hospes('compare', 'k.ts', '--modes', 'native,hvm', '--json', 'r.json');
    const report = JSON.parse(readFileSync(`${folder.path}/r.json`, 'utf8'));
    expect(ran.stdout).toMatch(/^── native ──\nhello\n── hvm ──\nhello\n\nk\.ts on /);
    expect(report.modes.map(({ mode }: { mode: string }) => mode)).toEqual(['native', 'hvm']);
    for (const { cycles, causes } of report.modes) {
      expect(causes.reduce((sum: number, line: { cycles: number }) => sum + line.cycles, 0)).toBe(
        cycles,
      );
    }
  });

  it('writes a page with --html FILE, whose bars are as long as the cycles', () => {
    const source = BARE_HELLO.replace('hello', '<hello>');
    const folder = folderWith({ 'k.ts': source });
    const args = ['--modes', 'native,hvm', '--html', 'r.html', '--json', 'r.json'];
    expect(folder.hospes('compare', 'k.ts', ...args).status).toBe(0);
    const page = readFileSync(`${folder.path}/r.html`, 'utf8');
    const { modes } = JSON.parse(readFileSync(`${folder.path}/r.json`, 'utf8'));
    const longest = Math.max(...modes.map(({ cycles }: { cycles: number }) => cycles));
    const bars = page.match(/<div class="bar">.*?<\/div>/g)!;
    expect(bars.length).toBe(2);
    for (const [n, bar] of bars.entries()) {
      const widths = [...bar.matchAll(/width:([\d.]+)%/g)].map(([, width]) => Number(width));
      const sum = widths.reduce((a, b) => a + b, 0);
      expect(sum).toBeCloseTo((100 * modes[n].cycles) / longest, 1);
    }
    expect(page).not.toContain('<hello>');
    expect(page).toContain('&lt;hello&gt;');
  });

  it('gives one comparison for each preset, under runs', () => {
    const folder = folderWith({ 'k.ts': BARE_HELLO });
    const cpu = ['--cpu', 'p4-2005,skylake-2018'];
    const ran = folder.hospes('compare', 'k.ts', '--modes', 'native', ...cpu, '--json');
    const { runs } = JSON.parse(ran.stdout);
    expect(violations({ runs }, SCHEMA)).toEqual([]);
    expect(runs.map(({ preset }: { preset: string }) => preset)).toEqual([
      'p4-2005',
      'skylake-2018',
    ]);
  });

  it('refuses a report file that cannot be written', () => {
    const folder = folderWith({ 'k.ts': BARE_HELLO });
    const ran = folder.hospes('compare', 'k.ts', '--modes', 'native', '--json', 'no/r.json');
    expect(ran.stderr).toMatch(/report no\/r\.json cannot be written \(ENOENT\)/);
    expect(ran.status).toBe(2);
    const page = folder.hospes('compare', 'k.ts', '--modes', 'native', '--html', 'no/r.html');
    expect(page.stderr).toMatch(/report no\/r\.html cannot be written .*give --html/);
    expect(page.status).toBe(2);
  });
});
