import { describe, expect, it } from 'vitest';
import type { Cpu } from '../../machine/cpu.ts';
import type { PortDevice } from '../../machine/port-bus.ts';
import { RSP } from '../../machine/vcpu.ts';
import { EINVAL, ENOSYS } from '../../protocol/errno.ts';
import { __HYPERVISOR_physdev_op, __HYPERVISOR_vm_assist } from '../../protocol/hypercalls.ts';
import {
  PHYSDEVOP_set_iobitmap,
  PHYSDEVOP_set_iopl,
  PhysdevSetIobitmap,
  PhysdevSetIopl,
} from '../../protocol/physdev.ts';
import { VMASST_CMD_enable, VMASST_TYPE_architectural_iopl } from '../../protocol/xen.ts';
import { PvHost, type RawGuest, runPv } from '../support/pv-fixture.ts';

const UD = 6;
const GP = 13;
const IOPL = 0x3000;

/** How many #GP the guest gets from `act`. */
const faults = (guest: RawGuest, act: (cpu: Cpu) => void): number => {
  let count = 0;
  guest.trap(GP, () => {
    count++;
    guest.iret(true);
  });
  act(guest.cpu);
  return count;
};

const setIopl = (guest: RawGuest, iopl: number): number =>
  guest.op(__HYPERVISOR_physdev_op, PHYSDEVOP_set_iopl, PhysdevSetIopl, { iopl }).result;

describe('privileged instructions of a PV kernel', () => {
  it('are done for it: control registers read as virtual ones', async () => {
    const seen: number[] = [];
    await runPv((guest) => {
      const { cpu } = guest;
      seen.push(cpu.readCr(0), cpu.readCr(3) / 4096 - guest.mfn(guest.start.ptBase));
      cpu.writeCr(0, 0x8005003b);
      cpu.writeCr(2, 0x1234000);
      cpu.writeCr(4, 0x3fffff);
      seen.push(cpu.readCr(0), cpu.readCr(2), cpu.readCr(4));
    });
    expect(seen).toEqual([0x80050033, 0, 0x8005003b, 0x1234000, 0x66c]);
  });

  it('change the root by MOV to CR3, if it is one', async () => {
    const counts: number[] = [];
    await runPv((guest) => {
      const root = guest.mfn(guest.start.ptBase) * 4096;
      counts.push(faults(guest, (cpu) => cpu.writeCr(3, root)));
      counts.push(
        faults(guest, (cpu) => cpu.writeCr(3, guest.mfn(guest.page()) * 4096 + 4096 * 100000)),
      );
    });
    expect(counts).toEqual([0, 1]);
  });

  it.each<[string, (cpu: Cpu) => void]>([
    ['HLT', (cpu) => cpu.hlt()],
    ['LIDT', (cpu) => cpu.lidt(0, 0)],
    ['LGDT', (cpu) => cpu.lgdt(0, 0)],
    ['LTR', (cpu) => cpu.ltr(0)],
    ['INVLPG', (cpu) => cpu.invlpg(0)],
    ['MOV to CR0 of more than TS', (cpu) => cpu.writeCr(0, 0x33)],
    ['CLI without I/O privilege', (cpu) => cpu.cli()],
    ['OUT without I/O privilege', (cpu) => cpu.out8(0x80, 0)],
    ['WRMSR of no MSR of its', (cpu) => cpu.wrmsr(0x1d9, 0n)],
    ['RDMSR of no MSR of its', (cpu) => void cpu.rdmsr(0x1d9)],
    ['WRMSR of a base that is not canonical', (cpu) => cpu.wrmsr(0xc0000100, 1n << 63n)],
    ['WRMSR of another EFER', (cpu) => cpu.wrmsr(0xc0000080, 0n)],
  ])('leave %s a #GP(0)', async (_name, act) => {
    let count = 0;
    await runPv((guest) => {
      count = faults(guest, act);
    });
    expect(count).toBe(1);
  });

  it('give MSRs that are its own, and zero for a missing one while it cannot take a #GP', async () => {
    const seen: bigint[] = [];
    await runPv(({ cpu }) => {
      cpu.wrmsr(0xc0000101, 0x1000n);
      seen.push(
        cpu.rdmsr(0xc0000101),
        cpu.rdmsr(0x277),
        cpu.rdmsr(0x1b),
        cpu.rdmsr(0x3a),
        cpu.rdmsr(0xc0000080),
      );
    });
    expect(seen).toEqual([0x1000n, 0x50100070406n, 0xfee00900n, 0n, 0xd01n]);
  });

  it('hide from CPUID what PV lacks, and show Xen', async () => {
    let signature = '';
    const seen: unknown[] = [];
    await runPv(({ cpu }) => {
      const { eax, ebx, ecx, edx } = cpu.cpuid(0x40000000);
      signature = String.fromCharCode(...new Uint8Array(new Uint32Array([ebx, ecx, edx]).buffer));
      seen.push(
        eax >= 0x40000005,
        cpu.cpuid(0x40000001).eax,
        cpu.cpuid(1).edx & 0x2300a,
        cpu.cpuid(1).ecx & 0x20,
      );
    });
    expect(signature).toBe('XenVMMXenVMM');
    expect(seen).toEqual([true, 0x40011, 0, 0]);
  });
});

