import { describe, expect, it } from 'vitest';
import { BOOT_SECONDS } from '../../hypervisor/clock.ts';
import { EFAULT, EINVAL, ENOENT, ENOSYS, EPERM, ESRCH } from '../../protocol/errno.ts';
import {
  EVTCHNOP_bind_ipi,
  EVTCHNOP_bind_virq,
  EVTCHNOP_send,
  EvtchnBindIpi,
  EvtchnBindVirq,
  EvtchnSend,
} from '../../protocol/event-channel.ts';
import {
  __HYPERVISOR_sched_op,
  __HYPERVISOR_set_timer_op,
  __HYPERVISOR_vcpu_op,
} from '../../protocol/hypercalls.ts';
import * as abi from '../../protocol/sched.ts';
import { SharedInfo, VcpuInfo, VcpuTimeInfo } from '../../protocol/shared-info.ts';
import * as vcpu from '../../protocol/vcpu.ts';
import { VIRQ_TIMER } from '../../protocol/xen.ts';
import { PvHost, type RawGuest, runPv } from '../support/pv-fixture.ts';
import { bindInterdomain } from './raw-events.ts';

const sched = (guest: RawGuest, cmd: number): number =>
  guest.cpu.syscall(__HYPERVISOR_sched_op, cmd);

const timerPort = (guest: RawGuest): number =>
  guest.event(EVTCHNOP_bind_virq, EvtchnBindVirq, { virq: VIRQ_TIMER, vcpu: 0, port: 0 }).arg.port;

const poll = (
  guest: RawGuest,
  ports: number[],
  timeout: number,
  nrPorts = ports.length,
): number => {
  const list = guest.page();
  for (const [i, port] of ports.entries()) guest.cpu.store32(list + i * 4, port);
  const value = { ports: list, nrPorts, timeout };
  return guest.op(__HYPERVISOR_sched_op, abi.SCHEDOP_poll, abi.SchedPoll, value).result;
};

/** System time as a guest computes it. */
const systemTime = (guest: RawGuest): number => {
  const time = guest.get(VcpuTimeInfo, guest.shared + VcpuInfo.offset.time);
  const cycles = BigInt(guest.cpu.rdtsc() - time.tscTimestamp);
  const shifted =
    time.tscShift < 0 ? cycles >> BigInt(-time.tscShift) : cycles << BigInt(time.tscShift);
  return Number(BigInt(time.systemTime) + ((shifted * BigInt(time.tscToSystemMul)) >> 32n));
};

/** Wait by SCHEDOP_block; the upcall clears everything. */
const block = async (guest: RawGuest): Promise<void> => {
  sched(guest, abi.SCHEDOP_block);
  await guest.cpu.resumed();
};

const quietUpcalls = (guest: RawGuest, seen: () => void = () => {}): void => {
  guest.callback(0, () => {
    guest.cpu.store8(guest.shared, 0);
    guest.cpu.storeNumber(guest.shared + VcpuInfo.offset.evtchnPendingSel, 0);
    guest.cpu.storeNumber(guest.shared + SharedInfo.offset.evtchnPending, 0);
    seen();
    guest.iret();
  });
};

const vcpuOp = (guest: RawGuest, cmd: number, id: number, arg = 0): number =>
  guest.cpu.syscall(__HYPERVISOR_vcpu_op, cmd, id, arg);

describe('time', () => {
  it('is valid before the first instruction, and the wall clock is fixed', async () => {
    const seen: number[] = [];
    await runPv((guest) => {
      guest.mapShared();
      const shared = guest.get(SharedInfo, guest.shared);
      seen.push(shared.wcSec, shared.wcVersion, guest.get(VcpuTimeInfo, guest.shared + 32).flags);
      seen.push(systemTime(guest) - Math.floor(guest.cpu.rdtsc()));
    });
    expect(seen.slice(0, 3)).toEqual([BOOT_SECONDS, 2, 1]);
    expect(Math.abs(seen[3]!)).toBeLessThan(20);
  });
});

