import { describe, expect, it } from 'vitest';
import { MemoryStore } from '../../machine/block-store.ts';
import type { Machine } from '../../machine/machine.ts';
import { Platform } from '../../machine/platform.ts';
import { EEXIST, EINVAL, ENOSPC, EPERM, ESRCH } from '../../protocol/errno.ts';
import {
  EVTCHNOP_bind_pirq,
  EVTCHNOP_close,
  EVTCHNSTAT_unbound,
  EvtchnBindPirq,
  EvtchnClose,
} from '../../protocol/event-channel.ts';
import { __HYPERVISOR_physdev_op, __HYPERVISOR_sched_op } from '../../protocol/hypercalls.ts';
import * as abi from '../../protocol/physdev.ts';
import { SCHEDOP_block } from '../../protocol/sched.ts';
import { DOMID_SELF } from '../../protocol/xen.ts';
import { PvHost, type RawGuest } from '../support/pv-fixture.ts';

const disk = (): MemoryStore => {
  const store = new MemoryStore(new Uint8Array(64 * 512));
  for (let sector = 0; sector < 64; sector++) store.write(sector, new Uint8Array(512).fill(sector));
  return store;
};

const platform = (machine: Machine, intr: () => void): Platform =>
  new Platform({
    timeline: machine.timeline,
    preset: machine.preset,
    bus: machine.bus,
    dma: { read: () => false, write: () => false },
    disks: [disk()],
    serial: () => {},
    intr,
    powerOff: () => {},
  });

const bindPirq = (guest: RawGuest, pirq: number) =>
  guest.event(EVTCHNOP_bind_pirq, EvtchnBindPirq, { pirq, flags: 0, port: 0 });
const physdev = (
  guest: RawGuest,
  cmd: number,
  struct: typeof abi.PhysdevEoi | typeof abi.PhysdevSetIopl,
  value: object,
): number => guest.op(__HYPERVISOR_physdev_op, cmd, struct, value).result;

/** Ask the drive for one sector by PIO. */
const readSector = (guest: RawGuest, sector: number): void => {
  const { cpu } = guest;
  for (const [port, value] of [
    [0x1f6, 0xe0],
    [0x1f2, 1],
    [0x1f3, sector],
    [0x1f4, 0],
    [0x1f5, 0],
    [0x1f7, 0x20],
  ] as const) {
    cpu.out8(port, value);
  }
};

describe('physical interrupts', () => {
  it('reach domain 0 as events, one for each time that it has served the last', async () => {
    const host = new PvHost({ platform });
    host.listen();
    let upcalls = 0;
    const bytes: number[] = [];
    host.add(
      async (guest) => {
        const { cpu } = guest;
        guest.mapShared();
        physdev(guest, abi.PHYSDEVOP_set_iopl, abi.PhysdevSetIopl, { iopl: 1 });
        const { port } = bindPirq(guest, 14).arg;
        const buffer = guest.page();
        guest.callback(0, () => {
          upcalls++;
          cpu.store8(guest.shared, 0);
          cpu.storeNumber(guest.shared + 8, 0);
          guest.clear(port);
          cpu.in8(0x1f7);
          cpu.insw(0x1f0, buffer, 256);
          physdev(guest, abi.PHYSDEVOP_eoi, abi.PhysdevEoi, { irq: 14 });
          guest.iret();
        });
        for (const sector of [5, 9]) {
          readSector(guest, sector);
          cpu.syscall(__HYPERVISOR_sched_op, SCHEDOP_block);
          await cpu.resumed();
          bytes.push(cpu.load8(buffer + 511));
        }
      },
      { privileged: true },
    );
    expect(await host.run()).toBe('finished');
    expect([upcalls, bytes]).toEqual([2, [5, 9]]);
    expect(host.kinds('interrupt').map((record) => record['irq'])).toEqual([14, 14]);
  });

  it('stay masked until served', async () => {
    const host = new PvHost({ platform });
    host.listen();
    host.add(
      async (guest) => {
        guest.mapShared();
        physdev(guest, abi.PHYSDEVOP_set_iopl, abi.PhysdevSetIopl, { iopl: 1 });
        bindPirq(guest, 14);
        for (const sector of [1, 2]) {
          readSector(guest, sector);
          await guest.cpu.work(1000);
          guest.cpu.in8(0x1f7);
          guest.cpu.insw(0x1f0, guest.page(), 256);
        }
      },
      { privileged: true },
    );
    await host.run();
    expect(host.kinds('interrupt')).toHaveLength(1);
  });
});

