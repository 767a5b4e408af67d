import { describe, expect, it } from 'vitest';
import { mmuextOp } from '../../hypervisor/mmuext-op.ts';
import { FRAME_PINNED } from '../../hypervisor/page-types.ts';
import { updateVaMapping } from '../../hypervisor/update-va-mapping.ts';
import { CR3 } from '../../machine/vcpu.ts';
import { EACCES, EFAULT, EINVAL, ENOSYS, EOPNOTSUPP, EPERM, ESRCH } from '../../protocol/errno.ts';
import * as abi from '../../protocol/xen.ts';
import { fixture, type Guest, LEAF, pte, READ_ONLY, recount } from './memory-fixture.ts';

type Op = [cmd: number, arg1?: number | bigint, arg2?: number | bigint];

const setting = () => {
  const base = fixture();
  const alice = base.guest();
  const bob = base.guest({ vcpus: 2 });
  const ext = (ops: Op[], domid: number = abi.DOMID_SELF, guest: Guest = bob): number => {
    const view = guest.view(guest.free + 20);
    ops.forEach(([cmd, arg1 = 0, arg2 = 0], i) => {
      view.setUint32(i * 24, cmd, true);
      view.setBigUint64(i * 24 + 8, BigInt.asUintN(64, BigInt(arg1)), true);
      view.setBigUint64(i * 24 + 16, BigInt.asUintN(64, BigInt(arg2)), true);
    });
    return guest.call(
      mmuextOp,
      guest.va(guest.free + 20),
      ops.length,
      guest.va(guest.free + 21),
      domid,
    );
  };
  /** An empty table at a free PFN, read-only in the boot map. */
  const table = (pfn: number, entries: Record<number, bigint> = {}): number => {
    expect(bob.call(updateVaMapping, bob.va(pfn), pte(bob.mfn(pfn), READ_ONLY), 0)).toBe(0);
    bob.fill(pfn, entries);
    return bob.mfn(pfn);
  };
  const { memory, mmu } = base.machine;
  const load = (va: number): void => {
    for (const { arch } of bob.domain.vcpus) mmu.translate(arch, va, 0);
  };
  const cached = (va: number): boolean[] =>
    bob.domain.vcpus.map(
      ({ arch }) => memory.i32[(arch.tlbRead + ((va >> 12) & 1023) * 16) >>> 2] === (va & ~4095),
    );
  return {
    ...base,
    alice,
    bob,
    ext,
    table,
    load,
    cached,
    done: () => bob.view(bob.free + 21).getUint32(0, true),
  };
};

describe('MMUEXT_PIN_Ln_TABLE and UNPIN_TABLE', () => {
  it.each([1, 2, 3, 4])('pin and unpin a level %i table, once each', (level) => {
    const { bob, ext, frames, table, done } = setting();
    const mfn = table(bob.free);
    const pin = abi.MMUEXT_PIN_L1_TABLE + level - 1;
    expect(
      ext([
        [pin, mfn],
        [pin, mfn],
      ]),
    ).toBe(-EINVAL);
    expect(done()).toBe(1);
    expect([frames.type[mfn], frames.typeCount[mfn], frames.flags[mfn]! & FRAME_PINNED]).toEqual([
      level,
      1,
      2,
    ]);
    expect(
      ext([
        [abi.MMUEXT_UNPIN_TABLE, mfn],
        [abi.MMUEXT_UNPIN_TABLE, mfn],
      ]),
    ).toBe(-EINVAL);
    expect(done()).toBe(1);
    expect(frames.typeCount[mfn]).toBe(0);
  });

  it.each([
    ['a foreign frame', (s: ReturnType<typeof setting>) => s.alice.mfn(3)],
    ['no memory', () => 0xffffffffffn],
    ['a page mapped writable', (s: ReturnType<typeof setting>) => s.bob.mfn(s.bob.free)],
    ['a table of another level', (s: ReturnType<typeof setting>) => s.bob.boot.cr3Mfn],
  ])('refuse %s with -EINVAL', (_case, mfn) => {
    const set = setting();
    expect(set.ext([[abi.MMUEXT_PIN_L2_TABLE, mfn(set)]])).toBe(-EINVAL);
    expect(set.ext([[abi.MMUEXT_UNPIN_TABLE, set.alice.boot.cr3Mfn]])).toBe(-EINVAL);
  });

  it('let a pinned table outlive what named it', () => {
    const { bob, ext, frames, table } = setting();
    const l1 = table(bob.free, { 0: pte(bob.mfn(bob.free + 3), LEAF) });
    const l2 = table(bob.free + 1, { 0: pte(l1, 0x67) });
    expect(
      ext([
        [abi.MMUEXT_PIN_L2_TABLE, l2],
        [abi.MMUEXT_PIN_L1_TABLE, l1],
        [abi.MMUEXT_UNPIN_TABLE, l2],
      ]),
    ).toBe(0);
    expect([frames.typeCount[l1], frames.typeCount[l2]]).toEqual([1, 0]);
  });
});

