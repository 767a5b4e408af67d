import { describe, expect, it } from 'vitest';
import {
  EEXIST,
  EFAULT,
  EINVAL,
  ENOENT,
  ENOSPC,
  ENOSYS,
  EPERM,
  ESRCH,
} from '../../protocol/errno.ts';
import * as abi from '../../protocol/event-channel.ts';
import { __HYPERVISOR_event_channel_op, __HYPERVISOR_sched_op } from '../../protocol/hypercalls.ts';
import type { AnyStruct } from '../../protocol/layout.ts';
import { SCHEDOP_block, SCHEDOP_yield } from '../../protocol/sched.ts';
import { DOMID_SELF, VIRQ_CONSOLE, VIRQ_DEBUG, VIRQ_TIMER } from '../../protocol/xen.ts';
import { PvHost, type RawGuest, runPv } from '../support/pv-fixture.ts';

const allocUnbound = (guest: RawGuest, remoteDom: number, dom: number = DOMID_SELF) =>
  guest.event(abi.EVTCHNOP_alloc_unbound, abi.EvtchnAllocUnbound, { dom, remoteDom, port: 0 });
const bindInterdomain = (guest: RawGuest, remoteDom: number, remotePort: number) =>
  guest.event(abi.EVTCHNOP_bind_interdomain, abi.EvtchnBindInterdomain, {
    remoteDom,
    remotePort,
    localPort: 0,
  });
const bindVirq = (guest: RawGuest, virq: number, vcpu = 0) =>
  guest.event(abi.EVTCHNOP_bind_virq, abi.EvtchnBindVirq, { virq, vcpu, port: 0 });
const bindIpi = (guest: RawGuest, vcpu = 0) =>
  guest.event(abi.EVTCHNOP_bind_ipi, abi.EvtchnBindIpi, { vcpu, port: 0 });
const send = (guest: RawGuest, port: number) =>
  guest.event(abi.EVTCHNOP_send, abi.EvtchnSend, { port }).result;
const close = (guest: RawGuest, port: number) =>
  guest.event(abi.EVTCHNOP_close, abi.EvtchnClose, { port }).result;
const status = (guest: RawGuest, port: number, dom: number = DOMID_SELF) =>
  guest.event(abi.EVTCHNOP_status, abi.EvtchnStatus, { dom, port, status: 0, vcpu: 0 });

/** Alice (domain 1) runs until she gives the CPU away, then Bob (2), in turns. */
const twoDomains = async (
  alice: (guest: RawGuest, yields: () => Promise<void>) => Promise<void>,
  bob: (guest: RawGuest, yields: () => Promise<void>) => Promise<void>,
): Promise<PvHost> => {
  const host = new PvHost();
  host.listen();
  const wrap = (code: typeof alice) => (guest: RawGuest) =>
    code(guest, async () => {
      guest.cpu.syscall(__HYPERVISOR_sched_op, SCHEDOP_yield);
      await guest.cpu.resumed();
    });
  host.add(wrap(alice));
  host.add(wrap(bob));
  expect(await host.run()).toBe('finished');
  return host;
};

describe('EVTCHNOP_alloc_unbound', () => {
  it('gives the lowest free port; the tool stack took 1 and 2', async () => {
    const ports: number[] = [];
    await runPv((guest) => {
      ports.push(allocUnbound(guest, 0).arg.port, allocUnbound(guest, 0).arg.port);
      close(guest, 3);
      ports.push(allocUnbound(guest, 0).arg.port);
    });
    expect(ports).toEqual([3, 4, 3]);
  });

  it('gives 4,095 ports and no more', async () => {
    let last = 0;
    let result = 0;
    await runPv((guest) => {
      const va = guest.put(abi.EvtchnAllocUnbound, { dom: DOMID_SELF, remoteDom: 0, port: 0 });
      const call = () =>
        guest.cpu.syscall(__HYPERVISOR_event_channel_op, abi.EVTCHNOP_alloc_unbound, va);
      for (result = 0; result === 0; result = call())
        last = guest.get(abi.EvtchnAllocUnbound, va).port;
    });
    expect([last, result]).toEqual([4095, -ENOSPC]);
  });

  it.each([
    ['a domain that does not exist', 9, ESRCH],
    ['another domain, by the unprivileged', 2, EPERM],
  ])('refuses %s', async (_case, dom, errno) => {
    let result = 0;
    await twoDomains(
      async (guest) => {
        result = allocUnbound(guest, 0, dom).result;
      },
      async () => {},
    );
    expect(result).toBe(-errno);
  });
});

