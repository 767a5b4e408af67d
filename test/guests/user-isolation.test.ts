/**
 * User code reaches nothing of its kernel.
 *
 * - no read, write or locked access to kernel memory, or what Xen keeps in the upper half
 * - no privileged instruction, no port: #GP; the kernel's own data is unchanged
 */
import { describe, expect } from 'vitest';
import { KernelFault } from '../../guest-kernel/index.ts';
import { MACH2PHYS_VIRT_START } from '../../protocol/xen.ts';
import { guestTest, MODES } from '../support/guests.ts';

/** Above the table of machine frames, where Xen's own memory is. */
const HYPERVISOR = -0x7d0000000000;
const PF = 14;
const GP = 13;

const vectorOf = (act: () => unknown): number | string => {
  try {
    act();
  } catch (error) {
    if (error instanceof KernelFault) return error.vector;
    throw error;
  }
  return 'allowed';
};

describe('user code', () => {
  guestTest('reaches no memory of the kernel', MODES, async (k) => {
    const va = k.virt(k.frames.alloc());
    const root = k.virt(0);
    k.cpu.store32(va, 0x600d);
    const got: (number | string)[] = [];
    k.runUser(() => {
      got.push(vectorOf(() => k.cpu.load8(va)));
      got.push(vectorOf(() => k.cpu.store32(va, 0xbad)));
      got.push(vectorOf(() => k.cpu.exchange32(va, 0xbad)));
      got.push(vectorOf(() => k.cpu.fillBytes(va, 4096, 0)));
      got.push(vectorOf(() => k.cpu.loadBytes(root, new Uint8Array(4096))));
      // Xen lets user mode read this table, as everything at CPL 3, but not write it.
      got.push(vectorOf(() => k.cpu.store32(MACH2PHYS_VIRT_START, 0)));
      got.push(vectorOf(() => k.cpu.load32(HYPERVISOR)));
    });
    expect(got).toEqual([PF, PF, PF, PF, PF, PF, PF]);
    expect(k.cpu.load32(va)).toBe(0x600d);
  });

  guestTest('executes no privileged instruction', MODES, async (k) => {
    const { cpu } = k;
    k.runUser(() => {});
    const before = cpu.readCr(3);
    const acts: (() => unknown)[] = [
      () => cpu.cli(),
      () => cpu.hlt(),
      () => cpu.readCr(3),
      () => cpu.writeCr(3, 0),
      () => cpu.rdmsr(0xc0000080),
      () => cpu.wrmsr(0xc0000082, 0n),
      () => cpu.invlpg(0),
      () => cpu.lidt(0, 0),
      () => cpu.lgdt(0, 0),
      () => cpu.in8(0x60),
      () => cpu.out16(0xb004, 0x2000),
      () => cpu.out8(0x64, 0xfe),
      () => cpu.int(14),
    ];
    const got: (number | string)[] = [];
    k.runUser(() => {
      for (const act of acts) got.push(vectorOf(act));
    });
    expect(got).toEqual(acts.map(() => GP));
    expect(cpu.readCr(3)).toBe(before);
  });
});
