/** `--break`, `--log-instructions`, reports of crashes, and whoever else talks to the port of `--gdb`. */
import { connect } from 'node:net';
import { describe, expect, it } from 'vitest';
import { frame } from '../../cli/gdb-packets.ts';
import { itNeeds } from '../support/tools.ts';
import { folderWithKernel, GDB, hasGdb, type Running, underGdb } from './gdb.ts';
import { BARE_HELLO, folderWith } from './hospes.ts';

const compiled = (name: string, test: () => void | Promise<void>): void =>
  itNeeds(GDB, hasGdb, name, test);

describe('--break', () => {
  compiled('ends the guest there, and shows registers, code and callers', () => {
    const ran = folderWithKernel().hospes('run', './kernel.elf', '--break', 'area', '--json');
    expect(ran.status).toBe(1);
    expect(JSON.parse(ran.stdout).modes[0].outcome).toBe('destroyed');
    expect(ran.stderr).toMatch(/^a breakpoint was reached: vCPU 0 at 0x\w+ <area>$/m);
    expect(ran.stderr).toMatch(/^ +rsi 0000000000000002 /m);
    expect(ran.stderr).toMatch(/^=> 0x\w+ <area> +55 +push rbp$/m);
    expect(ran.stderr).toMatch(/^ {3}0x\w+ <area\+0x1> +48 89 e5 +mov rbp, rsp$/m);
    expect(ran.stderr).toMatch(
      /#0 0x\w+ <area>\n {2}#1 0x\w+ <kernel_main\+0x\w+>\n {2}#2 0x\w+ <kernel_start\+0x\w+>/,
    );
    expect(ran.stderr).toMatch(
      /the guest ended by destroyed: it reached the breakpoint at 0x\w+ <area>/,
    );
  });

  compiled('takes addresses and distances, and says what it does not know', () => {
    const folder = folderWithKernel();
    const at = (text: string) => folder.hospes('run', './kernel.elf', '--break', text);
    expect(at('area+4').stderr).toMatch(/^=> 0x\w+ <area\+0x4>/m);
    expect(at('0x102000').stderr).toMatch(/^=> 0x102000 <_start> +fc +cld$/m);
    expect(at('nowhere')).toMatchObject({
      status: 2,
      stderr:
        'hospes: --break nowhere is no symbol of the kernel: give one that it has, or an address such as 0x101000\n',
    });
    expect(at('0x800000000000').stderr).toContain('is no canonical address');
  });
});

describe('--log-instructions', () => {
  compiled('prints each with what it changed', () => {
    const ran = folderWithKernel().hospes('run', './kernel.elf', '--log-instructions', '2..5');
    expect(ran.status).toBe(0);
    const lines = ran.stderr.trimEnd().split('\n');
    expect(lines).toHaveLength(4);
    expect(lines[0]).toMatch(
      /^2 0x102001 <_start\+0x1> +48 8d 25 .. .. .. .. +lea rsp, .* rsp=0x\w+$/,
    );
    expect(lines[1]).toMatch(/^3 0x102008 <_start\+0x8> +48 89 f7 +mov rdi, rsi +rdi=0x\w+$/);
    expect(lines[3]).toMatch(/^5 0x\w+ <kernel_start> +55 +push rbp +rsp=0x\w+$/);
  });
});

describe('a crash of a compiled kernel', () => {
  compiled('is reported with where it was', () => {
    const ran = folderWithKernel().hospes('run', './kernel.elf', '--cmdline', 'c');
    expect(ran.status).toBe(1);
    expect(ran.stderr).toMatch(/^the guest crashed: vCPU 0 at 0x\w+ <kernel_main\+0x\w+>$/m);
    expect(ran.stderr).toMatch(/^=> 0x\w+ <kernel_main\+0x\w+> .* mov qword ptr \[rax\], 0x1$/m);
    expect(ran.stderr).toMatch(/^ {2}#1 0x\w+ <kernel_start\+0x\w+>$/m);
  });
});

describe('the options of a debugger', () => {
  it.each([
    [['--gdb', '70000'], '--gdb 70000 is no port'],
    [['--gdb', '-1'], '--gdb -1 is no port'],
    [['--log-instructions', '5..1'], '--log-instructions 5..1 is no range'],
    [['--log-instructions', '0'], '--log-instructions 0 is no range'],
    [['--gdb', '0'], '--gdb is for compiled kernels: leave it out'],
    [['--break', '0x1000'], '--break is for compiled kernels: leave it out'],
    [['--log-instructions', '1'], '--log-instructions is for compiled kernels: leave it out'],
  ])('%j are refused in a sentence', (options, sentence) => {
    const ran = folderWith({ 'k.ts': BARE_HELLO }).hospes('run', 'k.ts', ...options);
    expect(ran.status).toBe(2);
    expect(ran.stderr.startsWith(`hospes: ${sentence}`)).toBe(true);
    expect(ran.stderr.trimEnd()).not.toContain('\n');
  });

  compiled('exclude each other', () => {
    const options = ['--gdb', '0', '--break', 'area'];
    const ran = folderWithKernel().hospes('run', './kernel.elf', ...options);
    expect(ran).toMatchObject({
      status: 2,
      stderr: 'hospes: --gdb and --break exclude each other: leave one out\n',
    });
  });
});

describe('the port of --gdb', () => {
  /** Send `bytes`; what came back until `enough`, or until the other end closed. */
  const talk = (port: string, bytes: string, enough: RegExp): Promise<string> =>
    new Promise((resolve, reject) => {
      let text = '';
      const socket = connect(Number(port), '127.0.0.1', () => socket.write(bytes, 'latin1'));
      socket.on('data', (data) => {
        text += data.toString('latin1');
        if (enough.test(text)) socket.destroy();
      });
      socket.on('error', reject);
      socket.on('close', () => resolve(text));
    });

  const survives = async (hospes: Running, port: string): Promise<void> => {
    expect(await talk(port, frame('vCont;c'), /\$W00#/)).toContain('$W00#');
    expect(await hospes.status).toBe(0);
    expect(hospes.text).toContain('total 984');
  };

  compiled('is not impressed by what is no gdb; the guest waits on', async () => {
    const { hospes, port } = await underGdb(folderWithKernel(), '');
    expect(await talk(port, 'GET / HTTP/1.1\r\n\r\n$x#00', /-/)).toBe('-');
    expect(await talk(port, `$${'a'.repeat(100_000)}`, /never/).catch(() => '')).toBe('');
    expect(hospes.text).not.toContain('areas');
    await survives(hospes, port);
  });

  compiled('answers every packet, known or not', async () => {
    const { hospes, port } = await underGdb(folderWithKernel(), '');
    const nonsense = [
      '',
      'vCont;x',
      'vCont;s:99',
      'Hgffff',
      'mffffffffffffffff,ffffffff',
      'Z9,0,0',
    ];
    const sent = [...nonsense, 'Pffffffff=00', 'G00', 'X0,5:a', 'qRcmd,zz', '?']
      .map(frame)
      .join('');
    const answers = await talk(port, sent, /T05thread:1;#../);
    expect(answers.replaceAll('+', '').split(/#../).slice(0, -1)).toEqual(
      ['', 'E16', 'E16', 'E16', 'E0e', '', 'E16', 'OK', 'E16', '', 'T05thread:1;'].map(
        (a) => `$${a}`,
      ),
    );
    // It went without a word, so the guest ran on.
    expect(await hospes.status).toBe(0);
  });
});
