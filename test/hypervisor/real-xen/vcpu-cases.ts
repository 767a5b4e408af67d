/** Calls of vcpu_op, sched_op and set_timer_op, right and wrong. */

import {
  EVTCHNOP_alloc_unbound,
  EVTCHNOP_bind_interdomain,
} from '../../../protocol/event-channel.ts';
import {
  __HYPERVISOR_event_channel_op as EVENT,
  __HYPERVISOR_sched_op as SCHED,
  __HYPERVISOR_set_timer_op as TIMER,
  __HYPERVISOR_vcpu_op as VCPU,
} from '../../../protocol/hypercalls.ts';
import * as sched from '../../../protocol/sched.ts';
import * as abi from '../../../protocol/vcpu.ts';
import { ABSENT, type Arg, type Cases, DOMID_SELF, NOT_CANONICAL, NOWHERE, OF_XEN } from './rig.ts';

export const vcpuCases: Cases = (rig) => {
  const page = rig.page();
  type V = typeof page;
  const op = (name: string, cmd: number, vcpu: Arg<V>, fields: string, ...values: Arg<V>[]): V => {
    const arg = rig.pack(fields, ...values);
    rig.call(name, VCPU, cmd, vcpu, arg);
    return arg;
  };
  for (let cmd = 0; cmd < 17; cmd++) {
    rig.call(`command ${cmd} on an absent vcpu`, VCPU, cmd, 2, NOWHERE);
    // Down and NMI of the only running one would be the end.
    if (cmd !== abi.VCPUOP_down && cmd !== abi.VCPUOP_send_nmi)
      rig.call(`command ${cmd}, nowhere`, VCPU, cmd, 0, NOWHERE);
    rig.call(`command ${cmd} on vcpu 1, nowhere`, VCPU, cmd, 1, NOWHERE);
  }
  rig.call('is_up of vcpu 9999', VCPU, abi.VCPUOP_is_up, 9999, 0);
  rig.call('is_up of vcpu -1', VCPU, abi.VCPUOP_is_up, 0xffffffffn, 0);
  rig.call('unknown command on an absent vcpu', VCPU, 99, 99, 0);
  rig.call('unknown command', VCPU, 99, 0, 0);

  rig.call('initialise vcpu 1, in Xen', VCPU, abi.VCPUOP_initialise, 1, OF_XEN);
  const context = rig.page();
  rig.page();
  rig.call('initialise vcpu 0', VCPU, abi.VCPUOP_initialise, 0, context);
  rig.call('initialise vcpu 1, zeroes', VCPU, abi.VCPUOP_initialise, 1, context);

  const register = abi.VCPUOP_register_vcpu_info;
  const mfn = rig.mfn(page);
  op('vcpu_info misaligned by 1', register, 0, 'QII', mfn, 1, 0);
  op('vcpu_info misaligned by 4', register, 0, 'QII', mfn, 4, 0);
  op('vcpu_info misaligned by 8', register, 1, 'QII', 0xffffffffffn, 8, 0);
  op('vcpu_info crossing', register, 0, 'QII', mfn, 4096 - 56, 0);
  op('vcpu_info beyond', register, 0, 'QII', mfn, 0xffffffc0n, 0);
  op('vcpu_info foreign', register, 0, 'QII', rig.foreign(), 0, 0);
  op('vcpu_info in a page table', register, 0, 'QII', rig.table(1, page), 0, 0);
  op("vcpu_info in Xen's", register, 0, 'QII', rig.xens(), 0, 0);
  op('vcpu_info beyond memory', register, 0, 'QII', 0xffffff, 0, 0);
  op('vcpu_info of vcpu 1', register, 1, 'QII', mfn, 0, 0);
  op('vcpu_info of vcpu 1 twice', register, 1, 'QII', mfn, 64, 0);
  op('vcpu_info', register, 0, 'QII', mfn, 4096 - 64, 0);
  op('vcpu_info twice', register, 0, 'QII', mfn, 128, 0);
  op('vcpu_info twice and misaligned', register, 0, 'QII', mfn, 1, 0);

  const state = rig.page();
  rig.call('get_runstate_info', VCPU, abi.VCPUOP_get_runstate_info, 0, state);
  rig.show('get_runstate_info: state', rig.load(state, 4));
  rig.call('get_runstate_info of vcpu 1', VCPU, abi.VCPUOP_get_runstate_info, 1, state);
  rig.show('get_runstate_info of vcpu 1: state', rig.load(state, 4));
  op('runstate area', abi.VCPUOP_register_runstate_memory_area, 0, 'Q', state);
  rig.show('runstate area: state', rig.load(state, 4));
  op(
    'runstate area not canonical',
    abi.VCPUOP_register_runstate_memory_area,
    0,
    'Q',
    NOT_CANONICAL,
  );
  op('runstate area of Xen', abi.VCPUOP_register_runstate_memory_area, 0, 'Q', OF_XEN);
  op('runstate area back', abi.VCPUOP_register_runstate_memory_area, 0, 'Q', state);
  op('time area', abi.VCPUOP_register_vcpu_time_memory_area, 0, 'Q', rig.page());
  op('time area nowhere', abi.VCPUOP_register_vcpu_time_memory_area, 0, 'Q', NOWHERE);
  op('time area of Xen', abi.VCPUOP_register_vcpu_time_memory_area, 0, 'Q', OF_XEN);

  const periodic = abi.VCPUOP_set_periodic_timer;
  op('periodic 0', periodic, 0, 'Q', 0);
  op('periodic 999999', periodic, 0, 'Q', 999999);
  op('periodic 1000000', periodic, 0, 'Q', 1000000);
  op('periodic 2^63-1', periodic, 0, 'Q', (1n << 63n) - 1n);
  op('periodic 2^63', periodic, 0, 'Q', 1n << 63n);
  op('periodic 2^56', periodic, 0, 'Q', 1n << 56n);
  op('periodic 2^61', periodic, 0, 'Q', 1n << 61n);
  op('periodic of vcpu 1', periodic, 1, 'Q', 10000000);
  rig.call('stop periodic', VCPU, abi.VCPUOP_stop_periodic_timer, 0, 0);
  rig.call('stop periodic of vcpu 1', VCPU, abi.VCPUOP_stop_periodic_timer, 1, 0);
  const single = abi.VCPUOP_set_singleshot_timer;
  op('singleshot past', single, 0, 'QI', 1, 0);
  op('singleshot past, must be ahead', single, 0, 'QI', 1, 1);
  op('singleshot 0, must be ahead', single, 0, 'QI', 0, 1);
  op('singleshot unknown flags', single, 0, 'QI', 1n << 50n, 0xfffffffen);
  op('singleshot negative', single, 0, 'QI', 1n << 63n, 0);
  op('singleshot negative, must be ahead', single, 0, 'QI', 1n << 63n, 1);
  op('singleshot of vcpu 1', single, 1, 'QI', 1, 0);
  rig.call('stop singleshot', VCPU, abi.VCPUOP_stop_singleshot_timer, 0, 0);
  rig.call('stop singleshot of vcpu 1', VCPU, abi.VCPUOP_stop_singleshot_timer, 1, 0);
  rig.call('up, not initialised', VCPU, abi.VCPUOP_up, 1, 0);
  rig.call('up of itself', VCPU, abi.VCPUOP_up, 0, 0);
  rig.call('down, not up', VCPU, abi.VCPUOP_down, 1, 0);
};

