/** Calls about callbacks, segments, versions, devices, and of numbers that a guest has no business with. */
import * as nr from '../../../protocol/hypercalls.ts';
import * as physdev from '../../../protocol/physdev.ts';
import * as version from '../../../protocol/version.ts';
import {
  ABSENT,
  type Arg,
  type Cases,
  DOMID_SELF,
  NOT_CANONICAL,
  NOWHERE,
  OF_XEN,
  RO,
} from './rig.ts';

export const versionCases: Cases = (rig) => {
  const NR = nr.__HYPERVISOR_xen_version;
  for (let cmd = 0; cmd < 13; cmd++) {
    rig.call(`command ${cmd}, nowhere`, NR, cmd, NOWHERE);
    // The length of the build id is the build's.
    if (cmd !== version.XENVER_build_id) rig.call(`command ${cmd}, null`, NR, cmd, 0);
  }
  rig.call('command 1000', NR, 1000, 0);
  rig.call('command 3 in Xen', NR, version.XENVER_capabilities, OF_XEN);
  for (const submap of [0, 1, 2, 0xffffffff]) {
    const arg = rig.pack('II', submap, 77);
    rig.call(`features ${submap}`, NR, version.XENVER_get_features, arg);
    rig.show(`features ${submap}: map`, rig.load(rig.at(arg, 4), 4));
  }
  const platform = rig.pack('Q', 0);
  rig.call('platform_parameters', NR, version.XENVER_platform_parameters, platform);
  rig.show('platform_parameters: start', rig.load(platform, 8));
  const line = rig.page();
  rig.call('commandline', NR, version.XENVER_commandline, line);
  rig.show('commandline: begin', rig.load(line, 8));
  const handle = rig.page();
  rig.call('changeset', NR, version.XENVER_changeset, handle);
};

export const callbackCases: Cases = (rig) => {
  const page = rig.page();
  type V = typeof page;
  const traps = (
    name: string,
    vector: number,
    flags: number,
    cs: number,
    address: Arg<V>,
  ): void => {
    const list = rig.pack('BBHQBBHQ', vector, flags, cs, address, 0, 0, 0, 0);
    rig.call(name, nr.__HYPERVISOR_set_trap_table, list);
  };
  const code = 0xffffffff80100000n;
  traps('trap table', 3, 0, 0xe033, code);
  traps('trap table empty', 3, 0, 0xe033, 0);
  traps('trap table not canonical', 3, 0, 0xe033, NOT_CANONICAL);
  traps('trap table in Xen', 3, 0, 0xe033, OF_XEN);
  traps('trap table selector 0x10', 3, 0, 0x10, code);
  traps('trap table selector 0', 3, 0, 0, code);
  traps('trap table flags 0xff', 3, 0xff, 0xe033, code);
  traps('trap table vector 255', 255, 0, 0xe033, code);
  rig.call('trap table nowhere', nr.__HYPERVISOR_set_trap_table, NOWHERE);
  rig.call('trap table of Xen', nr.__HYPERVISOR_set_trap_table, OF_XEN);
  rig.call('trap table null', nr.__HYPERVISOR_set_trap_table, 0);

  const set = nr.__HYPERVISOR_set_callbacks;
  rig.call('set_callbacks', set, code, code, code);
  rig.call('set_callbacks not canonical', set, NOT_CANONICAL, code, code);
  rig.call('set_callbacks null', set, 0, 0, 0);

  const op = nr.__HYPERVISOR_callback_op;
  for (let type = 0; type < 10; type++) {
    rig.call(`register ${type}`, op, 0, rig.pack('HHQ', type, 0, code));
    rig.call(`register ${type} flags`, op, 0, rig.pack('HHQ', type, 0xffff, code));
    rig.call(`register ${type} not canonical`, op, 0, rig.pack('HHQ', type, 0, NOT_CANONICAL));
    rig.call(`register ${type} null`, op, 0, rig.pack('HHQ', type, 0, 0));
    rig.call(`unregister ${type}`, op, 1, rig.pack('HH', type, 0));
  }
  rig.call('register nowhere', op, 0, NOWHERE);
  rig.call('unregister nowhere', op, 1, NOWHERE);
  rig.call('callback command 2', op, 2, 0);
  rig.call('callback command 1000', op, 1000, 0);

  rig.call('stack_switch', nr.__HYPERVISOR_stack_switch, 0xe02b, rig.at(page, 4096));
  rig.call('stack_switch ss 0', nr.__HYPERVISOR_stack_switch, 0, rig.at(page, 4096));
  rig.call('stack_switch not canonical', nr.__HYPERVISOR_stack_switch, 0xe02b, NOT_CANONICAL);
  rig.call('stack_switch back', nr.__HYPERVISOR_stack_switch, 0xe02b, rig.at(page, 4096));

  const assist = nr.__HYPERVISOR_vm_assist;
  for (const type of [0, 1, 3, 4, 5, 6, 31, 32, 63, 64, 0xffffffff]) {
    rig.call(`vm_assist enable ${type}`, assist, 0, type);
    rig.call(`vm_assist disable ${type}`, assist, 1, type);
  }
  rig.call('vm_assist enable 2', assist, 0, 2);
  rig.call('vm_assist disable 2', assist, 1, 2);
  rig.call('vm_assist command 2', assist, 2, 0);
  rig.call('vm_assist command 2 of 63', assist, 2, 63);
};

