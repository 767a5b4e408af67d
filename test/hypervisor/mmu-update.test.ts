import { describe, expect, it } from 'vitest';
import { mmuUpdate } from '../../hypervisor/mmu-update.ts';
import { TYPE_L1 } from '../../hypervisor/page-types.ts';
import { updateVaMapping } from '../../hypervisor/update-va-mapping.ts';
import { EBUSY, EFAULT, EINVAL, ENOSYS, EPERM, ESRCH } from '../../protocol/errno.ts';
import {
  DOMID_SELF,
  MMU_MACHPHYS_UPDATE,
  MMU_NORMAL_PT_UPDATE,
  MMU_PT_UPDATE_PRESERVE_AD,
  UVMF_INVLPG,
} from '../../protocol/xen.ts';
import { fixture, type Guest, LEAF, pte, READ_ONLY, recount } from './memory-fixture.ts';

/** Two guests, and calls by the second, who is not privileged. */
const setting = () => {
  const base = fixture();
  const alice = base.guest();
  const bob = base.guest({ vcpus: 2 });
  const list = bob.free + 20;
  const done = bob.va(bob.free + 21);
  const update = (
    requests: [bigint | number, bigint | number][],
    domid: number = DOMID_SELF,
    guest: Guest = bob,
  ): number => {
    const view = guest.view(list);
    requests.forEach(([ptr, val], i) => {
      view.setBigUint64(i * 16, BigInt(ptr), true);
      view.setBigUint64(i * 16 + 8, BigInt.asUintN(64, BigInt(val)), true);
    });
    return guest.call(mmuUpdate, guest.va(list), requests.length, done, domid);
  };
  return { ...base, alice, bob, update, done: () => bob.view(bob.free + 21).getUint32(0, true) };
};

/** Machine address of the L1 entry for a PFN of the boot map. */
const entryOf = (guest: Guest, pfn: number): number => {
  const { memory, mmu } = guest.xen.machine;
  return mmu.leaf(guest.vcpu.kernelRoot, guest.va(pfn)) - memory.frameBase;
};

