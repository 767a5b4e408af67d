/** Calls of grant_table_op, right and wrong; the domain grants to itself. */

import * as abi from '../../../protocol/grant-table.ts';
import {
  __HYPERVISOR_grant_table_op as NR,
  __HYPERVISOR_update_va_mapping as VA,
} from '../../../protocol/hypercalls.ts';
import {
  ABSENT,
  type Arg,
  type Cases,
  DOMID_SELF,
  NOT_CANONICAL,
  NOWHERE,
  OF_XEN,
  type Rig,
  RW,
} from './rig.ts';

const MAP = 'QIIHHIQ';
const UNMAP = 'QQIH';
const COPY = 'QHHQHHIHHH';
const { GNTMAP_host_map: HOST, GNTMAP_readonly: READONLY } = abi;

export const grantTableCases: Cases = (rig) => {
  const setup = (
    name: string,
    dom: Arg<ReturnType<typeof rig.page>>,
    frames: Arg<ReturnType<typeof rig.page>>,
    list: Arg<ReturnType<typeof rig.page>>,
    count: Arg<ReturnType<typeof rig.page>> = 1,
  ): void => {
    const arg = rig.pack('HIHQ', dom, frames, 77, list);
    rig.call(name, NR, abi.GNTTABOP_setup_table, arg, count);
    rig.show(`${name}: status`, rig.load(rig.at(arg, 8), 2));
  };
  const list = rig.pack('QQQQ', 0, 0, 0, 0);
  setup('setup_table self', DOMID_SELF, 1, list);
  setup('setup_table own number', rig.self(), 2, list);
  setup('setup_table no frames', DOMID_SELF, 0, list);
  setup('setup_table too many frames', DOMID_SELF, 1000, list);
  setup('setup_table -1 frames', DOMID_SELF, 0xffffffffn, list);
  setup('setup_table domain 0', 0, 1, list);
  setup('setup_table an absent domain', ABSENT, 1, list);
  setup('setup_table list nowhere', DOMID_SELF, 1, NOWHERE);
  setup('setup_table list in Xen', DOMID_SELF, 1, OF_XEN);
  setup('setup_table two', DOMID_SELF, 1, list, 2);
  setup('setup_table none', DOMID_SELF, 1, list, 0);

  const query = (name: string, dom: Arg<ReturnType<typeof rig.page>>, count = 1): void => {
    const arg = rig.pack('HIIH', dom, 77, 77, 77);
    rig.call(name, NR, abi.GNTTABOP_query_size, arg, count);
    rig.show(`${name}: frames`, rig.load(rig.at(arg, 4), 4));
    rig.show(`${name}: most frames`, rig.load(rig.at(arg, 8), 4));
    rig.show(`${name}: status`, rig.load(rig.at(arg, 12), 2));
  };
  query('query_size self', DOMID_SELF);
  query('query_size own number', rig.self());
  query('query_size domain 0', 0);
  query('query_size an absent domain', ABSENT);
  query('query_size two', DOMID_SELF, 2);
  query('query_size none', DOMID_SELF, 0);

  for (let cmd = 0; cmd < 16; cmd++) {
    rig.call(`command ${cmd}, nowhere`, NR, cmd, NOWHERE, 1);
    rig.call(`command ${cmd}, none`, NR, cmd, NOWHERE, 0);
  }
  rig.call('command 99', NR, 99, NOWHERE, 1);
  rig.call('command 99, none', NR, 99, 0, 0);
  rig.call('map not canonical', NR, 0, NOT_CANONICAL, 1);
  rig.call('map in Xen', NR, 0, OF_XEN, 1);
  rig.call('map null', NR, 0, 0, 1);
  rig.call('count 0x80000000', NR, 0, NOWHERE, 0x80000000n);
  rig.call('count -1', NR, 0, NOWHERE, 0xffffffffn);
  rig.call('unknown command, count -1', NR, 99, NOWHERE, 0xffffffffn);
  rig.call('count 0x7fffffff', NR, 0, NOWHERE, 0x7fffffff);

  const version = (name: string, dom: Arg<ReturnType<typeof rig.page>>): void => {
    const arg = rig.pack('HHI', dom, 0, 77);
    rig.call(name, NR, abi.GNTTABOP_get_version, arg, 1);
    rig.show(`${name}: version`, rig.load(rig.at(arg, 4), 4));
  };
  version('get_version self', DOMID_SELF);
  version('get_version domain 0', 0);
  version('get_version an absent domain', ABSENT);
  const twice = rig.pack('HHI', DOMID_SELF, 0, 77);
  rig.call('get_version two', NR, abi.GNTTABOP_get_version, twice, 2);
  for (const number of [0, 3, 0xffffffff, 1]) {
    rig.call(`set_version ${number}`, NR, abi.GNTTABOP_set_version, rig.pack('I', number), 1);
  }
  rig.call('set_version two', NR, abi.GNTTABOP_set_version, rig.pack('I', 1), 2);
  version('get_version afterwards', DOMID_SELF);
};

