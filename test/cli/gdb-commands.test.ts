/** gdb's commands on a machine with one mapped page, one that is read-only, and nothing else; sent by whoever. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { DebuggedVcpu } from '../../cli/debugged-guest.ts';
import { GdbCommands } from '../../cli/gdb-commands.ts';
import { MAX_PACKET } from '../../cli/gdb-packets.ts';
import { REGISTERS } from '../../cli/gdb-registers.ts';
import { Watchpoints } from '../../cli/watchpoints.ts';
import { peekBytes } from '../../machine/peek.ts';
import { PTE_P, PTE_RW } from '../../machine/pte.ts';
import { FS_BASE, RFLAGS } from '../../machine/vcpu.ts';
import { VcpuState } from '../../machine/x86/vcpu-state.ts';
import { flatMachine, pagingVcpu, setEntry } from '../support/machine-fixture.ts';

const WRITABLE = 0x5000;
const READ_ONLY = 0x6000;

const fixture = () => {
  const machine = flatMachine(64, 2);
  const vcpu = pagingVcpu(machine);
  for (const table of [1, 2, 3]) setEntry(machine, table, 0, 5 - table, table + 1, PTE_P | PTE_RW);
  setEntry(machine, 4, WRITABLE, 1, 5, PTE_P | PTE_RW);
  setEntry(machine, 4, READ_ONLY, 1, 6, PTE_P);
  const { memory, mmu } = machine;
  const one: DebuggedVcpu = {
    ...{ id: 0, vcpu, state: new VcpuState(memory, vcpu), activity: 'running' },
  };
  const watchpoints = new Watchpoints();
  const commands = new GdbCommands(
    {
      vcpus: [one],
      of: () => one,
      read: (of, va, bytes) => peekBytes(memory, of, va, bytes),
      write: (of, va, bytes) => mmu.write(of, va, bytes),
    },
    watchpoints,
  );
  return { ...one, memory, watchpoints, commands, ask: (c: string) => commands.answer(c) };
};

describe('registers', () => {
  it('go out in the order of the target description, lowest byte first', () => {
    const { ask, vcpu, state } = fixture();
    state.gpr[3] = 0x0123456789abcdefn; // RBX, gdb's number 1
    state.rip = 0xffffffff80001000n;
    const all = ask('g');
    expect(all).toHaveLength(REGISTERS.reduce((sum, { bits }) => sum + bits / 4, 0));
    expect(all.slice(16, 32)).toBe('efcdab8967452301');
    expect(ask('p1')).toBe('efcdab8967452301');
    expect(ask('p10')).toBe('00100080ffffffff');
    const part = (at: string): string => ask(`qXfer:features:read:target.xml:${at},1000`).slice(1);
    const xml = ['0', '1000', '2000', '3000'].map(part).join('');
    expect([...xml.matchAll(/<reg name="(\w+)"/g)].map(([, name]) => name)).toEqual(
      REGISTERS.map(({ name }) => name),
    );
    expect(vcpu.lo(RFLAGS)).toBe(2);
  });

  it('are written, but for what protects the machine', () => {
    const { ask, vcpu, state } = fixture();
    expect(ask('P1=0100000000000000')).toBe('OK');
    expect(state.gpr[3]).toBe(1n);
    const number = (name: string): string =>
      REGISTERS.findIndex((register) => register.name === name).toString(16);
    expect(ask(`P${number('eflags')}=ffffffff`)).toBe('OK');
    expect(vcpu.lo(RFLAGS) & 0x23200).toBe(0); // IF, IOPL, VM
    expect(ask(`P${number('fs_base')}=0000000000000080`)).toBe('E16');
    expect(ask(`P${number('fs_base')}=000000000080ffff`)).toBe('OK');
    expect(vcpu.hi(FS_BASE)).toBe(0xffff8000);
    expect(ask(`P${number('cr3')}=0000000000000000`)).toBe('E16');
    expect(ask(`P${number('mxcsr')}=00000100`)).toBe('E16');
    expect(ask(`P${number('st3')}=00000000000000c0ff3f`)).toBe('OK');
    expect(ask(`p${number('st3')}`)).toBe('00000000000000c0ff3f');
    expect(ask(`G${ask('g')}`)).toBe('OK');
  });

  it.each(['P1=01', 'P1', 'Pffff=00', 'pzz', 'p', 'P1=zz00000000000000'])(
    'refuse %s',
    (command) => {
      expect(fixture().ask(command)).toBe('E16');
    },
  );
});

describe('memory', () => {
  it('is read as far as it is mapped, and changes nothing by that', () => {
    const { ask, memory } = fixture();
    memory.u8[memory.frameAt(5) + 0xfff] = 0x12;
    const tables = memory.frame(4).slice();
    expect(ask('m5fff,4')).toBe('12000000');
    expect(ask('m6fff,10')).toBe('00');
    expect(ask('m7000,1')).toBe('E0e');
    expect(ask('mffffffffffffffff,ffffffff')).toBe('E0e');
    expect(ask('m8000000000000000,1')).toBe('E0e');
    expect(ask('m5000,ffffffff').length).toBeLessThan(MAX_PACKET);
    expect(memory.frame(4)).toEqual(tables);
  });

  it('is written where the guest may write', () => {
    const { ask, memory } = fixture();
    expect(ask('M5ffe,2:abcd')).toBe('OK');
    expect(ask('X5000,3:a}\x03}]')).toBe('OK');
    expect([...memory.frame(5).subarray(0xffe)]).toEqual([0xab, 0xcd]);
    expect([...memory.frame(5).subarray(0, 3)]).toEqual([0x61, 0x23, 0x7d]);
    expect(ask('M5fff,2:abcd')).toBe('E0e');
    expect(memory.frame(5)[0xfff]).toBe(0xcd);
    expect(ask('X0,0:')).toBe('OK');
  });

  it.each([
    'm',
    'm5000',
    'm5000,',
    'm,1',
    'mx,1',
    'M5000,2:ab',
    'M5000,1:zz',
    'M5000,1',
    'X5000,2:a',
  ])('refuses %s', (command) => {
    expect(fixture().ask(command)).toBe('E16');
  });
});

describe('breakpoints and watchpoints', () => {
  it('are set and removed by kind', () => {
    const { ask, commands, watchpoints } = fixture();
    expect(['Z0,1000,1', 'Z1,1000,1', 'z0,1000,1'].map(ask)).toEqual(['OK', 'OK', 'OK']);
    expect([...commands.breakpoints]).toEqual([0x1000]);
    expect(commands.kindAt(0x1000)).toBe('hwbreak:;');
    expect(['Z2,2000,8', 'Z3,3000,1', 'Z4,4000,4'].map(ask)).toEqual(['OK', 'OK', 'OK']);
    expect(watchpoints.hit(0x2007, 4, true)?.va).toBe(0x2000);
    expect(watchpoints.hit(0x2008, 4, true)).toBeUndefined();
    expect(watchpoints.hit(0x2000, 8, false)).toBeUndefined();
    expect(watchpoints.hit(0x3000, 1, false)?.va).toBe(0x3000);
    expect(watchpoints.hit(0x3000, 1, true)).toBeUndefined();
    expect(watchpoints.hit(0x3ff0, 17, false)?.va).toBe(0x4000);
    expect(ask('z2,2000,8')).toBe('OK');
    expect(watchpoints.hit(0x2000, 4, true)).toBeUndefined();
    commands.clear();
    expect([commands.breakpoints.size, watchpoints.size]).toEqual([0, 0]);
  });

  it('are not without number', () => {
    const { ask } = fixture();
    const answers = Array.from({ length: 2000 }, (_, i) => ask(`Z0,${i.toString(16)},1`));
    expect(answers.filter((answer) => answer === 'OK')).toHaveLength(1024);
  });
});

describe('whatever is asked', () => {
  it('is answered in one packet, or not known', () => {
    const { ask } = fixture();
    expect(['', 'vMustReplyEmpty', 'qTStatus', 'Z5,0,0', '!', '\u00ff'].map(ask)).toEqual(
      Array(6).fill(''),
    );
    const letter = fc.constantFrom(...'gGpPmMXZzHTqvDkc?!_b'.split(''));
    const queries = [
      'qXfer:features:read:target.xml:',
      'qThreadExtraInfo,',
      'qSupported',
      'm5000,',
      '',
    ];
    const tail = fc.oneof(
      fc.string({ unit: fc.constantFrom(...'0123456789abcdef,:;=-'.split('')), maxLength: 40 }),
      fc.string({ unit: 'binary', maxLength: 40 }),
    );
    fc.assert(
      fc.property(fc.oneof(letter, fc.constantFrom(...queries)), tail, (head, rest) => {
        expect(ask(head + rest).length).toBeLessThanOrEqual(MAX_PACKET);
      }),
      { numRuns: 500 },
    );
  });
});
