import { describe, expect, it } from 'vitest';
import { buildPv, PV_VIRT_BASE, scriptImage } from '../../hypervisor/builder-pv.ts';
import { Domain } from '../../hypervisor/domain.ts';
import { TYPE_L4 } from '../../hypervisor/page-types.ts';
import { GrantEntryV1, GTF_permit_access } from '../../protocol/grant-table.ts';
import { StartInfo } from '../../protocol/start-info.ts';
import { fixture, recount } from './memory-fixture.ts';

const config = { image: scriptImage(0x1000), cmdline: '', storePort: 1, consolePort: 2 };

describe('buildPv', () => {
  it('leaves a start_info that describes the domain', () => {
    const { guest } = fixture();
    guest();
    const bob = guest({ pages: 300 });
    const page = (bob.boot.startInfo - PV_VIRT_BASE) / 4096;
    const info = StartInfo.get(bob.view(page));
    expect(info).toMatchObject({
      magic: 'xen-3.0-x86_64',
      nrPages: 300,
      flags: 0,
      sharedInfo: bob.boot.sharedInfoMfn * 4096,
      storeMfn: bob.boot.storeMfn,
      storeEvtchn: 1,
      cmdLine: 'one two',
      mfnList: PV_VIRT_BASE,
    });
    expect(info.console.domU).toEqual({ mfn: bob.boot.consoleMfn, evtchn: 2 });
    expect(bob.mfn((info.ptBase - PV_VIRT_BASE) / 4096)).toBe(bob.boot.cr3Mfn);
  });

  it('gives P2M and M2P that agree for every frame', () => {
    const { guest, frames } = fixture();
    const alice = guest({ pages: 700 });
    for (let pfn = 0; pfn < 700; pfn++) {
      const mfn = alice.view(pfn >> 9).getUint32((pfn & 511) * 8, true);
      expect(mfn).toBe(alice.mfn(pfn));
      expect(frames.memory.u32[frames.m2pWord(mfn)]).toBe(pfn);
    }
    expect(alice.view(1).getBigUint64((700 - 512) * 8, true)).toBe(0n);
  });

  it('pins a validated L4 and maps page tables read-only, everything else writable', () => {
    const { guest, frames, machine } = fixture();
    const alice = guest();
    const root = alice.boot.cr3Mfn;
    expect([frames.type[root], frames.flags[root]! & 2]).toEqual([TYPE_L4, 2]);
    for (let pfn = 0; pfn < 256; pfn++) {
      const type = frames.type[alice.mfn(pfn)]!;
      expect(alice.writable(alice.va(pfn)), `pfn ${pfn}`).toBe(type > 4);
      expect(machine.mmu.probe(alice.vcpu.arch, alice.va(pfn), 0)).toBeGreaterThanOrEqual(0);
    }
  });

  it('shows the guest the M2P read-only at slot 256', () => {
    const { guest, machine } = fixture();
    const alice = guest();
    const bytes = new Uint8Array(8);
    const va = -0x800000000000 + 8 * alice.mfn(5);
    expect(machine.mmu.read(alice.vcpu.arch, va, bytes)).toBe(true);
    expect(bytes[0]).toBe(5);
    expect(machine.mmu.write(alice.vcpu.arch, va, bytes)).toBe(false);
    expect(machine.mmu.read(alice.vcpu.arch, -0x800000000000 + 0x8000_0000, bytes)).toBe(false);
  });

  it('masks all event upcalls and grants the rings to domain 0', () => {
    const { guest, machine } = fixture();
    guest();
    const bob = guest();
    const shared = machine.memory.frame(bob.boot.sharedInfoMfn);
    for (let i = 0; i < 32; i++) expect(shared[i * 64 + 1]).toBe(1);
    const grants = new DataView(
      machine.memory.wasm.buffer,
      machine.memory.frameAt(bob.domain.grants.shared[0]!),
      16,
    );
    expect(GrantEntryV1.get(grants, 0)).toEqual({
      flags: GTF_permit_access,
      domid: 0,
      frame: bob.boot.consoleMfn,
    });
    expect(GrantEntryV1.get(grants, 8)).toEqual({
      flags: GTF_permit_access,
      domid: 0,
      frame: bob.boot.storeMfn,
    });
  });

  it('maps the boot pages of large domains, whose tables grow with what they map', () => {
    const { guest } = fixture(20000);
    const alice = guest({ pages: 16384 });
    const info = StartInfo.get(alice.view((alice.boot.startInfo - PV_VIRT_BASE) / 4096));
    expect(alice.writable(alice.boot.rsp - 8)).toBe(true);
    expect(info.nrPtFrames).toBeGreaterThan(4);
  });

  it('counts exactly what the tables hold', () => {
    const { guest, frames, xen } = fixture();
    guest();
    const { refs, types } = recount(frames, xen.domains.values());
    expect(frames.refs.slice(10)).toEqual(refs.slice(10));
    expect(frames.typeCount).toEqual(types);
  });

  it('gives everything back when the domain goes, zeroed', () => {
    const { guest, frames, machine } = fixture();
    const before = frames.free;
    const alice = guest({ vcpus: 2 });
    alice.destroy();
    expect(frames.free).toBe(before);
    expect(frames.ledger()).toMatchObject({ owned: 0, dead: 0 });
    for (let mfn = frames.count - before; mfn < frames.count; mfn++) {
      expect(machine.memory.u32[(machine.memory.frameAt(mfn) >>> 2) + 512]).toBe(0);
      expect(machine.memory.u32[machine.memory.frameAt(mfn) >>> 2]).toBe(0);
    }
  });

  it.each([
    ['more than there is', 5000],
    ['too few to boot', 4],
  ])('throws RangeError for %s, taking nothing', (_case, pages) => {
    const { xen, frames } = fixture();
    const before = frames.free;
    const domain = new Domain(0, 'pv', 'test', true);
    expect(() => buildPv(xen, domain, { ...config, pages })).toThrow(/^not enough memory/);
    expect(frames.free).toBe(before);
  });
});
