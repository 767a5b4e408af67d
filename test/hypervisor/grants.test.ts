import { describe, expect, it } from 'vitest';
import { grantTableOp } from '../../hypervisor/grant-ops.ts';
import { updateVaMapping } from '../../hypervisor/update-va-mapping.ts';
import { EFAULT, EINVAL, ENOSYS, EPERM, ESRCH } from '../../protocol/errno.ts';
import * as abi from '../../protocol/grant-table.ts';
import { Domid, Gref, Mfn } from '../../protocol/units.ts';
import { DOMID_SELF } from '../../protocol/xen.ts';
import { fixture, type Guest, LEAF, pte, READ_ONLY, recount } from './memory-fixture.ts';

/** Domain 0 maps and copies; bob grants his first free page to it as ref 8, read-write. */
const setting = () => {
  const base = fixture();
  const dom0 = base.guest();
  const bob = base.guest();
  const { frames } = base;
  const entryAt = (ref: number): number =>
    frames.memory.frameAt(bob.domain.grants.shared[0]!) + ref * 8;
  const grant = (
    ref: number,
    mfn: number,
    flags: number = abi.GTF_permit_access,
    domid = 0,
  ): void => {
    abi.GrantEntryV1.set(frames.memory.view, entryAt(ref), {
      flags,
      domid: Domid(domid),
      frame: mfn,
    });
  };
  grant(8, bob.mfn(bob.free));
  const arg = dom0.free + 20;
  const map = (
    fields: Partial<abi.GnttabMapGrantRef> = {},
    guest: Guest = dom0,
  ): abi.GnttabMapGrantRef => {
    const view = guest.view(arg);
    const hostAddr = Number(BigInt.asUintN(64, BigInt(guest.va(guest.free))));
    abi.GnttabMapGrantRef.set(view, 0, {
      hostAddr: 0,
      flags: abi.GNTMAP_host_map,
      ref: Gref(8),
      dom: Domid(bob.domain.id),
      ...fields,
    });
    view.setBigInt64(0, BigInt(fields.hostAddr ?? guest.va(guest.free)), true);
    expect(hostAddr).toBeGreaterThan(0);
    expect(guest.call(grantTableOp, abi.GNTTABOP_map_grant_ref, guest.va(arg), 1)).toBe(0);
    return abi.GnttabMapGrantRef.get(view);
  };
  const unmap = (handle: number, hostAddr = dom0.va(dom0.free)): number => {
    abi.GnttabUnmapGrantRef.set(dom0.view(arg), 0, { handle, devBusAddr: 0 });
    dom0.view(arg).setBigInt64(0, BigInt(hostAddr), true);
    expect(dom0.call(grantTableOp, abi.GNTTABOP_unmap_grant_ref, dom0.va(arg), 1)).toBe(0);
    return abi.GnttabUnmapGrantRef.get(dom0.view(arg)).status;
  };
  const marks = (ref: number): number =>
    frames.memory.u16[entryAt(ref) >>> 1]! & (abi.GTF_reading | abi.GTF_writing);
  return { ...base, dom0, bob, grant, map, unmap, marks, arg };
};

