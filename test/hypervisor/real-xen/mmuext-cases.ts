/** Calls of mmuext_op, right and wrong. */
import {
  __HYPERVISOR_mmuext_op as NR,
  __HYPERVISOR_update_va_mapping as VA,
} from '../../../protocol/hypercalls.ts';
import * as abi from '../../../protocol/xen.ts';
import {
  ABSENT,
  type Arg,
  type Cases,
  DOMID_SELF,
  NOT_CANONICAL,
  NOWHERE,
  OF_XEN,
  RO,
  RW,
} from './rig.ts';

export const mmuextCases: Cases = (rig) => {
  const done = rig.pack('I', 0);
  const data = rig.page();
  type V = typeof data;
  const op = (
    name: string,
    cmd: number,
    arg1: Arg<V> = 0,
    arg2: Arg<V> = 0,
    dom: Arg<V> = DOMID_SELF,
  ): void => {
    rig.store(done, 4, 77);
    rig.call(name, NR, rig.pack('IQQ', cmd, arg1, arg2), 1, done, dom);
    rig.show(`${name}: done`, rig.load(done, 4));
  };
  /** A page that is mapped read-only, with these entries. */
  const table = (...entries: [number, V][]): V => {
    const va = rig.page();
    for (const [index, entry] of entries) rig.store(rig.at(va, index * 8), 8, entry);
    rig.quiet(VA, va, rig.pte(rig.mfn(va), RO), 2);
    return va;
  };
  const pin = abi.MMUEXT_PIN_L1_TABLE;
  const unpin = abi.MMUEXT_UNPIN_TABLE;

  const l1 = table();
  for (let level = 1; level <= 4; level++) {
    op(`pin a writable page as L${level}`, pin + level - 1, rig.mfn(data));
    op(`pin domain 0's as L${level}`, pin + level - 1, rig.foreign());
    op(`pin Xen's as L${level}`, pin + level - 1, rig.xens());
    op(`pin beyond memory as L${level}`, pin + level - 1, 0xffffff);
    op(`pin an empty table as L${level}`, pin + level - 1, rig.mfn(l1));
    op(`pin it twice as L${level}`, pin + level - 1, rig.mfn(l1));
    op(`pin it as another level than L${level}`, pin + (level & 3), rig.mfn(l1));
    rig.call(`map it writable as L${level}`, VA, l1, rig.pte(rig.mfn(l1), RW), 2);
    op(`unpin it as L${level}`, unpin, rig.mfn(l1));
    op(`unpin it twice as L${level}`, unpin, rig.mfn(l1));
  }
  rig.call('map it writable again', VA, l1, rig.pte(rig.mfn(l1), RW), 2);
  op('unpin a data page', unpin, rig.mfn(data));
  op("unpin domain 0's", unpin, rig.foreign());
  op("unpin Xen's", unpin, rig.xens());
  op('unpin beyond memory', unpin, 0xffffff);
  op('pin with all ones', pin, 0xffffffffffffffffn);

  const inner = table();
  const bad: [string, number, V][] = [
    ['a page in use as a table, writable', 1, rig.pte(rig.table(1, data), RW)],
    ['a foreign page', 1, rig.pte(rig.foreign(), RW)],
    ['a page beyond memory', 1, rig.pte(0xffffff, RW)],
    ['PCD', 1, rig.pte(rig.mfn(data), 0x73)],
    ['bit 62', 1, rig.pte(rig.mfn(data), BigInt(RW) | (1n << 62n))],
    ['PSE', 2, rig.pte(rig.mfn(inner), 0xe7)],
    ['G', 2, rig.pte(rig.mfn(inner), 0x167)],
    ['a data page', 2, rig.pte(rig.mfn(data), 0x67)],
    ['a foreign page', 2, rig.pte(rig.foreign(), 0x67)],
    ['PSE', 3, rig.pte(rig.mfn(inner), 0xe7)],
    ['a data page', 3, rig.pte(rig.mfn(data), 0x67)],
    ['an L1 in use', 3, rig.pte(rig.table(1, data), 0x67)],
    ['PSE', 4, rig.pte(rig.mfn(inner), 0xe7)],
    ['a data page', 4, rig.pte(rig.mfn(data), 0x67)],
    ['a foreign page', 4, rig.pte(rig.foreign(), 0x67)],
  ];
  for (const [name, level, entry] of bad) {
    op(`pin an L${level} with ${name}`, pin + level - 1, rig.mfn(table([3, entry])));
  }
  const deep = table([3, rig.pte(rig.mfn(table([7, rig.pte(rig.foreign(), RW)])), 0x67)]);
  op('pin an L2 whose L1 is bad', pin + 1, rig.mfn(deep));

  const root = rig.table(4, data);
  op('new baseptr, the present one', abi.MMUEXT_NEW_BASEPTR, root);
  op('new baseptr, a data page', abi.MMUEXT_NEW_BASEPTR, rig.mfn(data));
  op('new baseptr, an L1', abi.MMUEXT_NEW_BASEPTR, rig.table(1, data));
  op('new baseptr, foreign', abi.MMUEXT_NEW_BASEPTR, rig.foreign());
  op("new baseptr, Xen's", abi.MMUEXT_NEW_BASEPTR, rig.xens());
  op('new baseptr, beyond memory', abi.MMUEXT_NEW_BASEPTR, 0xffffff);
  op('new user baseptr, none', abi.MMUEXT_NEW_USER_BASEPTR, 0);
  op('new user baseptr, the root', abi.MMUEXT_NEW_USER_BASEPTR, root);
  op('new user baseptr, a data page', abi.MMUEXT_NEW_USER_BASEPTR, rig.mfn(data));
  op('new user baseptr, foreign', abi.MMUEXT_NEW_USER_BASEPTR, rig.foreign());
  op('new user baseptr, beyond memory', abi.MMUEXT_NEW_USER_BASEPTR, 0xffffff);
  op('new user baseptr, none again', abi.MMUEXT_NEW_USER_BASEPTR, 0);

  for (const cmd of [14, 21, 22, 99, 0xffffffff]) op(`command ${cmd}`, cmd);
  op('mark super', abi.MMUEXT_MARK_SUPER, rig.mfn(data));
  op('unmark super', abi.MMUEXT_UNMARK_SUPER, rig.mfn(data));
  op('flush cache', abi.MMUEXT_FLUSH_CACHE);
  op('flush cache global', abi.MMUEXT_FLUSH_CACHE_GLOBAL);
  op('flush local', abi.MMUEXT_TLB_FLUSH_LOCAL);
  op('flush all', abi.MMUEXT_TLB_FLUSH_ALL);
  op('flush multi', abi.MMUEXT_TLB_FLUSH_MULTI, 0, rig.pack('Q', 1));
  op('flush multi, absent vcpus', abi.MMUEXT_TLB_FLUSH_MULTI, 0, rig.pack('Q', 0xfffffffcn));
  op('flush multi, nowhere', abi.MMUEXT_TLB_FLUSH_MULTI, 0, NOWHERE);
  op('invlpg local', abi.MMUEXT_INVLPG_LOCAL, data);
  op('invlpg local, not canonical', abi.MMUEXT_INVLPG_LOCAL, NOT_CANONICAL);
  op('invlpg local, of Xen', abi.MMUEXT_INVLPG_LOCAL, OF_XEN);
  op('invlpg all', abi.MMUEXT_INVLPG_ALL, data);
  op('invlpg all, not canonical', abi.MMUEXT_INVLPG_ALL, NOT_CANONICAL);
  op('invlpg multi', abi.MMUEXT_INVLPG_MULTI, data, rig.pack('Q', 1));
  op('invlpg multi, nowhere', abi.MMUEXT_INVLPG_MULTI, data, NOWHERE);

  op('set LDT', abi.MMUEXT_SET_LDT, data, 8);
  op('set LDT, none', abi.MMUEXT_SET_LDT, 0, 0);
  op('set LDT, misaligned', abi.MMUEXT_SET_LDT, rig.at(data, 8), 8);
  op('set LDT, not canonical', abi.MMUEXT_SET_LDT, NOT_CANONICAL, 8);
  op('set LDT, of Xen', abi.MMUEXT_SET_LDT, OF_XEN, 8);
  op('set LDT, nowhere', abi.MMUEXT_SET_LDT, NOWHERE, 8);
  op('set LDT, 8192 entries', abi.MMUEXT_SET_LDT, data, 8192);
  op('set LDT, 8193 entries', abi.MMUEXT_SET_LDT, data, 8193);
  op('set LDT, none, misaligned', abi.MMUEXT_SET_LDT, rig.at(data, 8), 0);

  const other = rig.page();
  rig.store(data, 8, 44);
  op('copy page', abi.MMUEXT_COPY_PAGE, rig.mfn(other), rig.mfn(data));
  rig.show('copy page: it', rig.load(other, 8));
  op('copy page from a table', abi.MMUEXT_COPY_PAGE, rig.mfn(other), rig.table(1, data));
  op('copy page to a table', abi.MMUEXT_COPY_PAGE, rig.table(1, data), rig.mfn(data));
  op('copy page from foreign', abi.MMUEXT_COPY_PAGE, rig.mfn(other), rig.foreign());
  op('copy page to foreign', abi.MMUEXT_COPY_PAGE, rig.foreign(), rig.mfn(data));
  op('copy page from beyond', abi.MMUEXT_COPY_PAGE, rig.mfn(other), 0xffffff);
  op('clear page', abi.MMUEXT_CLEAR_PAGE, rig.mfn(other));
  rig.show('clear page: it', rig.load(other, 8));
  op('clear page, a table', abi.MMUEXT_CLEAR_PAGE, rig.table(1, data));
  op('clear page, the root', abi.MMUEXT_CLEAR_PAGE, root);
  op('clear page, foreign', abi.MMUEXT_CLEAR_PAGE, rig.foreign());
  op("clear page, Xen's", abi.MMUEXT_CLEAR_PAGE, rig.xens());
  op('clear page, beyond', abi.MMUEXT_CLEAR_PAGE, 0xffffff);

  op('for domain 0', abi.MMUEXT_TLB_FLUSH_LOCAL, 0, 0, 0);
  op('for an absent domain', abi.MMUEXT_TLB_FLUSH_LOCAL, 0, 0, ABSENT);
  op('for its own number', abi.MMUEXT_TLB_FLUSH_LOCAL, 0, 0, rig.self());
  op('pin for domain 0', pin, rig.mfn(data), 0, 0);
  rig.call('none', NR, 0, 0, done, DOMID_SELF);
  rig.show('none: done', rig.load(done, 4));
  rig.call('nowhere', NR, NOWHERE, 1, done, DOMID_SELF);
  rig.show('nowhere: done', rig.load(done, 4));
  rig.call('huge, nowhere', NR, NOWHERE, 0x7fffffff, done, DOMID_SELF);
  const flush = abi.MMUEXT_TLB_FLUSH_LOCAL;
  const two = rig.pack('IQQIQQ', flush, 0, 0, 99, 0, 0);
  rig.call('two, the second bad', NR, two, 2, done, DOMID_SELF);
  rig.show('two, the second bad: done', rig.load(done, 4));
  rig.call('done count nowhere', NR, two, 1, NOWHERE, DOMID_SELF);
  rig.call('no done count', NR, two, 1, 0, DOMID_SELF);
};