export const segmentCases: Cases = (rig) => {
  const page = rig.page();
  type V = typeof page;
  const base = nr.__HYPERVISOR_set_segment_base;
  for (let which = 0; which < 3; which++) {
    rig.call(`segment base ${which}`, base, which, page);
    rig.call(`segment base ${which} not canonical`, base, which, NOT_CANONICAL);
    rig.call(`segment base ${which} of Xen`, base, which, OF_XEN);
    rig.call(`segment base ${which} 0`, base, which, 0);
  }
  rig.call('segment base 3, selector 0', base, 3, 0);
  rig.call('segment base 4', base, 4, 0);
  rig.call('segment base -1', base, 0xffffffffn, 0);

  const gdt = nr.__HYPERVISOR_set_gdt;
  const table = rig.page();
  rig.quiet(nr.__HYPERVISOR_update_va_mapping, table, rig.pte(rig.mfn(table), RO), 2);
  const list = (mfn: Arg<V>): V => rig.pack('Q', mfn);
  rig.call('set_gdt', gdt, list(rig.mfn(table)), 512);
  rig.call('set_gdt frames 0', gdt, list(0), 0);
  rig.call('set_gdt nowhere, none', gdt, NOWHERE, 0);
  rig.call('set_gdt 14336', gdt, NOWHERE, 14336);
  rig.call('set_gdt 14337', gdt, NOWHERE, 14337);
  rig.call('set_gdt -1', gdt, NOWHERE, 0xffffffffn);
  rig.call('set_gdt nowhere', gdt, NOWHERE, 1);
  rig.call('set_gdt in Xen', gdt, OF_XEN, 1);
  rig.call('set_gdt writable page', gdt, list(rig.mfn(page)), 512);
  rig.call('set_gdt foreign', gdt, list(rig.foreign()), 512);
  rig.call("set_gdt Xen's", gdt, list(rig.xens()), 512);
  rig.call('set_gdt beyond memory', gdt, list(0xffffff), 512);
  rig.call('set_gdt a page table', gdt, list(rig.table(1, page)), 512);
  rig.call('set_gdt two, the second bad', gdt, rig.pack('QQ', rig.mfn(table), 0xffffff), 513);

  const update = nr.__HYPERVISOR_update_descriptor;
  const address = (mfn: Arg<V>, offset: number): V => rig.pte(mfn, offset);
  const data = 0x00cf92000000ffffn;
  rig.call('descriptor', update, address(rig.mfn(page), 8), data);
  rig.call('descriptor: it', nr.__HYPERVISOR_xen_version, 7, 0);
  rig.show('descriptor: stored', rig.load(rig.at(page, 8), 8));
  rig.call('descriptor null', update, address(rig.mfn(page), 8), 0);
  rig.call('descriptor misaligned', update, address(rig.mfn(page), 9), data);
  rig.call('descriptor misaligned by 4', update, address(rig.mfn(page), 4), data);
  rig.call('descriptor foreign', update, address(rig.foreign(), 8), data);
  rig.call("descriptor Xen's", update, address(rig.xens(), 8), data);
  rig.call('descriptor beyond memory', update, address(0xffffff, 8), data);
  rig.call('descriptor in a page table', update, address(rig.table(1, page), 8), data);
  for (const [name, value] of [
    ['code DPL 0', 0x00af9a000000ffffn],
    ['code DPL 3', 0x00affa000000ffffn],
    ['code L and D', 0x00effa000000ffffn],
    ['code 32-bit', 0x00cffa000000ffffn],
    ['conforming code', 0x00affe000000ffffn],
    ['data DPL 1', 0x00cfb2000000ffffn],
    ['data, not present', 0x00cf12000000ffffn],
    ['LDT', 0x0000e2000000ffffn],
    ['TSS', 0x0000e9000000ffffn],
    ['call gate', 0x0000ec000008ffffn],
    ['call gate to Xen', 0x0000ec00e008ffffn],
    ['type 0', 0x0000e0000000ffffn],
    ['interrupt gate', 0x0000ee000000ffffn],
    ['task gate', 0x0000e5000000ffffn],
  ] as const) {
    const at = rig.page();
    rig.call(`descriptor ${name}`, update, address(rig.mfn(at), 0), value);
    rig.show(`descriptor ${name}: stored`, rig.load(at, 8));
  }

  const setDr = nr.__HYPERVISOR_set_debugreg;
  for (let reg = 0; reg < 9; reg++) {
    rig.call(`debugreg ${reg} to 0`, setDr, reg, 0);
    rig.call(`debugreg ${reg} of Xen`, setDr, reg, OF_XEN);
    rig.call(`debugreg ${reg} not canonical`, setDr, reg, NOT_CANONICAL);
    rig.call(`debugreg ${reg} to 1`, setDr, reg, 1);
    rig.call(`debugreg ${reg} to 0 again`, setDr, reg, 0);
    rig.call(`get debugreg ${reg}`, nr.__HYPERVISOR_get_debugreg, reg);
  }
  rig.call('debugreg -1', setDr, 0xffffffffffffffffn, 0);
  rig.call('get debugreg -1', nr.__HYPERVISOR_get_debugreg, 0xffffffffffffffffn);
  for (const value of [0x2000n, 0x400n, 0x20000n, 0x80000n, 0xffff0000n, 1n << 32n])
    rig.call(`debugreg 7 to ${value}`, setDr, 7, value);
  rig.quiet(setDr, 7, 0);
  rig.call('fpu_taskswitch 1', nr.__HYPERVISOR_fpu_taskswitch, 1);
  rig.call('fpu_taskswitch 0', nr.__HYPERVISOR_fpu_taskswitch, 0);
};

