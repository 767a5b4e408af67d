/**
 * grant_table_op(cmd, list, count): most operations take a list whose elements each have a status;
 * the hypercall itself fails only when the list is not accessible.
 * @source xen/grant_table.h:300
 */
import { EFAULT, EINVAL, ENOSYS, EPERM, ESRCH } from '../protocol/errno.ts';
import * as abi from '../protocol/grant-table.ts';
import { Mfn } from '../protocol/units.ts';
import type { Domain } from './domain.ts';
import { copyGrant } from './grant-copy.ts';
import { mapGrantRef, refuseGrant, unmapGrantRef } from './grant-map.ts';
import { MAX_GRANT_FRAMES } from './grants.ts';
import { guestRange } from './guest-range.ts';
import type { Hypervisor } from './hypervisor.ts';
import { settle } from './mmu-update.ts';
import { type Handler, op, type SubOp } from './op.ts';
import type { XenVcpu } from './xen-vcpu.ts';

type ListOp = (xen: Hypervisor, caller: XenVcpu, va: number, count: number) => number;

/**
 * @errors -EINVAL for a negative count, -ENOSYS for an operation that is not offered; those of each
 */
export const grantTableOp: Handler = (xen, caller) => {
  const cmd = caller.argLo(0);
  const count = caller.argLo(2);
  if ((count | 0) < 0) return xen.refuse(caller, EINVAL, 'a negative count', { count });
  const list = LIST_OPS.get(cmd);
  if (list) return list(xen, caller, caller.arg(1), count);
  const act = SUB_OPS.get(cmd);
  return act
    ? act(xen, caller, caller.arg(1))
    : xen.refuse(caller, ENOSYS, 'no such grant_table_op', { cmd });
};

/** Each element is copied in, done, and copied back with its status. @errors -EFAULT */
const each = (
  size: number,
  act: (xen: Hypervisor, caller: XenVcpu, view: DataView) => void,
): ListOp => {
  const bytes = new Uint8Array(size);
  const view = new DataView(bytes.buffer);
  return (xen, caller, list, count) => {
    for (let i = 0; i < count; i++) {
      if ((i & 63) === 63 && xen.checkPreempt(caller)) return 0;
      const va = list + i * size;
      if (!xen.copyFromGuest(caller, va, bytes)) {
        return xen.refuse(caller, EFAULT, 'the list is not readable', { index: i, va });
      }
      act(xen, caller, view);
      settle(xen, caller, 1);
      if (!xen.copyToGuest(caller, va, bytes)) {
        return xen.refuse(caller, EFAULT, 'the list is not writable', { index: i, va });
      }
    }
    return 0;
  };
};

/** An operation whose list must have exactly one element. @errors -EINVAL */
const one =
  (act: SubOp): ListOp =>
  (xen, caller, va, count) =>
    count === 1
      ? act(xen, caller, va)
      : xen.refuse(caller, EINVAL, 'the list must have one element', { count });

/** The domain that an operation is about, or the status that says why not. */
const subject = (xen: Hypervisor, caller: XenVcpu, domid: number): Domain | number => {
  const domain = xen.resolve(caller, domid);
  if (!domain) return abi.GNTST_bad_domain;
  return domain === caller.domain || caller.domain.privileged
    ? domain
    : abi.GNTST_permission_denied;
};

const mfnBytes = new Uint8Array(8);
const mfnView = new DataView(mfnBytes.buffer);

/**
 * Statuses: GNTST_bad_domain, _permission_denied, _general_error beyond the limit, _bad_virt_addr.
 */
const setUp = (
  xen: Hypervisor,
  caller: XenVcpu,
  arg: { readonly dom: number; readonly nrFrames: number; readonly frameList: number },
): number => {
  const domain = subject(xen, caller, arg.dom);
  if (typeof domain === 'number') return domain;
  // A hardware-assisted guest could do nothing with machine frames.
  if (domain.kind !== 'pv' || !domain.grants.grow(arg.nrFrames)) return abi.GNTST_general_error;
  for (let i = 0; i < arg.nrFrames; i++) {
    Mfn.write(mfnView, 0, Mfn(domain.grants.shared[i]!));
    if (!xen.copyToGuest(caller, arg.frameList + 8 * i, mfnBytes)) return abi.GNTST_bad_virt_addr;
  }
  return abi.GNTST_okay;
};

/** @errors -EFAULT for a list that cannot be the guest's; what else is wrong is a status */
const setupTable = op(abi.GnttabSetupTable, (xen, caller, arg) => {
  if (!guestRange(arg.frameList, 8))
    return xen.refuse(caller, EFAULT, 'the frame list is not in the guest', { va: arg.frameList });
  arg.status = setUp(xen, caller, arg);
  if (arg.status !== abi.GNTST_okay) {
    const { dom: domid, nrFrames, frameList: va } = arg;
    refuseGrant(xen, caller, 'setup_table', arg.status, { domid, nrFrames, va });
  }
  return 0;
});

/** Statuses: GNTST_bad_domain, GNTST_permission_denied. */
const querySize = op(abi.GnttabQuerySize, (xen, caller, arg) => {
  const domain = subject(xen, caller, arg.dom);
  if (typeof domain === 'number') {
    arg.status = domain;
    refuseGrant(xen, caller, 'query_size', domain, { domid: arg.dom });
    return 0;
  }
  arg.nrFrames = domain.grants.shared.length;
  arg.maxNrFrames = MAX_GRANT_FRAMES;
  arg.status = abi.GNTST_okay;
  return 0;
});

/** Version 1 is all there is. @errors -EINVAL for no version, -ENOSYS for version 2 */
const setVersion = op(abi.GnttabSetVersion, (xen, caller, arg) => {
  if (arg.version === 1) return 0;
  return arg.version === 2
    ? xen.refuse(caller, ENOSYS, 'grant table version 2 is not offered')
    : xen.refuse(caller, EINVAL, 'no such grant table version', { version: arg.version });
});

/** @errors -ESRCH -EPERM */
const getVersion = op(abi.GnttabGetVersion, (xen, caller, arg) => {
  const domain = subject(xen, caller, arg.dom);
  if (domain === abi.GNTST_bad_domain)
    return xen.refuse(caller, ESRCH, 'no such domain', { domid: arg.dom });
  if (typeof domain === 'number')
    return xen.refuse(caller, EPERM, 'the grant table of another domain', { domid: arg.dom });
  arg.version = 1;
  return 0;
});

const LIST_OPS: ReadonlyMap<number, ListOp> = new Map([
  [abi.GNTTABOP_map_grant_ref, each(abi.GnttabMapGrantRef.size, mapGrantRef)],
  [abi.GNTTABOP_unmap_grant_ref, each(abi.GnttabUnmapGrantRef.size, unmapGrantRef)],
  [abi.GNTTABOP_copy, each(abi.GnttabCopy.size, copyGrant)],
  [abi.GNTTABOP_setup_table, one(setupTable)],
  [abi.GNTTABOP_query_size, one(querySize)],
]);

const SUB_OPS: ReadonlyMap<number, SubOp> = new Map([
  [abi.GNTTABOP_set_version, setVersion],
  [abi.GNTTABOP_get_version, getVersion],
]);
