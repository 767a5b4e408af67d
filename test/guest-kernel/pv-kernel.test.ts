/** What only a PV kernel has, on the real hypervisor: its tables, event channels and grants. */
import { firstValueFrom } from 'rxjs';
import { describe, expect, it } from 'vitest';
import {
  GrantError,
  type Kernel,
  KernelFault,
  type Xen,
  XenError,
} from '../../guest-kernel/index.ts';
import { CALLBACKTYPE_nmi } from '../../protocol/callback.ts';
import { EBUSY, EFAULT, EINVAL, ENOENT, ENOSYS, EPERM, ESRCH } from '../../protocol/errno.ts';
import * as gt from '../../protocol/grant-table.ts';
import { Domid, Gref, Port, VcpuId } from '../../protocol/units.ts';
import { DOMID_SELF, MMUEXT_PIN_L1_TABLE, MMUEXT_PIN_L4_TABLE } from '../../protocol/xen.ts';
import { runPv } from './domain-fixture.ts';

const USER_VA = 0x400000;
const NOT_CANONICAL = 0x800000000000;
const OF_XEN = -0x7d0000000000;
const MS = 1_000_000;
const ZERO = Domid(0);
const ONE = Domid(1);

/** Low bits of a present entry. */
const READ_ONLY = 0x61;
const WRITABLE = 0x63;

type Main = (kernel: Kernel) => Promise<void>;

/** Boots domains; the first must return. */
const run = async (...mains: Main[]): Promise<void> => {
  const { outcome, why, console } = await runPv(...mains);
  expect({ outcome, why, console }).toMatchObject({ outcome: 'poweroff' });
};

/** Something that one domain hands another outside the machine. */
class Box<T> {
  #value: T | undefined;

  put(value: T): void {
    this.#value = value;
  }