export const deviceCases: Cases = (rig) => {
  const NR = nr.__HYPERVISOR_physdev_op;
  for (let cmd = 0; cmd < 36; cmd++) rig.call(`physdev command ${cmd}, nowhere`, NR, cmd, NOWHERE);
  rig.call('physdev command 1000', NR, 1000, 0);
  const page = rig.page();
  type V = typeof page;
  const op = (name: string, cmd: number, fields: string, ...values: Arg<V>[]): void => {
    rig.call(name, NR, cmd, rig.pack(fields, ...values));
  };
  for (const level of [0, 1, 2, 3, 4, 0xffffffff])
    op(`set_iopl ${level}`, physdev.PHYSDEVOP_set_iopl, 'I', level);
  op('set_iobitmap', physdev.PHYSDEVOP_set_iobitmap, 'QI', page, 65536);
  op('set_iobitmap 65537', physdev.PHYSDEVOP_set_iobitmap, 'QI', page, 65537);
  op('set_iobitmap in Xen', physdev.PHYSDEVOP_set_iobitmap, 'QI', OF_XEN, 65536);
  op('set_iobitmap nowhere', physdev.PHYSDEVOP_set_iobitmap, 'QI', NOWHERE, 65536);
  op('set_iobitmap none', physdev.PHYSDEVOP_set_iobitmap, 'QI', 0, 0);
  for (const irq of [0, 14, 100, 0xffffffff]) {
    op(`eoi ${irq}`, physdev.PHYSDEVOP_eoi, 'I', irq);
    op(`irq_status_query ${irq}`, physdev.PHYSDEVOP_irq_status_query, 'II', irq, 0);
    op(`unmap_pirq ${irq}`, physdev.PHYSDEVOP_unmap_pirq, 'HI', DOMID_SELF, irq);
    op(
      `map_pirq ${irq}`,
      physdev.PHYSDEVOP_map_pirq,
      'HIIIIIIQ',
      DOMID_SELF,
      1,
      irq,
      irq,
      0,
      0,
      0,
      0,
    );
  }
  op('map_pirq of domain 0', physdev.PHYSDEVOP_map_pirq, 'HIIIIIIQ', 0, 1, 14, 14, 0, 0, 0, 0);
  op(
    'map_pirq of an absent domain',
    physdev.PHYSDEVOP_map_pirq,
    'HIIIIIIQ',
    ABSENT,
    1,
    14,
    14,
    0,
    0,
    0,
    0,
  );
  op(
    'map_pirq of type 9',
    physdev.PHYSDEVOP_map_pirq,
    'HIIIIIIQ',
    DOMID_SELF,
    9,
    14,
    14,
    0,
    0,
    0,
    0,
  );
  op('unmap_pirq of domain 0', physdev.PHYSDEVOP_unmap_pirq, 'HI', 0, 14);
  op('unmap_pirq of an absent domain', physdev.PHYSDEVOP_unmap_pirq, 'HI', ABSENT, 14);

  const io = nr.__HYPERVISOR_console_io;
  rig.call('console_io write', io, 0, 5, page);
  rig.call('console_io write nothing', io, 0, 0, page);
  rig.call('console_io write nowhere', io, 0, 5, NOWHERE);
  rig.call('console_io read', io, 1, 5, page);
  rig.call('console_io command 2', io, 2, 5, page);
};

