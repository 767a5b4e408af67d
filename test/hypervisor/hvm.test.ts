import { describe, expect, it } from 'vitest';
import type { Domain } from '../../hypervisor/domain.ts';
import type { DomainConfig } from '../../hypervisor/lifecycle.ts';
import { BARE_VIRT_BASE } from '../../machine/bare-loader.ts';
import { MemoryStore } from '../../machine/block-store.ts';
import type { BootRecord, Cpu } from '../../machine/cpu.ts';
import { EFAULT, ENOSYS, EPERM } from '../../protocol/errno.ts';
import {
  __HYPERVISOR_iret,
  __HYPERVISOR_mmu_update,
  __HYPERVISOR_sched_op,
  __HYPERVISOR_xen_version,
} from '../../protocol/hypercalls.ts';
import { SCHEDOP_shutdown } from '../../protocol/sched.ts';
import { PvHost } from '../support/pv-fixture.ts';

const PAGES = 1024;
const COM1 = 0x3f8;
const PIC = 0x20;
const PIT = 0x40;
const PM1A = 0xb004;
const FREE = BARE_VIRT_BASE + 512 * 4096;

const powerOff = (cpu: Cpu): void => cpu.out16(PM1A, 0x2000);

interface Run {
  host: PvHost;
  domain: Domain;
  serial: string;
  end: string;
}

/** Run one hardware-assisted guest; when its code has returned it powers itself off. */
const runHvm = async (
  kernel: (cpu: Cpu, boot: BootRecord) => Promise<void> | void,
  config: Partial<DomainConfig> = {},
): Promise<Run> => {
  const host = new PvHost();
  host.listen();
  let serial = '';
  const domain = host.xen.create({
    name: 'hvm',
    kind: 'hvm',
    memoryBytes: PAGES * 4096,
    serial: (byte) => {
      serial += String.fromCharCode(byte);
    },
    guest: async (cpu, boot) => {
      await kernel(cpu, boot);
      powerOff(cpu);
    },
    ...config,
  });
  host.xen.unpause(domain);
  const end = await host.run();
  return { host, domain, serial, end };
};

/** A long-mode interrupt gate for `vector`. */
const gate = (cpu: Cpu, vector: number, code: () => void): void => {
  const address = cpu.entry(code);
  const at = FREE + vector * 16;
  cpu.store32(at, (address & 0xffff) | (0x10 << 16));
  cpu.store32(at + 4, (address & 0xffff0000) | 0x8e00);
  cpu.store32(at + 8, Math.floor(address / 2 ** 32));
  cpu.lidt(FREE, 0xfff);
};

/** PICs at vectors 0x20 and 0x28, all lines open. */
const openPic = (cpu: Cpu): void => {
  for (const [port, base, cascade] of [
    [PIC, 0x20, 4],
    [0xa0, 0x28, 2],
  ] as const) {
    cpu.out8(port, 0x11);
    cpu.out8(port + 1, base);
    cpu.out8(port + 1, cascade);
    cpu.out8(port + 1, 1);
    cpu.out8(port + 1, 0);
  }
};

const exits = (run: Run): Record<string, number> => {
  const counts: Record<string, number> = {};
  for (const record of run.host.kinds('exit')) {
    const reason = String(record['reason']);
    counts[reason] = (counts[reason] ?? 0) + 1;
  }
  return counts;
};

