import { describe, expect, it } from 'vitest';
import { memoryOp } from '../../hypervisor/memory-op.ts';
import { updateVaMapping } from '../../hypervisor/update-va-mapping.ts';
import { EFAULT, ENOSYS, EPERM, ESRCH } from '../../protocol/errno.ts';
import * as abi from '../../protocol/memory.ts';
import { ArchSharedInfo, SharedInfo } from '../../protocol/shared-info.ts';
import { Domid } from '../../protocol/units.ts';
import { DOMID_SELF } from '../../protocol/xen.ts';
import { fixture } from './memory-fixture.ts';

const setting = () => {
  const base = fixture();
  const alice = base.guest();
  const bob = base.guest();
  const [arg, list] = [bob.free + 20, bob.free + 21];
  const reserve = (
    op: number,
    frames: number[],
    { order = 0, domid = DOMID_SELF as number, start = 0, nr = frames.length } = {},
  ): number => {
    frames.forEach((frame, i) => {
      bob.view(list).setBigUint64(i * 8, BigInt(frame), true);
    });
    abi.XenMemoryReservation.set(bob.view(arg), 0, {
      extentStart: bob.va(list),
      nrExtents: nr,
      extentOrder: order,
      memFlags: 0,
      domid: Domid(domid),
    });
    return bob.call(memoryOp, op | (start << 6), bob.va(arg));
  };
  const ask = (op: number, domid: number = DOMID_SELF): number => {
    bob.view(arg).setUint16(0, domid, true);
    return bob.call(memoryOp, op, bob.va(arg));
  };
  return {
    ...base,
    alice,
    bob,
    arg,
    reserve,
    ask,
    listed: (i: number) => Number(bob.view(list).getBigUint64(i * 8, true)),
  };
};

describe('XENMEM reservations', () => {
  it('give frames back and get them again, up to the maximum', () => {
    const { bob, frames, reserve, ask, listed } = setting();
    const [a, b] = [bob.mfn(bob.free), bob.mfn(bob.free + 1)];
    for (const pfn of [bob.free, bob.free + 1])
      expect(bob.call(updateVaMapping, bob.va(pfn), 0, 0)).toBe(0);
    expect(reserve(abi.XENMEM_decrease_reservation, [a, b])).toBe(2);
    expect(ask(abi.XENMEM_current_reservation)).toBe(254);
    expect([frames.owner[a], frames.owner[b]]).toEqual([0xffff, 0xffff]);

    expect(reserve(abi.XENMEM_populate_physmap, [bob.free, bob.free + 1, 300])).toBe(2);

    expect(ask(abi.XENMEM_current_reservation)).toBe(256);
    expect(frames.belongs(listed(0), bob.domain.id)).toBe(true);
    expect(frames.memory.u32[frames.m2pWord(listed(1))]).toBe(bob.free + 1);
    expect(reserve(abi.XENMEM_increase_reservation, [0])).toBe(0);
  });

  it('writes the MFNs of an increase, and keeps a mapped frame until it is unmapped', () => {
    const { bob, frames, reserve, listed } = setting();
    const mfn = bob.mfn(bob.free);
    expect(reserve(abi.XENMEM_decrease_reservation, [mfn])).toBe(1);
    expect(frames.belongs(mfn, bob.domain.id)).toBe(true);
    expect(reserve(abi.XENMEM_decrease_reservation, [mfn])).toBe(0);
    expect(bob.call(updateVaMapping, bob.va(bob.free), 0, 0)).toBe(0);
    expect(frames.owner[mfn]).toBe(0xffff);
    expect(reserve(abi.XENMEM_increase_reservation, [0])).toBe(1);
    expect(listed(0)).toBe(mfn);
  });

  it.each([
    ['a foreign frame', (s: ReturnType<typeof setting>) => s.alice.mfn(9)],
    ['a frame of the hypervisor', () => 0],
    ['no memory', () => 1e12],
    ['shared_info', (s: ReturnType<typeof setting>) => s.bob.boot.sharedInfoMfn],
  ])('does not take %s back: it stops there', (_case, frame) => {
    const set = setting();
    expect(
      set.reserve(abi.XENMEM_decrease_reservation, [
        set.bob.mfn(200),
        frame(set),
        set.bob.mfn(201),
      ]),
    ).toBe(1);
  });

  it('returns where it started when the argument makes no sense', () => {
    const { bob, reserve } = setting();
    expect(bob.call(memoryOp, abi.XENMEM_populate_physmap | (5 << 6), 0x1000)).toBe(5);
    expect(reserve(abi.XENMEM_populate_physmap, [1], { order: 9, start: 0 })).toBe(0);
    expect(reserve(abi.XENMEM_decrease_reservation, [1], { domid: 77, start: 3 })).toBe(3);
    expect(
      reserve(abi.XENMEM_decrease_reservation, [bob.mfn(200), bob.mfn(201)], { start: 1 }),
    ).toBe(2);
    expect(bob.domain.memory.release(bob.mfn(200))).toBe(true);
  });

  it('stops at the end of a readable list, however long it claims to be', () => {
    const { bob, arg } = setting();
    abi.XenMemoryReservation.set(bob.view(arg), 0, {
      extentStart: bob.va(256) - 8,
      nrExtents: 2 ** 40,
      extentOrder: 0,
      memFlags: 0,
      domid: DOMID_SELF,
    });
    bob.view(255).setBigUint64(4088, BigInt(bob.mfn(200)), true);
    expect(bob.call(memoryOp, abi.XENMEM_decrease_reservation, bob.va(arg))).toBe(1);
  });

  it('leave those of another domain as they are', () => {
    const { reserve } = setting();
    expect(reserve(abi.XENMEM_decrease_reservation, [1], { domid: 0 })).toBe(0);
  });
});