/** Calls that are not for a guest like this, with null and with nowhere for every argument. */
export const foreignCases: Cases = (rig) => {
  const numbers: number[] = [
    nr.__HYPERVISOR_sched_op_compat,
    nr.__HYPERVISOR_platform_op,
    11,
    nr.__HYPERVISOR_event_channel_op_compat,
    nr.__HYPERVISOR_physdev_op_compat,
    nr.__HYPERVISOR_xsm_op,
    nr.__HYPERVISOR_nmi_op,
    nr.__HYPERVISOR_xenoprof_op,
    nr.__HYPERVISOR_hvm_op,
    nr.__HYPERVISOR_sysctl,
    nr.__HYPERVISOR_domctl,
    nr.__HYPERVISOR_kexec_op,
    nr.__HYPERVISOR_tmem_op,
    nr.__HYPERVISOR_argo_op,
    nr.__HYPERVISOR_xenpmu_op,
    nr.__HYPERVISOR_dm_op,
    nr.__HYPERVISOR_hypfs_op,
  ];
  for (let number = 43; number < 66; number++) numbers.push(number);
  for (const number of [...numbers, 127, 128, 255, 1000, 0x7fffffff, 0xffffffff]) {
    rig.call(`number ${number}, null`, number, 99, 0, 0, 0, 0);
    rig.call(`number ${number}, nowhere`, number, NOWHERE, NOWHERE, NOWHERE, NOWHERE, NOWHERE);
  }
  const page = rig.page();
  rig.call('domctl, zeroes', nr.__HYPERVISOR_domctl, page);
  rig.call('sysctl, zeroes', nr.__HYPERVISOR_sysctl, page);
  rig.call('platform_op, zeroes', nr.__HYPERVISOR_platform_op, page);
  rig.store(page, 4, 0x15);
  rig.store(rig.at(page, 4), 4, 0x15);
  rig.call('domctl, a version', nr.__HYPERVISOR_domctl, page);
  rig.call('sysctl, a version', nr.__HYPERVISOR_sysctl, page);
  rig.store(rig.at(page, 4), 4, 0x03000000);
  rig.call('platform_op, a version', nr.__HYPERVISOR_platform_op, page);
  for (let cmd = 0; cmd < 26; cmd++) {
    rig.call(`hvm_op ${cmd}, zeroes`, nr.__HYPERVISOR_hvm_op, cmd, rig.page());
    rig.call(`hvm_op ${cmd}, nowhere`, nr.__HYPERVISOR_hvm_op, cmd, NOWHERE);
  }
};
