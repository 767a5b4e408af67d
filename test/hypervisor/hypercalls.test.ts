import { describe, expect, it } from 'vitest';
import { CS, RAX, SS } from '../../machine/vcpu.ts';
import {
  CALLBACKOP_register,
  CALLBACKOP_unregister,
  CALLBACKTYPE_event,
  CALLBACKTYPE_nmi,
  CallbackRegister,
  CallbackUnregister,
} from '../../protocol/callback.ts';
import { EFAULT, EINVAL, ENODEV, ENOSYS, EPERM } from '../../protocol/errno.ts';
import * as nr from '../../protocol/hypercalls.ts';
import { IretContext } from '../../protocol/vcpu-context.ts';
import {
  CONSOLEIO_write,
  FLAT_KERNEL_CS,
  FLAT_KERNEL_SS,
  MulticallEntry,
  TrapInfo,
} from '../../protocol/xen.ts';
import { PvHost, type RawGuest, runPv } from '../support/pv-fixture.ts';

const multicall = (
  guest: RawGuest,
  calls: readonly { op: number; args?: number[] }[],
): { result: number; results: number[] } => {
  const list = guest.page();
  for (const [i, { op, args = [] }] of calls.entries()) {
    guest.cpu.storeNumber(list + i * 64, op);
    guest.cpu.storeNumber(list + i * 64 + 8, 0x7777);
    for (const [a, value] of args.entries())
      guest.cpu.storeNumber(list + i * 64 + 16 + a * 8, value);
  }
  const result = guest.cpu.syscall(nr.__HYPERVISOR_multicall, list, calls.length);
  return {
    result,
    results: calls.map((_call, i) =>
      guest.cpu.loadNumber(list + i * 64 + MulticallEntry.offset.result),
    ),
  };
};

describe('the hypercall table', () => {
  it('answers -ENOSYS to every number without a handler', async () => {
    const results = new Set<number>();
    await runPv(({ cpu }) => {
      for (const number of [
        11, 16, 19, 27, 28, 31, 35, 36, 37, 38, 39, 40, 41, 42, 48, 63, 64, 1000, 0x7fffffff,
      ]) {
        results.add(cpu.syscall(number));
      }
    });
    expect([...results]).toEqual([-ENOSYS]);
  });

  it('comes back on the flat segments, as SYSCALL keeps no others', async () => {
    const seen: number[] = [];
    const host = new PvHost();
    const domain = host.add(({ cpu }) => {
      const { arch } = domain.vcpus[0]!;
      arch.set(CS, 0xe023);
      arch.set(SS, 0x13);
      cpu.syscall(nr.__HYPERVISOR_xen_version, 0, 0);
      seen.push(arch.get(CS), arch.get(SS));
    });
    await host.run();
    expect(seen).toEqual([FLAT_KERNEL_CS, FLAT_KERNEL_SS]);
  });

  it('charges each call to its name, and traces it with arguments and result', async () => {
    const { host, domain } = await runPv(({ cpu }) => {
      for (let i = 0; i < 5; i++) cpu.syscall(nr.__HYPERVISOR_xen_version, 0, 0x1234);
    });
    const cause = host.machine.causes.id('hypercall xen_version');
    expect([domain.account.count[cause], domain.account.cycles[cause]]).toEqual([5, 5]);
    expect(
      host.kinds('hypercall').filter((record) => record['name'] === 'xen_version')[0],
    ).toMatchObject({
      who: 'd1v0',
      args: '0x0 0x1234',
      result: 0x40011,
    });
  });

  it('accounts for every cycle of the CPU', async () => {
    const { host, domain } = await runPv(async ({ cpu }) => {
      for (let i = 0; i < 100; i++) cpu.syscall(nr.__HYPERVISOR_xen_version, 0);
      await cpu.work(1_000_000);
    });
    const sum = (cycles: Float64Array) => cycles.reduce((a, b) => a + b, 0);
    expect(sum(domain.account.cycles) + sum(host.machine.idleAccount.cycles)).toBe(
      host.machine.pcpus[0]!.now,
    );
  });
});

