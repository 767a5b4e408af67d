/** Calls of update_va_mapping, mmu_update and multicall, right and wrong. */
import {
  __HYPERVISOR_mmu_update as MMU,
  __HYPERVISOR_multicall as MULTICALL,
  __HYPERVISOR_update_va_mapping as VA,
  __HYPERVISOR_update_va_mapping_otherdomain as VA_OTHER,
  __HYPERVISOR_xen_version as VERSION,
} from '../../../protocol/hypercalls.ts';
import {
  ABSENT,
  type Arg,
  type Cases,
  DOMID_INVALID,
  DOMID_IO,
  DOMID_SELF,
  DOMID_XEN,
  NOT_CANONICAL,
  NOWHERE,
  OF_XEN,
  RO,
  RW,
} from './rig.ts';

export const vaMappingCases: Cases = (rig) => {
  const va = rig.page();
  const mfn = rig.mfn(va);
  type V = typeof va;
  const own = rig.pte(mfn, RW);
  const map = (name: string, entry: Arg<V>): void => {
    rig.call(name, VA, va, entry, 2);
    rig.quiet(VA, va, own, 2);
  };

  for (let flags = 0; flags < 9; flags++) rig.call(`flags ${flags}`, VA, va, own, flags);
  rig.call('flags that are a pointer to nowhere', VA, va, own, NOWHERE | 1n);
  rig.call('flags: invlpg, vcpus at nowhere', VA, va, own, NOWHERE | 2n);
  rig.call('misaligned address', VA, rig.at(va, 0x123), own, 2);
  rig.call('address not canonical', VA, NOT_CANONICAL, own, 2);
  rig.call('address without L1', VA, NOWHERE, own, 2);
  rig.call('address without L1, entry 0', VA, NOWHERE, 0, 2);
  rig.call('address in Xen', VA, OF_XEN, own, 2);
  rig.call('address in the M2P', VA, 0xffff800000000000n, own, 2);

  map('read-only', rig.pte(mfn, RO));
  map('not present', 0);
  map('not present, garbage', 0xdeadbeef000n);
  map('own L1 writable', rig.pte(rig.table(1, va), RW));
  map('own L1 read-only', rig.pte(rig.table(1, va), RO));
  map('own L4 writable', rig.pte(rig.table(4, va), RW));
  map('own L4 read-only', rig.pte(rig.table(4, va), RO));
  map('foreign writable', rig.pte(rig.foreign(), RW));
  map('foreign read-only', rig.pte(rig.foreign(), RO));
  map('a frame of Xen, writable', rig.pte(rig.xens(), RW));
  map('a frame of Xen, read-only', rig.pte(rig.xens(), RO));
  map('shared_info', rig.pte(rig.sharedInfo(), RW));
  map('frame beyond memory', rig.pte(0xffffff, RW));
  map('frame beyond memory, read-only', rig.pte(0xffffff, RO));
  map('frame far beyond memory', rig.pte(0xfffffffffn, RW));
  map('frame of all ones', rig.pte(0xffffffffffn, RW));
  for (const [name, bits] of [
    ['PWT', 0x8n],
    ['PCD', 0x10n],
    ['PAT', 0x80n],
    ['G', 0x100n],
    ['PWT PCD PAT', 0x98n],
    ['user', 0x4n],
    ['available 9', 0x200n],
    ['available 11', 0x800n],
    ['bit 52', 1n << 52n],
    ['bit 53', 1n << 53n],
    ['bit 58', 1n << 58n],
    ['bit 62', 1n << 62n],
    ['NX', 1n << 63n],
  ] as const) {
    map(`with ${name}`, rig.pte(mfn, BigInt(RW) | bits));
  }
  for (const [name, dom] of [
    ['self', DOMID_SELF],
    ['domain 0', 0],
    ['an absent domain', ABSENT],
    ['DOMID_IO', DOMID_IO],
    ['DOMID_XEN', DOMID_XEN],
    ['DOMID_INVALID', DOMID_INVALID],
  ] as const) {
    rig.call(`otherdomain ${name}`, VA_OTHER, va, own, 2, dom);
  }
  rig.call('otherdomain own number', VA_OTHER, va, own, 2, rig.self());
  rig.call('otherdomain DOMID_IO, RAM of its own', VA_OTHER, va, rig.pte(mfn, RO), 2, DOMID_IO);
  rig.store(va, 8, 55);
  rig.show('the page afterwards', rig.load(va, 8));
};

