import { describe, expect, it } from 'vitest';
import type { Code, Cpu } from '../../machine/cpu.ts';
import { RDI } from '../../machine/vcpu.ts';
import { EEXIST, EFAULT, EINVAL, ENXIO } from '../../protocol/errno.ts';
import { EVTCHNOP_send, EvtchnSend } from '../../protocol/event-channel.ts';
import { __HYPERVISOR_sched_op, __HYPERVISOR_vcpu_op } from '../../protocol/hypercalls.ts';
import { SCHEDOP_block, SCHEDOP_yield } from '../../protocol/sched.ts';
import { VcpuInfo } from '../../protocol/shared-info.ts';
import * as abi from '../../protocol/vcpu.ts';
import { VcpuGuestContext, VGCF_in_kernel } from '../../protocol/vcpu-context.ts';
import { PvHost, type RawGuest, runPv } from '../support/pv-fixture.ts';
import { bindIpi } from './raw-events.ts';

const vcpuOp = (guest: RawGuest, cmd: number, id: number, arg = 0): number =>
  guest.cpu.syscall(__HYPERVISOR_vcpu_op, cmd, id, arg);

const register = (guest: RawGuest, mfn: number, offset: number, id = 0): number =>
  vcpuOp(
    guest,
    abi.VCPUOP_register_vcpu_info,
    id,
    guest.put(abi.VcpuRegisterVcpuInfo, { mfn, offset, rsvd: 0 }),
  );

/** vcpu_guest_context of a second vCPU: two pages, on the boot tables. */
const context = (guest: RawGuest, rip: number, changes: object = {}): number => {
  const va = guest.page();
  guest.page();
  const stack = guest.page() + 4096;
  const bytes = new Uint8Array(VcpuGuestContext.size);
  VcpuGuestContext.set(new DataView(bytes.buffer), 0, {
    flags: VGCF_in_kernel,
    userRegs: { rip, rsp: stack, cs: 0xe033, ss: 0xe02b, rflags: 0x200, rdi: 77n },
    kernelSs: 0xe02b,
    kernelSp: stack,
    ctrlreg: [0, 0, 0, guest.mfn(guest.start.ptBase) * 4096],
    ...changes,
  });
  guest.cpu.storeBytes(va, bytes);
  return va;
};

/** The address of code that is given the Cpu of the vCPU that begins there. */
const entry = (guest: RawGuest, code: (own: Cpu) => void): number =>
  guest.cpu.entry(code as unknown as Code);

describe('VCPUOP_register_vcpu_info', () => {
  it('moves the block, clocks and all, and has everything looked for again', async () => {
    const seen: number[] = [];
    let upcalls = 0;
    await runPv((guest) => {
      const { cpu } = guest;
      guest.mapShared();
      const page = guest.page();
      guest.callback(0, () => {
        upcalls++;
        cpu.store8(page + 128, 0);
        guest.iret();
      });
      cpu.store8(guest.shared + 1, 1);
      expect(register(guest, guest.mfn(page), 128)).toBe(0);
      const info = guest.get(VcpuInfo, page + 128);
      seen.push(
        info.evtchnUpcallPending,
        info.evtchnUpcallMask,
        Number(info.evtchnPendingSel === 2n ** 64n - 1n),
      );
      seen.push(info.time.version, upcalls);
      cpu.store8(page + 129, 0);
      cpu.syscall(__HYPERVISOR_sched_op, SCHEDOP_yield);
      seen.push(upcalls, register(guest, guest.mfn(page), 0));
    });
    expect(seen).toEqual([1, 1, 1, 2, 0, 1, -EINVAL]);
  });

  it.each([
    ['a place that crosses its page', 4096 - 56, ENXIO],
    ['a misaligned place', 4, ENXIO],
  ])('refuses %s', async (_case, offset, errno) => {
    let result = 0;
    await runPv((guest) => {
      result = register(guest, guest.mfn(guest.page()), offset);
    });
    expect(result).toBe(-errno);
  });

  it('refuses a page table, a frame of nobody, and a running vCPU other than itself', async () => {
    const results: number[] = [];
    await runPv(
      (guest) => {
        results.push(
          register(guest, guest.mfn(guest.start.ptBase), 0),
          register(guest, 0xffffffff, 0),
        );
        vcpuOp(
          guest,
          abi.VCPUOP_initialise,
          1,
          context(
            guest,
            guest.cpu.entry(() => {}),
          ),
        );
        vcpuOp(guest, abi.VCPUOP_up, 1);
        results.push(register(guest, guest.mfn(guest.page()), 0, 1));
      },
      { vcpus: 2 },
    );
    expect(results).toEqual([-EINVAL, -EINVAL, -EINVAL]);
  });
});

