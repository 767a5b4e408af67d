import { describe, expect, it } from 'vitest';
import { debugOptions } from '../../cli/debug-options.ts';
import {
  checkDisks,
  cycleLimit,
  diskArgument,
  gdbPort,
  instructionRange,
  memorySize,
  modeList,
  presetList,
  vcpuCount,
} from '../../cli/options.ts';
import { UsageError } from '../../cli/usage-error.ts';

describe('--memory', () => {
  it.each([
    ['64M', 64 * 2 ** 20],
    ['1g', 2 ** 30],
    ['65536K', 2 ** 26],
    ['16MiB', 2 ** 24],
    ['4194304', 2 ** 22],
  ])('takes %s', (text, bytes) => {
    expect(memorySize(text)).toBe(bytes);
  });

  it.each(['', 'lots', '-1M', '1.5G', '64X', '0x40', '4K', '0', '2G', '999999999999G'])(
    'refuses %s',
    (text) => {
      expect(() => memorySize(text)).toThrow(UsageError);
    },
  );
});

describe('--limit', () => {
  it.each([
    ['1000', 1000],
    ['1e9', 1e9],
  ])('takes %s', (text, cycles) => {
    expect(cycleLimit(text)).toBe(cycles);
  });

  it.each(['', '0', '-5', '1.5', 'soon', 'Infinity', '1e300'])('refuses %s', (text) => {
    expect(() => cycleLimit(text)).toThrow(/is not a number of cycles/);
  });
});

describe('--vcpus', () => {
  it('takes 1 to 32', () => {
    expect([vcpuCount('1'), vcpuCount('32')]).toEqual([1, 32]);
  });

  it.each(['0', '33', 'two', '1.5', ''])('refuses %s', (text) => {
    expect(() => vcpuCount(text)).toThrow(/from 1 to 32/);
  });
});

describe('the options of a debugger', () => {
  it('take a port, and a range of instructions', () => {
    expect([gdbPort('0'), gdbPort('65535')]).toEqual([0, 65535]);
    expect(instructionRange('3..5')).toEqual({ from: 3, to: 5 });
    expect(instructionRange('7')).toEqual({ from: 7, to: 7 });
  });

  it.each(['65536', '-1', 'any', '', '1.5'])('refuse the port %s', (text) => {
    expect(() => gdbPort(text)).toThrow(/is no port/);
  });

  it.each(['5..1', '0', '0..3', '1..', '..3', 'all', '', '1..9e9'])(
    'refuse the range %s',
    (text) => {
      expect(() => instructionRange(text)).toThrow(/is no range/);
    },
  );

  it('are for compiled kernels, and --gdb for itself', () => {
    const range = { from: 1, to: 2 };
    expect(debugOptions(true, { break: [] })).toBeUndefined();
    expect(debugOptions(true, { break: ['a'], logInstructions: range })).toEqual({
      breaks: ['a'],
      log: range,
    });
    expect(() => debugOptions(false, { break: [], gdb: 0 })).toThrow(/^--gdb is for compiled/);
    expect(() => debugOptions(false, { break: ['a'] })).toThrow(/^--break is for compiled/);
    expect(() => debugOptions(true, { break: ['a'], gdb: 0 })).toThrow(
      '--gdb and --break exclude each other: leave one out',
    );
  });
});

describe('--modes and --cpu', () => {
  it('take lists, each name once', () => {
    expect(modeList('hvm, native,hvm')).toEqual(['hvm', 'native']);
    expect(presetList('skylake-2018')).toEqual(['skylake-2018']);
  });

  it('refuse an unknown name and list the known ones', () => {
    expect(() => modeList('native,xen')).toThrow(
      /mode 'xen' is unknown: use one of native, pv, hvm/,
    );
    expect(() => presetList('i486')).toThrow(
      /processor 'i486' is unknown: use one of .*skylake-2018/,
    );
  });
});

describe('--disk', () => {
  it('takes NAME=FILE and ,ro', () => {
    expect(diskArgument('xvda=a,b.img')).toEqual({
      name: 'xvda',
      file: 'a,b.img',
      readOnly: false,
    });
    expect(diskArgument('xvdd=x=y,ro')).toEqual({ name: 'xvdd', file: 'x=y', readOnly: true });
  });

  it.each(['disk.img', 'xvda=', 'xvda=,ro', 'sda=disk.img', 'xvde=disk.img', '=x'])(
    'refuses %s',
    (text) => {
      expect(() => diskArgument(text)).toThrow(UsageError);
    },
  );

  it('refuses one name twice', () => {
    const disk = { name: 'xvda', file: 'x', readOnly: false };
    expect(() => checkDisks([disk, disk])).toThrow(/xvda is given twice/);
    expect(() => checkDisks([disk, { ...disk, name: 'xvdb' }])).not.toThrow();
  });
});