describe('EVTCHNOP_bind_interdomain', () => {
  it('joins two domains: a send at one end arrives at the other, and the binder is told to look', async () => {
    let offered = 0;
    const seen: Record<string, unknown> = {};
    await twoDomains(
      async (alice, yields) => {
        alice.mapShared();
        offered = allocUnbound(alice, 2).arg.port;
        await yields();
        seen['arrived'] = alice.pending(offered);
        seen['status'] = status(alice, offered).arg.u.interdomain;
      },
      async (bob) => {
        bob.mapShared();
        const { arg } = bindInterdomain(bob, 1, offered);
        seen['told'] = bob.pending(arg.localPort);
        seen['send'] = send(bob, arg.localPort);
      },
    );
    expect(seen).toEqual({ told: true, send: 0, arrived: true, status: { dom: 2, port: 3 } });
  });

  it.each([
    ['a domain that does not exist', 9, 3, ESRCH],
    ['a port that nobody offered', 1, 5, EINVAL],
    ['a port offered to another', 1, 1, EINVAL],
    ['port 0', 1, 0, EINVAL],
  ])('refuses %s', async (_case, dom, port, errno) => {
    let result = 0;
    const host = await twoDomains(
      async () => {},
      async (bob) => {
        result = bindInterdomain(bob, dom, port).result;
      },
    );
    expect(result).toBe(-errno);
    expect(host.kinds('refuse')).toHaveLength(1);
  });
});

describe('EVTCHNOP_close', () => {
  it('leaves the peer unbound, ready for the same domain again', async () => {
    let offered = 0;
    const states: number[] = [];
    await twoDomains(
      async (alice, yields) => {
        offered = allocUnbound(alice, 2).arg.port;
        await yields();
        states.push(status(alice, offered).arg.status);
        await yields();
      },
      async (bob, yields) => {
        const { localPort } = bindInterdomain(bob, 1, offered).arg;
        states.push(status(bob, localPort).arg.status);
        expect(close(bob, localPort)).toBe(0);
        await yields();
        states.push(bindInterdomain(bob, 1, offered).result);
      },
    );
    expect(states).toEqual([abi.EVTCHNSTAT_interdomain, abi.EVTCHNSTAT_unbound, 0]);
  });

  it('forgets a pending event, and frees a VIRQ', async () => {
    const seen: unknown[] = [];
    await runPv((guest) => {
      guest.mapShared();
      const { port } = bindIpi(guest).arg;
      send(guest, port);
      seen.push(guest.pending(port));
      close(guest, port);
      seen.push(guest.pending(port), status(guest, port).arg.status);
      const virq = bindVirq(guest, VIRQ_DEBUG).arg.port;
      close(guest, virq);
      seen.push(bindVirq(guest, VIRQ_DEBUG).result);
    });
    expect(seen).toEqual([true, false, abi.EVTCHNSTAT_closed, 0]);
  });

  it.each([
    ['closed', 7],
    ['reserved', 0],
    ['beyond the table', 5000],
  ])('refuses a port that is %s', async (_case, port) => {
    let result = 0;
    await runPv((guest) => {
      result = close(guest, port);
    });
    expect(result).toBe(-EINVAL);
  });
});

describe('EVTCHNOP_send', () => {
  it('is lost in an unbound port, and refused for a VIRQ, a closed port and port 0', async () => {
    const results: number[] = [];
    await runPv((guest) => {
      results.push(
        send(guest, 1),
        send(guest, bindVirq(guest, VIRQ_TIMER).arg.port),
        send(guest, 9),
        send(guest, 0),
      );
    });
    expect(results).toEqual([0, -EINVAL, -EINVAL, -EINVAL]);
  });
});

describe('EVTCHNOP_bind_virq', () => {
  it.each([
    ['a number that is no VIRQ', 24, 0, EINVAL],
    ['a global one on vCPU 1', VIRQ_CONSOLE, 1, EINVAL],
    ['a vCPU that there is none of', VIRQ_TIMER, 3, ENOENT],
  ])('refuses %s', async (_case, virq, vcpu, errno) => {
    let result = 0;
    await runPv(
      (guest) => {
        result = bindVirq(guest, virq, vcpu).result;
      },
      { vcpus: 2 },
    );
    expect(result).toBe(-errno);
  });

  it('refuses what is bound already', async () => {
    const results: number[] = [];
    await runPv((guest) => {
      for (let i = 0; i < 2; i++) results.push(bindVirq(guest, VIRQ_DEBUG).result);
    });
    expect(results).toEqual([0, -EEXIST]);
  });
});

describe('EVTCHNOP_bind_ipi, EVTCHNOP_bind_vcpu', () => {
  it('refuse a vCPU that there is none of, and what stays where it is', async () => {
    const results: number[] = [];
    const bindVcpu = (guest: RawGuest, port: number, vcpu: number) =>
      guest.event(abi.EVTCHNOP_bind_vcpu, abi.EvtchnBindVcpu, { port, vcpu }).result;
    await runPv(
      (guest) => {
        results.push(bindIpi(guest, 5).result, bindVcpu(guest, 1, 5), bindVcpu(guest, 9, 0));
        results.push(bindVcpu(guest, bindVirq(guest, VIRQ_DEBUG).arg.port, 0));
        results.push(bindVcpu(guest, bindIpi(guest).arg.port, 0));
        results.push(bindVcpu(guest, bindVirq(guest, VIRQ_CONSOLE).arg.port, 1));
      },
      { vcpus: 2 },
    );
    expect(results).toEqual([-ENOENT, -ENOENT, -EINVAL, -EINVAL, -EINVAL, 0]);
  });
});