describe('GNTTABOP_map_grant_ref', () => {
  it('maps the page, marks the entry, and unmapping undoes both', () => {
    const set = setting();
    const { dom0, bob, frames, map, unmap, marks, machine, xen } = set;
    bob.view(bob.free).setUint32(0, 0xabcd, true);
    const { status, handle, devBusAddr } = map();
    expect([status, devBusAddr]).toEqual([0, bob.mfn(bob.free) * 4096]);
    expect(marks(8)).toBe(abi.GTF_reading | abi.GTF_writing);
    const at = machine.mmu.probe(dom0.vcpu.arch, dom0.va(dom0.free), 1);
    expect(machine.memory.u32[at >>> 2]).toBe(0xabcd);
    expect(frames.typeCount).toEqual(recount(frames, xen.domains.values()).types);

    expect(unmap(handle)).toBe(0);

    expect(marks(8)).toBe(0);
    expect(machine.mmu.probe(dom0.vcpu.arch, dom0.va(dom0.free), 0)).toBe(-1);
    expect(frames.refs[bob.mfn(bob.free)]).toBe(2);
    expect(unmap(handle)).toBe(abi.GNTST_bad_handle);
  });

  it('maps read-only when asked, and marks only reading', () => {
    const { dom0, map, marks, unmap } = setting();
    const { handle, status } = map({ flags: abi.GNTMAP_host_map | abi.GNTMAP_readonly });
    expect(status).toBe(0);
    expect(marks(8)).toBe(abi.GTF_reading);
    expect(dom0.writable(dom0.va(dom0.free))).toBe(false);
    expect(unmap(handle)).toBe(0);
    expect(marks(8)).toBe(0);
  });

  it('keeps the marks until the last of several mappings goes', () => {
    const { dom0, map, marks, unmap } = setting();
    const reader = map({ flags: abi.GNTMAP_host_map | abi.GNTMAP_readonly });
    const writer = map({ hostAddr: dom0.va(dom0.free + 1) });
    expect(marks(8)).toBe(abi.GTF_reading | abi.GTF_writing);
    expect(unmap(writer.handle, dom0.va(dom0.free + 1))).toBe(0);
    expect(marks(8)).toBe(abi.GTF_reading);
    expect(unmap(reader.handle)).toBe(0);
    expect(marks(8)).toBe(0);
  });

  it.each([
    ['no kind of mapping', abi.GNTST_bad_gntref, { flags: 0 }],
    [
      'a device mapping',
      abi.GNTST_general_error,
      { flags: abi.GNTMAP_device_map | abi.GNTMAP_host_map },
    ],
    [
      'an entry given by machine address',
      abi.GNTST_general_error,
      { flags: abi.GNTMAP_host_map | abi.GNTMAP_contains_pte },
    ],
    ['an unknown domain', abi.GNTST_bad_domain, { dom: Domid(77) }],
    ['a reference beyond the table', abi.GNTST_bad_gntref, { ref: Gref(512) }],
    ['a huge reference', abi.GNTST_bad_gntref, { ref: Gref(0xffffffff) }],
    ['an entry that grants nothing', abi.GNTST_general_error, { ref: Gref(9) }],
    ['an entry for another domain', abi.GNTST_general_error, { ref: Gref(10) }],
    ['a read-only entry, writable', abi.GNTST_general_error, { ref: Gref(11) }],
    ['a frame that the granter does not own', abi.GNTST_bad_page, { ref: Gref(12) }],
    ['a page table, writable', abi.GNTST_general_error, { ref: Gref(13) }],
    ['a part of a page', abi.GNTST_general_error, { ref: Gref(14) }],
    ['an address without tables', abi.GNTST_general_error, { hostAddr: 0x1000 }],
  ] as [string, number, Partial<abi.GnttabMapGrantRef>][])(
    'refuses %s and leaves no trace',
    (_case, status, fields) => {
      const { dom0, bob, frames, grant, map, marks } = setting();
      grant(10, bob.mfn(bob.free), abi.GTF_permit_access, 5);
      grant(11, bob.mfn(bob.free), abi.GTF_permit_access | abi.GTF_readonly);
      grant(12, dom0.mfn(3));
      grant(13, bob.boot.cr3Mfn);
      grant(14, bob.mfn(bob.free), abi.GTF_permit_access | abi.GTF_sub_page);
      const before = frames.refs.join();
      expect(map(fields).status).toBe(status);
      expect(frames.refs.join()).toBe(before);
      expect([8, 11, 12, 13, 14].map(marks)).toEqual([0, 0, 0, 0, 0]);
      expect([dom0.domain.grants.mapped, bob.domain.grants.pinned]).toEqual([0, 0]);
    },
  );

  it('uses the frame of the first mapping while the granter rewrites the entry', () => {
    const { dom0, bob, grant, map, frames } = setting();
    expect(map({ flags: abi.GNTMAP_host_map | abi.GNTMAP_readonly }).status).toBe(0);
    grant(8, bob.mfn(bob.free + 1), abi.GTF_permit_access | abi.GTF_reading);
    expect(map({ hostAddr: dom0.va(dom0.free + 1) }).devBusAddr).toBe(bob.mfn(bob.free) * 4096);
    expect(frames.refs[bob.mfn(bob.free + 1)]).toBe(2);
  });

  it('lets no other domain in while one has it mapped, whatever the entry says then', () => {
    const { bob, grant, guest, map, marks } = setting();
    const carol = guest();
    expect(map().status).toBe(0);
    const flags = abi.GTF_permit_access | abi.GTF_reading | abi.GTF_writing;
    grant(8, bob.mfn(bob.free), flags, carol.domain.id);
    expect(map({}, carol).status).toBe(abi.GNTST_general_error);
    expect(marks(8)).toBe(abi.GTF_reading | abi.GTF_writing);
  });

  it('allows 32,768 mappings, and one more when one has gone', () => {
    const { dom0, map, unmap } = setting();
    let last = map();
    while (dom0.domain.grants.mapped < 32768) last = map();
    expect(last.status).toBe(0);
    expect(map().status).toBe(abi.GNTST_no_space);
    expect(unmap(last.handle)).toBe(0);
    expect(map().status).toBe(0);
  });

  it('survives the death of the granter: the page is freed, zeroed, with the last mapping', () => {
    const { dom0, bob, frames, map, unmap, xen } = setting();
    const mfn = bob.mfn(bob.free);
    bob.view(bob.free).setUint32(0, 1, true);
    const { handle } = map();
    bob.destroy();
    expect(frames.ledger()).toMatchObject({ dead: 1 });
    expect(dom0.writable(dom0.va(dom0.free))).toBe(true);

    expect(unmap(handle)).toBe(0);

    expect(frames.ledger()).toMatchObject({ dead: 0 });
    expect(frames.memory.u32[frames.memory.frameAt(mfn) >>> 2]).toBe(0);
    expect(frames.typeCount).toEqual(recount(frames, xen.domains.values()).types);
  });

  it('ends when the mapper dies: references and marks are gone', () => {
    const { dom0, bob, frames, map, marks } = setting();
    map();
    dom0.destroy();
    expect(marks(8)).toBe(0);
    expect(frames.refs[bob.mfn(bob.free)]).toBe(2);
    const before = frames.ledger();
    bob.destroy();
    expect(before.dead).toBe(0);
    expect(frames.ledger()).toMatchObject({ owned: 0, dead: 0 });
  });

  it('unmaps only where it is mapped', () => {
    const { dom0, map, unmap } = setting();
    const { handle } = map();
    expect(unmap(handle, dom0.va(dom0.free + 1))).toBe(abi.GNTST_general_error);
    expect(unmap(handle, 0x1000)).toBe(abi.GNTST_general_error);
    expect(unmap(handle, 0)).toBe(0);
    expect(unmap(handle)).toBe(0);
  });

  it('can be dropped by overwriting the entry, which leaves the grant in use', () => {
    const { dom0, bob, frames, map, marks } = setting();
    map();
    expect(dom0.call(updateVaMapping, dom0.va(dom0.free), pte(dom0.mfn(dom0.free), LEAF), 0)).toBe(
      0,
    );
    expect(frames.refs[bob.mfn(bob.free)]).toBe(2);
    expect(marks(8)).not.toBe(0);
    dom0.destroy();
    expect(marks(8)).toBe(0);
  });
});

