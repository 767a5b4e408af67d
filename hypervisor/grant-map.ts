/**
 * GNTTABOP_map_grant_ref and GNTTABOP_unmap_grant_ref for a paravirtual domain: its L1 entry at the
 * given address is set to the granter's frame, and holds the reference on it.
 * @source xen/grant_table.h:330, xen/arch/x86/pv/grant_table.c
 */
import {
  PTE_A,
  PTE_D,
  PTE_NX_HI,
  PTE_P,
  PTE_RW,
  PTE_US,
  pteFrame,
  pteHi,
  pteLo,
} from '../machine/pte.ts';
import * as abi from '../protocol/grant-table.ts';
import type { Hypervisor } from './hypervisor.ts';
import { ownL1Word } from './page-entry.ts';
import { mapPage } from './update-va-mapping.ts';
import type { XenVcpu } from './xen-vcpu.ts';

const MAP = abi.GnttabMapGrantRef.offset;
const UNMAP = abi.GnttabUnmapGrantRef.offset;
const UNSUPPORTED = abi.GNTMAP_device_map | abi.GNTMAP_contains_pte;

/** Map one: `view` holds a private copy of gnttab_map_grant_ref, whose OUT fields are set. */
export const mapGrantRef = (xen: Hypervisor, caller: XenVcpu, view: DataView): void => {
  const status = map(xen, caller, view);
  view.setInt16(MAP.status, status, true);
  if (status !== abi.GNTST_okay) {
    const domid = view.getUint16(MAP.dom, true);
    const ref = view.getUint32(MAP.ref, true);
    refuseGrant(xen, caller, 'map', status, { domid, ref, va: signed(view, MAP.hostAddr) });
  }
};

/** Unmap one: `view` holds a private copy of gnttab_unmap_grant_ref. */
export const unmapGrantRef = (xen: Hypervisor, caller: XenVcpu, view: DataView): void => {
  const status = unmap(xen, caller, view);
  view.setInt16(UNMAP.status, status, true);
  if (status !== abi.GNTST_okay) {
    const handle = view.getUint32(UNMAP.handle, true);
    refuseGrant(xen, caller, 'unmap', status, { handle, va: signed(view, UNMAP.hostAddr) });
  }
};

/** A refusal that the guest finds in a status field, for the trace, with the operands that were refused. */
export const refuseGrant = (
  xen: Hypervisor,
  caller: XenVcpu,
  what: string,
  status: number,
  operands: Record<string, number>,
): void => {
  const detail = { status, ...operands };
  xen.refuse(caller, 0, `grant ${what}: ${abi.grantStatusName(status)}`, detail);
};

/** @errors GNTST_bad_gntref, _bad_domain, _no_space, _general_error, _bad_page */
const map = (xen: Hypervisor, caller: XenVcpu, view: DataView): number => {
  const flags = view.getUint32(MAP.flags, true);
  const ref = view.getUint32(MAP.ref, true);
  if ((flags & (abi.GNTMAP_device_map | abi.GNTMAP_host_map)) === 0) return abi.GNTST_bad_gntref;
  if ((flags & UNSUPPORTED) !== 0 || caller.domain.kind !== 'pv') return abi.GNTST_general_error;
  const granter = xen.domain(view.getUint16(MAP.dom, true));
  if (!granter) return abi.GNTST_bad_domain;
  const local = caller.domain.grants;
  if (local.full) return abi.GNTST_no_space;
  const readonly = (flags & abi.GNTMAP_readonly) !== 0;
  const mfn = granter.grants.pin(ref, caller.domain.id, readonly);
  if (mfn < 0) return mfn;

  const bits =
    PTE_P |
    PTE_A |
    PTE_D |
    (readonly ? 0 : PTE_RW) |
    ((flags & abi.GNTMAP_application_map) !== 0 ? PTE_US : 0) |
    (((flags >>> 16) & 7) << 9);
  const hi = (pteHi(mfn) | PTE_NX_HI) >>> 0;
  if (mapPage(xen, caller, signed(view, MAP.hostAddr), pteLo(mfn, bits), hi, granter.id) !== 0) {
    granter.grants.unpin(ref, readonly);
    return abi.GNTST_general_error;
  }
  view.setUint32(
    MAP.handle,
    local.addMapping({ granter: granter.grants, ref, mfn, readonly }),
    true,
  );
  view.setUint32(MAP.devBusAddr, mfn << 12, true);
  view.setUint32(MAP.devBusAddr + 4, Math.floor(mfn / 0x100000), true);
  return abi.GNTST_okay;
};

/** @errors GNTST_bad_handle, _general_error when the address does not map the granted frame */
const unmap = (xen: Hypervisor, caller: XenVcpu, view: DataView): number => {
  const { grants, id } = caller.domain;
  const handle = view.getUint32(UNMAP.handle, true);
  const mapping = grants.mapping(handle);
  if (!mapping) return abi.GNTST_bad_handle;
  const va = signed(view, UNMAP.hostAddr);
  if (va === 0) return abi.GNTST_okay;
  const { u32 } = xen.frames.memory;
  const word =
    caller.kernelRoot === 0
      ? -1
      : ownL1Word(xen.frames, xen.machine.mmu.leaf(caller.kernelRoot, va), id);
  if (word < 0) return abi.GNTST_general_error;
  const lo = u32[word]!;
  const same =
    (lo & PTE_P) !== 0 &&
    pteFrame(lo, u32[word + 1]!) === mapping.mfn &&
    ((lo & PTE_RW) === 0) === mapping.readonly;
  if (!same) return abi.GNTST_general_error;

  mapPage(xen, caller, va, 0, 0, id);
  grants.dropMapping(handle);
  return abi.GNTST_okay;
};

const signed = (view: DataView, at: number): number =>
  view.getInt32(at + 4, true) * 4294967296 + view.getUint32(at, true);