describe('a hardware-assisted domain', () => {
  it('writes to its emulated serial port and powers itself off, one exit for each access', async () => {
    const run = await runHvm((cpu) => {
      for (const byte of new TextEncoder().encode('hello')) cpu.out8(COM1, byte);
    });
    expect([run.serial, run.domain.end?.outcome, run.end]).toEqual([
      'hello',
      'poweroff',
      'finished',
    ]);
    expect(exits(run)).toEqual({ 'I/O instruction': 6 });
    const cause = run.host.machine.causes.id('exit I/O instruction');
    expect(run.domain.account.count[cause]).toBe(6);
    // The last exit has no entry after it: exit, handling, device; and an entry for the five
    // others.
    expect(run.domain.account.cycles[cause]).toBe(6 * 3 + 5);
  });

  it('takes timer interrupts by injection, in HLT and between instructions', async () => {
    let ticks = 0;
    const run = await runHvm(async (cpu) => {
      openPic(cpu);
      gate(cpu, 0x20, () => {
        ticks++;
        cpu.out8(PIC, 0x20);
        cpu.iretq();
      });
      cpu.out8(PIT + 3, 0x34);
      cpu.out8(PIT, 0xff);
      cpu.out8(PIT, 0x0f);
      cpu.sti();
      cpu.hlt();
      await cpu.resumed();
      expect(ticks).toBe(1);
      await cpu.work(20_000_000);
    });
    expect(run.domain.end).toMatchObject({ outcome: 'poweroff' });
    expect(ticks).toBeGreaterThanOrEqual(6);
    expect(exits(run)).toMatchObject({ HLT: 1 });
    expect(exits(run)['external interrupt']).toBeGreaterThanOrEqual(5);
    expect(run.host.kinds('interrupt')).toHaveLength(ticks);
  });

  it('leaves by an interrupt window when IF was clear', async () => {
    let taken = 0;
    const run = await runHvm(async (cpu) => {
      openPic(cpu);
      gate(cpu, 0x20, () => {
        taken++;
        cpu.out8(PIC, 0x20);
        cpu.iretq();
      });
      cpu.out8(PIT + 3, 0x30);
      cpu.out8(PIT, 0x10);
      cpu.out8(PIT, 0);
      await cpu.work(1_000_000);
      expect(taken).toBe(0);
      cpu.sti();
      cpu.load32(FREE);
      cpu.load32(FREE);
    });
    expect(run.domain.end?.outcome).toBe('poweroff');
    expect([taken, exits(run)['interrupt window']]).toEqual([1, 1]);
  });

  it('sees Xen by CPUID, and no VMX', async () => {
    const seen: number[] = [];
    await runHvm((cpu) => {
      seen.push(cpu.cpuid(0x40000001).eax, cpu.cpuid(1).ecx & 0x20, cpu.cpuid(0x40000004).ecx);
    });
    expect(seen).toEqual([0x40011, 0, 1]);
  });

  it('has MSRs of its own; another is #GP', async () => {
    const seen: unknown[] = [];
    await runHvm((cpu) => {
      gate(cpu, 13, () => {
        const rsp = cpu.reg(4);
        cpu.setReg(4, rsp + 8);
        seen.push('#GP');
        cpu.iretq();
      });
      cpu.wrmsr(0xc0000101, 0x123000n);
      cpu.wrmsr(0xc0000082, 0xffffffff80001000n);
      seen.push(cpu.rdmsr(0xc0000101), cpu.rdmsr(0xc0000082), cpu.rdmsr(0xc0000080));
      cpu.wrmsr(0xc0000102, 1n << 63n);
      cpu.wrmsr(0xc0000080, 0n);
      cpu.rdmsr(0x1d9);
    });
    expect(seen).toEqual([0x123000n, 0xffffffff80001000n, 0xd01n, '#GP', '#GP', '#GP']);
  });

  it('reads ones where it has no memory, and writes are lost', async () => {
    const seen: unknown[] = [];
    const run = await runHvm((cpu) => {
      // Map the guest-physical page after the last at a free address.
      const l1 = FREE + 4096;
      const entry = (va: number, low: number) => cpu.storeNumber(va, low);
      const L4 = BARE_VIRT_BASE + 4096;
      entry(L4, (l1 - BARE_VIRT_BASE) | 3);
      entry(l1, (l1 - BARE_VIRT_BASE + 4096) | 3);
      entry(l1 + 4096, (l1 - BARE_VIRT_BASE + 8192) | 3);
      entry(l1 + 8192, (PAGES * 4096) | 3);
      cpu.writeCr(3, cpu.readCr(3));
      seen.push(cpu.load32(0), cpu.load8(4), cpu.load64(8));
      cpu.store32(0, 7);
      seen.push(cpu.load32(0));
    });
    expect(seen).toEqual([0xffffffff, 0xff, 0xffffffffffffffffn, 0xffffffff]);
    expect(exits(run)['EPT violation']).toBe(5);
  });

  it('reads its emulated disk by string I/O into its memory', async () => {
    const disk = new MemoryStore(new Uint8Array(8 * 512));
    disk.write(
      3,
      new Uint8Array(512).map((_v, i) => i & 0xff),
    );
    const bytes = new Uint8Array(512);
    const run = await runHvm(
      async (cpu) => {
        openPic(cpu);
        cpu.out8(0x21, 0xff);
        cpu.out8(0xa1, 0xff);
        cpu.out8(0x1f6, 0xe0);
        cpu.out8(0x1f2, 1);
        cpu.out8(0x1f3, 3);
        cpu.out8(0x1f4, 0);
        cpu.out8(0x1f5, 0);
        cpu.out8(0x1f7, 0x20);
        while ((cpu.in8(0x1f7) & 0x88) !== 0x08) await cpu.work(1000);
        cpu.insw(0x1f0, FREE + 100, 256);
        cpu.loadBytes(FREE + 100, bytes);
      },
      { disks: [disk] },
    );
    expect(run.domain.end?.outcome).toBe('poweroff');
    expect([...bytes.subarray(0, 4), bytes[511]]).toEqual([0, 1, 2, 3, 255]);
  });

  it('makes hypercalls by VMCALL: those that such a guest has, at CPL 0', async () => {
    const seen: number[] = [];
    const run = await runHvm((cpu) => {
      seen.push(cpu.vmcall(__HYPERVISOR_xen_version, 0, 0), cpu.vmcall(__HYPERVISOR_iret));
      seen.push(
        cpu.vmcall(__HYPERVISOR_mmu_update, 0, 0, 0, 0),
        cpu.vmcall(__HYPERVISOR_sched_op, SCHEDOP_shutdown, 0x5000),
      );
      cpu.store32(FREE, 1);
      cpu.vmcall(__HYPERVISOR_sched_op, SCHEDOP_shutdown, FREE);
    });
    expect(seen).toEqual([0x40011, -ENOSYS, -ENOSYS, -EFAULT]);
    expect(run.domain.end?.outcome).toBe('reboot');
  });

  it('refuses VMCALL outside CPL 0', async () => {
    let result = 0;
    await runHvm((cpu) => {
      const user = cpu.entry(() => {
        result = cpu.vmcall(__HYPERVISOR_xen_version, 0, 0);
        powerOff(cpu);
      });
      cpu.sysret(user, 2);
    });
    expect(result).toBe(-EPERM);
  });

  it.each<[string, (cpu: Cpu) => void, string, RegExp]>([
    ['halts with interrupts off', (cpu) => cpu.hlt(), 'poweroff', /./],
    ['pulses the reset line', (cpu) => cpu.out8(0x64, 0xfe), 'reboot', /./],
    [
      'faults without an IDT',
      (cpu) => void cpu.load8(0x123456),
      'crash',
      /triple fault, rip 0xffffffff/,
    ],
  ])('ends when it %s', async (_case, act, outcome, why) => {
    const run = await runHvm(act);
    expect(run.domain.end).toEqual({ outcome, why: expect.stringMatching(why) });
  });

  it('leaves nothing behind', async () => {
    const host = new PvHost();
    const before = host.xen.ledger();
    const domain = host.xen.create({
      name: 'hvm',
      kind: 'hvm',
      memoryBytes: 4 << 20,
      guest: async () => {},
    });
    host.xen.destroy(domain);
    expect(host.xen.ledger()).toEqual(before);
  });
});