describe('VCPUOP_initialise, VCPUOP_up, VCPUOP_down', () => {
  it('crash the domain when a context begins where no code is', async () => {
    const { domain } = await runPv(
      async (guest) => {
        vcpuOp(guest, abi.VCPUOP_initialise, 1, context(guest, 0x1000));
        vcpuOp(guest, abi.VCPUOP_up, 1);
        await guest.cpu.work(100_000_000);
      },
      { vcpus: 2 },
    );
    expect(domain.end?.why).toBe('d1v1: it began at 0x1000, where no code is');
  });

  it('start a second vCPU at its context; an IPI goes from one to the other', async () => {
    const order: string[] = [];
    const { end, domain } = await runPv(
      async (guest) => {
        const { cpu } = guest;
        guest.mapShared();
        guest.callback(0, () => {
          order.push('upcall on vCPU 0');
          cpu.store8(guest.shared, 0);
          guest.iret();
        });
        const port = bindIpi(guest, 0);
        const second = entry(guest, (own) => {
          order.push(`vCPU 1 runs, ${own.reg(RDI)}`);
          own.idle(() => own.syscall(__HYPERVISOR_sched_op, SCHEDOP_block));
        });
        const at = context(guest, second);
        order.push(`initialise ${vcpuOp(guest, abi.VCPUOP_initialise, 1, at)}`);
        order.push(`again ${vcpuOp(guest, abi.VCPUOP_initialise, 1, at)}`);
        order.push(`up ${vcpuOp(guest, abi.VCPUOP_up, 1)} ${vcpuOp(guest, abi.VCPUOP_is_up, 1)}`);
        cpu.syscall(__HYPERVISOR_sched_op, SCHEDOP_yield);
        await cpu.resumed();
        guest.event(EVTCHNOP_send, EvtchnSend, { port });
        cpu.syscall(__HYPERVISOR_sched_op, SCHEDOP_block);
        order.push(
          `down ${vcpuOp(guest, abi.VCPUOP_down, 1)} ${vcpuOp(guest, abi.VCPUOP_is_up, 1)}`,
        );
      },
      { vcpus: 2 },
    );
    expect(order).toEqual([
      'initialise 0',
      `again ${-EEXIST}`,
      'up 0 1',
      'vCPU 1 runs, 77',
      'upcall on vCPU 0',
      'down 0 0',
    ]);
    expect([end, domain.end?.outcome]).toEqual(['finished', 'poweroff']);
  });

  it.each([
    ['an address that is not canonical', { eventCallbackEip: 0x800000000000 }, EINVAL],
    ['a root that is none', { ctrlreg: [0, 0, 0, 0x7ffff000] }, EINVAL],
    ['user mode', { flags: 0 }, EINVAL],
    ['a GDT in the part of Xen', { gdtEnts: 7169 }, EINVAL],
  ])('refuse %s', async (_case, changes, errno) => {
    let result = 0;
    await runPv(
      (guest) => {
        result = vcpuOp(guest, abi.VCPUOP_initialise, 1, context(guest, 0, changes));
      },
      { vcpus: 2 },
    );
    expect(result).toBe(-errno);
  });

  it('refuse a context that cannot be read', async () => {
    let result = 0;
    await runPv(
      (guest) => {
        result = vcpuOp(guest, abi.VCPUOP_initialise, 1, 0x1000);
      },
      { vcpus: 2 },
    );
    expect(result).toBe(-EFAULT);
  });

  it('power the domain off when its last vCPU goes down', async () => {
    const { domain } = await runPv((guest) => {
      vcpuOp(guest, abi.VCPUOP_down, 0);
    });
    expect(domain.end?.outcome).toBe('poweroff');
  });
});

describe('runstate', () => {
  it('adds up to the time, and is written to the registered area', async () => {
    const seen: number[] = [];
    const host = new PvHost();
    host.add(async (guest) => {
      const area = guest.page();
      const read = guest.page();
      vcpuOp(
        guest,
        abi.VCPUOP_register_runstate_memory_area,
        0,
        guest.put(abi.VcpuRegisterRunstateMemoryArea, { addr: area }),
      );
      await guest.cpu.work(100_000_000);
      vcpuOp(guest, abi.VCPUOP_get_runstate_info, 0, read);
      const info = guest.get(abi.VcpuRunstateInfo, read);
      const [running, runnable] = info.time;
      seen.push(info.state, Math.round(running! / 1e7), Math.round(runnable! / 1e7));
      seen.push(guest.get(abi.VcpuRunstateInfo, area).time[abi.RUNSTATE_runnable]! > 5e7 ? 1 : 0);
    });
    host.add(async (guest) => {
      await guest.cpu.work(1_000_000_000);
    });
    await host.run();
    expect(seen).toEqual([abi.RUNSTATE_running, 10, 9, 1]);
  });
});

describe('VCPUOP_get_runstate_info', () => {
  it('refuses a place that cannot be written, or not even read', async () => {
    const results: number[] = [];
    await runPv((guest) => {
      for (const at of [guest.start.ptBase, 0x1000])
        results.push(vcpuOp(guest, abi.VCPUOP_get_runstate_info, 0, at));
    });
    expect(results).toEqual([-EFAULT, -EFAULT]);
  });
});

describe('VCPUOP_register_vcpu_time_memory_area', () => {
  it('copies the clock there if it can, and refuses only an address in Xen', async () => {
    const seen: number[] = [];
    await runPv((guest) => {
      guest.mapShared();
      const area = guest.page();
      const at = (addr: number) => guest.put(abi.VcpuRegisterTimeMemoryArea, { addr });
      seen.push(vcpuOp(guest, abi.VCPUOP_register_vcpu_time_memory_area, 0, at(area)));
      seen.push(guest.cpu.load32(area + 24) - guest.cpu.load32(guest.shared + 32 + 24));
      seen.push(vcpuOp(guest, abi.VCPUOP_register_vcpu_time_memory_area, 0, at(0x1000)));
      const xens = at(-0x7d0000000000);
      seen.push(vcpuOp(guest, abi.VCPUOP_register_vcpu_time_memory_area, 0, xens));
    });
    expect(seen).toEqual([0, 0, 0, -EFAULT]);
  });
});

describe('VCPUOP_get_physid', () => {
  it('answers domain 0 only', async () => {
    const results: number[] = [];
    for (const privileged of [false, true]) {
      await runPv(
        (guest) => {
          results.push(
            vcpuOp(guest, abi.VCPUOP_get_physid, 0, guest.put(abi.VcpuGetPhysid, { physId: 5 })),
          );
        },
        { privileged },
      );
    }
    expect(results).toEqual([-EINVAL, 0]);
  });
});