describe('mmu_update', () => {
  it('sets entries in order and reports how many', () => {
    const { bob, update, done } = setting();
    const [a, b] = [bob.free, bob.free + 1];
    expect(
      update([
        [entryOf(bob, a), pte(bob.mfn(b), LEAF)],
        [entryOf(bob, b), 0],
      ]),
    ).toBe(0);
    expect(done()).toBe(2);
    expect(bob.entry(bob.va(a))).toBe(pte(bob.mfn(b), LEAF | 4, 1 << 20));
    expect(bob.entry(bob.va(b))).toBe(0n);
  });

  it.each([
    [
      'a frame of another domain',
      EBUSY,
      ({ alice, bob }: ReturnType<typeof setting>) => [
        entryOf(bob, bob.free),
        pte(alice.mfn(0), LEAF),
      ],
    ],
    [
      'a page table, writable',
      EBUSY,
      ({ bob }) => [entryOf(bob, bob.free), pte(bob.boot.cr3Mfn, LEAF)],
    ],
    ['what is not memory', EPERM, ({ bob }) => [entryOf(bob, bob.free), pte(0xfee00, LEAF)]],
    [
      'cacheability bits',
      EINVAL,
      ({ bob }) => [entryOf(bob, bob.free), pte(bob.mfn(bob.free), LEAF | 0x18)],
    ],
    ['a table of another domain', EINVAL, ({ alice }) => [alice.boot.cr3Mfn * 4096, 0]],
    ['a slot of the hypervisor', EINVAL, ({ bob }) => [bob.boot.cr3Mfn * 4096 + 256 * 8, 0]],
    ['its last slot', EINVAL, ({ bob }) => [bob.boot.cr3Mfn * 4096 + 271 * 8, 0]],
    [
      'an upper entry with PSE',
      EINVAL,
      ({ bob }) => [bob.boot.cr3Mfn * 4096 + 8, pte(bob.mfn(bob.free), 0xe7)],
    ],
    [
      'an upper entry to a writable page',
      EINVAL,
      ({ bob }) => [bob.boot.cr3Mfn * 4096 + 8, pte(bob.mfn(bob.free), 0x67)],
    ],
    [
      'the M2P entry of a foreign frame',
      EINVAL,
      ({ alice }) => [alice.mfn(3) * 4096 + MMU_MACHPHYS_UPDATE, 1],
    ],
    ['an address beyond memory', EINVAL, () => [0x7ffffffffffff000n, 0]],
    ['an unknown command', ENOSYS, ({ bob }) => [entryOf(bob, bob.free) + 4, 0]],
  ] as [string, number, (s: ReturnType<typeof setting>) => [number | bigint, number | bigint]][])(
    'stops at %s, tells how many were done, and changes no count',
    (_case, errno, bad) => {
      const set = setting();
      const { bob, frames } = set;
      const before = [frames.refs.join(), frames.typeCount.join()];
      const same: [number, bigint] = [entryOf(bob, bob.free + 2), bob.entry(bob.va(bob.free + 2))];
      expect(set.update([same, same, bad(set), same])).toBe(-errno);
      expect(set.done()).toBe(2);
      expect([frames.refs.join(), frames.typeCount.join()]).toEqual(before);
    },
  );

  it('is -EFAULT for a list that cannot be read, after what could', () => {
    const { bob, done } = setting();
    const edge = bob.va(256) - 16;
    bob.view(255).setBigUint64(4080, BigInt(entryOf(bob, bob.free)), true);
    bob.view(255).setBigUint64(4088, 0n, true);
    expect(bob.call(mmuUpdate, edge, 0xffffffff, bob.va(bob.free + 21), DOMID_SELF)).toBe(-EFAULT);
    expect(done()).toBe(1);
  });

  it.each([
    ['an unknown domain', 77, ESRCH],
    ['another domain', 0, EPERM],
    ['tables of another domain', (1 << 16) | DOMID_SELF, EPERM],
    ['tables of no domain', (78 << 16) | DOMID_SELF, ESRCH],
  ])('refuses the frames of %s to an ordinary domain', (_case, domid, errno) => {
    const { update } = setting();
    expect(update([[0, 0]], domid)).toBe(-errno);
  });

  it('lets nobody set machine-to-physical entries through the tables of another', () => {
    const { alice, bob, update } = setting();
    const tables = ((bob.domain.id + 1) << 16) | DOMID_SELF;
    const request: [number, number] = [alice.mfn(3) * 4096 + MMU_MACHPHYS_UPDATE, 1];
    expect(update([request], tables, alice)).toBe(-EPERM);
    expect(update([request], DOMID_SELF, alice)).toBe(0);
  });

  it('lets domain 0 map frames of the domain that it names', () => {
    const set = setting();
    const { alice, bob, frames } = set;
    const target = bob.mfn(bob.free);
    const list = alice.view(alice.free + 20);
    list.setBigUint64(0, BigInt(entryOf(alice, alice.free)), true);
    list.setBigUint64(8, pte(target, LEAF), true);
    expect(alice.call(mmuUpdate, alice.va(alice.free + 20), 1, 0, bob.domain.id)).toBe(0);
    expect(frames.typeCount[target]).toBe(2);
  });

  it('stores plainly to a page that is no table', () => {
    const { bob, update } = setting();
    expect(update([[bob.mfn(bob.free) * 4096 + 16, 0x123456789abcdefn]])).toBe(0);
    expect(bob.view(bob.free).getBigUint64(16, true)).toBe(0x123456789abcdefn);
  });

  it('sets the M2P entry of an own frame', () => {
    const { bob, frames, update } = setting();
    expect(update([[bob.mfn(9) * 4096 + MMU_MACHPHYS_UPDATE, 1234]])).toBe(0);
    expect(frames.memory.u32[frames.m2pWord(bob.mfn(9))]).toBe(1234);
  });

  it('keeps A and D of the old entry with PRESERVE_AD, and not without', () => {
    const { bob, update } = setting();
    const [pfn, va] = [bob.free, bob.va(bob.free)];
    expect(bob.writable(va)).toBe(true);
    expect(update([[entryOf(bob, pfn) + MMU_PT_UPDATE_PRESERVE_AD, pte(bob.mfn(pfn), 3)]])).toBe(0);
    expect(bob.entry(va) & 0x60n).toBe(0x60n);
    expect(update([[entryOf(bob, pfn) + MMU_NORMAL_PT_UPDATE, pte(bob.mfn(pfn), 3)]])).toBe(0);
    expect(bob.entry(va) & 0x60n).toBe(0n);
  });

  it('leaves no translation behind when rights go, on any vCPU', () => {
    const { bob, machine, update } = setting();
    const { mmu } = machine;
    const va = bob.va(bob.free);
    const cached = (i: number): boolean => {
      const { arch } = bob.domain.vcpus[i]!;
      const word = (arch.tlbWrite + ((va >> 12) & 1023) * 16) >>> 2;
      return machine.memory.i32[word] === (va & ~4095);
    };
    for (const { arch } of bob.domain.vcpus) expect(mmu.translate(arch, va, 1)).toBeGreaterThan(0);
    expect([cached(0), cached(1)]).toEqual([true, true]);
    expect(update([[entryOf(bob, bob.free), pte(bob.mfn(bob.free), READ_ONLY)]])).toBe(0);
    expect([cached(0), cached(1)]).toEqual([false, false]);
  });

  it('scrubs a page that the guest wrote although it cleared the dirty bit', () => {
    const { bob, frames, update } = setting();
    const [pfn, mfn] = [bob.free, bob.mfn(bob.free)];
    expect(bob.xen.copyToGuest(bob.vcpu, bob.va(pfn), new Uint8Array([1, 2, 3]))).toBe(true);
    expect(
      update([
        [entryOf(bob, pfn), pte(mfn, LEAF)],
        [entryOf(bob, pfn), 0],
      ]),
    ).toBe(0);
    bob.destroy();
    expect(frames.memory.frame(mfn)[0]).toBe(0);
  });

  it('charges for each element and each entry that it validates', () => {
    const { bob, charged, update } = setting();
    const before = charged();
    const same: [number, bigint] = [entryOf(bob, bob.free), bob.entry(bob.va(bob.free))];
    expect(update([same, same, same])).toBe(0);
    expect(charged() - before).toBe(6);
  });

  it('hooks and unhooks a new L1, taking and giving back its references', () => {
    const { bob, frames, machine, update, xen } = setting();
    const [l1, l2] = [bob.free, bob.free + 1];
    for (const pfn of [l1, l2]) {
      expect(
        bob.call(updateVaMapping, bob.va(pfn), pte(bob.mfn(pfn), READ_ONLY), UVMF_INVLPG),
      ).toBe(0);
    }
    bob.fill(l1, { 0: pte(bob.mfn(bob.free + 2), LEAF) });
    bob.fill(l2, { 0: pte(bob.mfn(l1), 0x67) });
    const l3 = bob.mfn((bob.boot.rsp - bob.va(0)) / 4096 - 4);
    expect(frames.type[l3]).toBe(3);

    expect(update([[l3 * 4096, pte(bob.mfn(l2), 0x67)]])).toBe(0);

    expect(frames.type[bob.mfn(l1)]).toBe(TYPE_L1);
    expect(bob.writable(-0x8000000000)).toBe(true);
    const { arch } = bob.vcpu;
    expect(machine.mmu.translate(arch, -0x8000000000, 1)).toBeGreaterThan(0);
    expect(machine.memory.i32[(arch.tlbWrite >>> 2) + 1]).toBe(-0x80);
    expect(update([[l3 * 4096, 0]])).toBe(0);
    expect(machine.memory.i32[(arch.tlbWrite >>> 2) + 1]).toBe(0);
    expect(frames.typeCount[bob.mfn(l1)]).toBe(0);
    expect(bob.writable(-0x8000000000)).toBe(false);
    const { types } = recount(frames, xen.domains.values());
    expect(frames.typeCount).toEqual(types);
  });
});
