/** What must hold of a hypervisor at any moment, whatever its guests did. */
import { expect } from 'vitest';
import type { FrameTable } from '../../hypervisor/frames.ts';
import type { Hypervisor } from '../../hypervisor/hypervisor.ts';
import type { XenVcpu } from '../../hypervisor/xen-vcpu.ts';
import { PTE_P, PTE_RW, pteFrame } from '../../machine/pte.ts';
import { recount } from '../hypervisor/memory-fixture.ts';

const L1 = 1;
const SEG_DESC = 5;
const WRITABLE = 6;
const XEN_OWNERS = 0x7ff0;

/** Counts are what a recount gives, and no entry or translation lets a guest write what it may not. */
export const checkInvariants = (xen: Hypervisor): void => {
  checkCounts(xen);
  checkEntries(xen);
  for (const { vcpus } of xen.domains.values()) for (const vcpu of vcpus) checkTlb(xen, vcpu);
  checkPolling(xen);
  const { free, xen: own, owned, dead, total } = xen.frames.ledger();
  expect(free + own + owned + dead).toBe(total);
};

const checkCounts = (xen: Hypervisor): void => {
  const { frames } = xen;
  const { refs, types } = recount(frames, xen.domains.values());
  for (const { vcpus } of xen.domains.values()) {
    for (const { infoMfn } of vcpus) {
      if (infoMfn < 0) continue;
      refs[infoMfn]! += 1;
      types[infoMfn]! += 1;
    }
  }
  for (let mfn = 0; mfn < frames.count; mfn++) {
    if (frames.owner[mfn]! >= XEN_OWNERS) continue;
    let spare = 0;
    // Which frames are loaded as descriptor tables is not known here: each load takes one of both.
    if (frames.type[mfn] === SEG_DESC) spare = frames.typeCount[mfn]! - types[mfn]!;
    const found = { mfn, refs: frames.refs[mfn]! - spare, types: frames.typeCount[mfn]! - spare };
    if (found.refs !== refs[mfn] || found.types !== types[mfn] || spare < 0)
      expect(found).toEqual({ mfn, refs: refs[mfn], types: types[mfn] });
  }
};

/** L1 entries that allow writing lead to writable frames of the table's owner, or granted ones. */
const checkEntries = (xen: Hypervisor): void => {
  const { frames } = xen;
  const granted = grantedWritable(xen);
  for (let mfn = 0; mfn < frames.count; mfn++) {
    if (frames.type[mfn] !== L1 || frames.typeCount[mfn] === 0) continue;
    for (let i = 0; i < 512; i++) {
      const word = (frames.memory.frameAt(mfn) >>> 2) + 2 * i;
      const lo = frames.memory.u32[word]!;
      if ((lo & PTE_P) === 0) continue;
      const target = pteFrame(lo, frames.memory.u32[word + 1]!);
      const owner = frames.owner[mfn]!;
      const sound =
        (lo & PTE_RW) === 0
          ? frames.owner[target] !== 0xffff
          : mayWrite(frames, owner, target, granted);
      if (!sound) {
        const state = { owner: frames.owner[target], type: frames.type[target] };
        expect({ table: mfn, i, target, ...state }).toEqual({ owner, type: WRITABLE });
      }
    }
  }
};

const mayWrite = (
  frames: FrameTable,
  owner: number,
  target: number,
  granted: ReadonlySet<number>,
): boolean =>
  frames.type[target] === WRITABLE &&
  frames.typeCount[target]! > 0 &&
  (frames.owner[target] === owner || granted.has(target));

/** Frames that somebody has mapped writable through a grant. */
const grantedWritable = (xen: Hypervisor): Set<number> => {
  const mfns = new Set<number>();
  for (const { grants } of xen.domains.values()) {
    for (let handle = 0; handle < 256; handle++) {
      const mapping = grants.mapping(handle);
      if (mapping && !mapping.readonly) mfns.add(mapping.mfn);
    }
  }
  return mfns;
};

/** Where the write arrays of both pairs lead. */
const checkTlb = (xen: Hypervisor, { arch, domain }: XenVcpu): void => {
  const { frames } = xen;
  const { memory } = xen.machine;
  const granted = grantedWritable(xen);
  for (const pair of [0, 1] as const) {
    const base = memory.tlbSet(arch.index, pair);
    for (const array of [base, base + 16384]) {
      for (let i = 0; i < 1024; i++) {
        const word = (array + i * 16) >>> 2;
        const tag = memory.u32[word]!;
        if ((tag & 4095) !== 0 || (tag === 0 && memory.i32[word + 1] === 0)) continue;
        const host = (memory.i32[word]! + memory.i32[word + 2]!) >>> 0;
        const mfn = Math.floor((host - memory.frameBase) / 4096);
        const sound =
          array === base
            ? frames.owner[mfn] !== 0xffff
            : domain.kind === 'hvm'
              ? frames.owner[mfn] === domain.id
              : mayWrite(frames, domain.id, mfn, granted);
        if (!sound)
          expect({ mfn, owner: frames.owner[mfn], type: frames.type[mfn] }).toEqual('reachable');
      }
    }
  }
};

const checkPolling = (xen: Hypervisor): void => {
  for (const { polling, vcpus } of xen.domains.values())
    expect(polling).toBe(vcpus.filter(({ pollPorts }) => pollPorts).length);
};
