/** Calls of memory_op, right and wrong. */
import {
  __HYPERVISOR_memory_op as NR,
  __HYPERVISOR_update_va_mapping as VA,
} from '../../../protocol/hypercalls.ts';
import * as abi from '../../../protocol/memory.ts';
import { ABSENT, type Arg, type Cases, DOMID_INVALID, DOMID_SELF, NOWHERE, OF_XEN } from './rig.ts';

export const memoryCases: Cases = (rig) => {
  const page = rig.page();
  type V = typeof page;
  for (let cmd = 0; cmd < 34; cmd++) {
    // Frame numbers: what they are depends on the machine.
    if (cmd === abi.XENMEM_maximum_ram_page) continue;
    rig.call(`command ${cmd}, nowhere`, NR, cmd, NOWHERE);
  }
  rig.call('command 63', NR, 63, NOWHERE);
  rig.call('command 63, start extent 9', NR, 63 | (9 << 6), NOWHERE);
  for (const [name, cmd] of [
    ['current_reservation', abi.XENMEM_current_reservation],
    ['maximum_reservation', abi.XENMEM_maximum_reservation],
    ['maximum_gpfn', abi.XENMEM_maximum_gpfn],
  ] as const) {
    rig.call(`${name} of domain 0`, NR, cmd, rig.pack('H', 0));
    rig.call(`${name} of an absent domain`, NR, cmd, rig.pack('H', ABSENT));
    rig.call(`${name} of DOMID_INVALID`, NR, cmd, rig.pack('H', DOMID_INVALID));
    rig.call(`${name} in Xen`, NR, cmd, OF_XEN);
  }

  // From here on it has as much memory as it may.
  rig.quiet(NR, abi.XENMEM_increase_reservation, rig.pack('QQIIH', 0, 100000, 0, 0, DOMID_SELF));
  const frame = (): V => rig.pack('Q', rig.mfn(page));
  const reserve = (
    name: string,
    cmd: number,
    extents: Arg<V>,
    count: Arg<V>,
    order: Arg<V> = 0,
    dom: Arg<V> = DOMID_SELF,
    flags: Arg<V> = 0,
  ): void => {
    rig.call(name, NR, cmd, rig.pack('QQIIH', extents, count, order, flags, dom));
  };
  const { XENMEM_increase_reservation: INC, XENMEM_decrease_reservation: DEC } = abi;
  const POP = abi.XENMEM_populate_physmap;
  const cmds = [
    ['increase', INC],
    ['decrease', DEC],
    ['populate', POP],
  ] as const;
  for (const [name, cmd] of cmds) {
    reserve(`${name} nothing`, cmd, frame(), 0);
    reserve(`${name} nothing, nowhere`, cmd, NOWHERE, 0);
    reserve(`${name} one, list nowhere`, cmd, NOWHERE, 1);
    reserve(`${name} one, list in Xen`, cmd, OF_XEN, 1);
    reserve(`${name} of domain 0`, cmd, frame(), 1, 0, 0);
    reserve(`${name} of an absent domain`, cmd, frame(), 1, 0, ABSENT);
    reserve(`${name} order 30`, cmd, frame(), 1, 30);
    reserve(`${name} order 200`, cmd, frame(), 1, 200);
    reserve(`${name} order 4 beyond the maximum`, cmd, rig.pack('Q', 0xffffff), 1, 4);
    reserve(`${name} a start beyond the end`, cmd | (5 << 6), frame(), 1);
    reserve(`${name} a count of 2^60`, cmd, NOWHERE, 1n << 60n);
    reserve(`${name} all ones`, cmd, frame(), 0xffffffffffffffffn);
  }
  reserve('increase one at the maximum', INC, frame(), 1);
  reserve('populate one at the maximum', POP, rig.pack('Q', 5), 1);
  reserve('decrease foreign', DEC, rig.pack('Q', rig.foreign()), 1);
  reserve("decrease Xen's", DEC, rig.pack('Q', rig.xens()), 1);
  reserve('decrease beyond memory', DEC, rig.pack('Q', 0xffffff), 1);
  reserve('decrease frame of all ones', DEC, rig.pack('Q', 0xffffffffffffffffn), 1);

  const two = rig.page();
  rig.quiet(VA, page, 0, 2);
  reserve('decrease one and a foreign one', DEC, rig.pack('QQ', rig.mfn(page), rig.foreign()), 2);
  reserve('decrease it again', DEC, frame(), 1);
  reserve('populate one', POP, rig.pack('Q', 5), 1, 0, DOMID_SELF);
  reserve('populate one more', POP, rig.pack('Q', 5), 1);
  rig.quiet(VA, two, 0, 2);
  reserve('decrease another', DEC, rig.pack('Q', rig.mfn(two)), 1);
  reserve('increase one', INC, frame(), 1);
  reserve('increase one more', INC, frame(), 1);
  const mapped = rig.page();
  reserve('decrease a mapped one', DEC, rig.pack('Q', rig.mfn(mapped)), 1);
  reserve('decrease the mapped one again', DEC, rig.pack('Q', rig.mfn(mapped)), 1);
  const three = rig.page();
  rig.quiet(VA, three, 0, 2);
  reserve('decrease a third', DEC, rig.pack('Q', rig.mfn(three)), 1);
  reserve('populate with 12 address bits', POP, rig.pack('Q', 5), 1, 0, DOMID_SELF, 12);

  const list = (name: string, max: Arg<V>, extents: Arg<V>): void => {
    const arg = rig.pack('IQI', max, extents, 77);
    rig.call(name, NR, abi.XENMEM_machphys_mfn_list, arg);
    rig.show(`${name}: count`, rig.load(rig.at(arg, 16), 4));
  };
  list('machphys_mfn_list, none', 0, NOWHERE);
  list('machphys_mfn_list, nowhere', 1, NOWHERE);
  const mapping = rig.pack('QQQ', 0, 0, 0);
  rig.call('machphys_mapping', NR, abi.XENMEM_machphys_mapping, mapping);
  rig.show('machphys_mapping: start', rig.load(mapping, 8));
  rig.call(
    'add_to_physmap',
    NR,
    abi.XENMEM_add_to_physmap,
    rig.pack('HHIQQ', DOMID_SELF, 0, 0, 0, 5),
  );
  rig.call(
    'add_to_physmap, gmfn_foreign',
    NR,
    abi.XENMEM_add_to_physmap,
    rig.pack('HHIQQ', DOMID_SELF, 0, 4, 0, 5),
  );
  rig.call(
    'add_to_physmap of domain 0',
    NR,
    abi.XENMEM_add_to_physmap,
    rig.pack('HHIQQ', 0, 0, 0, 0, 5),
  );
  rig.call(
    'add_to_physmap of an absent domain',
    NR,
    abi.XENMEM_add_to_physmap,
    rig.pack('HHIQQ', ABSENT, 0, 0, 0, 5),
  );
  rig.call(
    'remove_from_physmap',
    NR,
    abi.XENMEM_remove_from_physmap,
    rig.pack('HQ', DOMID_SELF, 5),
  );
  rig.call(
    'remove_from_physmap of domain 0',
    NR,
    abi.XENMEM_remove_from_physmap,
    rig.pack('HQ', 0, 5),
  );
  rig.call('memory_map', NR, abi.XENMEM_memory_map, rig.pack('IQ', 1, NOWHERE));
  rig.call('memory_map, no entries', NR, abi.XENMEM_memory_map, rig.pack('IQ', 0, NOWHERE));
  rig.call('machine_memory_map', NR, abi.XENMEM_machine_memory_map, rig.pack('IQ', 1, NOWHERE));
  rig.call(
    'set_memory_map of self',
    NR,
    abi.XENMEM_set_memory_map,
    rig.pack('HIQ', DOMID_SELF, 1, NOWHERE),
  );
  rig.call(
    'set_memory_map of domain 0',
    NR,
    abi.XENMEM_set_memory_map,
    rig.pack('HIQ', 0, 1, NOWHERE),
  );
  rig.call(
    'get_pod_target of self',
    NR,
    abi.XENMEM_get_pod_target,
    rig.pack('QQQQH', 0, 0, 0, 0, DOMID_SELF),
  );
  rig.call(
    'set_pod_target of self',
    NR,
    abi.XENMEM_set_pod_target,
    rig.pack('QQQQH', 0, 0, 0, 0, DOMID_SELF),
  );
  rig.call(
    'get_vnumainfo',
    NR,
    abi.XENMEM_get_vnumainfo,
    rig.pack('HHIIIQQQ', DOMID_SELF, 0, 1, 1, 1, 0, 0, 0),
  );
  rig.call(
    'acquire_resource of self',
    NR,
    abi.XENMEM_acquire_resource,
    rig.pack('HHIIIQQ', DOMID_SELF, 1, 0, 1, 0, 0, 0),
  );
  rig.call(
    'acquire_resource of domain 0',
    NR,
    abi.XENMEM_acquire_resource,
    rig.pack('HHIIIQQ', 0, 1, 0, 1, 0, 0, 0),
  );
  rig.call(
    'exchange nothing',
    NR,
    abi.XENMEM_exchange,
    rig.pack('QQIIHQQIIHQ', 0, 0, 0, 0, DOMID_SELF, 0, 0, 0, 0, DOMID_SELF, 0),
  );
};
