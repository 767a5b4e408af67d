import { describe, expect, it } from 'vitest';
import { mmuextOp } from '../../hypervisor/mmuext-op.ts';
import { updateVaMapping, updateVaMappingOtherdomain } from '../../hypervisor/update-va-mapping.ts';
import { EBUSY, EFAULT, EINVAL, EPERM, ESRCH } from '../../protocol/errno.ts';
import {
  DOMID_SELF,
  MMUEXT_PIN_L1_TABLE,
  UVMF_ALL,
  UVMF_INVLPG,
  UVMF_TLB_FLUSH,
} from '../../protocol/xen.ts';
import { fixture, type Guest, LEAF, pte, READ_ONLY } from './memory-fixture.ts';

const setting = (vcpus = 2) => {
  const base = fixture();
  const alice = base.guest();
  const bob = base.guest({ vcpus });
  const { memory, mmu } = base.machine;
  /** Fill the TLB of every vCPU for `va`, and see who still has it. */
  const load = (va: number): void => {
    for (const { arch } of bob.domain.vcpus) mmu.translate(arch, va, 0);
  };
  const cached = (va: number): boolean[] =>
    bob.domain.vcpus.map(
      ({ arch }) => memory.i32[(arch.tlbRead + ((va >> 12) & 1023) * 16) >>> 2] === (va & ~4095),
    );
  return { ...base, alice, bob, load, cached };
};

const remap = (guest: Guest, pfn: number, entry: bigint, flags = 0): number =>
  guest.call(updateVaMapping, guest.va(pfn), entry, flags);

describe('update_va_mapping', () => {
  it('maps the shared_info page where the guest wants it', () => {
    const { bob, machine } = setting();
    expect(remap(bob, bob.free, pte(bob.boot.sharedInfoMfn, LEAF), UVMF_INVLPG)).toBe(0);
    const at = machine.mmu.probe(bob.vcpu.arch, bob.va(bob.free), 1);
    expect(at).toBe(machine.memory.frameAt(bob.boot.sharedInfoMfn));
  });

  it.each([
    ['a non-canonical address', 0x800000000000, EINVAL],
    ['an address without tables', 0x1000, EINVAL],
    ['an address in the M2P', -0x800000000000, EINVAL],
  ])('is -EINVAL for %s', (_case, va, errno) => {
    const { bob } = setting();
    expect(bob.call(updateVaMapping, va, pte(bob.mfn(bob.free), LEAF), 0)).toBe(-errno);
  });

  it('is -EBUSY for its own page table writable, which stays read-only', () => {
    const { bob } = setting();
    const table = (bob.boot.rsp - bob.va(0)) / 4096 - 2;
    expect(remap(bob, table, pte(bob.mfn(table), LEAF))).toBe(-EBUSY);
    expect(bob.writable(bob.va(table))).toBe(false);
    expect(remap(bob, bob.free, pte(bob.mfn(table), READ_ONLY))).toBe(0);
  });

  it('drops what lost rights from every TLB, whatever flags were given', () => {
    const { bob, load, cached } = setting();
    load(bob.va(bob.free));
    expect(remap(bob, bob.free, 0n)).toBe(0);
    expect(cached(bob.va(bob.free))).toEqual([false, false]);
  });

  it('leaves other translations alone then', () => {
    const { bob, load, cached } = setting();
    load(bob.va(bob.free));
    load(bob.va(bob.free + 1));
    expect(remap(bob, bob.free, 0n)).toBe(0);
    expect(cached(bob.va(bob.free + 1))).toEqual([true, true]);
  });

  it('flushes everything when the table may map the page elsewhere too', () => {
    const { bob, frames, load, cached } = setting();
    load(bob.va(bob.free));
    load(bob.va(bob.free + 1));
    const l1 = bob.mfn((bob.boot.rsp - bob.va(0)) / 4096 - 2);
    expect(frames.type[l1]).toBe(1);
    frames.getType(l1, bob.domain, 1);
    expect(remap(bob, bob.free, 0n)).toBe(0);
    expect(cached(bob.va(bob.free + 1))).toEqual([false, false]);
  });

  it.each([2, 3])('flushes everything when a level %i table above it has two uses', (level) => {
    const { bob, frames, load, cached } = setting();
    load(bob.va(bob.free + 1));
    const table = bob.mfn((bob.boot.rsp - bob.va(0)) / 4096 - 1 - level);
    expect(frames.type[table]).toBe(level);
    frames.getType(table, bob.domain, level);
    expect(remap(bob, bob.free, 0n)).toBe(0);
    expect(cached(bob.va(bob.free + 1))).toEqual([false, false]);
  });

  it('does not count a pin as such a use', () => {
    const { bob, load, cached } = setting();
    const l1 = bob.mfn((bob.boot.rsp - bob.va(0)) / 4096 - 2);
    bob.view(bob.free + 8).setUint32(0, MMUEXT_PIN_L1_TABLE, true);
    bob.view(bob.free + 8).setBigUint64(8, BigInt(l1), true);
    expect(bob.call(mmuextOp, bob.va(bob.free + 8), 1, 0, DOMID_SELF)).toBe(0);
    load(bob.va(bob.free + 1));
    expect(remap(bob, bob.free, 0n)).toBe(0);
    expect(cached(bob.va(bob.free + 1))).toEqual([true, true]);
  });

  it.each([
    ['a page here', UVMF_INVLPG, [false, true], [true, true]],
    ['a page everywhere', UVMF_INVLPG | UVMF_ALL, [false, false], [true, true]],
    ['all here', UVMF_TLB_FLUSH, [false, true], [false, true]],
    ['all everywhere', UVMF_TLB_FLUSH | UVMF_ALL, [false, false], [false, false]],
  ])('flushes %s when asked', (_case, flags, page, other) => {
    const { bob, load, cached } = setting();
    load(bob.va(bob.free));
    load(bob.va(bob.free + 1));
    expect(remap(bob, bob.free, bob.entry(bob.va(bob.free)), flags)).toBe(0);
    expect(cached(bob.va(bob.free))).toEqual(page);
    expect(cached(bob.va(bob.free + 1))).toEqual(other);
  });

  it('flushes the vCPUs of a mask, which must be readable', () => {
    const { bob, load, cached } = setting();
    bob.view(bob.free + 2).setUint32(64, 2, true);
    load(bob.va(bob.free));
    const same = bob.entry(bob.va(bob.free));
    expect(remap(bob, bob.free, same, UVMF_INVLPG + bob.va(bob.free + 2) + 64)).toBe(0);
    expect(cached(bob.va(bob.free))).toEqual([true, false]);
    expect(remap(bob, bob.free, same, UVMF_TLB_FLUSH + 0x10000)).toBe(-EFAULT);
  });
});

describe('update_va_mapping_otherdomain', () => {
  it.each([
    [77, ESRCH],
    [0, EPERM],
  ])('refuses domain %i to an ordinary domain', (domid, errno) => {
    const { bob } = setting();
    expect(bob.call(updateVaMappingOtherdomain, bob.va(bob.free), 0, 0, domid)).toBe(-errno);
  });

  it('maps a frame of another domain for domain 0', () => {
    const { alice, bob } = setting();
    const entry = pte(bob.mfn(bob.free), LEAF);
    expect(
      alice.call(updateVaMappingOtherdomain, alice.va(alice.free), entry, 0, bob.domain.id),
    ).toBe(0);
    expect(alice.call(updateVaMapping, alice.va(alice.free), entry, 0)).toBe(0);
    expect(alice.call(updateVaMapping, alice.va(alice.free + 1), entry, 0)).toBe(-EBUSY);
  });
});
