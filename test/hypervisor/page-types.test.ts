import { describe, expect, it } from 'vitest';
import { newBaseptr, newUserBaseptr, setGdtFrames } from '../../hypervisor/base-pointer.ts';
import { mmuUpdate } from '../../hypervisor/mmu-update.ts';
import {
  FRAME_SHARED,
  TYPE_L1,
  TYPE_L2,
  TYPE_L3,
  TYPE_L4,
  TYPE_NONE,
  TYPE_SEG_DESC,
  TYPE_WRITABLE,
} from '../../hypervisor/page-types.ts';
import { updateVaMapping } from '../../hypervisor/update-va-mapping.ts';
import { EBUSY, EINVAL, EPERM } from '../../protocol/errno.ts';
import { DOMID_SELF, UVMF_INVLPG } from '../../protocol/xen.ts';
import {
  type Fixture,
  fixture,
  type Guest,
  LEAF,
  pte,
  READ_ONLY,
  recount,
  TABLE,
} from './memory-fixture.ts';

interface Setting extends Fixture {
  alice: Guest;
  bob: Guest;
  /** Make these PFNs read-only in the boot tables, as a guest must before it uses them as tables. */
  protect(...pfns: number[]): void;
  snapshot(): string;
}

const setting = (): Setting => {
  const base = fixture();
  const alice = base.guest();
  const bob = base.guest();
  const { frames } = base;
  return {
    ...base,
    alice,
    bob,
    protect: (...pfns) => {
      for (const pfn of pfns) {
        expect(
          alice.call(updateVaMapping, alice.va(pfn), pte(alice.mfn(pfn), READ_ONLY), UVMF_INVLPG),
        ).toBe(0);
      }
    },
    snapshot: () =>
      [frames.refs, frames.typeCount, frames.linear].map((counts) => counts.join()).join('|'),
  };
};

const expectBalanced = ({ frames, xen }: Setting): void => {
  const { refs, types } = recount(frames, xen.domains.values());
  const owned = (counts: Uint32Array): number[] =>
    Array.from(counts, (count, mfn) => (frames.owner[mfn]! < 0x7ff0 ? count : 0));
  expect(owned(frames.refs)).toEqual(owned(refs));
  expect(owned(frames.typeCount)).toEqual(owned(types));
};