describe('set_timer_op', () => {
  it('wakes a blocked domain when the time has come, not before', async () => {
    let slept = 0;
    await runPv(async (guest) => {
      guest.mapShared();
      quietUpcalls(guest);
      timerPort(guest);
      vcpuOp(guest, vcpu.VCPUOP_stop_periodic_timer, 0);
      const start = systemTime(guest);
      guest.cpu.syscall(__HYPERVISOR_set_timer_op, start + 5_000_000);
      await block(guest);
      slept = systemTime(guest) - start;
    });
    expect(slept).toBeGreaterThanOrEqual(5_000_000);
    expect(slept).toBeLessThan(5_001_000);
  });

  it('rings at once for a time past, and after 100 ms for one beyond all sense', async () => {
    const slept: number[] = [];
    await runPv(async (guest) => {
      guest.mapShared();
      quietUpcalls(guest);
      timerPort(guest);
      vcpuOp(guest, vcpu.VCPUOP_stop_periodic_timer, 0);
      for (const ns of [1, -5, 2 ** 52]) {
        const start = systemTime(guest);
        guest.cpu.syscall(__HYPERVISOR_set_timer_op, ns);
        await block(guest);
        slept.push(Math.round((systemTime(guest) - start) / 1_000_000));
      }
    });
    expect(slept).toEqual([0, 100, 100]);
  });

  it('is cancelled by 0: then nothing wakes the domain', async () => {
    const { end } = await runPv(async (guest) => {
      guest.mapShared();
      quietUpcalls(guest);
      timerPort(guest);
      guest.cpu.syscall(__HYPERVISOR_set_timer_op, 1_000_000);
      guest.cpu.syscall(__HYPERVISOR_set_timer_op, 0);
      await block(guest);
    });
    expect(end).toBe('stuck');
  });
});

describe('the periodic timer', () => {
  it('ticks at 100 Hz while the vCPU is on a CPU and VIRQ_TIMER is bound, until stopped', async () => {
    let ticks = 0;
    const seen: number[] = [];
    await runPv(async (guest) => {
      guest.mapShared();
      quietUpcalls(guest, () => ticks++);
      guest.upcalls(true);
      await guest.cpu.work(50_000_000);
      seen.push(ticks);
      timerPort(guest);
      ticks = 0;
      await guest.cpu.work(50_000_000);
      seen.push(ticks);
      vcpuOp(guest, vcpu.VCPUOP_stop_periodic_timer, 0);
      ticks = 0;
      await guest.cpu.work(50_000_000);
      seen.push(ticks);
    });
    expect(seen[0]).toBe(0);
    expect(seen[1]).toBeGreaterThanOrEqual(4);
    expect(seen[1]).toBeLessThanOrEqual(6);
    expect(seen[2]).toBe(0);
  });

  it('refuses a period below 1 ms', async () => {
    let result = 0;
    await runPv((guest) => {
      const arg = guest.put(vcpu.VcpuSetPeriodicTimer, { periodNs: 999_999 });
      result = vcpuOp(guest, vcpu.VCPUOP_set_periodic_timer, 0, arg);
    });
    expect(result).toBe(-EINVAL);
  });
});

describe('VCPUOP_set_singleshot_timer', () => {
  it('takes a time past, even one that was asked to lie ahead, but not from another vCPU', async () => {
    const results: number[] = [];
    await runPv(
      (guest) => {
        const arg = guest.put(vcpu.VcpuSetSingleshotTimer, {
          timeoutAbsNs: 1,
          flags: vcpu.VCPU_SSHOTTMR_future,
        });
        results.push(vcpuOp(guest, vcpu.VCPUOP_set_singleshot_timer, 0, arg));
        results.push(vcpuOp(guest, vcpu.VCPUOP_set_singleshot_timer, 1, arg));
        results.push(vcpuOp(guest, vcpu.VCPUOP_stop_singleshot_timer, 1));
        results.push(vcpuOp(guest, vcpu.VCPUOP_stop_singleshot_timer, 0));
      },
      { vcpus: 2 },
    );
    expect(results).toEqual([0, -EINVAL, -EINVAL, 0]);
  });
});