export const schedCases: Cases = (rig) => {
  const ports = rig.page();
  type V = typeof ports;
  for (let cmd = 2; cmd < 12; cmd++) rig.call(`command ${cmd}, nowhere`, SCHED, cmd, NOWHERE);
  rig.call('command 1000', SCHED, 1000, 0);
  rig.call('yield', SCHED, sched.SCHEDOP_yield, 0);
  const poll = (name: string, list: Arg<V>, count: Arg<V>, timeout: Arg<V>): void => {
    rig.call(name, SCHED, sched.SCHEDOP_poll, rig.pack('QIQ', list, count, timeout));
  };
  const alloc = rig.pack('HHI', DOMID_SELF, DOMID_SELF, 0);
  rig.quiet(EVENT, EVTCHNOP_alloc_unbound, alloc);
  const unbound = rig.load(rig.at(alloc, 4), 4);
  const bind = rig.pack('HII', DOMID_SELF, unbound, 0);
  rig.quiet(EVENT, EVTCHNOP_bind_interdomain, bind);
  const pending = rig.load(rig.at(bind, 8), 4);

  poll('poll 129 ports', NOWHERE, 129, 1);
  poll('poll 128 ports, nowhere', NOWHERE, 128, 1);
  poll('poll -1 ports', NOWHERE, 0xffffffffn, 1);
  poll('poll one port, nowhere', NOWHERE, 1, 1);
  poll('poll one port, in Xen', OF_XEN, 1, 1);
  poll('poll one port, null', 0, 1, 1);
  poll('poll no port, past', NOWHERE, 0, 1);
  rig.store(ports, 4, 100000);
  poll('poll port beyond', ports, 1, 1);
  rig.store(ports, 4, 4096);
  poll('poll port 4096', ports, 1, 1);
  rig.store(ports, 4, 4095);
  poll('poll port 4095', ports, 1, 1);
  rig.store(ports, 4, 200);
  poll('poll a port that never was', ports, 1, 1);
  rig.store(ports, 4, 60);
  poll('poll closed port', ports, 1, 1);
  rig.store(ports, 4, 0);
  poll('poll port 0', ports, 1, 1);
  rig.store(ports, 4, unbound);
  poll('poll unbound port, past', ports, 1, 1);
  rig.store(ports, 4, pending);
  poll('poll pending port', ports, 1, 0);
  rig.store(rig.at(ports, 4), 4, 100000);
  poll('poll pending port, then beyond', ports, 2, 0);

  const remote = (name: string, dom: number): void => {
    rig.call(name, SCHED, sched.SCHEDOP_remote_shutdown, rig.pack('HI', dom, 0));
  };
  remote('remote_shutdown of domain 0', 0);
  remote('remote_shutdown of an absent domain', ABSENT);
  remote('remote_shutdown of DOMID_SELF', DOMID_SELF);
  const watchdog = (name: string, id: number, timeout: number): void => {
    rig.call(name, SCHED, sched.SCHEDOP_watchdog, rig.pack('II', id, timeout));
  };
  watchdog('watchdog id 5', 5, 10);
  watchdog('watchdog id 1, not there', 1, 10);
  watchdog('watchdog new', 0, 60);
  watchdog('watchdog again', 1, 60);
  watchdog('watchdog second', 0, 60);
  watchdog('watchdog third', 0, 60);
  watchdog('watchdog stop', 1, 0);
  watchdog('watchdog stop again', 1, 0);
  watchdog('watchdog stop second', 2, 0);
  rig.call('pin_override', SCHED, sched.SCHEDOP_pin_override, rig.pack('I', 0));
  rig.call('shutdown in Xen', SCHED, sched.SCHEDOP_shutdown, OF_XEN);

  rig.call('set_timer 1', TIMER, 1);
  rig.call('set_timer -1', TIMER, 0xffffffffffffffffn);
  rig.call('set_timer 2^62', TIMER, 1n << 62n);
  rig.call('set_timer 0', TIMER, 0);
};
