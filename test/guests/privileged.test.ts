/**
 * What the privileged instructions do for a kernel.
 *
 * - bare: they execute; a register that does not exist is #GP
 * - PV: control registers read as Xen shows them, ports read as nothing, HLT, LIDT, LGDT, INVLPG, CLI are #GP, for which
 *   there are hypercalls; VMCALL is not for it
 */
import { describe, expect } from 'vitest';
import { KernelFault } from '../../guest-kernel/index.ts';
import { BARE, guestTest, MODES, PV } from '../support/guests.ts';

const EFER = 0xc0000080;
const PAGING = 2 ** 31;

describe('privileged instructions', () => {
  guestTest('read what every 64-bit kernel finds', MODES, async ({ cpu }) => {
    expect(cpu.readCr(0) >>> 0).toBeGreaterThanOrEqual(PAGING);
    expect(cpu.readCr(0) & 1).toBe(1);
    expect(cpu.readCr(4) & 0x20).toBe(0x20);
    expect(cpu.readCr(3) % 4096).toBe(0);
    expect(cpu.rdmsr(EFER) & 0x500n).toBe(0x500n);
  });

  guestTest('execute on bare hardware', BARE, async ({ cpu, interrupts }) => {
    cpu.cli();
    expect(cpu.flags() & 0x200).toBe(0);
    expect(interrupts.disable()).toBe(false);
    cpu.sti();
    expect(cpu.flags() & 0x200).toBe(0x200);
    cpu.writeCr(2, 0x1234);
    expect(cpu.readCr(2)).toBe(0x1234);
    cpu.wrmsr(0xc0000100, 0x1234567890n);
    expect(cpu.rdmsr(0xc0000100)).toBe(0x1234567890n);
    cpu.invlpg(0);
    cpu.writeCr(3, cpu.readCr(3));
  });

  guestTest('raise #GP in a PV kernel where there is a hypercall', PV, async ({ cpu }) => {
    const acts = [
      () => cpu.hlt(),
      () => cpu.cli(),
      () => cpu.sti(),
      () => cpu.invlpg(0),
      () => cpu.lidt(0, 0xfff),
      () => cpu.lgdt(0, 0xff),
      () => cpu.ltr(0),
      () => cpu.in8(0x60),
      () => cpu.out8(0x64, 0xfe),
    ];
    for (const act of acts) expect(act).toThrow('#GP(0)');
    expect(() => cpu.writeCr(3, 0)).toThrow(KernelFault);
  });

  guestTest('raise #GP for a register that does not exist', MODES, async ({ cpu }) => {
    expect(() => cpu.wrmsr(0xdead, 1n)).toThrow('#GP(0)');
  });

  guestTest('VMCALL is undefined without a hypervisor', ['native'], async ({ cpu }) => {
    expect(() => cpu.vmcall(0)).toThrow('#UD');
  });
});