/** Map the grant table, and give entry writers. */
const granter = <V>(rig: Rig<V>) => {
  const list = rig.pack('Q', 0);
  const setup = rig.pack('HIHQ', DOMID_SELF, 1, 77, list);
  rig.quiet(NR, abi.GNTTABOP_setup_table, setup, 1);
  const table = rig.page();
  rig.quiet(VA, table, rig.pte(rig.load(list, 8), RW), 2);
  return {
    grant: (ref: number, flags: number, dom: Arg<V>, frame: Arg<V>): void => {
      rig.store(rig.at(table, ref * 8 + 4), 4, frame);
      rig.store(rig.at(table, ref * 8 + 2), 2, dom);
      rig.store(rig.at(table, ref * 8), 2, flags);
    },
    flags: (ref: number): V => rig.load(rig.at(table, ref * 8), 2),
  };
};

export const grantMapCases: Cases = (rig) => {
  const { grant, flags } = granter(rig);
  const self = rig.self();
  const data = rig.page();
  const window = rig.page();
  type V = typeof data;
  grant(8, 1, self, rig.mfn(data));
  grant(9, 5, self, rig.mfn(data));
  grant(10, 1, ABSENT, rig.mfn(data));
  grant(11, 1, self, rig.foreign());
  grant(12, 1, self, 0xffffff);
  grant(13, 1, self, rig.table(1, data));
  grant(14, 2, self, rig.mfn(data));
  grant(15, 3, self, rig.mfn(data));
  grant(16, 0, self, rig.mfn(data));
  grant(17, 0x101, self, rig.mfn(data));
  grant(18, 1, self, rig.xens());

  const map = (
    name: string,
    ref: Arg<V>,
    how: number = HOST,
    dom: Arg<V> = self,
    host: Arg<V> = window,
  ): V => {
    const arg = rig.pack(MAP, host, how, ref, dom, 77, 0, 0);
    rig.call(name, NR, abi.GNTTABOP_map_grant_ref, arg, 1);
    rig.show(`${name}: status`, rig.load(rig.at(arg, 18), 2));
    return rig.load(rig.at(arg, 20), 4);
  };
  const unmap = (name: string, handle: Arg<V>, host: Arg<V> = window, bus: Arg<V> = 0): void => {
    const arg = rig.pack(UNMAP, host, bus, handle, 77);
    rig.call(name, NR, abi.GNTTABOP_unmap_grant_ref, arg, 1);
    rig.show(`${name}: status`, rig.load(rig.at(arg, 20), 2));
  };

  map('map an absent domain', 8, HOST, ABSENT);
  map('map DOMID_SELF', 8, HOST, DOMID_SELF);
  map('map domain 0, ref 20', 20, HOST, 0);
  map('map ref beyond', 100000);
  map('map ref -1', 0xffffffffn);
  map('map an empty entry', 20);
  map('map an entry of type 0', 16);
  map('map an entry for transfer', 14);
  map('map a transitive entry', 15);
  map('map a sub-page entry', 17);
  map('map what is granted to another', 10);
  map('map a foreign frame', 11);
  map("map Xen's frame", 18);
  map('map a frame beyond memory', 12);
  map('map a page table writable', 13);
  map('map a read-only grant writable', 9);
  map('map with no flags', 8, 0);
  map('map with only read-only', 8, READONLY);
  const device = map('map device only', 8, abi.GNTMAP_device_map);
  map('map nowhere', 8, HOST, self, NOWHERE);
  map('map not canonical', 8, HOST, self, NOT_CANONICAL);
  map('map in Xen', 8, HOST, self, OF_XEN);
  map(
    'map into an entry of a data page',
    8,
    HOST | abi.GNTMAP_contains_pte,
    self,
    rig.pte(rig.mfn(data), 0),
  );
  map(
    'map into an entry beyond memory',
    8,
    HOST | abi.GNTMAP_contains_pte,
    self,
    rig.pte(0xffffff, 0),
  );

  unmap('unmap handle 5000', 5000);
  unmap('unmap device only', device, 0, rig.pte(rig.mfn(data), 0));
  unmap('unmap handle -1', 0xffffffffn);
  const handle = map('map', 8);
  rig.show('map: flags of the entry', flags(8));
  rig.store(window, 8, 99);
  rig.show('map: seen in the page', rig.load(data, 8));
  unmap('unmap at the wrong address', handle, data);
  unmap('unmap nowhere', handle, NOWHERE);
  unmap('unmap', handle);
  rig.show('unmap: flags of the entry', flags(8));
  unmap('unmap again', handle);
  rig.quiet(VA, window, rig.pte(rig.mfn(window), RW), 2);
  const readonly = map('map read-only', 9, HOST | READONLY);
  rig.show('map read-only: flags of the entry', flags(9));
  unmap('unmap read-only', readonly);
  rig.show('unmap read-only: flags of the entry', flags(9));
  const table = map('map a page table read-only', 13, HOST | READONLY);
  unmap('unmap a page table', table);
  const bits = map('map with available bits', 8, HOST | (7 << 16));
  unmap('unmap with available bits', bits);
  const app = map('map for the application', 8, HOST | abi.GNTMAP_application_map);
  unmap('unmap for the application', app);
  const odd = map('map at a misaligned address', 8, HOST, self, rig.at(window, 0x10));
  unmap('unmap at a misaligned address', odd, rig.at(window, 0x10));
  const pte = map(
    'map into an entry',
    8,
    HOST | abi.GNTMAP_contains_pte,
    self,
    rig.entry(1, window),
  );
  unmap('unmap an entry', pte, rig.entry(1, window));
  unmap('unmap with no address', map('map for no address', 8), 0);
  const again = map('map before the entry goes', 8);
  grant(8, 0, 0, 0);
  unmap('unmap after the entry went', again);
  rig.quiet(VA, window, rig.pte(rig.mfn(window), RW), 2);
};