describe('multicall', () => {
  it('does the calls in order and writes each result', async () => {
    let seen: unknown;
    await runPv((guest) => {
      seen = multicall(guest, [
        { op: nr.__HYPERVISOR_xen_version, args: [0, 0] },
        { op: nr.__HYPERVISOR_multicall, args: [0, 0] },
        { op: 63 },
        { op: nr.__HYPERVISOR_xen_version, args: [7, 0] },
      ]);
    });
    expect(seen).toEqual({ result: 0, results: [0x40011, -EINVAL, -ENOSYS, 4096] });
  });

  it('ends at an iret, whose registers stay as the frame says', async () => {
    let returned = false;
    let rax = 0;
    let rest: number[] = [];
    await runPv((guest) => {
      const { cpu } = guest;
      const list = guest.page();
      const frame = guest.page();
      const resume = cpu.entry(() => {
        rax = cpu.reg(RAX);
        rest = [
          cpu.loadNumber(list + 8),
          cpu.loadNumber(list + 64 + 8),
          cpu.loadNumber(list + 128 + 8),
        ];
        guest.shutdown(0);
      });
      const words: Record<string, number> = {
        rax: 42,
        rip: resume,
        cs: 0xe030,
        rflags: 0x202,
        rsp: guest.page() + 4096,
        ss: 0xe02b,
      };
      for (const [field, value] of Object.entries(words)) {
        cpu.storeNumber(frame + IretContext.offset[field as 'rax'], value);
      }
      const ops = [nr.__HYPERVISOR_xen_version, nr.__HYPERVISOR_iret, nr.__HYPERVISOR_xen_version];
      for (const [i, op] of ops.entries()) {
        cpu.storeNumber(list + i * 64, op);
        cpu.storeNumber(list + i * 64 + 8, 0x7777);
      }
      cpu.setReg(4, frame);
      cpu.syscall(nr.__HYPERVISOR_multicall, list, 3);
      returned = true;
    });
    expect(returned).toBe(false);
    expect(rax).toBe(42);
    expect(rest).toEqual([0x40011, 0x7777, 0x7777]);
  });

  it('refuses a list that it cannot read', async () => {
    let result = 0;
    await runPv(({ cpu }) => {
      result = cpu.syscall(nr.__HYPERVISOR_multicall, 0x1000, 1);
    });
    expect(result).toBe(-EFAULT);
  });
});

describe('set_trap_table', () => {
  it('overlays entries and clears them all for a null list', async () => {
    let traps: number[] = [];
    const host = new PvHost();
    const domain = host.add((guest) => {
      const table = domain.vcpus[0]!.traps;
      guest.trap(3, () => {});
      guest.trap(14, () => {});
      traps = [...table.keys()];
      guest.cpu.syscall(nr.__HYPERVISOR_set_trap_table, 0);
      traps.push(table.size);
    });
    await host.run();
    expect(traps).toEqual([3, 14, 0]);
  });

  it('refuses a table that cannot be read, and a handler that is not canonical', async () => {
    const results: number[] = [];
    await runPv((guest) => {
      results.push(guest.cpu.syscall(nr.__HYPERVISOR_set_trap_table, 0x1000));
      const bad = guest.put(TrapInfo, { vector: 3, flags: 0, cs: 0xe033, address: 0x900000000000 });
      results.push(guest.cpu.syscall(nr.__HYPERVISOR_set_trap_table, bad));
    });
    expect(results).toEqual([-EFAULT, -EINVAL]);
  });
});

describe('callback_op', () => {
  it.each([
    [
      'an unknown type',
      CALLBACKOP_register,
      CallbackRegister,
      { type: 6, flags: 0, address: 0x1000 },
      -ENOSYS,
    ],
    [
      'an address that is not canonical',
      CALLBACKOP_register,
      CallbackRegister,
      { type: 0, flags: 0, address: 0x800000000000 },
      -EINVAL,
    ],
    [
      'to take the event callback away',
      CALLBACKOP_unregister,
      CallbackUnregister,
      { type: CALLBACKTYPE_event },
      -EINVAL,
    ],
    [
      'to take an unknown one away',
      CALLBACKOP_unregister,
      CallbackUnregister,
      { type: 6 },
      -ENOSYS,
    ],
    ['an unknown command', 2, CallbackRegister, {}, -ENOSYS],
  ])('refuses %s', async (_case, cmd, struct, value, expected) => {
    let result = 0;
    await runPv((guest) => {
      ({ result } = guest.op(nr.__HYPERVISOR_callback_op, cmd, struct, value));
    });
    expect(result).toBe(expected);
  });

  it('lets the NMI callback go', async () => {
    const results: number[] = [];
    await runPv((guest) => {
      results.push(
        guest.op(nr.__HYPERVISOR_callback_op, CALLBACKOP_register, CallbackRegister, {
          type: CALLBACKTYPE_nmi,
          address: 0x1000,
        }).result,
      );
      results.push(
        guest.op(nr.__HYPERVISOR_callback_op, CALLBACKOP_unregister, CallbackUnregister, {
          type: CALLBACKTYPE_nmi,
        }).result,
      );
    });
    expect(results).toEqual([0, 0]);
  });
});

describe('vm_assist', () => {
  it('takes the assists that there are and refuses the rest', async () => {
    const results: number[] = [];
    await runPv(({ cpu }) => {
      for (const [cmd, type] of [
        [0, 3],
        [1, 3],
        [0, 2],
        [0, 33],
        [2, 3],
      ] as const) {
        results.push(cpu.syscall(nr.__HYPERVISOR_vm_assist, cmd, type));
      }
    });
    expect(results).toEqual([0, 0, 0, -EINVAL, -ENOSYS]);
  });
});

