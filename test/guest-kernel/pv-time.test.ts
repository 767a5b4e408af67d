/** System time from vcpu_time_info. */
import { describe, expect, it } from 'vitest';
import { Xen } from '../../guest-kernel/index.ts';
import { PvEvents } from '../../guest-kernel/pv/events.ts';
import { pvClock } from '../../guest-kernel/pv/time.ts';
import { __HYPERVISOR_set_timer_op } from '../../protocol/hypercalls.ts';
import { FakeCpu } from './fake-cpu.ts';

const SHARED = -0x80000000;
const TIME = SHARED + 32;

const fixture = () => {
  const fake = new FakeCpu(8192);
  const xen = new Xen(fake.cpu, SHARED + 4096);
  return { fake, clock: pvClock(xen, SHARED, new PvEvents(xen, SHARED)) };
};

const publish = (
  fake: FakeCpu,
  stamp: number,
  system: number,
  mul: number,
  shift: number,
): void => {
  fake.storeNumber(TIME + 8, stamp);
  fake.storeNumber(TIME + 16, system);
  fake.store32(TIME + 24, mul);
  fake.store8(TIME + 28, shift & 255);
};

describe('vcpu_time_info', () => {
  it.each([
    ['1 GHz', 0x80000000, 1, 1000],
    ['2 GHz', 0x80000000, 0, 500],
    ['4 GHz', 0x80000000, -1, 250],
  ])('gives nanoseconds at %s', (_case, mul, shift, expected) => {
    const { fake, clock } = fixture();
    publish(fake, 5000, 70, mul, shift);
    fake.tsc = 6000;
    expect(clock.nanos()).toBe(70 + expected);
  });

  it('is read again while Xen writes it', () => {
    const { fake, clock } = fixture();
    publish(fake, 0, 1, 0x80000000, 1);
    fake.store32(TIME, 3);
    let loads = 0;
    fake.beforeLoad = (va) => {
      if (va !== TIME) return;
      loads++;
      if (loads === 2) {
        // Xen ends one update and begins the next between the reader's two looks.
        fake.store32(TIME, 4);
        fake.storeNumber(TIME + 16, 2);
      }
      if (loads === 3) {
        fake.store32(TIME, 6);
        fake.storeNumber(TIME + 16, 1000);
      }
    };
    expect(clock.nanos()).toBe(1000);
  });
});

describe('set_timer_op', () => {
  it('is asked for the earliest alarm, and again for the next', () => {
    const { fake, clock } = fixture();
    publish(fake, 0, 0, 0x80000000, 1);
    const rung: number[] = [];
    clock.at(300, () => rung.push(300));
    clock.at(100, () => rung.push(100));
    clock.at(200, () => rung.push(200));
    const timers = () =>
      fake.calls.filter(([nr]) => nr === __HYPERVISOR_set_timer_op).map(([, ns]) => ns);
    expect(timers()).toEqual([300, 100]);
    fake.tsc = 250;
    clock.interrupt();
    expect(rung).toEqual([100, 200]);
    expect(timers()).toEqual([300, 100, 300]);
  });
});