describe('GNTTABOP_copy', () => {
  const copying = () => {
    const set = setting();
    const { dom0, bob, arg } = set;
    bob.view(bob.free).setUint32(100, 0x11223344, true);
    type End = { ref?: number; gmfn?: number; domid?: number; offset?: number };
    const copy = (source: End, dest: End, len = 4): number => {
      const flags =
        (source.ref === undefined ? 0 : abi.GNTCOPY_source_gref) |
        (dest.ref === undefined ? 0 : abi.GNTCOPY_dest_gref);
      const end = ({ ref, gmfn = 0, domid, offset = 0 }: End) => ({
        u: ref === undefined ? { gmfn: Mfn(gmfn) } : { ref: Gref(ref) },
        domid: Domid(domid ?? (ref === undefined ? DOMID_SELF : bob.domain.id)),
        offset,
      });
      abi.GnttabCopy.set(dom0.view(arg), 0, { source: end(source), dest: end(dest), len, flags });
      expect(dom0.call(grantTableOp, abi.GNTTABOP_copy, dom0.va(arg), 1)).toBe(0);
      return abi.GnttabCopy.get(dom0.view(arg)).status;
    };
    return { ...set, copy, own: dom0.mfn(dom0.free) };
  };

  it('copies from and to a granted page', () => {
    const { dom0, bob, copy, own, marks } = copying();
    expect(copy({ ref: 8, offset: 100 }, { gmfn: own, offset: 8 })).toBe(0);
    expect(dom0.view(dom0.free).getUint32(8, true)).toBe(0x11223344);
    expect(copy({ gmfn: own, offset: 8 }, { ref: 8, offset: 4092 })).toBe(0);
    expect(bob.view(bob.free).getUint32(4092, true)).toBe(0x11223344);
    expect(marks(8)).toBe(0);
  });

  it.each([
    ['beyond the page', abi.GNTST_bad_copy_arg, { ref: 8, offset: 4093 }, {}],
    ['to beyond the page', abi.GNTST_bad_copy_arg, { ref: 8 }, { offset: 4093 }],
    ['a frame of another domain', abi.GNTST_permission_denied, { gmfn: 1, domid: 1 }, {}],
    ['to a frame of another domain', abi.GNTST_permission_denied, { ref: 8 }, { domid: 1 }],
    ['an unknown domain', abi.GNTST_bad_domain, { ref: 8, domid: 77 }, {}],
    ['to an unknown domain', abi.GNTST_bad_domain, { ref: 8 }, { domid: 77 }],
    ['a bad reference', abi.GNTST_bad_gntref, { ref: 600 }, {}],
    ['a reference that grants nothing', abi.GNTST_general_error, { ref: 9 }, {}],
    ['a frame that is not memory', abi.GNTST_bad_page, { gmfn: 1e12 }, {}],
    ['to a read-only grant', abi.GNTST_general_error, {}, { ref: 11 }],
    ['to a page table', abi.GNTST_general_error, { ref: 8 }, { gmfn: -1 }],
  ])('refuses %s', (_case, status, source, dest) => {
    const { dom0, bob, grant, copy, own } = copying();
    grant(11, bob.mfn(bob.free), abi.GTF_permit_access | abi.GTF_readonly);
    const to = 'gmfn' in dest ? { gmfn: dom0.boot.cr3Mfn } : { gmfn: own, ...dest };
    const from = { gmfn: own, ...source };
    expect(copy(from, 'ref' in dest ? dest : to)).toBe(status);
  });

  it('refuses a frame that the granter gave back although the entry is in use', () => {
    const { dom0, bob, copy, frames, map, own } = copying();
    const mfn = bob.mfn(bob.free);
    expect(map({ hostAddr: dom0.va(dom0.free + 1) }).status).toBe(0);
    expect(dom0.call(updateVaMapping, dom0.va(dom0.free + 1), 0, 0)).toBe(0);
    expect(bob.call(updateVaMapping, bob.va(bob.free), 0, 0)).toBe(0);
    expect(bob.domain.memory.release(mfn)).toBe(true);
    expect(frames.belongs(mfn, bob.domain.id)).toBe(false);
    expect(copy({ ref: 8 }, { gmfn: own })).toBe(abi.GNTST_general_error);
  });

  it('does nothing, successfully, for no bytes', () => {
    const { copy } = copying();
    expect(copy({ ref: 600 }, { ref: 700 }, 0)).toBe(0);
  });

  it('has its destination scrubbed when the domain dies', () => {
    const { bob, copy, frames, own } = copying();
    const mfn = bob.mfn(bob.free + 1);
    copying();
    expect(bob.call(updateVaMapping, bob.va(bob.free + 1), pte(mfn, READ_ONLY), 0)).toBe(0);
    abi.GrantEntryV1.set(
      frames.memory.view,
      frames.memory.frameAt(bob.domain.grants.shared[0]!) + 8 * 20,
      {
        flags: abi.GTF_permit_access,
        domid: Domid(0),
        frame: mfn,
      },
    );
    frames.memory.frame(own)[0] = 9;
    expect(copy({ gmfn: own }, { ref: 20 })).toBe(0);
    bob.destroy();
    expect(frames.memory.frame(mfn)[0]).toBe(0);
  });
});