describe('EVTCHNOP_bind_pirq', () => {
  it('refuses what is no line of domain 0’s, and binds one once', async () => {
    const host = new PvHost({ platform });
    const results: number[] = [];
    host.add(
      (guest) => {
        for (const pirq of [0, 2, 16]) results.push(bindPirq(guest, pirq).result);
        const bound = bindPirq(guest, 4);
        results.push(bound.result, bindPirq(guest, 4).result);
        results.push(physdev(guest, abi.PHYSDEVOP_eoi, abi.PhysdevEoi, { irq: 5 }));
        guest.event(EVTCHNOP_close, EvtchnClose, { port: bound.arg.port });
        results.push(bindPirq(guest, 4).result);
      },
      { privileged: true },
    );
    await host.run();
    expect(results).toEqual([-EINVAL, -EINVAL, -EINVAL, 0, -EEXIST, -EINVAL, 0]);
  });

  it('binds nothing when no port is free', async () => {
    const host = new PvHost({ platform });
    let result = 0;
    const domain = host.add(
      (guest) => {
        ({ result } = bindPirq(guest, 4));
      },
      { privileged: true },
    );
    while (domain.events.allocate(EVTCHNSTAT_unbound, 0) >= 0);
    await host.run();
    expect([result, host.xen.interrupts?.bound(4)]).toEqual([-ENOSPC, false]);
  });
});

describe('PHYSDEVOP_map_pirq', () => {
  const map = (guest: RawGuest, value: object) =>
    guest.op(__HYPERVISOR_physdev_op, abi.PHYSDEVOP_map_pirq, abi.PhysdevMapPirq, {
      domid: DOMID_SELF,
      type: abi.MAP_PIRQ_TYPE_GSI,
      index: 14,
      pirq: -1,
      ...value,
    });

  it('numbers a line as the hardware does, and refuses what is none', async () => {
    const host = new PvHost({ platform });
    const seen: number[] = [];
    host.add(
      (guest) => {
        const { result, arg } = map(guest, {});
        seen.push(
          result,
          arg.pirq,
          map(guest, { domid: 9 }).result,
          map(guest, { index: 99 }).result,
        );
        seen.push(
          map(guest, { type: abi.MAP_PIRQ_TYPE_MSI }).result,
          map(guest, { pirq: 3 }).result,
        );
        const unmap = (pirq: number) =>
          guest.op(__HYPERVISOR_physdev_op, abi.PHYSDEVOP_unmap_pirq, abi.PhysdevUnmapPirq, {
            domid: DOMID_SELF,
            pirq,
          }).result;
        seen.push(unmap(14), unmap(99));
        const query = (irq: number) =>
          guest.op(
            __HYPERVISOR_physdev_op,
            abi.PHYSDEVOP_irq_status_query,
            abi.PhysdevIrqStatusQuery,
            { irq, flags: 0 },
          );
        seen.push(query(14).arg.flags, query(99).result);
      },
      { privileged: true },
    );
    host.add((guest) => void seen.push(map(guest, {}).result));
    await host.run();
    expect(seen).toEqual([
      0,
      14,
      -ESRCH,
      -EINVAL,
      -EINVAL,
      -EINVAL,
      0,
      -EINVAL,
      1,
      -EINVAL,
      -EPERM,
    ]);
  });
});
