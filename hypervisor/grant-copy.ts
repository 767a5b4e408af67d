/**
 * GNTTABOP_copy: the hypervisor moves bytes between two frames, each the caller's own or granted to
 * it, without either being mapped.
 * @source xen/grant_table.h:495
 */
import {
  GNTCOPY_dest_gref,
  GNTCOPY_source_gref,
  GNTST_bad_copy_arg,
  GNTST_bad_domain,
  GNTST_bad_page,
  GNTST_general_error,
  GNTST_okay,
  GNTST_permission_denied,
  GnttabCopy,
  GnttabCopyPtr,
} from '../protocol/grant-table.ts';
import { DOMID_SELF } from '../protocol/xen.ts';
import type { Domain } from './domain.ts';
import { refuseGrant } from './grant-map.ts';
import type { Hypervisor } from './hypervisor.ts';
import { TYPE_WRITABLE } from './page-types.ts';
import type { XenVcpu } from './xen-vcpu.ts';

const { source: SOURCE, dest: DEST, len: LEN, flags: FLAGS, status: STATUS } = GnttabCopy.offset;
const { u: PLACE, domid: DOMID, offset: OFFSET } = GnttabCopyPtr.offset;

/** Copy one: `view` holds a private copy of gnttab_copy, whose status is set. */
export const copyGrant = (xen: Hypervisor, caller: XenVcpu, view: DataView): void => {
  const length = view.getUint16(LEN, true);
  const status = length === 0 ? GNTST_okay : copy(xen, caller, view, length);
  view.setInt16(STATUS, status, true);
  if (status !== GNTST_okay) {
    refuseGrant(xen, caller, 'copy', status, {
      ...{
        from: view.getUint32(SOURCE + PLACE, true),
        fromDomid: view.getUint16(SOURCE + DOMID, true),
      },
      ...{ to: view.getUint32(DEST + PLACE, true), toDomid: view.getUint16(DEST + DOMID, true) },
    });
  }
};

/**
 * @errors GNTST_permission_denied, _bad_domain, _bad_gntref, _general_error, _bad_page,
 * _bad_copy_arg
 */
const copy = (xen: Hypervisor, caller: XenVcpu, view: DataView, length: number): number => {
  const flags = view.getUint16(FLAGS, true);
  const fromRef = (flags & GNTCOPY_source_gref) !== 0;
  const toRef = (flags & GNTCOPY_dest_gref) !== 0;
  const fromDomid = view.getUint16(SOURCE + DOMID, true);
  const toDomid = view.getUint16(DEST + DOMID, true);
  const source = xen.resolve(caller, fromDomid);
  if (!source) return GNTST_bad_domain;
  if (fromDomid !== DOMID_SELF && !fromRef) return GNTST_permission_denied;
  const dest = xen.resolve(caller, toDomid);
  if (!dest) return GNTST_bad_domain;
  if (toDomid !== DOMID_SELF && !toRef) return GNTST_permission_denied;
  const from = frameAt(caller, source, view, SOURCE + PLACE, fromRef, true);
  if (from < 0) return from;
  const to = frameAt(caller, dest, view, DEST + PLACE, toRef, false);
  if (to < 0) return to;
  const { frames } = xen;
  if (frames.typeCount[to] !== 0 && frames.type[to] !== TYPE_WRITABLE) return GNTST_general_error;
  const fromOffset = view.getUint16(SOURCE + OFFSET, true);
  const toOffset = view.getUint16(DEST + OFFSET, true);
  if (fromOffset + length > 4096 || toOffset + length > 4096) return GNTST_bad_copy_arg;

  const start = frames.memory.frameAt(from) + fromOffset;
  frames.memory.u8.copyWithin(frames.memory.frameAt(to) + toOffset, start, start + length);
  frames.markUsed(to);
  xen.chargeHypercall(caller, Math.ceil((xen.machine.costs.frameCopy * length) / 4096));
  return GNTST_okay;
};

/** The machine frame at one end, or a status. */
const frameAt = (
  caller: XenVcpu,
  domain: Domain,
  view: DataView,
  at: number,
  isRef: boolean,
  readonly: boolean,
): number => {
  if (isRef) return domain.grants.lookup(view.getUint32(at, true), caller.domain.id, readonly);
  const gfn = view.getUint32(at + 4, true) * 4294967296 + view.getUint32(at, true);
  const mfn = domain.memory.frameOf(gfn);
  return mfn < 0 ? GNTST_bad_page : mfn;
};
