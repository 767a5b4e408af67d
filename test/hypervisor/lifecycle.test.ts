import { describe, expect, it } from 'vitest';
import { CAUSE_WAIT } from '../../machine/account.ts';
import { EVTCHNOP_bind_virq, EvtchnBindVirq } from '../../protocol/event-channel.ts';
import { __HYPERVISOR_sched_op } from '../../protocol/hypercalls.ts';
import { SCHEDOP_block, SCHEDOP_yield } from '../../protocol/sched.ts';
import { VIRQ_DOM_EXC } from '../../protocol/xen.ts';
import { PV_MEMORY, PvHost, type RawGuest } from '../support/pv-fixture.ts';
import { bindInterdomain } from './raw-events.ts';

const blocks = (guest: RawGuest): void =>
  guest.cpu.idle(() => guest.cpu.syscall(__HYPERVISOR_sched_op, SCHEDOP_block));

describe('a domain', () => {
  it('ends, stays to be looked at, and leaves nothing behind when destroyed', async () => {
    const host = new PvHost();
    const before = host.xen.ledger();
    const ended: string[] = [];
    const domain = host.add((guest) => {
      guest.mapShared();
      guest.event(EVTCHNOP_bind_virq, EvtchnBindVirq, { virq: 0, vcpu: 0, port: 0 });
    });
    host.xen.onEnd(domain, () => ended.push(`${domain.name} ${domain.end?.outcome}`));
    const during = host.xen.ledger(domain);
    await host.run();

    expect(ended).toEqual(['domain 0 poweroff']);
    expect([during.domains, during.vcpus, during.ports, during.frames]).toEqual([
      1,
      1,
      2,
      PV_MEMORY / 4096 + 2,
    ]);
    expect([domain.state, host.xen.ledger().domains]).toEqual(['dying', 1]);
    host.xen.destroy(domain);
    expect([domain.state, host.xen.domain(1)]).toEqual(['dead', undefined]);
    expect(host.xen.ledger()).toEqual(before);
  });

  it('can be created a thousand times in turn', async () => {
    const host = new PvHost({ frames: 4096, vcpus: 2 });
    const before = host.xen.ledger();
    for (let i = 0; i < 1000; i++) {
      const domain = host.xen.create({
        name: 'brief',
        kind: 'pv',
        memoryBytes: 1 << 20,
        guest: async () => {},
      });
      host.xen.destroy(domain);
    }
    expect(host.xen.ledger()).toEqual(before);
  });

  it('that does not fit is refused, and nothing is kept', () => {
    const host = new PvHost({ frames: 2048, vcpus: 2 });
    const before = host.xen.ledger();
    const config = { name: 'big', kind: 'pv' as const, guest: async () => {} };
    expect(() => host.xen.create({ ...config, memoryBytes: 64 << 20 })).toThrow(
      /not enough memory/,
    );
    expect(() => host.xen.create({ ...config, memoryBytes: 1 << 20, vcpus: 3 })).toThrow(
      RangeError,
    );
    expect(() => host.xen.create({ ...config, memoryBytes: 1 << 20, vcpus: 33 })).toThrow(/vcpus/);
    expect(host.xen.ledger()).toEqual(before);
  });

  it('that is destroyed from within its own time goes when it rests', async () => {
    const host = new PvHost();
    const before = host.xen.ledger();
    const domain = host.add(() => {
      host.xen.destroy(domain);
      expect(domain.state).toBe('dying');
    });
    await host.run();
    expect([domain.state, domain.end?.outcome]).toEqual(['dead', 'destroyed']);
    expect(host.xen.ledger()).toEqual(before);
  });

  it('that dies leaves its peers unbound, and tells domain 0', async () => {
    const host = new PvHost();
    let told = false;
    let peer: unknown;
    const zero = host.add(
      async (guest) => {
        guest.mapShared();
        const { port } = guest.event(EVTCHNOP_bind_virq, EvtchnBindVirq, {
          virq: VIRQ_DOM_EXC,
          vcpu: 0,
          port: 0,
        }).arg;
        const local = bindInterdomain(guest, 1, 1);
        guest.cpu.syscall(__HYPERVISOR_sched_op, SCHEDOP_yield);
        await guest.cpu.resumed();
        told = guest.pending(port);
        host.xen.destroy(short);
        peer = { ...zero.events.channel(local) };
      },
      { privileged: true },
    );
    const short = host.add(() => {});
    await host.run();
    expect(told).toBe(true);
    expect(peer).toMatchObject({ state: 1, remoteDomid: 1 });
  });

  it('crashes with the error that its kernel threw', async () => {
    const host = new PvHost();
    const domain = host.add(() => {
      throw new TypeError('oops');
    });
    await host.run();
    expect(domain.end).toEqual({
      outcome: 'crash',
      why: 'd1v0: its kernel threw: TypeError: oops',
    });
  });

  it('waits while it is paused', async () => {
    const host = new PvHost();
    const order: string[] = [];
    const first = host.add(() => void order.push('first'));
    host.xen.pause(first);
    const second = host.add(() => void order.push('second'));
    host.xen.onEnd(second, () => host.xen.unpause(first));
    await host.run();
    expect(order).toEqual(['second', 'first']);
  });

  it('is one of a thousand that idle at no cost', async () => {
    const host = new PvHost({ frames: 1024 * 270, vcpus: 1001 });
    for (let i = 0; i < 1000; i++) host.add(blocks, { memoryBytes: 1 << 20 });
    host.add(
      async ({ cpu }) => {
        await cpu.work(1e9);
      },
      { privileged: true },
    );
    host.xen.finishWhen = () => host.xen.domain(0)?.end !== undefined;
    expect(await host.run()).toBe('finished');
    expect(host.xen.ledger().domains).toBe(1001);
  });
});

