/** gdb itself on a compiled kernel. */
import { describe, expect } from 'vitest';
import { itNeeds } from '../support/tools.ts';
import { folderWithKernel, GDB, hasGdb, underGdb } from './gdb.ts';

const it = (name: string, test: () => Promise<void>): void => itNeeds(GDB, hasGdb, name, test);

describe('gdb on a compiled kernel', () => {
  it('stops at functions, shows callers and variables, steps, and follows it to its end', async () => {
    const { hospes, gdb } = await underGdb(folderWithKernel(), '');
    const session = gdb(
      ...['info registers rip', 'break area', 'continue', 'backtrace', 'print *p', 'next', 'next'],
      ...['print result', 'x/2i $pc', 'stepi', 'info registers rip', 'finish', 'continue'],
      ...['print scale', 'delete', 'continue'],
    );
    expect(await session.status).toBe(0);
    const { text } = session;
    expect(text).toMatch(/rip +0x10\w+ +0x10\w+ <_start>/);
    expect(text).toMatch(/Breakpoint 1, area \(p=0x\w+, scale=2\) at .*debugged\.c:\d+/);
    expect(text).toMatch(/#1 .* kernel_main \(\).*\n#2 .* kernel_start \(given=0x\w+\)/);
    expect(text).toContain('$1 = {x = 3, y = 4}');
    expect(text).toContain('$2 = 24');
    expect(text).toMatch(/=> 0x\w+ <area\+\d+>:\tmov/);
    expect(text).toMatch(/Value returned is \$\d = 24/);
    expect(text).toMatch(/Breakpoint 1, area \(p=0x\w+, scale=10\)/);
    expect(text).toContain('= 10\n');
    expect(text).toContain('exited normally');
    expect(await hospes.status).toBe(0);
    expect(hospes.text).toContain('areas 24, 960\ntotal 984\n');
  });

  it('changes registers and memory; a watched variable stops the guest after each write', async () => {
    const { hospes, gdb } = await underGdb(folderWithKernel(), '');
    const session = gdb(
      ...['break area', 'continue', 'set var p->x = 5', 'set var $rsi = 100', 'print $rsi'],
      ...['set var $xmm1.uint128 = 7', 'print $xmm1.uint128', 'set var $st0 = 1.5', 'print $st0'],
      ...['set var scale = 3', 'delete', 'watch total', 'continue', 'continue', 'print total'],
      ...['rwatch total', 'continue', 'info registers cr3 fs_base eflags', 'delete', 'continue'],
    );
    expect(await session.status).toBe(0);
    const { text } = session;
    expect(text).toContain('$1 = 100\n$2 = 7\n$3 = 1.5\n');
    expect(text).toMatch(/Hardware watchpoint 2: total\n\nOld value = 0\nNew value = 60\n/);
    expect(text).toMatch(/Old value = 60\nNew value = 2460\n/);
    expect(text).toMatch(/read watchpoint 3: total\n\nValue = 2460\n/);
    expect(text).toMatch(/cr3 +0x\w+000 /);
    expect(text).toContain('exited normally');
    expect(await hospes.status).toBe(0);
    expect(hospes.text).toContain('areas 60, 2400\ntotal 2460\n');
  });

  it('has a thread for each vCPU', async () => {
    const { hospes, gdb } = await underGdb(folderWithKernel(), 't', '--vcpus', '2');
    const session = gdb(
      ...['info threads', 'break second', 'continue', 'info threads', 'thread 1', 'backtrace'],
      ...['thread 2', 'stepi', 'info registers rip', 'delete', 'watch counter', 'continue'],
      ...['info threads', 'delete', 'thread 2', 'next', 'info threads', 'continue'],
    );
    expect(await session.status).toBe(0);
    const { text } = session;
    expect(text).toMatch(/\* 1 +Thread 1 \(vCPU 0, running\) +_start/);
    expect(text).toMatch(/ 2 +Thread 2 \(vCPU 1, offline\)/);
    expect(text).toMatch(/Thread 2 hit Breakpoint 1, second \(\)/);
    expect(text).toMatch(/ 1 +Thread 1 \(vCPU 0, runnable\)/);
    expect(text).toMatch(/#\d+ .*start_second \(\)/);
    expect(text).toMatch(/rip +0x\w+ +0x\w+ <second\+\d+>/);
    expect(text).toMatch(/Thread 1 hit Hardware watchpoint 2: counter/);
    expect(text).toContain('exited normally');
    expect(await hospes.status).toBe(0);
    expect(hospes.text).toContain('other 3');
  });

  it('interrupts a guest that spins, detaches, comes back, and kills it', async () => {
    const { hospes, gdb } = await underGdb(folderWithKernel(), 's');
    const first = gdb('continue', 'info symbol $pc', 'detach');
    await hospes.says(/areas 24, 960/);
    first.interrupt();
    expect(await first.status).toBe(0);
    expect(first.text).toContain('received signal SIGINT');
    expect(first.text).toMatch(/spin.* in section \.text/);

    const second = gdb('print counter > 0', 'info symbol $pc', 'kill');
    expect(await second.status).toBe(0);
    expect(second.text).toContain('$1 = 1\n');
    expect(second.text).toMatch(/spin.* in section \.text/);
    expect(await hospes.status).toBe(1);
    expect(hospes.text).toContain('the debugger killed it');
  });

  it('shows a crash where it happened', async () => {
    const { hospes, gdb } = await underGdb(folderWithKernel(), 'c');
    const session = gdb('continue', 'backtrace', 'x/i $pc', 'continue');
    expect(await session.status).toBe(0);
    expect(session.text).toContain('The guest ended by crash:');
    expect(session.text).toContain('SIGABRT');
    expect(session.text).toMatch(/#0 .*kernel_main \(\) at .*debugged\.c/);
    expect(session.text).toMatch(/=> 0x\w+ <kernel_main\+\d+>:\tmovq? +\$0x1,\(%rax\)/);
    expect(session.text).toContain('Program terminated with signal SIGABRT');
    expect(await hospes.status).toBe(1);
  });

  it('makes no virtual time pass, and reaches a breakpoint behind a long loop', async () => {
    const folder = folderWithKernel();
    const { hospes, gdb } = await underGdb(folder, 'l', '--json');
    const session = gdb(
      ...['break sum_to', 'continue', 'next', 'info locals', 'stepi 20', 'finish'],
      ...['stepi 20', 'continue'],
    );
    expect(await session.status).toBe(0);
    expect(session.text).toMatch(/Value returned is \$1 = 50000005000000\n/);
    expect(await hospes.status).toBe(0);
    const alone = folder.hospes('run', './kernel.elf', '--cmdline', 'l', '--json');
    expect(hospes.text.slice(hospes.text.indexOf('{'))).toBe(alone.stdout);
  });
});