describe('I/O of PV guests', () => {
  it('reads ones and writes nowhere for a domain without hardware, once IOPL lets it', async () => {
    const seen: number[] = [];
    await runPv((guest) => {
      expect(setIopl(guest, 1)).toBe(0);
      seen.push(
        faults(guest, (cpu) => {
          cpu.cli();
          cpu.sti();
          cpu.out8(0x80, 1);
          seen.push(cpu.in8(0x80), cpu.in16(0x1f0), cpu.in32(0xcf8));
        }),
      );
    });
    expect(seen).toEqual([0xff, 0xffff, 0xffffffff, 0]);
  });

  it('is always for the kernel with architectural_iopl, and iret sets the level that frames show', async () => {
    const seen: number[] = [];
    await runPv((guest) => {
      const { cpu } = guest;
      cpu.syscall(__HYPERVISOR_vm_assist, VMASST_CMD_enable, VMASST_TYPE_architectural_iopl);
      seen.push(faults(guest, () => cpu.cli()));
      guest.trap(UD, () => {
        seen.push(cpu.loadNumber(cpu.reg(RSP) + 32) & IOPL);
        guest.iret(false, (frame) => cpu.storeNumber(frame + 48, IOPL));
      });
      cpu.ud2();
      cpu.ud2();
    });
    expect(seen).toEqual([0, 0, IOPL]);
  });

  it('reaches the ports of the machine from domain 0, but not the PIC and the timer', async () => {
    const log: string[] = [];
    const host = new PvHost();
    const recorder: PortDevice = {
      read: (port, size) => {
        log.push(`in ${port.toString(16)} ${size}`);
        return 0x5a;
      },
      write: (port, size, value) =>
        void log.push(`out ${port.toString(16)} ${size} ${value.toString(16)}`),
    };
    host.machine.bus.attach(recorder, 0, 0xffff);
    const seen: number[] = [];
    const words = new Uint8Array(6);
    host.add(
      (guest) => {
        const { cpu } = guest;
        setIopl(guest, 1);
        const va = guest.page();
        seen.push(cpu.in8(0x1f7), cpu.in8(0x21), cpu.in8(0x40), cpu.in8(0x42));
        cpu.out16(0x1f0, 0x12345);
        cpu.out8(0x20, 0x11);
        cpu.insw(0x1f0, va, 3);
        cpu.loadBytes(va, words);
        cpu.outsw(0x1f0, va, 2);
      },
      { privileged: true },
    );
    await host.run();
    expect(seen).toEqual([0x5a, 0xff, 0xff, 0x5a]);
    expect([...words]).toEqual([0x5a, 0, 0x5a, 0, 0x5a, 0]);
    expect(log).toEqual([
      'in 1f7 1',
      'in 42 1',
      'out 1f0 2 2345',
      'in 1f0 2',
      'in 1f0 2',
      'in 1f0 2',
      'out 1f0 2 5a',
      'out 1f0 2 5a',
    ]);
  });
});

describe('physdev_op', () => {
  it('refuses a level above 3, a bitmap beyond the last port, and an unknown command', async () => {
    const results: number[] = [];
    await runPv((guest) => {
      results.push(setIopl(guest, 4));
      for (const nrPorts of [65536, 65537]) {
        results.push(
          guest.op(__HYPERVISOR_physdev_op, PHYSDEVOP_set_iobitmap, PhysdevSetIobitmap, {
            bitmap: 0,
            nrPorts,
          }).result,
        );
      }
      results.push(guest.cpu.syscall(__HYPERVISOR_physdev_op, 1000, 0));
    });
    expect(results).toEqual([-EINVAL, 0, -EINVAL, -ENOSYS]);
  });
});