describe('the scheduler', () => {
  it('shares a CPU in slices of 30 ms', async () => {
    const host = new PvHost();
    host.listen();
    for (let i = 0; i < 2; i++) {
      host.add(async ({ cpu }) => {
        await cpu.work(100_000_000);
      });
    }
    await host.run();
    const times = host.kinds('switch').map((record) => [record.who, Math.round(record.time / 1e6)]);
    expect(times).toEqual([
      ['d1v0', 0],
      ['d2v0', 30],
      ['d1v0', 60],
      ['d2v0', 90],
      ['d1v0', 120],
      ['d2v0', 150],
      ['d1v0', 180],
      ['d2v0', 190],
    ]);
  });

  it('charges every cycle of every CPU to a domain, or to nobody while it waits', async () => {
    const host = new PvHost({ pcpus: 2 });
    for (let i = 0; i < 3; i++) {
      host.add(async ({ cpu }) => {
        await cpu.work(90_000_000);
      });
    }
    await host.run();
    const sum = (cycles: Float64Array) => cycles.reduce((a, b) => a + b, 0);
    let charged = sum(host.machine.idleAccount.cycles);
    for (const domain of host.xen.domains.values()) charged += sum(domain.account.cycles);
    expect(charged).toBeCloseTo(host.machine.pcpus[0]!.now + host.machine.pcpus[1]!.now, 3);
    // 270 M cycles of work on two CPUs: neither had it all.
    expect(host.machine.now).toBeLessThan(200_000_000);
  });

  it('lets nobody run on a CPU before the instant at which it became able to', () => {
    const host = new PvHost({ pcpus: 2 });
    const [first, second] = host.machine.pcpus;
    first!.charge(CAUSE_WAIT, 5000);
    host.add(() => {});
    expect(host.xen.pick(1)).toBeDefined();
    expect(second!.now).toBeGreaterThanOrEqual(5000);
    expect(host.machine.idleAccount.cycles[CAUSE_WAIT]).toBe(10_000);
  });

  it('gives the same trace twice', async () => {
    const run = async (): Promise<string> => {
      const host = new PvHost({ pcpus: 2 });
      host.listen();
      for (let i = 0; i < 3; i++) {
        host.add(async ({ cpu }) => {
          await cpu.work(50_000_000 * (i + 1));
          cpu.syscall(__HYPERVISOR_sched_op, SCHEDOP_yield);
        });
      }
      await host.run();
      return JSON.stringify(host.records);
    };
    expect(await run()).toBe(await run());
  });
});