describe('EVTCHNOP_bind_pirq', () => {
  it.each([
    ['the unprivileged', false, EPERM],
    ['a machine without such a line', true, EINVAL],
  ])('refuses %s', async (_case, privileged, errno) => {
    let result = 0;
    await runPv(
      (guest) => {
        ({ result } = guest.event(abi.EVTCHNOP_bind_pirq, abi.EvtchnBindPirq, {
          pirq: 14,
          flags: 0,
          port: 0,
        }));
      },
      { privileged },
    );
    expect(result).toBe(-errno);
  });
});

describe('EVTCHNOP_status', () => {
  it('says what a port is and for whom it waits', async () => {
    let seen: unknown;
    await runPv((guest) => {
      const { arg } = status(guest, 1);
      seen = [arg.status, arg.u.unbound];
    });
    expect(seen).toEqual([abi.EVTCHNSTAT_unbound, { dom: 0 }]);
  });

  it.each([
    ['a domain that does not exist', 9, 1, ESRCH],
    ['another domain, by the unprivileged', 2, 1, EPERM],
    ['a port beyond the table', DOMID_SELF, 4096, EINVAL],
  ])('refuses %s', async (_case, dom, port, errno) => {
    let result = 0;
    await twoDomains(
      async (guest) => {
        ({ result } = status(guest, port, dom));
      },
      async () => {},
    );
    expect(result).toBe(-errno);
  });
});

describe('EVTCHNOP_unmask', () => {
  it('delivers what waited behind the mask', async () => {
    let upcalls = 0;
    const seen: number[] = [];
    await runPv((guest) => {
      guest.mapShared();
      guest.callback(0, () => {
        upcalls++;
        guest.cpu.store8(guest.shared, 0);
        guest.iret();
      });
      guest.upcalls(true);
      const { port } = bindIpi(guest).arg;
      guest.maskPort(port);
      send(guest, port);
      seen.push(upcalls);
      seen.push(guest.event(abi.EVTCHNOP_unmask, abi.EvtchnUnmask, { port }).result, upcalls);
      seen.push(guest.event(abi.EVTCHNOP_unmask, abi.EvtchnUnmask, { port: 4096 }).result);
    });
    expect(seen).toEqual([0, 0, 1, -EINVAL]);
  });
});

describe('EVTCHNOP_reset', () => {
  it('closes every port', async () => {
    let open = 0;
    const host = new PvHost();
    const domain = host.add((guest) => {
      bindIpi(guest);
      guest.event(abi.EVTCHNOP_reset, abi.EvtchnReset, { dom: DOMID_SELF });
      open = domain.events.open;
    });
    await host.run();
    expect(open).toBe(0);
  });

  it.each([
    ['a domain that does not exist', 9, ESRCH],
    ['another domain, by the unprivileged', 2, EPERM],
  ])('refuses %s', async (_case, dom, errno) => {
    let result = 0;
    await twoDomains(
      async (guest) => {
        ({ result } = guest.event(abi.EVTCHNOP_reset, abi.EvtchnReset, { dom }));
      },
      async () => {},
    );
    expect(result).toBe(-errno);
  });
});

describe('event_channel_op', () => {
  it.each<[string, number, AnyStruct, object, number]>([
    [
      'FIFO: every control frame',
      abi.EVTCHNOP_init_control,
      abi.EvtchnInitControl,
      { controlGfn: 0, offset: 0, vcpu: 0 },
      EINVAL,
    ],
    [
      'FIFO: a vCPU that there is none of',
      abi.EVTCHNOP_init_control,
      abi.EvtchnInitControl,
      { controlGfn: 0, offset: 0, vcpu: 7 },
      ENOENT,
    ],
    ['an unknown command', 99, abi.EvtchnSend, { port: 1 }, ENOSYS],
  ])('refuses %s', async (_case, cmd, struct, value, errno) => {
    let result = 0;
    const { host } = await runPv((guest) => {
      ({ result } = guest.event(cmd, struct, value));
    });
    expect(result).toBe(-errno);
    expect(host.kinds('refuse')).toHaveLength(1);
  });

  it('refuses an argument that cannot be read', async () => {
    let result = 0;
    await runPv(({ cpu }) => {
      result = cpu.syscall(__HYPERVISOR_event_channel_op, abi.EVTCHNOP_send, 0x1000);
    });
    expect(result).toBe(-EFAULT);
  });

  it('wakes a blocked domain by an event from another', async () => {
    const order: string[] = [];
    let offered = 0;
    await twoDomains(
      async (alice) => {
        alice.mapShared();
        alice.callback(0, () => {
          order.push('upcall');
          alice.cpu.store8(alice.shared, 0);
          alice.iret();
        });
        offered = allocUnbound(alice, 2).arg.port;
        order.push('blocks');
        alice.cpu.syscall(__HYPERVISOR_sched_op, SCHEDOP_block);
        await alice.cpu.resumed();
        order.push('goes on');
      },
      async (bob) => {
        order.push('sends');
        send(bob, bindInterdomain(bob, 1, offered).arg.localPort);
      },
    );
    expect(order).toEqual(['blocks', 'sends', 'upcall', 'goes on']);
  });
});