describe('grant_table_op', () => {
  const setup = (
    guest: Guest,
    arg: number,
    nrFrames: number,
    dom: number,
    frameList = guest.va(guest.free),
  ): number => {
    abi.GnttabSetupTable.set(guest.view(arg), 0, { dom: Domid(dom), nrFrames, frameList });
    expect(guest.call(grantTableOp, abi.GNTTABOP_setup_table, guest.va(arg), 1)).toBe(0);
    return abi.GnttabSetupTable.get(guest.view(arg)).status;
  };

  it('setup_table grows the table and lists its frames, which the guest may map', () => {
    const { bob, arg, frames } = setting();
    expect(setup(bob, arg, 4, DOMID_SELF)).toBe(0);
    const mfn = bob.view(bob.free).getUint32(24, true);
    expect(bob.domain.grants.shared[3]).toBe(mfn);
    expect(bob.call(updateVaMapping, bob.va(bob.free + 1), pte(mfn, LEAF), 0)).toBe(0);
    expect(bob.domain.grants.entries).toBe(2048);
    expect(frames.ledger().owned).toBe(256 * 2 + 2 + 5);
  });

  it.each([
    ['more than 64 frames', abi.GNTST_general_error, 65, DOMID_SELF],
    ['an unknown domain', abi.GNTST_bad_domain, 1, 77],
    ['another domain', abi.GNTST_permission_denied, 1, 0],
  ])('setup_table refuses %s', (_case, status, count, dom) => {
    const { bob, arg } = setting();
    expect(setup(bob, arg, count, dom)).toBe(status);
  });

  it('setup_table says when the list cannot be written', () => {
    const { bob, arg } = setting();
    expect(setup(bob, arg, 1, DOMID_SELF, 0x1000)).toBe(abi.GNTST_bad_virt_addr);
  });

  it('query_size tells size and limit, to those who may ask', () => {
    const { bob, arg } = setting();
    const query = (dom: number): abi.GnttabQuerySize => {
      abi.GnttabQuerySize.set(bob.view(arg), 0, { dom: Domid(dom) });
      expect(bob.call(grantTableOp, abi.GNTTABOP_query_size, bob.va(arg), 1)).toBe(0);
      return abi.GnttabQuerySize.get(bob.view(arg));
    };
    expect(query(DOMID_SELF)).toMatchObject({ nrFrames: 1, maxNrFrames: 64, status: 0 });
    expect(query(77).status).toBe(abi.GNTST_bad_domain);
    expect(query(0).status).toBe(abi.GNTST_permission_denied);
  });

  it.each([
    [1, 0],
    [2, -ENOSYS],
    [3, -EINVAL],
    [0, -EINVAL],
  ])('set_version(%i) is %i', (version, result) => {
    const { bob, arg } = setting();
    bob.view(arg).setUint32(0, version, true);
    expect(bob.call(grantTableOp, abi.GNTTABOP_set_version, bob.va(arg), 1)).toBe(result);
  });

  it.each([
    [DOMID_SELF, 0],
    [77, -ESRCH],
    [0, -EPERM],
  ])('get_version of domain %i is %i', (dom, result) => {
    const { bob, arg } = setting();
    bob.view(arg).setUint16(0, dom, true);
    expect(bob.call(grantTableOp, abi.GNTTABOP_get_version, bob.va(arg), 1)).toBe(result);
    expect(abi.GnttabGetVersion.get(bob.view(arg)).version).toBe(result === 0 ? 1 : 0);
  });

  it.each([
    ['a negative count', abi.GNTTABOP_copy, 0x80000000, EINVAL],
    ['two tables to set up', abi.GNTTABOP_setup_table, 2, EINVAL],
    ['an operation that is not offered', abi.GNTTABOP_transfer, 1, ENOSYS],
    ['a list that is not there', abi.GNTTABOP_map_grant_ref, 1, EFAULT],
  ])('refuses %s', (_case, cmd, count, errno) => {
    const { bob } = setting();
    expect(bob.call(grantTableOp, cmd, 0x1000, count)).toBe(-errno);
  });
});
