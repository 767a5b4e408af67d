/**
 * xen_version: who is below, and which features of the interface it has. Every string is padded
 * with zeros to its full size, so that nothing of the hypervisor's shows behind it.
 * @source xen/version.h, xen/features.h
 */
import { EFAULT, EINVAL, ENODATA, ENOSYS, EPERM } from '../protocol/errno.ts';
import { chars } from '../protocol/layout.ts';
import { PAGE_SIZE } from '../protocol/units.ts';
import {
  XEN_CAPABILITIES_INFO_LEN,
  XEN_CHANGESET_INFO_LEN,
  XEN_EXTRAVERSION_LEN,
  XENFEAT_auto_translated_physmap,
  XENFEAT_direct_mapped,
  XENFEAT_dom0,
  XENFEAT_gnttab_map_avail_bits,
  XENFEAT_highmem_assist,
  XENFEAT_memory_op_vnode_supported,
  XENFEAT_mmu_pt_update_preserve_ad,
  XENFEAT_NR_SUBMAPS,
  XENFEAT_not_direct_mapped,
  XENFEAT_pae_pgdir_above_4gb,
  XENFEAT_supervisor_mode_kernel,
  XENFEAT_writable_descriptor_tables,
  XENFEAT_writable_page_tables,
  XENVER_build_id,
  XENVER_capabilities,
  XENVER_changeset,
  XENVER_commandline,
  XENVER_compile_info,
  XENVER_extraversion,
  XENVER_get_features,
  XENVER_guest_handle,
  XENVER_pagesize,
  XENVER_platform_parameters,
  XENVER_version,
  XenCompileInfo,
  XenFeatureInfo,
  XenPlatformParameters,
} from '../protocol/version.ts';
import { HYPERVISOR_VIRT_START, VMASST_TYPE_pae_extended_cr3 } from '../protocol/xen.ts';
import type { Domain } from './domain.ts';
import type { Hypervisor } from './hypervisor.ts';
import { type Handler, op, type SubOp } from './op.ts';
import type { XenVcpu } from './xen-vcpu.ts';

export const XEN_MAJOR = 4;
export const XEN_MINOR = 17;
const EXTRA = '.0-hospes';
const CAPABILITIES = 'xen-3.0-x86_64 hvm-3.0-x86_64';
const COMMANDLINE_LEN = 1024;
const HANDLE_LEN = 16;
const DENIED = '<denied>';

const put = (xen: Hypervisor, caller: XenVcpu, va: number, bytes: Uint8Array): number =>
  xen.copyToGuest(caller, va, bytes)
    ? 0
    : xen.refuse(caller, EFAULT, 'the result is not writable', { va });

const text = (length: number, of: (domain: Domain) => string): SubOp => {
  const codec = chars(length);
  return (xen, caller, va) => {
    const bytes = new Uint8Array(length);
    codec.write(new DataView(bytes.buffer), 0, of(caller.domain));
    return put(xen, caller, va, bytes);
  };
};

const compileInfo: SubOp = (xen, caller, va) => {
  const bytes = new Uint8Array(XenCompileInfo.size);
  XenCompileInfo.set(new DataView(bytes.buffer), 0, {
    compiler: 'TypeScript',
    compileBy: 'hospes',
    compileDomain: 'hospes',
    compileDate: 'Mon Dec 5 00:00:00 UTC 2005',
  });
  return put(xen, caller, va, bytes);
};

const platformParameters: SubOp = (xen, caller, va) => {
  const bytes = new Uint8Array(XenPlatformParameters.size);
  if (caller.domain.kind === 'pv') {
    XenPlatformParameters.set(new DataView(bytes.buffer), 0, { virtStart: HYPERVISOR_VIRT_START });
  }
  return put(xen, caller, va, bytes);
};

/** The domain's UUID: here, its id. */
const guestHandle: SubOp = (xen, caller, va) => {
  const bytes = new Uint8Array(HANDLE_LEN);
  new DataView(bytes.buffer).setUint16(HANDLE_LEN - 2, caller.domain.id);
  return put(xen, caller, va, bytes);
};

const bits = (...numbers: number[]): number =>
  numbers.reduce((map, bit) => map | (1 << bit), 0) >>> 0;

const ALWAYS = bits(
  XENFEAT_mmu_pt_update_preserve_ad,
  XENFEAT_highmem_assist,
  XENFEAT_gnttab_map_avail_bits,
  XENFEAT_memory_op_vnode_supported,
);
const PV = bits(XENFEAT_direct_mapped);
const HVM = bits(
  XENFEAT_writable_page_tables,
  XENFEAT_writable_descriptor_tables,
  XENFEAT_auto_translated_physmap,
  XENFEAT_supervisor_mode_kernel,
  XENFEAT_not_direct_mapped,
);

/** @errors -EINVAL for a submap that there is none of */
const getFeatures = op(XenFeatureInfo, (xen, caller, arg) => {
  if (arg.submapIdx >= XENFEAT_NR_SUBMAPS) {
    return xen.refuse(caller, EINVAL, 'no such submap of features', { submap: arg.submapIdx });
  }
  const { kind, privileged, vmAssist } = caller.domain;
  let features = ALWAYS | (kind === 'pv' ? PV : HVM);
  if (privileged) features |= bits(XENFEAT_dom0);
  if (vmAssist & (1 << VMASST_TYPE_pae_extended_cr3)) features |= bits(XENFEAT_pae_pgdir_above_4gb);
  arg.submap = features >>> 0;
  return 0;
});

const OPS: (SubOp | undefined)[] = [];
OPS[XENVER_version] = () => (XEN_MAJOR << 16) | XEN_MINOR;
OPS[XENVER_extraversion] = text(XEN_EXTRAVERSION_LEN, () => EXTRA);
OPS[XENVER_compile_info] = compileInfo;
OPS[XENVER_capabilities] = text(XEN_CAPABILITIES_INFO_LEN, () => CAPABILITIES);
OPS[XENVER_changeset] = text(XEN_CHANGESET_INFO_LEN, () => '');
OPS[XENVER_platform_parameters] = platformParameters;
OPS[XENVER_get_features] = getFeatures;
OPS[XENVER_pagesize] = (xen, caller, va) =>
  va === 0 ? PAGE_SIZE : xen.refuse(caller, EINVAL, 'it takes no argument', { va });
OPS[XENVER_guest_handle] = guestHandle;
OPS[XENVER_commandline] = text(COMMANDLINE_LEN, (domain) => (domain.privileged ? '' : DENIED));
OPS[XENVER_build_id] = (xen, caller) =>
  caller.domain.privileged
    ? xen.refuse(caller, ENODATA, 'there is no build id')
    : xen.refuse(caller, EPERM, 'the build id is domain 0’s');

/**
 * xen_version(cmd, buffer). @errors -ENOSYS for an unknown command, -EFAULT, -EINVAL for an argument
 * of the page size, -EPERM for the build id, which is domain 0's, and -ENODATA, as there is none
 */
export const xenVersion: Handler = (xen, caller) => {
  const act = OPS[caller.argLo(0)];
  if (!act) return xen.refuse(caller, ENOSYS, 'no such xen_version', { cmd: caller.argLo(0) });
  return act(xen, caller, caller.arg(1));
};
