/** Where this hypervisor deliberately answers something else than the real one, and why. */
import { EINVAL, ENOSYS, EPERM } from '../../../protocol/errno.ts';
import { GNTST_bad_handle, GNTST_general_error } from '../../../protocol/grant-table.ts';

export interface Difference {
  area: string;
  /** Names of cases, whole. */
  cases: RegExp;
  ours: number;
  reason: string;
}

export const DIFFERENCES: readonly Difference[] = [
  {
    area: 'event_channel_op',
    cases: /command 14, argument nowhere/,
    ours: -ENOSYS,
    reason:
      'EVTCHNOP_reset_cont is how Xen goes on with a reset by itself; a reset here is one step',
  },
  {
    area: 'mmu_update',
    cases: /for DOMID_IO/,
    ours: -EPERM,
    reason: 'a guest without devices has no business with their frames, whichever it names',
  },
  { area: 'mmu_update', cases: /for DOMID_IO: done/, ours: 0, reason: 'as above' },
  {
    area: 'grant_table_op: tables',
    cases: /command (4|7|9|11|12), (nowhere|none)/,
    ours: -ENOSYS,
    reason:
      'transfer, unmap_and_replace, swap_grant_ref, cache_flush and version 2’s status are not offered',
  },
  {
    area: 'grant_table_op: map',
    cases: /map (device only|into an entry): status/,
    ours: GNTST_general_error,
    reason: 'there is no IOMMU to map for, and mapping by entry instead of address is not offered',
  },
  {
    area: 'grant_table_op: map',
    cases: /unmap (device only|an entry): status/,
    ours: GNTST_bad_handle,
    reason: 'nothing was mapped, as above',
  },
  {
    area: 'memory_op',
    cases:
      /command (7|10|11|13|15|16|17|18|19|21|23|24|25|26|27|28), nowhere|(add_to|remove_from)_physmap( of .*)?|machine_memory_map|set_memory_map of .*|[gs]et_pod_target of self|get_vnumainfo|acquire_resource of .*|exchange nothing/,
    ours: -ENOSYS,
    reason:
      'translated memory, exchange, populate on demand, NUMA, sharing and resources are not offered',
  },
  {
    area: 'memory_op',
    cases: /decrease the mapped one again/,
    ours: 0,
    reason: 'a frame that was given back is not the domain’s to give back again, mapped or not',
  },
  {
    area: 'vcpu_op',
    cases: /command 11 on vcpu 1, nowhere/,
    ours: -ENOSYS,
    reason: 'VCPUOP_send_nmi is not offered: nothing here has NMIs',
  },
  {
    area: 'sched_op, set_timer_op',
    cases: /command [567], nowhere|watchdog .*|pin_override/,
    ours: -ENOSYS,
    reason: 'shutdown codes by call, watchdogs and pinning are not offered',
  },
  {
    area: 'callbacks',
    cases: /vm_assist (enable|disable) 32/,
    ours: -EINVAL,
    reason: 'm2p_strict: the table is mapped in every root here, and read-only',
  },
  {
    area: 'devices',
    cases: /physdev command (4|8|9|10|15|16|17|19|2[013456789]|3[01]), nowhere/,
    ours: -ENOSYS,
    reason: 'APICs, PCI devices and shared EOI pages do not exist here',
  },
  {
    area: 'other numbers',
    cases:
      /number (6|28), nowhere|number (7|16|19|31|35|36|37|40|41|42|48|49), (null|nowhere)|(domctl|sysctl|platform_op), .*|hvm_op (0|1|5|9|10|11|15|23|24|25), (zeroes|nowhere)/,
    ours: -ENOSYS,
    reason: 'the calls of tool stacks and of compatibility with older interfaces are not offered',
  },
];