describe('MMUEXT_NEW_BASEPTR and NEW_USER_BASEPTR', () => {
  it('load roots, holding them; the boot root can then be unpinned', () => {
    const { bob, ext, frames, table, xen } = setting();
    const old = bob.boot.cr3Mfn;
    const user = table(bob.free);
    const root = table(bob.free + 1, {
      511: bob.view((bob.boot.rsp - bob.va(0)) / 4096 - 5).getBigUint64(511 * 8, true),
    });
    expect(
      ext([
        [abi.MMUEXT_NEW_BASEPTR, root],
        [abi.MMUEXT_NEW_USER_BASEPTR, user],
        [abi.MMUEXT_UNPIN_TABLE, old],
      ]),
    ).toBe(0);
    expect(bob.vcpu.arch.get(CR3)).toBe(root * 4096);
    expect([bob.vcpu.kernelRoot, bob.vcpu.userRoot]).toEqual([root, user]);
    expect(frames.typeCount[old]).toBe(1); // the other vCPU's root
    expect(ext([[abi.MMUEXT_NEW_USER_BASEPTR, 0]])).toBe(0);
    expect(frames.typeCount[user]).toBe(0);
    expect(frames.typeCount).toEqual(recount(frames, xen.domains.values()).types);
  });

  it.each([abi.MMUEXT_NEW_BASEPTR, abi.MMUEXT_NEW_USER_BASEPTR])(
    'refuse what is no L4 of the domain with -EINVAL (%i)',
    (cmd) => {
      const { alice, bob, ext } = setting();
      expect(ext([[cmd, alice.boot.cr3Mfn]])).toBe(-EINVAL);
      expect(ext([[cmd, bob.mfn(bob.free)]])).toBe(-EINVAL);
      expect(ext([[cmd, 0xffffffffffffn]])).toBe(-EINVAL);
      expect([bob.vcpu.kernelRoot, bob.vcpu.userRoot]).toEqual([bob.boot.cr3Mfn, 0]);
    },
  );
});

describe('MMUEXT TLB operations', () => {
  it.each([
    ['TLB_FLUSH_LOCAL', abi.MMUEXT_TLB_FLUSH_LOCAL, [false, true], [false, true]],
    ['INVLPG_LOCAL', abi.MMUEXT_INVLPG_LOCAL, [false, true], [true, true]],
    ['TLB_FLUSH_MULTI', abi.MMUEXT_TLB_FLUSH_MULTI, [true, false], [true, false]],
    ['INVLPG_MULTI', abi.MMUEXT_INVLPG_MULTI, [true, false], [true, true]],
    ['TLB_FLUSH_ALL', abi.MMUEXT_TLB_FLUSH_ALL, [false, false], [false, false]],
    ['INVLPG_ALL', abi.MMUEXT_INVLPG_ALL, [false, false], [true, true]],
  ])('%s flushes what it says', (_name, cmd, page, other) => {
    const { bob, ext, load, cached } = setting();
    const [va, next, mask] = [bob.va(bob.free), bob.va(bob.free + 1), bob.va(bob.free + 2)];
    bob.view(bob.free + 2).setUint32(0, 2, true);
    load(va);
    load(next);
    expect(ext([[cmd, va, mask]])).toBe(0);
    expect([cached(va), cached(next)]).toEqual([page, other]);
  });

  it('MULTI is -EINVAL for a mask that cannot be read', () => {
    const { ext } = setting();
    expect(ext([[abi.MMUEXT_TLB_FLUSH_MULTI, 0, 0x1000]])).toBe(-EINVAL);
  });
});

