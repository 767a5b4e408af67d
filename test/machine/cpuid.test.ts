import { describe, expect, it } from 'vitest';
import { hostCpuid } from '../../machine/cpuid.ts';
import { decode } from '../../machine/x86/decoder.ts';
import { bytes } from './x86/bytes.ts';

const text = (...registers: number[]) =>
  registers
    .flatMap((value) =>
      [0, 8, 16, 24].map((shift) => String.fromCharCode((value >>> shift) & 0xff)),
    )
    .join('');

describe('CPUID', () => {
  it('names a vendor that software knows', () => {
    const { ebx, edx, ecx } = hostCpuid(0, 0);
    expect(text(ebx, edx, ecx)).toBe('GenuineIntel');
  });

  it('shows VMX, SSE2, NX, SYSCALL and long mode, and no AVX, APIC or hypervisor', () => {
    const basic = hostCpuid(1, 0);
    const extended = hostCpuid(0x80000001, 0);
    expect([(basic.ecx >>> 5) & 1, (basic.edx >>> 26) & 1]).toEqual([1, 1]);
    expect([20, 11, 29].map((bit) => (extended.edx >>> bit) & 1)).toEqual([1, 1, 1]);
    expect([(basic.ecx >>> 28) & 1, (basic.edx >>> 9) & 1, basic.ecx >>> 31]).toEqual([0, 0, 0]);
  });

  it.each([
    [1, 'edx', 0, 'd9e8 fld1'],
    [1, 'edx', 4, '0f31 rdtsc'],
    [1, 'edx', 5, '0f32 rdmsr'],
    [1, 'edx', 8, '0fc708 cmpxchg8b'],
    [1, 'edx', 11, '0f35 sysexit, of SYSENTER'],
    [1, 'edx', 15, '0f44c1 cmove'],
    [1, 'edx', 19, '0fae38 clflush'],
    [1, 'edx', 23, '0f77 emms'],
    [1, 'edx', 24, '0fae00 fxsave'],
    [1, 'edx', 25, '0f58c1 addps'],
    [1, 'edx', 26, '660f58c1 addpd'],
    [1, 'ecx', 0, '660f7cc1 haddpd, of SSE3'],
    [1, 'ecx', 1, '660f3a44c100 pclmulqdq'],
    [1, 'ecx', 3, '0f01c8 monitor'],
    [1, 'ecx', 5, '0f01c1 vmcall'],
    [1, 'ecx', 9, '0f3800c1 pshufb, of SSSE3'],
    [1, 'ecx', 13, '480fc708 cmpxchg16b'],
    [1, 'ecx', 19, '660f3817c1 ptest, of SSE4.1'],
    [1, 'ecx', 20, '660f3837c1 pcmpgtq, of SSE4.2'],
    [1, 'ecx', 22, '0f38f000 movbe'],
    [1, 'ecx', 23, 'f30fb8c1 popcnt'],
    [1, 'ecx', 25, '660f38dcc1 aesenc'],
    [1, 'ecx', 26, '0fae20 xsave'],
    [1, 'ecx', 28, 'c5fc58c1 vaddps, of AVX'],
    [1, 'ecx', 30, '0fc7f0 rdrand'],
    [7, 'ebx', 0, 'f3480faec0 rdfsbase'],
    [7, 'ebx', 20, '0f01ca clac, of SMAP'],
    [0x80000001, 'ecx', 0, '9f lahf'],
    [0x80000001, 'ecx', 8, '0f0d08 prefetchw'],
    [0x80000001, 'edx', 11, '0f05 syscall'],
    [0x80000001, 'edx', 27, '0f01f9 rdtscp'],
  ] as const)('leaf %i, %s bit %i is set if there is %s', (leaf, register, bit, instruction) => {
    const code = bytes(`${instruction.split(' ')[0]}${'00'.repeat(8)}`);
    const there = typeof decode(code) !== 'string';
    expect((hostCpuid(leaf, 0)[register] >>> bit) & 1).toBe(there ? 1 : 0);
  });

  it('spells its brand over three leaves', () => {
    const parts = [0x80000002, 0x80000003, 0x80000004].map((leaf) => {
      const { eax, ebx, ecx, edx } = hostCpuid(leaf, 0);
      return text(eax, ebx, ecx, edx);
    });
    expect(parts.join('').replace(/\0+$/, '')).toBe('Hospes x86-64 processor');
  });

  it('answers a leaf beyond the last, even a negative number, as the last basic one', () => {
    expect(hostCpuid(0x40000000, 0)).toEqual(hostCpuid(0x16, 0));
    expect(hostCpuid(-1, 0)).toEqual(hostCpuid(0x16, 0));
    expect(hostCpuid(0x80000000 | 0, 0).eax).toBe(0x80000008);
  });

  it('answers zero for leaves that it does not model, so that a search for caches ends', () => {
    for (const leaf of [2, 4, 7, 0xb, 0xd])
      expect(hostCpuid(leaf, 2500)).toEqual({ eax: 0, ebx: 0, ecx: 0, edx: 0 });
  });
});
