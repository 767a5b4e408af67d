import { describe, expect, it } from 'vitest';
import { hostCpuid } from '../../machine/cpuid.ts';

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
