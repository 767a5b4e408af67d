/**
 * Changing a domain's reservation, extent by extent. The result is how many extents were done,
 * never an errno for a partial result; an argument that makes no sense does nothing and returns the
 * extent it was to start at.
 * @source xen/memory.h:44 (xen_memory_reservation)
 */
import { u64n } from '../protocol/layout.ts';
import { XenMemoryReservation } from '../protocol/memory.ts';
import type { Domain } from './domain.ts';
import type { Hypervisor } from './hypervisor.ts';
import type { XenVcpu } from './xen-vcpu.ts';

/**
 * Only single frames are given: contiguous extents are not offered. Taking back may be up to 2 MiB
 * at once.
 */
const MAX_GIVE_ORDER = 0;
const MAX_TAKE_ORDER = 9;
/** More extents than this could not be gone on with: their number shares a register with the command. */
const MAX_EXTENTS = 2 ** 58 - 1;
/** Part of `mem_flags`: frames must lie below this power of two. */
const ADDRESS_BITS = 0xff;

const reservation = new Uint8Array(XenMemoryReservation.size);
const reservationView = new DataView(reservation.buffer);
const word = new Uint8Array(8);
const wordView = new DataView(word.buffer);

/**
 * Do one extent, whose place in the guest's list is `va` (0: no list). @returns false to stop
 * there.
 */
type Extent = (
  xen: Hypervisor,
  caller: XenVcpu,
  domain: Domain,
  va: number,
  order: number,
) => boolean;

const change =
  (maxOrder: number, extent: Extent) =>
  (xen: Hypervisor, caller: XenVcpu, va: number, start: number): number => {
    if (!xen.copyFromGuest(caller, va, reservation)) return start;
    const { domid, nrExtents, extentOrder, extentStart, memFlags } =
      XenMemoryReservation.get(reservationView);
    const domain = xen.resolve(caller, domid);
    if (!domain) return start;
    if (domain !== caller.domain && !caller.domain.privileged) {
      xen.refuse(caller, 0, 'the reservation of another domain', { domid });
      return start;
    }
    const bits = memFlags & ADDRESS_BITS;
    if (extentOrder > maxOrder || nrExtents > MAX_EXTENTS || (bits > 0 && bits <= 12)) return start;

    let done = start;
    for (; done < nrExtents; done++) {
      const at = extentStart === 0 ? 0 : extentStart + 8 * done;
      if (!extent(xen, caller, domain, at, extentOrder)) break;
      if ((done & 63) === 63) {
        xen.chargeHypercall(caller, 64 * xen.machine.costs.hypercallEntry);
        if (xen.checkPreempt(caller)) break;
      }
    }
    return done;
  };

const readWord = (xen: Hypervisor, caller: XenVcpu, va: number): boolean =>
  va !== 0 && xen.copyFromGuest(caller, va, word);

const writeMfn = (xen: Hypervisor, caller: XenVcpu, va: number, mfn: number): boolean => {
  u64n.write(wordView, 0, mfn);
  return xen.copyToGuest(caller, va, word);
};

/** More frames, their MFNs written to the list if there is one. */
export const increaseReservation = change(MAX_GIVE_ORDER, (xen, caller, domain, va) => {
  if (domain.kind !== 'pv') return false;
  const mfn = domain.memory.allocate();
  return mfn >= 0 && (va === 0 || writeMfn(xen, caller, va, mfn));
});

/** A frame at each PFN of the list, which receives the MFN. */
export const populatePhysmap = change(MAX_GIVE_ORDER, (xen, caller, domain, va) => {
  if (!readWord(xen, caller, va)) return false;
  const pfn = u64n.read(wordView, 0);
  const { ept } = domain.memory;
  if (ept && ept.lookup(pfn) >= 0) return false;
  const mfn = domain.memory.allocate();
  if (mfn < 0) return false;
  xen.frames.setM2p(mfn, wordView.getUint32(0, true), wordView.getUint32(4, true));
  if (!ept) return writeMfn(xen, caller, va, mfn);

  if (ept.set(pfn, mfn)) return true;
  xen.frames.deallocate(mfn);
  return false;
});

/** The frames of the list go back; one that is still mapped lives until it is unmapped. */
export const decreaseReservation = change(MAX_TAKE_ORDER, (xen, caller, domain, va, order) => {
  if (!readWord(xen, caller, va)) return false;
  const first = u64n.read(wordView, 0);
  for (let i = 0; i < 2 ** order; i++) {
    if (!domain.memory.release(first + i)) return false;
  }
  return true;
});
