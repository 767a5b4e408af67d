/**
 * CPUID says where a kernel is.
 *
 * - native: no hypervisor bit, VMX; under Xen: the hypervisor bit, no VMX, Xen's signature and version at 0x40000000
 * - what a PV kernel cannot have is hidden from it
 * - the same vendor and frequency everywhere
 */
import { describe, expect } from 'vitest';
import { guestTest, type Kernel, MODES, PRESET } from '../support/guests.ts';

const HYPERVISOR = 2 ** 31;
const VMX = 1 << 5;
const GLOBAL_PAGES = 1 << 13;

const text = (...words: number[]): string =>
  new TextDecoder().decode(new Uint8Array(Uint32Array.from(words).buffer));

const where = (k: Kernel): string => {
  const { ecx, edx } = k.cpu.cpuid(1);
  const { ebx: b, ecx: c, edx: d } = k.cpu.cpuid(0x40000000);
  const under = text(b, c, d) === 'XenVMMXenVMM';
  const bits = [(ecx & HYPERVISOR) !== 0 && 'hypervisor', (ecx & VMX) !== 0 && 'vmx'];
  return [...bits, (edx & GLOBAL_PAGES) !== 0 && 'pge', under && 'xen'].filter(Boolean).join(' ');
};

describe('CPUID', () => {
  const expected = { native: 'vmx pge', pv: 'hypervisor xen', hvm: 'hypervisor pge xen' };
  for (const mode of MODES) {
    guestTest('says what is below', [mode], async (k) => expect(where(k)).toBe(expected[mode]));
  }

  guestTest('has the version of Xen', ['pv', 'hvm'], async (k) => {
    const { eax } = k.cpu.cpuid(0x40000001);
    expect(eax >>> 16).toBe(4);
    if (k.xen) expect(eax).toBe(k.xen.version());
  });

  guestTest('has vendor and frequency', MODES, async (k) => {
    const { ebx, ecx, edx } = k.cpu.cpuid(0);
    expect(text(ebx, edx, ecx)).toBe('GenuineIntel');
    expect(k.cpu.cpuid(0x16).eax).toBe(PRESET.mhz);
  });
});