  async take(k: Kernel): Promise<T> {
    while (this.#value === undefined) await k.time.sleep(MS / 10);
    return this.#value;
  }
}

/** The domain lives until the machine is done. */
const stay = async (k: Kernel): Promise<void> => {
  for (;;) await k.time.sleep(1000 * MS);
};

const setupTable = (xen: Xen, frameList: number, count: number): void => {
  const bytes = new Uint8Array(gt.GnttabSetupTable.size * count);
  const view = new DataView(bytes.buffer);
  gt.GnttabSetupTable.set(view, 0, { dom: DOMID_SELF, nrFrames: 1, frameList });
  xen.memory.grantTableOp('setup_table', gt.GNTTABOP_setup_table, bytes, count);
};

describe('memory of a PV kernel', () => {
  it('goes beyond what the builder mapped', async () => {
    await run(async (k) => {
      const count = k.frames.available;
      expect(count).toBeGreaterThan(3500);
      const pfns: number[] = [];
      for (let i = 0; i < 3500; i++) {
        const pfn = k.frames.alloc();
        k.cpu.store32(k.virt(pfn), pfn);
        pfns.push(pfn);
      }
      for (const pfn of pfns) expect(k.cpu.load32(k.virt(pfn))).toBe(pfn);
      expect(k.machineFrame(pfns[0]!)).not.toBe(pfns[0]);
    });
  });

  it('has page tables that it cannot write', async () => {
    await run(async (k) => {
      const root = Math.floor(k.cpu.readCr(3) / 4096);
      const pfn = Array.from({ length: 512 }, (_, i) => i).find((i) => k.machineFrame(i) === root)!;
      expect(k.cpu.load32(k.virt(pfn) + 511 * 8) & 1).toBe(1);
      expect(() => k.cpu.store32(k.virt(pfn), 0)).toThrow('#PF(3)');
      const entry = k.machineFrame(pfn) * 4096 + 0x63;
      expect(() => k.xen!.memory.updateVaMapping(k.virt(pfn), entry)).toThrow(
        new XenError('update_va_mapping', EBUSY),
      );
    });
  });

  it('is not reachable from user mode, nor kernel-only slots', async () => {
    await run(async (k) => {
      const space = k.newAddressSpace();
      space.map(USER_VA, k.frames.alloc(), { user: true });
      space.map(2 ** 39, k.frames.alloc(), { write: true });
      space.activate();
      k.cpu.store8(2 ** 39, 1);
      k.runUser(() => {
        k.cpu.load8(USER_VA);
        expect(() => k.cpu.load8(2 ** 39)).toThrow(KernelFault);
        expect(() => k.cpu.load8(k.virt(0))).toThrow(KernelFault);
      });
    });
  });

  it('may have pages without execute permission', async () => {
    await run(async (k) => {
      const space = k.newAddressSpace();
      const pfn = k.frames.alloc();
      space.activate();
      space.map(USER_VA, k.frames.alloc(), { user: true });
      space.map(USER_VA + 4096, pfn, { user: true, execute: false });
      expect(space.translate(USER_VA + 4096)).toBe(pfn);
    });
  });

  it('maps nothing of a stranger', async () => {
    await run(async (k) => {
      const { memory } = k.xen!;
      const stranger = k.machineFrame(k.boot.pages - 1) + 1000;
      expect(() =>
        memory.updateVaMapping(k.virt(k.frames.alloc()), stranger * 4096 + 0x63),
      ).toThrow(XenError);
      const pin = [{ cmd: MMUEXT_PIN_L4_TABLE, arg1: stranger }];
      expect(() => memory.mmuext(pin)).toThrow(new XenError('mmuext_op', EINVAL));
    });
  });
});

describe('event channels of a PV kernel', () => {
  it('carry events between two domains', async () => {
    const offered = new Box<Port>();
    await run(
      async (k) => {
        const events = k.events!;
        const port = events.allocUnbound(ONE);
        offered.put(port);
        for (let i = 0; i < 3; i++) {
          await firstValueFrom(events.events(port));
          events.send(port);
        }
      },
      async (k) => {
        const events = k.events!;
        const port = events.bindInterdomain(ZERO, await offered.take(k));
        await firstValueFrom(events.events(port)); // binding raises the new port once
        for (let i = 0; i < 3; i++) {
          const answer = firstValueFrom(events.events(port));
          events.send(port);
          await answer;
        }
        await stay(k);
      },
    );
  });

  it('keep an event that came before anybody listened', async () => {
    await run(async (k) => {
      const events = k.events!;
      const port = events.bindIpi();
      events.send(port);
      await k.time.sleep(MS);
      await firstValueFrom(events.events(port));
    });
  });

  it('deliver in the hypercall that sends, and not while disabled', async () => {
    await run(async (k) => {
      const events = k.events!;
      const port = events.bindIpi();
      let seen = 0;
      events.events(port).subscribe(() => seen++);
      events.send(port);
      expect(seen).toBe(1);
      expect(k.interrupts.disable()).toBe(true);
      events.send(port);
      expect(seen).toBe(1);
      expect(k.interrupts.disable()).toBe(false);
      k.interrupts.enable();
      expect(seen).toBe(2);
    });
  });

  it('are refused with the errno of the ABI', async () => {
    await run(async (k) => {
      const { xen } = k;
      expect(() => xen!.send(Port(900))).toThrow(new XenError('EVTCHNOP_send', EINVAL));
      expect(() => xen!.bindInterdomain(Domid(77), Port(1))).toThrow(
        new XenError('EVTCHNOP_bind_interdomain', ESRCH),
      );
      expect(() => xen!.isUp(VcpuId(9))).toThrow(new XenError('VCPUOP_is_up', ENOENT));
      expect(() => xen!.features(5)).toThrow(new XenError('XENVER_get_features', EINVAL));
    });
  });
});

describe('hypercalls of a PV kernel', () => {
  it.each<[string, string, number, (xen: Xen) => void]>([
    [
      'a trap handler that is not canonical',
      'set_trap_table',
      EINVAL,
      (xen) => xen.setTrapTable([{ vector: 3, address: NOT_CANONICAL, dpl: 0 }]),
    ],
    [
      'a callback that is not canonical',
      'CALLBACKOP_register',
      EINVAL,
      (xen) => xen.registerCallback(CALLBACKTYPE_nmi, NOT_CANONICAL),
    ],
    ['an unknown assist', 'vm_assist', EINVAL, (xen) => xen.vmAssist(0, 33)],
    [
      'an address without a table',
      'update_va_mapping',
      EINVAL,
      (xen) => xen.memory.updateVaMapping(USER_VA, 0),
    ],
    [
      'the table of nobody',
      'mmu_update',
      EINVAL,
      (xen) => xen.memory.mmuUpdate([{ ptr: 0, val: 0n }]),
    ],
    [
      'an unknown kind of update',
      'mmu_update',
      ENOSYS,
      (xen) => xen.memory.mmuUpdate([{ ptr: 4, val: 0n }]),
    ],
    [
      'to pin what is not ours',
      'mmuext_op',
      EINVAL,
      (xen) => xen.memory.mmuext([{ cmd: MMUEXT_PIN_L1_TABLE, arg1: 0 }]),
    ],
    [
      'an unknown extended operation',
      'mmuext_op',
      ENOSYS,
      (xen) => xen.memory.mmuext([{ cmd: 99 }]),
    ],
    ['two grant tables', 'setup_table', EINVAL, (xen) => setupTable(xen, OF_XEN, 2)],
    ['a list of frames in Xen', 'setup_table', EFAULT, (xen) => setupTable(xen, OF_XEN, 1)],
  ])('are refused: %s', async (_case, call, errno, act) => {
    await run(async (k) => {
      expect(() => act(k.xen!)).toThrow(new XenError(call, errno));
    });
  });

  it.each<[string, number, (table: number) => number]>([
    ['what is not memory', EPERM, () => 0xfee00],
    ['a table, writable', EBUSY, (table) => table],
  ])('do not map %s', async (_case, errno, frame) => {
    await run(async (k) => {
      const { memory } = k.xen!;
      const pfn = k.frames.alloc();
      const table = k.machineFrame(pfn);
      k.cpu.fillBytes(k.virt(pfn), 4096, 0);
      memory.updateVaMapping(k.virt(pfn), table * 4096 + READ_ONLY);
      memory.mmuext([{ cmd: MMUEXT_PIN_L1_TABLE, arg1: table }]);
      const entry = frame(table) * 4096 + WRITABLE;
      const update = { ptr: table * 4096, val: BigInt(entry) };
      expect(() => memory.mmuUpdate([update])).toThrow(new XenError('mmu_update', errno));
      expect(() => memory.updateVaMapping(k.virt(pfn), entry)).toThrow(
        new XenError('update_va_mapping', errno),
      );
    });
  });
});

describe('grants of a PV kernel', () => {
  it('end with GrantError when the table can grow no more', async () => {
    await run(async (k) => {
      const pfn = k.frames.alloc();
      const all = (): void => {
        for (;;) k.grants!.grant(ONE, pfn, true);
      };
      expect(all).toThrow(new GrantError('GNTTABOP_setup_table', gt.GNTST_no_space));
    });
  });

  it('let another domain map and copy a frame, until they end', async () => {
    const granted = new Box<{ shared: Gref; readonly: Gref }>();
    const done = new Box<boolean>();
    const released = new Box<boolean>();
    await run(
      async (k) => {
        const grants = k.grants!;
        const { shared, readonly } = await granted.take(k);
        const mapping = grants.map(ONE, shared);
        expect(k.cpu.load32(mapping.va)).toBe(41);
        k.cpu.store32(mapping.va, 42);
        const frozen = grants.map(ONE, readonly, true);
        expect(k.cpu.load32(frozen.va)).toBe(7);
        expect(() => k.cpu.store32(frozen.va, 0)).toThrow(KernelFault);
        expect(() => grants.map(ONE, readonly)).toThrow(GrantError);
        expect(() => grants.map(ONE, Gref(400))).toThrow(GrantError);
        // Several side by side, or none.
        expect(() => grants.mapMany(ONE, [readonly, shared])).toThrow(GrantError);
        expect(() => grants.mapMany(ONE, [shared, Gref(400)])).toThrow(GrantError);
        const area = grants.mapMany(ONE, [readonly, shared, readonly], true);
        const words = [0, 1, 2].map((page) => k.cpu.load32(area.va + page * 4096));
        expect(words).toEqual([7, 42, 7]);
        area.unmap();
        area.unmap();
        expect(() => k.cpu.load32(area.va + 4096)).toThrow(KernelFault);
        const again = grants.mapMany(ONE, [shared, shared, shared]);
        expect([again.va, k.cpu.load32(again.va + 8192)]).toEqual([area.va, 42]);
        again.unmap();
        done.put(true);
        await released.take(k);
        frozen.unmap();
        mapping.unmap();
        mapping.unmap();
        expect(() => k.cpu.load32(mapping.va)).toThrow(KernelFault);

        const pfn = k.frames.alloc();
        k.cpu.fillBytes(k.virt(pfn), 4096, 0);
        const to = { pfn, offset: 8 };
        const from = { gref: shared, domid: ONE, offset: 0 };
        const wrong = { gref: readonly, domid: ONE, offset: 0 };
        const statuses = grants.copy([
          { from, to, length: 4 },
          { from: to, to: wrong, length: 4 },
        ]);
        expect(statuses[0]).toBe(gt.GNTST_okay);
        expect(statuses[1]).toBeLessThan(0);
        expect(k.cpu.load32(k.virt(pfn) + 8)).toBe(42);
      },
      async (k) => {
        const grants = k.grants!;
        const [a, b] = [k.frames.alloc(), k.frames.alloc()];
        k.cpu.store32(k.virt(a), 41);
        k.cpu.store32(k.virt(b), 7);
        const shared = grants.grant(ZERO, a, false);
        const readonly = grants.grant(ZERO, b, true);
        granted.put({ shared, readonly });
        await done.take(k);
        expect(k.cpu.load32(k.virt(a))).toBe(42);
        expect(grants.end(shared)).toBe(false);
        released.put(true);
        await stay(k);
      },
    );
  });

  it('are as many as the table may have, and come back', async () => {
    await run(async (k) => {
      const grants = k.grants!;
      const pfn = k.frames.alloc();
      const all: Gref[] = [];
      for (let i = 0; i < 2000; i++) all.push(grants.grant(ONE, pfn, true));
      expect(new Set(all).size).toBe(2000);
      for (const gref of all) expect(grants.end(gref)).toBe(true);
      expect(all).toContain(grants.grant(ONE, pfn, true));
    });
  });
});

describe('a PV kernel', () => {
  it('writes to the hypervisor console if it is privileged', async () => {
    const end = await runPv(async (k) => k.earlyWrite('hello from 0\n'));
    expect(end).toMatchObject({ outcome: 'poweroff', console: 'hello from 0\n' });
  });

  it('gets EPERM there if it is not', async () => {
    const checked = new Box<boolean>();
    await run(
      async (k) => {
        await checked.take(k);
      },
      async (k) => {
        const line = new Uint8Array(1);
        expect(() => k.xen!.consoleWrite(line)).toThrow(new XenError('CONSOLEIO_write', EPERM));
        expect(() => k.xen!.setIopl(4)).toThrow(new XenError('PHYSDEVOP_set_iopl', EINVAL));
        checked.put(true);
      },
    );
  });

  it('panics on a privileged instruction that nobody handles', async () => {
    const end = await runPv(async (k) => k.cpu.hlt());
    expect(end.outcome).toBe('crash');
    expect(end.console).toContain('panic: KernelFault: #GP');
  });
});