export const mmuUpdateCases: Cases = (rig) => {
  const va = rig.page();
  type V = typeof va;
  const mfn = rig.mfn(va);
  const own = rig.pte(mfn, RW);
  const l1e = rig.entry(1, va);
  const done = rig.pack('I', 0);
  const update = (name: string, ptr: Arg<V>, value: Arg<V>, dom: Arg<V> = DOMID_SELF): void => {
    rig.store(done, 4, 77);
    rig.call(name, MMU, rig.pack('QQ', ptr, value), 1, done, dom);
    rig.show(`${name}: done`, rig.load(done, 4));
  };

  update('normal', l1e, own);
  for (let cmd = 1; cmd < 8; cmd++) update(`command ${cmd} on an L1 entry`, rig.at(l1e, cmd), own);
  const list = rig.pack('QQQQ', l1e, own, rig.at(l1e, 5), own);
  rig.call('no done count', MMU, list, 1, 0, DOMID_SELF);
  rig.call('done count nowhere', MMU, list, 1, NOWHERE, DOMID_SELF);
  rig.call('done count in Xen', MMU, list, 1, OF_XEN, DOMID_SELF);
  rig.store(done, 4, 77);
  rig.call('none', MMU, list, 0, done, DOMID_SELF);
  rig.show('none: done', rig.load(done, 4));
  rig.call('two, the second bad', MMU, list, 2, done, DOMID_SELF);
  rig.show('two, the second bad: done', rig.load(done, 4));
  rig.call('list nowhere', MMU, NOWHERE, 1, done, DOMID_SELF);
  rig.show('list nowhere: done', rig.load(done, 4));
  rig.call('list null', MMU, 0, 1, done, DOMID_SELF);
  rig.call('list nowhere, none', MMU, NOWHERE, 0, 0, DOMID_SELF);
  rig.call('list nowhere, huge', MMU, NOWHERE, 0x7fffffff, done, DOMID_SELF);
  rig.call('list in Xen', MMU, OF_XEN, 1, done, DOMID_SELF);
  rig.call('list not canonical', MMU, NOT_CANONICAL, 1, done, DOMID_SELF);

  update('table beyond memory', rig.pte(0xffffff, 0), own);
  update('table far beyond memory', 0xfffffffffffff000n, own);
  update('table of domain 0', rig.pte(rig.foreign(), 0), own);
  update('table of Xen', rig.pte(rig.xens(), 0), own);
  const data = rig.page();
  update('a data page', rig.pte(rig.mfn(data), 8), 0x1234);
  rig.show('a data page: what it holds', rig.load(rig.at(data, 8), 8));
  update('shared_info', rig.pte(rig.sharedInfo(), 0xf00), 0);

  const l4 = rig.pte(rig.table(4, va), 0);
  for (const slot of [256, 257, 264, 271]) {
    update(`L4 slot ${slot} to 0`, rig.at(l4, slot * 8), 0);
    update(`L4 slot ${slot} to a page`, rig.at(l4, slot * 8), own);
  }
  for (const slot of [255, 272]) update(`L4 slot ${slot} to 0`, rig.at(l4, slot * 8), 0);

  const fresh = rig.page();
  rig.quiet(VA, fresh, rig.pte(rig.mfn(fresh), RO), 2);
  const table = rig.mfn(fresh);
  const levels = [
    [2, rig.at(rig.pte(rig.table(2, va), 0), 500 * 8)],
    [3, rig.at(rig.pte(rig.table(3, va), 0), 8)],
    [4, rig.at(l4, 300 * 8)],
  ] as const;
  for (const [level, at] of levels) {
    const put = (name: string, entry: V): void => {
      update(`L${level} entry: ${name}`, at, entry);
      rig.quiet(MMU, rig.pack('QQ', at, 0), 1, 0, DOMID_SELF);
    };
    put('a writable page', rig.pte(mfn, 0x67));
    put('a writable page, entry read-only', rig.pte(mfn, 0x65));
    put('a fresh table', rig.pte(table, 0x67));
    put('a fresh table, A clear', rig.pte(table, 0x7));
    put('a fresh table, supervisor', rig.pte(table, 0x63));
    put('a fresh table, read-only', rig.pte(table, 0x61));
    put('with PSE', rig.pte(table, 0xe7));
    put('with G', rig.pte(table, 0x167));
    put('with PCD', rig.pte(table, 0x77));
    put('with PWT', rig.pte(table, 0x6f));
    put('with available bits', rig.pte(table, 0xe67));
    put('with NX', rig.pte(table, 0x67n | (1n << 63n)));
    put('with bit 52', rig.pte(table, 0x67n | (1n << 52n)));
    put('with bit 62', rig.pte(table, 0x67n | (1n << 62n)));
    put('foreign', rig.pte(rig.foreign(), 0x67));
    put('of Xen', rig.pte(rig.xens(), 0x67));
    put('beyond memory', rig.pte(0xffffff, 0x67));
    put('all ones', rig.pte(0xffffffffffn, 0x67));
    put('own L4', rig.pte(rig.table(4, va), 0x67));
    put('own L4, read-only', rig.pte(rig.table(4, va), 0x65));
    put('own L3', rig.pte(rig.table(3, va), 0x67));
    put('own L3, read-only', rig.pte(rig.table(3, va), 0x65));
    put('own L2', rig.pte(rig.table(2, va), 0x67));
    put('own L2, read-only', rig.pte(rig.table(2, va), 0x65));
    put('own L1', rig.pte(rig.table(1, va), 0x67));
    put('not present, garbage', rig.pte(0xffffff, 0x66));
  }
  update('L1 entry: foreign', l1e, rig.pte(rig.foreign(), RW));
  update('L1 entry: own L2 writable', l1e, rig.pte(rig.table(2, va), RW));
  update('L1 entry: own L2 read-only', l1e, rig.pte(rig.table(2, va), RO));
  update('L1 entry: PCD', l1e, rig.pte(mfn, 0x73));
  update('L1 entry: back', l1e, own);

  update('machphys own', rig.pte(mfn, 1), 5);
  update('machphys foreign', rig.pte(rig.foreign(), 1), 5);
  update('machphys of Xen', rig.pte(rig.xens(), 1), 5);
  update('machphys beyond memory', rig.pte(0xffffff, 1), 5);
  update('machphys with an offset', rig.pte(mfn, 0x809), 5);
  for (const [name, dom] of [
    ['domain 0', 0],
    ['an absent domain', ABSENT],
    ['DOMID_IO', DOMID_IO],
    ['DOMID_XEN', DOMID_XEN],
    ['DOMID_INVALID', DOMID_INVALID],
    ['tables of domain 0', 0x10000 | DOMID_SELF],
    ['tables of an absent domain', ((ABSENT + 1) << 16) | DOMID_SELF],
  ] as const) {
    update(`for ${name}`, l1e, own, dom);
  }
};

