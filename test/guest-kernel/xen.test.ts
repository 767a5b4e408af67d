/** The typed hypercalls: what they put into memory and registers, and how errors come out. */
import { describe, expect, it } from 'vitest';
import { Xen, XenError } from '../../guest-kernel/index.ts';
import { EINVAL, EPERM } from '../../protocol/errno.ts';
import * as nr from '../../protocol/hypercalls.ts';
import { Domid, Port } from '../../protocol/units.ts';
import { DOMID_SELF, UVMF_INVLPG } from '../../protocol/xen.ts';
import { FakeCpu } from './fake-cpu.ts';

const PAGE = -0x80000000;

const fixture = (): { fake: FakeCpu; xen: Xen } => {
  const fake = new FakeCpu(4096);
  return { fake, xen: new Xen(fake.cpu, PAGE) };
};

describe('EVTCHNOP_send', () => {
  it('passes the port in memory', () => {
    const { fake, xen } = fixture();
    xen.send(Port(77));
    expect(fake.calls).toEqual([[nr.__HYPERVISOR_event_channel_op, 4, PAGE]]);
    expect(fake.load32(PAGE)).toBe(77);
  });

  it('throws what Xen returned', () => {
    const { fake, xen } = fixture();
    fake.answer = () => -EINVAL;
    expect(() => xen.send(Port(77))).toThrow(new XenError('EVTCHNOP_send', EINVAL));
    expect(() => xen.send(Port(77))).toThrow('EVTCHNOP_send: -EINVAL');
  });
});

describe('EVTCHNOP_alloc_unbound', () => {
  it('returns the OUT field', () => {
    const { fake, xen } = fixture();
    fake.answer = () => {
      expect(fake.load16(PAGE)).toBe(DOMID_SELF);
      expect(fake.load16(PAGE + 2)).toBe(3);
      fake.store32(PAGE + 4, 12);
      return 0;
    };
    expect(xen.allocUnbound(Domid(3))).toBe(12);
  });
});

describe('update_va_mapping', () => {
  it('allocates nothing and stores nothing: all is in registers', () => {
    const { fake, xen } = fixture();
    xen.memory.updateVaMapping(-0x7ffff000, 0x5067);
    expect(fake.calls).toEqual([
      [nr.__HYPERVISOR_update_va_mapping, -0x7ffff000, 0x5067, UVMF_INVLPG],
    ]);
  });
});

describe('mmu_update', () => {
  it('sends as many updates as one argument slot holds in a call', () => {
    const { fake, xen } = fixture();
    const seen: bigint[] = [];
    fake.answer = (_nr, [list, count]) => {
      for (let i = 0; i < Number(count); i++) {
        seen.push(fake.view.getBigUint64(Number(list) - PAGE + i * 16 + 8, true));
      }
      return 0;
    };
    const updates = Array.from({ length: 40 }, (_, i) => ({
      ptr: i * 8,
      val: BigInt(i) | (1n << 63n),
    }));
    xen.memory.mmuUpdate(updates);
    expect(fake.calls.map((call) => call[2])).toEqual([31, 9]);
    expect(seen).toEqual(updates.map(({ val }) => val));
  });
});

describe('multicall', () => {
  it('returns the result of each call', () => {
    const { fake, xen } = fixture();
    fake.answer = (_nr, [list, count]) => {
      for (let i = 0; i < Number(count); i++) {
        const at = Number(list) + i * 64;
        fake.storeNumber(at + 8, -fake.loadNumber(at + 16));
      }
      return 0;
    };
    const calls = Array.from({ length: 10 }, (_, i) => ({ op: 14, args: [i, 2, 3] }));
    expect(xen.memory.multicall(calls)).toEqual(calls.map(({ args }) => 0 - args[0]!));
    expect(fake.calls).toHaveLength(2);
  });
});

describe('populate_physmap', () => {
  it('returns the frames that Xen gave, perhaps fewer', () => {
    const { fake, xen } = fixture();
    fake.answer = (_nr, [, slot]) => {
      const list = fake.loadNumber(Number(slot));
      expect(fake.loadNumber(list)).toBe(100);
      fake.storeNumber(list, 9000);
      return 1;
    };
    expect(xen.memory.populatePhysmap([100, 101])).toEqual([9000]);
  });
});

describe('CONSOLEIO_write', () => {
  it('cuts what is longer than a slot', () => {
    const { fake, xen } = fixture();
    xen.consoleWrite(new Uint8Array(1100));
    expect(fake.calls.map((call) => call[2])).toEqual([512, 512, 76]);
    fake.answer = () => -EPERM;
    expect(() => xen.consoleWrite(new Uint8Array(1))).toThrow('CONSOLEIO_write: -EPERM');
  });
});

describe('set_trap_table', () => {
  it('writes a terminated table whose handlers begin with events masked', () => {
    const { fake, xen } = fixture();
    xen.setTrapTable([{ vector: 14, address: -0x40000000, dpl: 0 }]);
    expect(fake.load8(PAGE)).toBe(14);
    expect(fake.load8(PAGE + 1)).toBe(4);
    expect(fake.load16(PAGE + 2)).toBe(0xe033);
    expect(fake.loadNumber(PAGE + 8)).toBe(-0x40000000);
    expect(fake.loadNumber(PAGE + 24)).toBe(0);
  });
});

describe('ArgumentPage', () => {
  it('gives each nesting level its own slot, and no more than there are', () => {
    const { xen } = fixture();
    const slots = new Set([xen.arguments.slot]);
    for (let i = 0; i < 7; i++) {
      xen.arguments.enter();
      slots.add(xen.arguments.slot);
    }
    expect(slots.size).toBe(8);
    expect(() => xen.arguments.enter()).toThrow(RangeError);
    for (let i = 0; i < 7; i++) xen.arguments.leave();
    expect(xen.arguments.slot).toBe(PAGE);
  });
});