export const grantCopyCases: Cases = (rig) => {
  const { grant, flags } = granter(rig);
  const self = rig.self();
  const [from, to] = [rig.page(), rig.page()];
  type V = typeof from;
  grant(8, 1, self, rig.mfn(from));
  grant(9, 5, self, rig.mfn(to));
  grant(10, 1, ABSENT, rig.mfn(from));
  grant(11, 1, self, rig.foreign());
  grant(12, 1, self, rig.mfn(to));
  grant(13, 1, self, rig.table(1, from));
  rig.store(from, 8, 66);

  const copy = (
    name: string,
    source: [Arg<V>, Arg<V>, number],
    dest: [Arg<V>, Arg<V>, number],
    length: number,
    how: number,
  ): void => {
    const arg = rig.pack(COPY, ...source, ...dest, 0, length, how, 77);
    rig.call(name, NR, abi.GNTTABOP_copy, arg, 1);
    rig.show(`${name}: status`, rig.load(rig.at(arg, 36), 2));
  };
  const [S, D] = [abi.GNTCOPY_source_gref, abi.GNTCOPY_dest_gref];
  const a: [V, number, number] = [rig.mfn(from), DOMID_SELF, 0];
  const b: [V, number, number] = [rig.mfn(to), DOMID_SELF, 0];
  copy('own to own', a, b, 64, 0);
  rig.show('own to own: it', rig.load(to, 8));
  copy('own to own by number', [rig.mfn(from), self, 0], [rig.mfn(to), self, 0], 64, 0);
  copy('nothing', a, b, 0, 0);
  copy('source crosses its page', [a[0], DOMID_SELF, 4090], b, 64, 0);
  copy('dest crosses its page', a, [b[0], DOMID_SELF, 4090], 64, 0);
  copy('source offset 5000', [a[0], DOMID_SELF, 5000], b, 1, 0);
  copy('source offset 4096, nothing', [a[0], DOMID_SELF, 4096], b, 0, 0);
  copy('length 65535', a, b, 65535, 0);
  copy('overflow', [a[0], DOMID_SELF, 65535], b, 65535, 0);
  copy('source frame foreign', [rig.foreign(), DOMID_SELF, 0], b, 64, 0);
  copy('dest frame foreign', a, [rig.foreign(), DOMID_SELF, 0], 64, 0);
  copy('source frame beyond memory', [0xffffff, DOMID_SELF, 0], b, 64, 0);
  copy('dest frame a page table', a, [rig.table(1, from), DOMID_SELF, 0], 64, 0);
  copy('source frame a page table', [rig.table(1, from), DOMID_SELF, 0], b, 64, 0);
  copy('source frame of domain 0', [rig.foreign(), 0, 0], b, 64, 0);
  copy('source frame of an absent domain', [a[0], ABSENT, 0], b, 64, 0);
  copy('dest frame of an absent domain', a, [b[0], ABSENT, 0], 64, 0);
  copy('source ref', [8, self, 0], b, 64, S);
  copy('source ref, DOMID_SELF', [8, DOMID_SELF, 0], b, 64, S);
  copy('source ref beyond', [100000, self, 0], b, 64, S);
  copy('source ref empty', [20, self, 0], b, 64, S);
  copy('source ref of another', [10, self, 0], b, 64, S);
  copy('source ref foreign frame', [11, self, 0], b, 64, S);
  copy('source ref, absent domain', [8, ABSENT, 0], b, 64, S);
  copy('source ref, domain 0', [20, 0, 0], b, 64, S);
  copy('source ref a page table', [13, self, 0], b, 64, S);
  copy('dest ref', a, [12, self, 0], 64, D);
  copy('dest ref read-only', a, [9, self, 0], 64, D);
  copy('dest ref a page table', a, [13, self, 0], 64, D);
  copy('dest ref empty', a, [20, self, 0], 64, D);
  copy('dest ref beyond', a, [100000, self, 0], 64, D);
  copy('both refs', [8, self, 8], [12, self, 16], 64, S | D);
  rig.show('both refs: flags of the entry', flags(12));
  copy('unknown flags', a, b, 64, 0xf0);
  copy('source ref crossing', [8, self, 4095], b, 2, S);

  const two = rig.pack(
    COPY + COPY,
    ...[rig.mfn(from), ABSENT, 0, ...b, 0, 64, 0, 77],
    ...[...a, ...b, 0, 64, 0, 77],
  );
  rig.call('two, the first bad', NR, abi.GNTTABOP_copy, two, 2);
  rig.show('two, the first bad: status 0', rig.load(rig.at(two, 36), 2));
  rig.show('two, the first bad: status 1', rig.load(rig.at(two, 76), 2));
};