export const multicallCases: Cases = (rig) => {
  const entry = 'QQQQQQQQ';
  const version = [VERSION, 77, 7, 0, 0, 0, 0, 0] as const;
  const result = (name: string, list: ReturnType<typeof rig.page>, i: number): void =>
    rig.show(`${name}: result ${i}`, rig.load(rig.at(list, i * 64 + 8), 8));
  const list = rig.pack(entry + entry, ...version, ...version);
  rig.call('two', MULTICALL, list, 2);
  result('two', list, 0);
  result('two', list, 1);
  rig.call('none', MULTICALL, list, 0);
  rig.call('none, nowhere', MULTICALL, NOWHERE, 0);
  rig.call('nowhere', MULTICALL, NOWHERE, 1);
  rig.call('null', MULTICALL, 0, 1);
  rig.call('not canonical', MULTICALL, NOT_CANONICAL, 1);
  rig.call('in Xen', MULTICALL, OF_XEN, 1);
  rig.call('huge, nowhere', MULTICALL, NOWHERE, 0xffffffffn);
  const nested = rig.pack(entry + entry, MULTICALL, 77, list, 1, 0, 0, 0, 0, ...version);
  rig.call('nested', MULTICALL, nested, 2);
  result('nested', nested, 0);
  result('nested', nested, 1);
  for (const number of [11n, 63n, 64n, 1000n, 0x100000011n]) {
    const unknown = rig.pack(entry, number, 77, 7, 0, 0, 0, 0, 0);
    rig.call(`number ${number}`, MULTICALL, unknown, 1);
    result(`number ${number}`, unknown, 0);
  }
  const page = rig.page();
  rig.store(page, 8, VERSION);
  rig.store(rig.at(page, 16), 8, 7);
  rig.quiet(VA, page, rig.pte(rig.mfn(page), RO), 2);
  rig.call('read-only list', MULTICALL, page, 1);
};