describe('SCHEDOP_poll', () => {
  it('waits for a listed port or the time, events masked', async () => {
    const seen: unknown[] = [];
    const host = new PvHost();
    const domain = host.add(async (guest) => {
      guest.mapShared();
      const start = systemTime(guest);
      seen.push(poll(guest, [1], start + 3_000_000));
      await guest.cpu.resumed();
      seen.push(Math.round((systemTime(guest) - start) / 1_000_000));
      const { port } = guest.event(EVTCHNOP_bind_ipi, EvtchnBindIpi, { vcpu: 0, port: 0 }).arg;
      guest.event(EVTCHNOP_send, EvtchnSend, { port });
      seen.push(poll(guest, [1, port], 0), domain.polling);
      seen.push(poll(guest, [1], 0), domain.polling);
    });
    await host.run();
    expect(seen).toEqual([0, 3, 0, 0, 0, 1]);
  });

  it('is ended by a port of the list that another domain raises, even a masked one', async () => {
    const host = new PvHost();
    let woken = false;
    const waiter = host.add(async (guest) => {
      guest.mapShared();
      guest.maskPort(1);
      poll(guest, [1], 0);
      await guest.cpu.resumed();
      woken = guest.pending(1);
    });
    host.add(
      (guest) => {
        const port = bindInterdomain(guest, 1, 1);
        guest.event(EVTCHNOP_send, EvtchnSend, { port });
        expect(waiter.polling).toBe(0);
      },
      { privileged: true },
    );
    await host.run();
    expect(woken).toBe(true);
  });

  it.each([
    ['more than 128 ports', [], 129, EINVAL],
    ['a port that does not exist', [4096], 1, EINVAL],
  ])('refuses %s', async (_case, ports, nr, errno) => {
    let result = 0;
    await runPv((guest) => {
      result = poll(guest, ports, 1, nr);
    });
    expect(result).toBe(-errno);
  });

  it('counts a vCPU once that polls again before it waits', async () => {
    const polling: number[] = [];
    const host = new PvHost();
    const domain = host.add(async (guest) => {
      guest.mapShared();
      const start = systemTime(guest);
      poll(guest, [1], start + 3_000_000);
      poll(guest, [2], start + 1_000_000);
      polling.push(domain.polling);
      await guest.cpu.resumed();
      polling.push(domain.polling, Math.round((systemTime(guest) - start) / 1_000_000));
    });
    await host.run();
    expect(polling).toEqual([1, 0, 1]);
  });

  it('refuses a list that cannot be read', async () => {
    let result = 0;
    await runPv((guest) => {
      const value = { ports: 0x1000, nrPorts: 1, timeout: 1 };
      ({ result } = guest.op(__HYPERVISOR_sched_op, abi.SCHEDOP_poll, abi.SchedPoll, value));
    });
    expect(result).toBe(-EFAULT);
  });
});

describe('SCHEDOP_shutdown', () => {
  it.each([
    [abi.SHUTDOWN_poweroff, 'poweroff'],
    [abi.SHUTDOWN_reboot, 'reboot'],
    [abi.SHUTDOWN_suspend, 'suspend'],
    [abi.SHUTDOWN_crash, 'crash'],
    [abi.SHUTDOWN_watchdog, 'watchdog'],
    [77, 'crash'],
  ])('with reason %d ends the domain: %s', async (reason, outcome) => {
    let after = false;
    const { domain, end } = await runPv((guest) => {
      guest.shutdown(reason);
      after = true;
    });
    expect([domain.state, domain.end?.outcome, after, end]).toEqual([
      'dying',
      outcome,
      false,
      'finished',
    ]);
  });
});

describe('sched_op', () => {
  it.each([
    ['an unknown command', abi.SCHEDOP_pin_override, {}, ENOSYS],
    [
      'the end of a domain that does not exist',
      abi.SCHEDOP_remote_shutdown,
      { domainId: 7 },
      ESRCH,
    ],
    ['the end of another by the unprivileged', abi.SCHEDOP_remote_shutdown, { domainId: 1 }, EPERM],
  ])('refuses %s', async (_case, cmd, value, errno) => {
    let result = 0;
    await runPv((guest) => {
      ({ result } = guest.op(__HYPERVISOR_sched_op, cmd, abi.SchedRemoteShutdown, value));
    });
    expect(result).toBe(-errno);
  });
});

describe('vcpu_op', () => {
  it('says who is up; an absent vCPU is an error', async () => {
    const results: number[] = [];
    await runPv(
      (guest) => {
        for (const id of [0, 1, 2]) results.push(vcpuOp(guest, vcpu.VCPUOP_is_up, id));
        results.push(vcpuOp(guest, 99, 0), vcpuOp(guest, vcpu.VCPUOP_up, 1));
      },
      { vcpus: 2 },
    );
    expect(results).toEqual([1, 0, -ENOENT, -ENOSYS, -EINVAL]);
  });
});
