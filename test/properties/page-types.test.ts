import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { memoryOp } from '../../hypervisor/memory-op.ts';
import { mmuUpdate } from '../../hypervisor/mmu-update.ts';
import { mmuextOp } from '../../hypervisor/mmuext-op.ts';
import { updateVaMapping } from '../../hypervisor/update-va-mapping.ts';
import { pteFrame } from '../../machine/pte.ts';
import {
  XENMEM_decrease_reservation,
  XENMEM_increase_reservation,
  XenMemoryReservation,
} from '../../protocol/memory.ts';
import {
  DOMID_SELF,
  MMUEXT_NEW_BASEPTR,
  MMUEXT_NEW_USER_BASEPTR,
  MMUEXT_PIN_L1_TABLE,
  MMUEXT_UNPIN_TABLE,
} from '../../protocol/xen.ts';
import { type Fixture, fixture, type Guest, pte, recount } from '../hypervisor/memory-fixture.ts';

/** Few frames and few slots, so that what a guest does at random often fits together. */
const frame = fc.integer({ min: 0, max: 11 });
const slot = fc.constantFrom(0, 1, 255, 256, 271, 272, 511);
const flags = fc.constantFrom(0, 0x21, 0x23, 0x25, 0x27, 0x63, 0x67, 0x67, 0x23, 0xe7, 0x37);
const step = fc.oneof(
  fc.record({
    what: fc.constant('entry' as const),
    table: frame,
    slot,
    target: frame,
    flags,
    keepAd: fc.boolean(),
  }),
  fc.record({ what: fc.constant('map' as const), page: frame, target: frame, flags }),
  fc.record({
    what: fc.constant('pin' as const),
    cmd: fc.integer({ min: 0, max: 4 }),
    target: frame,
  }),
  fc.record({ what: fc.constant('root' as const), user: fc.boolean(), target: frame }),
  fc.record({ what: fc.constant('release' as const), target: frame }),
  fc.record({ what: fc.constant('more' as const) }),
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

/** The frames that a step may name: free ones, the boot tables, one of another domain. */
const pool = (guest: Guest, other: Guest): number[] => {
  const mfns = [0, 1, 2, 3, 4, 5, 6].map((i) => guest.mfn(guest.free + i));
  const tables = [2, 3, 4, 5].map((i) => guest.mfn(guest.free - i));
  return [...mfns, ...tables, other.mfn(other.free)];
};

const act = (guest: Guest, mfns: number[], step: Step): void => {
  const page = guest.free + 20;
  const view = guest.view(page);
  const va = guest.va(page);
  switch (step.what) {
    case 'entry': {
      view.setBigUint64(
        0,
        BigInt(mfns[step.table]! * 4096 + step.slot * 8 + (step.keepAd ? 2 : 0)),
        true,
      );
      view.setBigUint64(8, pte(mfns[step.target]!, step.flags), true);
      guest.call(mmuUpdate, va, 1, 0, DOMID_SELF);
      break;
    }
    case 'map':
      guest.call(
        updateVaMapping,
        guest.va(guest.free + (step.page % 7)),
        pte(mfns[step.target]!, step.flags),
        0,
      );
      break;
    case 'pin':
    case 'root': {
      const root =
        step.what === 'root' && (step.user ? MMUEXT_NEW_USER_BASEPTR : MMUEXT_NEW_BASEPTR);
      view.setUint32(
        0,
        root ||
          (step.what === 'pin' && step.cmd < 4
            ? MMUEXT_PIN_L1_TABLE + step.cmd
            : MMUEXT_UNPIN_TABLE),
        true,
      );
      view.setBigUint64(8, BigInt(mfns[step.target]!), true);
      guest.call(mmuextOp, va, 1, 0, DOMID_SELF);
      break;
    }
    case 'release':
    case 'more':
      view.setBigUint64(64, BigInt(step.what === 'release' ? mfns[step.target]! : 0), true);
      XenMemoryReservation.set(view, 0, {
        extentStart: va + 64,
        nrExtents: 1,
        extentOrder: 0,
        memFlags: 0,
        domid: DOMID_SELF,
      });
      guest.call(
        memoryOp,
        step.what === 'release' ? XENMEM_decrease_reservation : XENMEM_increase_reservation,
        va,
      );
  }
};

/** Every count is what a recount of all tables gives, and nobody can write a table or a frame of others. */
const check = ({ frames, xen }: Fixture): void => {
  const { refs, types } = recount(frames, xen.domains.values());
  for (let mfn = 0; mfn < frames.count; mfn++) {
    if (frames.owner[mfn]! >= 0x7ff0) continue;
    if (frames.refs[mfn] !== refs[mfn] || frames.typeCount[mfn] !== types[mfn]) {
      expect({ mfn, refs: frames.refs[mfn], types: frames.typeCount[mfn] }).toEqual({
        mfn,
        refs: refs[mfn],
        types: types[mfn],
      });
    }
    if (frames.type[mfn] !== 1 || frames.typeCount[mfn] === 0) continue;
    for (let i = 0; i < 512; i++) {
      const word = (frames.memory.frameAt(mfn) >>> 2) + 2 * i;
      const lo = frames.memory.u32[word]!;
      const target = pteFrame(lo, frames.memory.u32[word + 1]!);
      if (
        (lo & 3) === 3 &&
        (frames.type[target] !== 6 || frames.owner[target] !== frames.owner[mfn])
      ) {
        expect({ target, type: frames.type[target] }).toEqual({ target, type: 6 });
      }
    }
  }
};

describe('page types', () => {
  it('are counted exactly whatever a guest does to its tables, and all comes back at its death', () => {
    fc.assert(
      fc.property(fc.array(step, { minLength: 5, maxLength: 60 }), (steps) => {
        const base = fixture(512);
        const dom0 = base.guest({ pages: 64 });
        const before = base.frames.free;
        const guest = base.guest({ pages: 128 });
        const mfns = pool(guest, dom0);
        for (const each of steps) act(guest, mfns, each);
        check(base);

        guest.destroy();

        check(base);
        expect(base.frames.free).toBe(before);
        expect(base.frames.ledger().dead).toBe(0);
      }),
      { numRuns: 150 },
    );
  });

  it('never leave a translation for writing to a page that is a table, or is not the guest’s any more', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(step, fc.integer({ min: 0, max: 6 })), { minLength: 5, maxLength: 60 }),
        (steps) => {
          const base = fixture(512);
          const dom0 = base.guest({ pages: 64 });
          const guest = base.guest({ pages: 128, vcpus: 2 });
          const mfns = pool(guest, dom0);
          for (const [each, page] of steps) {
            for (const { arch } of guest.domain.vcpus)
              base.machine.mmu.translate(arch, guest.va(guest.free + page), 1);
            act(guest, mfns, each);
            checkTlb(base, guest);
          }
        },
      ),
      { numRuns: 100 },
    );
  });
});

/** Where the write arrays lead must be the guest's own, writable. */
const checkTlb = ({ frames, machine }: Fixture, guest: Guest): void => {
  const { memory } = machine;
  for (const { arch } of guest.domain.vcpus) {
    for (let i = 0; i < 1024; i++) {
      const word = (arch.tlbWrite + i * 16) >>> 2;
      if (memory.i32[word + 1] !== -1) continue;
      const mfn = Math.floor(
        (((memory.i32[word]! + memory.i32[word + 2]!) >>> 0) - memory.frameBase) / 4096,
      );
      const sound = frames.owner[mfn] === guest.domain.id && frames.type[mfn] === 6;
      if (!sound)
        expect({ mfn, owner: frames.owner[mfn], type: frames.type[mfn] }).toEqual({
          mfn,
          owner: guest.domain.id,
          type: 6,
        });
    }
  }
};
