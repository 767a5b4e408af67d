/** The table of a domain's ports, as its hypercalls meet it when it is full. */
import { describe, expect, it } from 'vitest';
import { ENOSPC } from '../../protocol/errno.ts';
import * as abi from '../../protocol/event-channel.ts';
import type { AnyStruct } from '../../protocol/layout.ts';
import { DOMID_SELF, VIRQ_DEBUG } from '../../protocol/xen.ts';
import { PvHost } from '../support/pv-fixture.ts';

describe('a full table of ports', () => {
  it.each<[string, number, AnyStruct, object]>([
    [
      'alloc_unbound',
      abi.EVTCHNOP_alloc_unbound,
      abi.EvtchnAllocUnbound,
      { dom: DOMID_SELF, remoteDom: 0 },
    ],
    [
      'bind_interdomain',
      abi.EVTCHNOP_bind_interdomain,
      abi.EvtchnBindInterdomain,
      { remoteDom: DOMID_SELF, remotePort: 3 },
    ],
    ['bind_virq', abi.EVTCHNOP_bind_virq, abi.EvtchnBindVirq, { virq: VIRQ_DEBUG, vcpu: 0 }],
    ['bind_ipi', abi.EVTCHNOP_bind_ipi, abi.EvtchnBindIpi, { vcpu: 0 }],
  ])('leaves no port for %s, until one is closed', async (_case, cmd, struct, value) => {
    const host = new PvHost();
    const results: number[] = [];
    const domain = host.add((guest) => {
      results.push(guest.event(cmd, struct, value).result);
      guest.event(abi.EVTCHNOP_close, abi.EvtchnClose, { port: 4 });
      results.push(guest.event(cmd, struct, value).result);
    });
    const { events } = domain;
    while (events.allocate(abi.EVTCHNSTAT_unbound, 0) >= 0);
    events.channel(3)!.remoteDomid = domain.id;
    await host.run();
    expect(results).toEqual([-ENOSPC, 0]);
  });
});