describe('segments and debug registers', () => {
  it('set_segment_base moves FS and the two GS bases, canonical ones only', async () => {
    const seen: unknown[] = [];
    await runPv(({ cpu }) => {
      for (const [which, base] of [
        [0, 0x1000],
        [1, 0x2000],
        [2, 0x3000],
        [3, 0],
        [0, 0x800000000000],
        [4, 0],
        [3, 8],
      ] as const) {
        seen.push(cpu.syscall(nr.__HYPERVISOR_set_segment_base, which, base));
      }
      seen.push(cpu.rdmsr(0xc0000100), cpu.rdmsr(0xc0000101), cpu.rdmsr(0xc0000102));
    });
    expect(seen).toEqual([0, 0, 0, 0, -EINVAL, -EINVAL, -EINVAL, 0x1000n, 0x3000n, 0n]);
  });

  it('set_debugreg keeps breakpoints out of Xen, DR7.GD to Xen, and reserved bits as they are', async () => {
    const seen: number[] = [];
    await runPv(({ cpu }) => {
      for (const [reg, value] of [
        [0, 0x1000],
        [1, -0x800000000000],
        [4, 1],
        [8, 0],
        [7, 0x2000],
        [5, 2 ** 32],
      ] as const) {
        seen.push(cpu.syscall(nr.__HYPERVISOR_set_debugreg, reg, value));
      }
      seen.push(
        cpu.syscall(nr.__HYPERVISOR_get_debugreg, 0),
        cpu.syscall(nr.__HYPERVISOR_get_debugreg, 9),
        cpu.syscall(nr.__HYPERVISOR_get_debugreg, 6),
      );
    });
    expect(seen).toEqual([0, -EPERM, 0, -ENODEV, -EPERM, -EINVAL, 0x1000, -ENODEV, 0xffff0ff1]);
  });

  it('set_gdt wants frames that are not mapped writable, and not too many', async () => {
    const seen: number[] = [];
    await runPv((guest) => {
      const { cpu } = guest;
      const gdt = guest.page();
      const list = guest.page();
      cpu.storeNumber(list, guest.mfn(gdt));
      const setGdt = (entries: number, at = list) =>
        cpu.syscall(nr.__HYPERVISOR_set_gdt, at, entries);
      seen.push(setGdt(16), setGdt(7169), setGdt(16, 0x1000));
      const readOnly = (BigInt(guest.mfn(gdt)) << 12n) | 0x61n;
      seen.push(cpu.syscall(nr.__HYPERVISOR_update_va_mapping, gdt, readOnly, 2), setGdt(16));
      seen.push(
        cpu.syscall(
          nr.__HYPERVISOR_update_descriptor,
          guest.mfn(gdt) * 4096 + 8,
          0x00af9b000000ffffn,
        ),
      );
      seen.push(cpu.load32(gdt + 12) & 0x6000);
      seen.push(
        cpu.syscall(
          nr.__HYPERVISOR_update_descriptor,
          guest.mfn(gdt) * 4096 + 8,
          0x00008b000000ffffn,
        ),
      );
      seen.push(
        cpu.syscall(nr.__HYPERVISOR_update_descriptor, guest.mfn(guest.start.ptBase) * 4096, 0),
      );
      seen.push(cpu.syscall(nr.__HYPERVISOR_update_descriptor, 4096, 0), setGdt(0));
    });
    expect(seen).toEqual([
      -EINVAL,
      -EINVAL,
      -EFAULT,
      0,
      0,
      0,
      0x6000,
      -EINVAL,
      -EINVAL,
      -EINVAL,
      0,
    ]);
  });
});

describe('console_io', () => {
  it('is for domain 0', async () => {
    const results: number[] = [];
    const text = 'x'.repeat(200);
    for (const privileged of [false, true]) {
      const { host } = await runPv(
        (guest) => {
          const va = guest.page();
          guest.cpu.storeBytes(va, new TextEncoder().encode(text));
          results.push(
            guest.cpu.syscall(nr.__HYPERVISOR_console_io, CONSOLEIO_write, text.length, va),
          );
          results.push(guest.cpu.syscall(nr.__HYPERVISOR_console_io, CONSOLEIO_write, 5, 0x1000));
          results.push(guest.cpu.syscall(nr.__HYPERVISOR_console_io, 9, 0, 0));
        },
        { privileged },
      );
      expect(host.console).toBe(privileged ? text : '');
    }
    expect(results).toEqual([-EPERM, -EPERM, -EPERM, 0, -EFAULT, -ENOSYS]);
  });
});