describe('memory_op', () => {
  it.each([
    ['current_reservation', abi.XENMEM_current_reservation, 256],
    ['maximum_reservation', abi.XENMEM_maximum_reservation, 256],
  ])('%s answers for the caller, refusing others', (_name, op, answer) => {
    const { ask, bob } = setting();
    expect(ask(op)).toBe(answer);
    expect(ask(op, 0)).toBe(-EPERM);
    expect(ask(op, 77)).toBe(-ESRCH);
    expect(bob.call(memoryOp, op, 0x1000)).toBe(-EFAULT);
  });

  it('maximum_gpfn is what shared_info says', () => {
    const { bob, ask, machine } = setting();
    const at =
      machine.memory.frameAt(bob.boot.sharedInfoMfn) +
      SharedInfo.offset.arch +
      ArchSharedInfo.offset.maxPfn;
    machine.memory.u32[at >>> 2] = 256;
    expect(ask(abi.XENMEM_maximum_gpfn)).toBe(255);
  });

  it('maximum_ram_page is the last frame of the machine', () => {
    const { bob } = setting();
    expect(bob.call(memoryOp, abi.XENMEM_maximum_ram_page, 0)).toBe(4095);
  });

  it('machphys_mapping tells where the M2P is', () => {
    const { bob, arg } = setting();
    expect(bob.call(memoryOp, abi.XENMEM_machphys_mapping, bob.va(arg))).toBe(0);
    expect(abi.XenMachphysMapping.get(bob.view(arg))).toEqual({
      vStart: -0x800000000000,
      vEnd: -0x7fc000000000,
      maxMfn: 0x4000000000 / 8 - 1,
    });
    expect(bob.call(memoryOp, abi.XENMEM_machphys_mapping, 0x1000)).toBe(-EFAULT);
  });

  it('machphys_mfn_list lists the first frame of each 2 MiB of it', () => {
    const { bob, arg, frames } = setting();
    abi.XenMachphysMfnList.set(bob.view(arg), 0, { maxExtents: 9, extentStart: bob.va(bob.free) });
    expect(bob.call(memoryOp, abi.XENMEM_machphys_mfn_list, bob.va(arg))).toBe(0);
    expect(abi.XenMachphysMfnList.get(bob.view(arg)).nrExtents).toBe(1);
    expect(bob.view(bob.free).getUint32(0, true)).toBe(frames.m2pBase);
    abi.XenMachphysMfnList.set(bob.view(arg), 0, { maxExtents: 9, extentStart: 0x1000 });
    expect(bob.call(memoryOp, abi.XENMEM_machphys_mfn_list, bob.va(arg))).toBe(-EFAULT);
  });

  it('memory_map is one RAM entry, or none without room', () => {
    const { bob, arg } = setting();
    abi.XenMemoryMap.set(bob.view(arg), 0, { nrEntries: 8, buffer: bob.va(bob.free) });
    expect(bob.call(memoryOp, abi.XENMEM_memory_map, bob.va(arg))).toBe(0);
    expect(abi.XenMemoryMap.get(bob.view(arg)).nrEntries).toBe(1);
    expect(abi.E820Entry.get(bob.view(bob.free))).toEqual({
      addr: 0,
      size: 256 * 4096,
      type: abi.E820_RAM,
    });
    abi.XenMemoryMap.set(bob.view(arg), 0, { nrEntries: 0, buffer: 0x1000 });
    expect(bob.call(memoryOp, abi.XENMEM_memory_map, bob.va(arg))).toBe(0);
    abi.XenMemoryMap.set(bob.view(arg), 0, { nrEntries: 1, buffer: 0x1000 });
    expect(bob.call(memoryOp, abi.XENMEM_memory_map, bob.va(arg))).toBe(-EFAULT);
  });

  it.each([abi.XENMEM_exchange, abi.XENMEM_add_to_physmap, 63])(
    'does not offer operation %i: -ENOSYS',
    (op) => {
      const { bob } = setting();
      expect(bob.call(memoryOp, op, 0)).toBe(-ENOSYS);
    },
  );
});
