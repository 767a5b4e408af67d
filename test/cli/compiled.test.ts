/** What is said of compiled kernels that cannot be run: one row for each bad input; and the few that need the whole command. */
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { parseCommand } from '../../cli/commands.ts';
import { loadCompiled } from '../../cli/load-image.ts';
import { UsageError } from '../../cli/usage-error.ts';
import { XEN_ELFNOTE_VIRT_BASE } from '../../protocol/elfnote.ts';
import { elfFile, kernelFile } from '../hypervisor/elf-file.ts';
import { folderWith } from './hospes.ts';

const KERNEL = kernelFile();

const text = (string: string): Uint8Array => Buffer.from(string, 'latin1');

/** A bzImage with this payload, as far as a boot loader looks at it. */
const bzImage = (payload: Uint8Array, bytes = payload.length, version = 0x20f): Uint8Array => {
  const head = new DataView(new ArrayBuffer(1024));
  head.setUint8(0x1f1, 1);
  head.setUint32(0x202, 0x53726448, true);
  head.setUint16(0x206, version, true);
  head.setUint32(0x24c, bytes, true);
  return Buffer.concat([new Uint8Array(head.buffer), payload]);
};

describe('loadCompiled', () => {
  const folder = (kernel: Uint8Array, ramdisk: Uint8Array = text('ram')) =>
    folderWith({ kernel, ramdisk }).path;

  it.each<[string, Uint8Array]>([
    ['an ELF file', KERNEL],
    ['one in gzip', gzipSync(KERNEL)],
    ['one in gzip in a bzImage', bzImage(gzipSync(KERNEL))],
    ['one in a bzImage as it is', bzImage(KERNEL)],
  ])('takes %s', (_case, kernel) => {
    const { image, ramdisk } = loadCompiled(`${folder(kernel)}/kernel`, undefined);
    expect([image.entry, ramdisk]).toEqual([0x100000, undefined]);
  });

  it.each<[string, Uint8Array, string]>([
    ['as it is', text('ram'), 'ram'],
    ['unpacked from gzip', gzipSync('ram disk'), 'ram disk'],
    ['as it is if gzip cannot unpack it', text('\x1f\x8b who knows'), '\x1f\x8b who knows'],
  ])('takes a ramdisk %s', (_case, bytes, content) => {
    const path = folder(KERNEL, bytes);
    const { ramdisk } = loadCompiled(`${path}/kernel`, `${path}/ramdisk`);
    expect(Buffer.from(ramdisk!).toString('latin1')).toBe(content);
  });

  it.each<[string, Uint8Array, RegExp]>([
    ['an ordinary program', elfFile({ segments: [{ bytes: text('x') }] }), /without Xen notes: /],
    ['half of a kernel', KERNEL.subarray(0, 100), /kernel is cut short: its program headers/],
    ['another compression', text('\xfd7zXZ\0 …'), /is compressed with xz, which is not supported/],
    ['half of a gzip file', gzipSync(KERNEL).subarray(0, 40), /unpacked: gzip says unexpected end/],
    ['something else in gzip', gzipSync('no kernel'), /kernel is not an ELF file/],
    ['another compression in a bzImage', bzImage(text('\x28\xb5\x2f\xfd')), /with zstd, which/],
    ['a bzImage without payload', bzImage(KERNEL, 1, 0x201), /from before Linux 2\.6\.26/],
    ['half of a bzImage', bzImage(KERNEL, 1 << 30), /its payload would end at byte 1073742848 of/],
    ['a bzImage of something', bzImage(text('who knows')), /payload is of no known kind/],
    [
      'an address of Xen',
      kernelFile([[XEN_ELFNOTE_VIRT_BASE, 0xffff800000000000n]]),
      /kernel has the VIRT_BASE 0xffff800000000000, which is no address of a guest$/,
    ],
  ])('refuses %s', (_case, kernel, sentence) => {
    const path = folder(kernel);
    expect(() => loadCompiled(`${path}/kernel`, undefined)).toThrow(UsageError);
    expect(() => loadCompiled(`${path}/kernel`, undefined)).toThrow(sentence);
  });
});

describe('the arguments', () => {
  it.each<[string, string[], RegExp]>([
    ['another mode', ['k', '--mode', 'hvm'], /--mode hvm is for TypeScript kernels/],
    [
      'a command line without pv',
      ['k.ts', '--mode', 'native', '--cmdline', 'x'],
      /needs --mode pv/,
    ],
    ['a command line too long', ['k', '--cmdline', 'x'.repeat(1024)], /1024 bytes: give at most/],
    ['a ramdisk for a module', ['k.ts', '--ramdisk', 'k'], /--ramdisk is for compiled kernels/],
    ['a missing ramdisk', ['k', '--ramdisk', 'none'], /ramdisk none does not exist/],
    ['a folder as ramdisk', ['k', '--ramdisk', '/'], /ramdisk \/ is not a file/],
    ['a script', ['script'], /script is no ELF file, and no module.*\.ts, \.mts/],
    ['an empty file', ['empty'], /empty is no ELF file/],
  ])('refuse %s', (_case, args, sentence) => {
    const files = { k: KERNEL, 'k.ts': '', script: '#!/bin/sh\n', empty: '' };
    const { path } = folderWith(files);
    const argv = args.map((arg) => (arg in files ? `${path}/${arg}` : arg));
    expect(() => parseCommand(['run', ...argv], '0', () => {})).toThrow(UsageError);
    expect(() => parseCommand(['run', ...argv], '0', () => {})).toThrow(sentence);
  });

  it('of a comparison refuse a compiled kernel', () => {
    const { path } = folderWith({ k: KERNEL });
    expect(() => parseCommand(['compare', `${path}/k`], '0', () => {})).toThrow(
      /kernel .*k is compiled, and runs in mode pv only: use `hospes run`/,
    );
  });
});

describe('hospes run', () => {
  it.each<[string, string[], RegExp]>([
    ['an ordinary program', ['plain'], /^hospes: kernel plain is an ELF program without Xen notes/],
    [
      'too little memory',
      ['k', '--memory', '1M'],
      /not enough memory: booting this kernel takes 4M and the domain has 1M; give another --mem/,
    ],
  ])('refuses %s', (_case, args, sentence) => {
    const files = { k: KERNEL, plain: elfFile({ segments: [{ bytes: text('x') }] }) };
    const ran = folderWith(files).hospes('run', ...args);
    expect(ran.stderr).toMatch(/^hospes: [^\n]+\n$/);
    expect(ran.stderr).toMatch(sentence);
    expect([ran.status, ran.stdout]).toEqual([2, '']);
  });

  it('says which kernels run', () => {
    expect(folderWith({}).hospes('run', '--help').stdout).toMatch(/compiled\s+kernel\s+\(ELF/);
  });
});
