/** Calls of event_channel_op, right and wrong. */

import * as abi from '../../../protocol/event-channel.ts';
import { __HYPERVISOR_event_channel_op as NR } from '../../../protocol/hypercalls.ts';
import {
  ABSENT,
  type Arg,
  type Cases,
  DOMID_INVALID,
  DOMID_SELF,
  NOT_CANONICAL,
  NOWHERE,
  OF_XEN,
  type Rig,
} from './rig.ts';

const STATUS = 'HIIIII';

const act = <V>(rig: Rig<V>) => ({
  op: (name: string, cmd: number, fields: string, ...values: Arg<V>[]): V => {
    const arg = rig.pack(fields, ...values);
    rig.call(name, NR, cmd, arg);
    return arg;
  },
  status: (name: string, dom: Arg<V>, port: Arg<V>): V => {
    const arg = rig.pack(STATUS, dom, port, 77, 77, 77, 77);
    rig.call(name, NR, abi.EVTCHNOP_status, arg);
    rig.show(`${name}: status`, rig.load(rig.at(arg, 8), 4));
    return arg;
  },
});

export const eventCases: Cases = (rig) => {
  const { op, status } = act(rig);
  const portOf = (arg: ReturnType<typeof rig.page>, at: number) => rig.load(rig.at(arg, at), 4);

  for (let cmd = 0; cmd < 16; cmd++) {
    rig.call(`command ${cmd}, argument nowhere`, NR, cmd, NOWHERE);
  }
  rig.call('command 1000', NR, 1000, NOWHERE);
  rig.call('close, argument null', NR, abi.EVTCHNOP_close, 0);
  rig.call('close, argument not canonical', NR, abi.EVTCHNOP_close, NOT_CANONICAL);
  rig.call('close, argument in Xen', NR, abi.EVTCHNOP_close, OF_XEN);

  const alloc = abi.EVTCHNOP_alloc_unbound;
  const own = portOf(op('alloc_unbound self for self', alloc, 'HHI', DOMID_SELF, DOMID_SELF, 0), 4);
  const offered = portOf(op('alloc_unbound self for 0', alloc, 'HHI', DOMID_SELF, 0, 0), 4);
  op('alloc_unbound self for an absent domain', alloc, 'HHI', DOMID_SELF, ABSENT, 0);
  op('alloc_unbound self for DOMID_INVALID', alloc, 'HHI', DOMID_SELF, DOMID_INVALID, 0);
  op('alloc_unbound by own number', alloc, 'HHI', rig.self(), rig.self(), 0);
  op('alloc_unbound in domain 0', alloc, 'HHI', 0, DOMID_SELF, 0);
  op('alloc_unbound in an absent domain', alloc, 'HHI', ABSENT, 0, 0);
  op('alloc_unbound in DOMID_INVALID', alloc, 'HHI', DOMID_INVALID, 0, 0);
  status('status unbound', DOMID_SELF, own);
  status('status offered', DOMID_SELF, offered);

  const send = abi.EVTCHNOP_send;
  op('send unbound', send, 'I', own);
  op('send port 0', send, 'I', 0);
  op('send closed', send, 'I', 60);
  op('send beyond', send, 'I', 5000);
  op('send way beyond', send, 'I', 0xffffffffn);
  const unmask = abi.EVTCHNOP_unmask;
  op('unmask port 0', unmask, 'I', 0);
  op('unmask closed', unmask, 'I', 60);
  op('send to one that never was', send, 'I', 200);
  op('unmask one that never was', unmask, 'I', 200);
  op('close one that never was', abi.EVTCHNOP_close, 'I', 200);
  status('status of one that never was', DOMID_SELF, 200);
  op('unmask port 70', unmask, 'I', 70);
  op('unmask port 120', unmask, 'I', 120);
  op('unmask unbound', unmask, 'I', own);
  op('unmask last', unmask, 'I', 4095);
  op('unmask beyond', unmask, 'I', 4096);
  op('unmask way beyond', unmask, 'I', 0xffffffffn);

  const inter = abi.EVTCHNOP_bind_interdomain;
  op('bind_interdomain absent domain', inter, 'HII', ABSENT, 1, 0);
  op('bind_interdomain DOMID_INVALID', inter, 'HII', DOMID_INVALID, 1, 0);
  op('bind_interdomain own port offered to 0', inter, 'HII', DOMID_SELF, offered, 0);
  op('bind_interdomain domain 0 port 0', inter, 'HII', 0, 0, 0);
  op('bind_interdomain domain 0 port beyond', inter, 'HII', 0, 100000, 0);
  op('bind_interdomain domain 0 port 100', inter, 'HII', 0, 100, 0);
  const looped = portOf(op('bind_interdomain self', inter, 'HII', DOMID_SELF, own, 0), 8);
  op('bind_interdomain self again', inter, 'HII', DOMID_SELF, own, 0);
  op('bind_interdomain closed', inter, 'HII', DOMID_SELF, 60, 0);
  status('status interdomain', DOMID_SELF, looped);
  op('send interdomain', send, 'I', looped);

  const virq = abi.EVTCHNOP_bind_virq;
  const timer = portOf(op('bind_virq timer', virq, 'III', 0, 0, 0), 8);
  op('bind_virq timer again', virq, 'III', 0, 0, 0);
  op('bind_virq timer on vcpu 1', virq, 'III', 0, 1, 0);
  op('bind_virq timer on an absent vcpu', virq, 'III', 0, 2, 0);
  op('bind_virq timer on vcpu 9999', virq, 'III', 0, 9999, 0);
  op('bind_virq 24', virq, 'III', 24, 0, 0);
  op('bind_virq -1', virq, 'III', 0xffffffffn, 0, 0);
  op('bind_virq 24 on an absent vcpu', virq, 'III', 24, 9, 0);
  op('bind_virq debug', virq, 'III', 1, 0, 0);
  for (const [number, name] of [
    [2, 'console'],
    [3, 'dom_exc'],
    [4, 'tbuf'],
    [6, 'debugger'],
    [8, 'con_ring'],
    [10, 'pcpu_state'],
    [13, 'xenpmu'],
    [14, '14'],
    [16, 'arch_0'],
    [23, 'arch_7'],
  ] as const) {
    op(`bind_virq ${name}`, virq, 'III', number, 0, 0);
    op(`bind_virq ${name} on vcpu 1`, virq, 'III', number, 1, 0);
  }
  status('status virq', DOMID_SELF, timer);
  op('send virq', send, 'I', timer);

  const ipi = portOf(op('bind_ipi', abi.EVTCHNOP_bind_ipi, 'II', 0, 0), 4);
  op('bind_ipi on vcpu 1', abi.EVTCHNOP_bind_ipi, 'II', 1, 0);
  op('bind_ipi on an absent vcpu', abi.EVTCHNOP_bind_ipi, 'II', 2, 0);
  status('status ipi', DOMID_SELF, ipi);
  op('send ipi', send, 'I', ipi);

  const pirq = abi.EVTCHNOP_bind_pirq;
  op('bind_pirq 0', pirq, 'III', 0, 0, 0);
  op('bind_pirq 14', pirq, 'III', 14, 0, 0);
  op('bind_pirq 100000', pirq, 'III', 100000, 0, 0);

  const bind = abi.EVTCHNOP_bind_vcpu;
  op('bind_vcpu unbound port to vcpu 1', bind, 'II', offered, 1);
  op('bind_vcpu interdomain to vcpu 1', bind, 'II', looped, 1);
  op('bind_vcpu interdomain to vcpu 0', bind, 'II', looped, 0);
  op('bind_vcpu timer', bind, 'II', timer, 1);
  op('bind_vcpu ipi', bind, 'II', ipi, 1);
  op('bind_vcpu port 0', bind, 'II', 0, 0);
  op('bind_vcpu closed', bind, 'II', 60, 0);
  op('bind_vcpu beyond', bind, 'II', 5000, 0);
  op('bind_vcpu to an absent vcpu', bind, 'II', looped, 2);
  op('bind_vcpu closed to an absent vcpu', bind, 'II', 60, 2);

  status('status port 0', DOMID_SELF, 0);
  status('status closed', DOMID_SELF, 60);
  status('status 3000', DOMID_SELF, 3000);
  status('status 4095', DOMID_SELF, 4095);
  status('status beyond', DOMID_SELF, 4096);
  status('status of domain 0', 0, 1);
  status('status of domain 0 beyond', 0, 100000);
  status('status of an absent domain', ABSENT, 1);
  status('status by own number', rig.self(), own);

  op('set_priority of a two-level port', abi.EVTCHNOP_set_priority, 'II', own, 3);
  op('set_priority of a closed port', abi.EVTCHNOP_set_priority, 'II', 60, 3);
  op('set_priority beyond', abi.EVTCHNOP_set_priority, 'II', 500000, 3);
  op('expand_array two-level', abi.EVTCHNOP_expand_array, 'Q', rig.mfn(rig.page()));
  op('init_control bad frame', abi.EVTCHNOP_init_control, 'QIIB', 0xffffffffffn, 0, 0, 0);
  op('init_control bad vcpu', abi.EVTCHNOP_init_control, 'QIIB', rig.mfn(rig.page()), 0, 9, 0);
  op('init_control bad offset', abi.EVTCHNOP_init_control, 'QIIB', rig.mfn(rig.page()), 4, 0, 0);

  const close = abi.EVTCHNOP_close;
  op('close port 0', close, 'I', 0);
  op('close closed', close, 'I', 60);
  op('close beyond', close, 'I', 5000);
  op('close interdomain', close, 'I', looped);
  op('close it again', close, 'I', looped);
  status('status of the other end', DOMID_SELF, own);
  op('close timer', close, 'I', timer);
  op('bind_virq timer once more', virq, 'III', 0, 0, 0);
  op('close ipi', close, 'I', ipi);
  op('reset domain 0', abi.EVTCHNOP_reset, 'H', 0);
  op('reset an absent domain', abi.EVTCHNOP_reset, 'H', ABSENT);
};