describe('page types', () => {
  it('validate a table with everything that it names', () => {
    const set = setting();
    const { alice, frames } = set;
    const [l1, l2, data] = [alice.free, alice.free + 1, alice.free + 2];
    set.protect(l1, l2);
    alice.fill(l1, { 3: pte(alice.mfn(data), LEAF) });
    alice.fill(l2, { 7: pte(alice.mfn(l1), TABLE) });

    expect(frames.getType(alice.mfn(l2), alice.domain, TYPE_L2)).toBe(0);

    expect(frames.type[alice.mfn(l1)]).toBe(TYPE_L1);
    expect(frames.typeCount[alice.mfn(l1)]).toBe(1);
    expect(frames.typeCount[alice.mfn(data)]).toBe(2);
    frames.putType(alice.mfn(l2));
    expect(frames.type[alice.mfn(l1)]).toBe(TYPE_NONE);
    expectBalanced(set);
  });

  it('never let a table be writable: promotion of a page that is mapped writable fails', () => {
    const { alice, frames } = setting();
    alice.fill(alice.free);
    expect(frames.getType(alice.mfn(alice.free), alice.domain, TYPE_L1)).toBe(-EINVAL);
  });

  it.each([
    ['a frame of another domain', EBUSY, (s: Setting) => pte(s.bob.mfn(0), READ_ONLY)],
    ['a frame of the hypervisor', EBUSY, () => pte(0, READ_ONLY)],
    ['a frame that is not memory', EPERM, () => pte(0xfffff, READ_ONLY)],
    ['the all-ones frame', EINVAL, () => 0x000ffffffffff000n | 1n],
    [
      'cacheability bits',
      EINVAL,
      (s: Setting) => pte(s.alice.mfn(s.alice.free + 3), READ_ONLY | 0x10),
    ],
    ['a page table, writable', EBUSY, (s: Setting) => pte(s.alice.boot.cr3Mfn, LEAF)],
    ['its own table, writable', EBUSY, (s: Setting) => pte(s.alice.mfn(s.alice.free), LEAF)],
  ])('refuse an L1 that names %s and give back what was taken', (_case, errno, bad) => {
    const set = setting();
    const bob = set.bob;
    const { frames } = set;
    // bob is unprivileged, so cacheability bits are refused to him; the roles are swapped for his sake
    const mine = { ...set, alice: bob, bob: set.alice };
    const table = bob.free;
    expect(
      bob.call(updateVaMapping, bob.va(table), pte(bob.mfn(table), READ_ONLY), UVMF_INVLPG),
    ).toBe(0);
    bob.fill(table, {
      0: pte(bob.mfn(table + 1), LEAF),
      1: pte(bob.mfn(table + 2), READ_ONLY),
      511: bad(mine),
    });
    const before = set.snapshot();

    expect(frames.getType(bob.mfn(table), bob.domain, TYPE_L1)).toBe(-errno);

    expect(set.snapshot()).toBe(before);
    expect(frames.type[bob.mfn(table)]).toBe(TYPE_NONE);
  });

  it.each([
    ['a large page', 0x80],
    ['PWT', 8],
    ['PCD', 16],
    ['G', 0x100],
  ])('refuse %s in an upper entry with -EINVAL', (_case, flag) => {
    const set = setting();
    const { alice } = set;
    set.protect(alice.free, alice.free + 1);
    alice.fill(alice.free);
    alice.fill(alice.free + 1, { 0: pte(alice.mfn(alice.free), TABLE | flag) });
    expect(set.frames.getType(alice.mfn(alice.free + 1), alice.domain, TYPE_L2)).toBe(-EINVAL);
  });

  it('roll back a whole tree when its last leaf is bad', () => {
    const set = setting();
    const { alice, frames } = set;
    const [l1, l2, l3, l4] = [0, 1, 2, 3].map((i) => alice.free + i) as [
      number,
      number,
      number,
      number,
    ];
    set.protect(l1, l2, l3, l4);
    alice.fill(l1, { 0: pte(alice.mfn(alice.free + 9), LEAF), 511: pte(set.bob.mfn(3), LEAF) });
    alice.fill(l2, { 0: pte(alice.mfn(l1), TABLE) });
    alice.fill(l3, { 5: pte(alice.mfn(l2), TABLE) });
    alice.fill(l4, { 9: pte(alice.mfn(l3), TABLE) });
    const before = set.snapshot();

    expect(newBaseptr(set.xen, alice.vcpu, alice.mfn(l4))).toBe(-EBUSY);

    expect(set.snapshot()).toBe(before);
    expect(frames.type[alice.mfn(l3)]).toBe(TYPE_NONE);
    expect(alice.vcpu.kernelRoot).toBe(alice.boot.cr3Mfn);
  });

  it('empty the slots of the hypervisor, and a root of kernel mode gets the M2P', () => {
    const set = setting();
    const { alice, frames, machine } = set;
    set.protect(alice.free);
    alice.fill(alice.free, { 256: 0xffffn, 271: pte(set.bob.mfn(1), TABLE) });
    expect(frames.getType(alice.mfn(alice.free), alice.domain, TYPE_L4)).toBe(0);
    const view = alice.view(alice.free);
    expect([256, 271].map((slot) => view.getBigUint64(slot * 8, true))).toEqual([0n, 0n]);
    expect(newUserBaseptr(set.xen, alice.vcpu, alice.mfn(alice.free))).toBe(0);
    expect(view.getBigUint64(256 * 8, true)).toBe(0n);
    expect(newBaseptr(set.xen, alice.vcpu, alice.mfn(alice.free))).toBe(0);
    expect(view.getUint32(256 * 8, true) >>> 12).toBe(frames.m2pL3);
    expect(machine.memory.frames).toBe(frames.count);
  });

  it('adjust entries on the way: kernel pages get U and a mark, user pages G, tables U', () => {
    const set = setting();
    const { alice, frames } = set;
    set.protect(alice.free, alice.free + 1);
    const data = alice.mfn(alice.free + 5);
    alice.fill(alice.free, { 0: pte(data, READ_ONLY), 1: pte(data, READ_ONLY | 4) });
    alice.fill(alice.free + 1, { 0: pte(alice.mfn(alice.free), 0x21) });
    expect(frames.getType(alice.mfn(alice.free + 1), alice.domain, TYPE_L2)).toBe(0);
    expect(alice.view(alice.free).getBigUint64(0, true)).toBe(pte(data, READ_ONLY | 4, 1 << 20));
    expect(alice.view(alice.free).getBigUint64(8, true)).toBe(pte(data, READ_ONLY | 4 | 0x100));
    expect(alice.view(alice.free + 1).getBigUint64(0, true)).toBe(pte(alice.mfn(alice.free), 0x25));
  });

  describe('of linear page tables', () => {
    const slot = 300;
    const map = (alice: Guest, table: number, entry: bigint): number => {
      const request = alice.view(alice.free + 20);
      request.setBigUint64(0, BigInt(table * 4096 + slot * 8), true);
      request.setBigUint64(8, entry, true);
      return alice.call(mmuUpdate, alice.va(alice.free + 20), 1, 0, DOMID_SELF);
    };

    it('let an L4 name itself read-only, without a reference', () => {
      const set = setting();
      const { alice } = set;
      const root = alice.boot.cr3Mfn;
      const before = set.snapshot();
      expect(map(alice, root, pte(root, 0x25))).toBe(0);
      expect(set.snapshot()).toBe(before);
      expectBalanced(set);
    });

    it('refuse it writable with -EINVAL', () => {
      const { alice } = setting();
      expect(map(alice, alice.boot.cr3Mfn, pte(alice.boot.cr3Mfn, TABLE))).toBe(-EINVAL);
    });

    it('let an L4 name another, but neither chains nor rings', () => {
      const set = setting();
      const { alice, frames } = set;
      const root = alice.boot.cr3Mfn;
      const other = alice.mfn(alice.free);
      const third = alice.mfn(alice.free + 1);
      set.protect(alice.free, alice.free + 1);
      alice.fill(alice.free);
      alice.fill(alice.free + 1);
      expect(frames.getType(other, alice.domain, TYPE_L4)).toBe(0);
      expect(frames.getType(third, alice.domain, TYPE_L4)).toBe(0);
      expect(map(alice, root, pte(other, 0x25))).toBe(0);
      expect(frames.typeCount[other]).toBe(2);
      expect(map(alice, other, pte(third, 0x25))).toBe(-EINVAL);
      expect(map(alice, third, pte(root, 0x25))).toBe(-EINVAL);

      expect(map(alice, root, 0n)).toBe(0);
      expect([frames.linear[root], frames.linear[other]]).toEqual([0, 0]);
      frames.putType(other);
      frames.putType(third);
      expectBalanced(set);
    });
  });

  it('make descriptor pages, raising DPL and refusing system descriptors', () => {
    const set = setting();
    const { alice, frames, xen } = set;
    const [good, bad] = [alice.free, alice.free + 1];
    set.protect(good, bad);
    alice.fill(good, { 1: 0x00af9b000000ffffn });
    alice.fill(bad, { 1: 0x0000890000000067n });
    expect(setGdtFrames(xen, alice.vcpu, [alice.mfn(good), alice.mfn(bad)])).toBe(-EINVAL);
    expect(frames.typeCount[alice.mfn(good)]).toBe(0);

    expect(setGdtFrames(xen, alice.vcpu, [alice.mfn(good)])).toBe(0);

    expect(frames.type[alice.mfn(good)]).toBe(TYPE_SEG_DESC);
    expect(alice.view(good).getBigUint64(8, true)).toBe(0x00affb000000ffffn);
    const writable = pte(alice.mfn(good), LEAF);
    expect(alice.call(updateVaMapping, alice.va(good), writable, 0)).toBe(-EBUSY);
    expect(setGdtFrames(xen, alice.vcpu, [])).toBe(0);
    expect(alice.call(updateVaMapping, alice.va(good), writable, 0)).toBe(0);
  });

  it('keep a page that the hypervisor shares writable for good', () => {
    const { alice, frames } = setting();
    const { sharedInfoMfn } = alice.boot;
    expect(frames.flags[sharedInfoMfn]! & FRAME_SHARED).toBe(FRAME_SHARED);
    expect(frames.getType(sharedInfoMfn, alice.domain, TYPE_L1)).toBe(-EINVAL);
    expect(frames.getType(sharedInfoMfn, alice.domain, TYPE_WRITABLE)).toBe(0);
    expect(frames.getType(alice.boot.cr3Mfn, alice.domain, TYPE_L3)).toBe(-EINVAL);
  });
});
