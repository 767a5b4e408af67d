/** `--break`, `--log-instructions`, reports of crashes, and whoever else talks to the port of `--gdb`. */
import { connect } from 'node:net';
import { describe, expect, it } from 'vitest';
import { prepareDebugger } from '../../cli/debug-run.ts';
import { frame } from '../../cli/gdb-packets.ts';
import { itNeeds } from '../support/tools.ts';
import { folderWithKernel, GDB, hasGdb, type Running, underGdb } from './gdb.ts';

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

  compiled('takes addresses and distances, several of them', () => {
    const places = ['--break', '0x102000', '--break', 'area+4'];
    const ran = folderWithKernel().hospes('run', './kernel.elf', ...places);
    expect(ran.stderr).toMatch(/^=> 0x102000 <_start> +fc +cld$/m);
  });

  it('says what it does not know', async () => {
    const symbols = { address: (name: string) => (name === 'area' ? 0x7fffffffff00n : undefined) };
    const at = (text: string) => prepareDebugger({ breaks: [text] }, symbols, () => {});
    await expect(at('nowhere')).rejects.toThrow(
      '--break nowhere is no symbol of the kernel: give one that it has, or an address such as 0x101000',
    );
    await expect(at('0x800000000000')).rejects.toThrow('is no canonical address');
    await expect(at('area+0x100')).rejects.toThrow('is no canonical address');
    await expect(at('area+0xff')).resolves.toBeDefined();
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

  compiled('may be left in the middle of a step', async () => {
    const { hospes, port } = await underGdb(folderWithKernel(), '', '--vcpus', '2');
    await talk(port, frame('Z0,1000,1') + frame('?') + frame('vCont;s:2'), /T05/);
    expect(await hospes.status).toBe(0);
  });
});