describe('MMUEXT_CLEAR_PAGE and COPY_PAGE', () => {
  it('write frames that may be written', () => {
    const { bob, ext, frames } = setting();
    const before = [frames.refs.join(), frames.typeCount.join()];
    bob.view(bob.free).setUint32(8, 99, true);
    expect(
      ext([
        [abi.MMUEXT_COPY_PAGE, bob.mfn(bob.free + 1), bob.mfn(bob.free)],
        [abi.MMUEXT_CLEAR_PAGE, bob.mfn(bob.free)],
      ]),
    ).toBe(0);
    expect([
      bob.view(bob.free).getUint32(8, true),
      bob.view(bob.free + 1).getUint32(8, true),
    ]).toEqual([0, 99]);
    expect([frames.refs.join(), frames.typeCount.join()]).toEqual(before);
  });

  it('refuse tables and foreign frames with -EINVAL', () => {
    const { alice, bob, ext } = setting();
    expect(ext([[abi.MMUEXT_CLEAR_PAGE, bob.boot.cr3Mfn]])).toBe(-EINVAL);
    expect(ext([[abi.MMUEXT_CLEAR_PAGE, alice.mfn(0)]])).toBe(-EINVAL);
    expect(ext([[abi.MMUEXT_COPY_PAGE, bob.boot.cr3Mfn, bob.mfn(0)]])).toBe(-EINVAL);
    expect(ext([[abi.MMUEXT_COPY_PAGE, bob.mfn(bob.free), alice.mfn(0)]])).toBe(-EINVAL);
  });
});

describe('mmuext_op', () => {
  it.each([
    ['an unknown operation', [99], ENOSYS],
    ['MARK_SUPER', [abi.MMUEXT_MARK_SUPER], EOPNOTSUPP],
    ['UNMARK_SUPER', [abi.MMUEXT_UNMARK_SUPER], EOPNOTSUPP],
    ['FLUSH_CACHE without hardware', [abi.MMUEXT_FLUSH_CACHE], EACCES],
    ['FLUSH_CACHE_GLOBAL without hardware', [abi.MMUEXT_FLUSH_CACHE_GLOBAL], EINVAL],
    ['an LDT that is not page aligned', [abi.MMUEXT_SET_LDT, 0x1008, 1], EINVAL],
    ['an LDT that is too long', [abi.MMUEXT_SET_LDT, 0x1000, 8193], EINVAL],
    ['an LDT in the part of Xen', [abi.MMUEXT_SET_LDT, -0x7d0000000000, 1], EINVAL],
    ['an LDT at a non-canonical address', [abi.MMUEXT_SET_LDT, 0x800000000000, 1], EINVAL],
  ] as [string, Op, number][])('refuses %s', (_case, op, errno) => {
    const { ext, done } = setting();
    expect(ext([op])).toBe(-errno);
    expect(done()).toBe(0);
  });

  it('takes an LDT, and an empty one anywhere', () => {
    const { bob, ext } = setting();
    expect(
      ext([
        [abi.MMUEXT_SET_LDT, bob.va(3), 8192],
        [abi.MMUEXT_SET_LDT, 5, 0],
      ]),
    ).toBe(0);
  });

  it.each([
    [77, ESRCH],
    [0, EPERM],
  ])('refuses domain %i to an ordinary domain', (domid, errno) => {
    const { ext } = setting();
    expect(ext([[abi.MMUEXT_TLB_FLUSH_ALL]], domid)).toBe(-errno);
  });

  it('lets domain 0 pin tables of others, but not load or flush', () => {
    const { alice, bob, ext, table } = setting();
    const mfn = table(bob.free);
    expect(
      ext(
        [
          [abi.MMUEXT_PIN_L1_TABLE, mfn],
          [abi.MMUEXT_UNPIN_TABLE, mfn],
        ],
        bob.domain.id,
        alice,
      ),
    ).toBe(0);
    expect(ext([[abi.MMUEXT_NEW_BASEPTR, mfn]], bob.domain.id, alice)).toBe(-EPERM);
    expect(ext([[abi.MMUEXT_TLB_FLUSH_ALL]], bob.domain.id, alice)).toBe(-EPERM);
    expect(ext([[abi.MMUEXT_FLUSH_CACHE]], abi.DOMID_SELF, alice)).toBe(0);
  });

  it('is -EFAULT for a list that cannot be read', () => {
    const { bob } = setting();
    expect(bob.call(mmuextOp, 0x5000, 1, 0, abi.DOMID_SELF)).toBe(-EFAULT);
  });

  it('offers a hardware-assisted domain nothing but (ignored) pins', () => {
    const { bob, ext } = setting();
    Object.assign(bob.domain, { kind: 'hvm' });
    expect(
      ext([
        [abi.MMUEXT_PIN_L4_TABLE, 3],
        [abi.MMUEXT_UNPIN_TABLE, 3],
      ]),
    ).toBe(0);
    expect(ext([[abi.MMUEXT_TLB_FLUSH_ALL]])).toBe(-EOPNOTSUPP);
  });
});
