/**
 * Alarms ring in the order of their instants, none early, each within 20 µs.
 *
 * - set in any order, two at one instant in the order in which they were set
 * - in the past: at once; cancelled: never
 * - sleep takes as long as it was asked to, from 1 µs to 70 ms (beyond what the PIT counts to)
 * - during long work alarms ring at their instants too
 */

import { describe, expect, it } from 'vitest';
import { GuestHost } from '../support/guest-host.ts';
import { guestTest, MILLISECOND, MODES, PRESET } from '../support/guests.ts';

const LATE = 20_000; // ns

describe('alarms', () => {
  guestTest('ring in order, and on time', MODES, async (k) => {
    const start = k.time.nanos() + MILLISECOND;
    const offsets = [5, 1, 3, 3, 2, 8, 1].map((n) => n * 100_000);
    const rang: [number, number][] = [];
    for (const offset of offsets) {
      k.time.at(start + offset, () => rang.push([offset, k.time.nanos() - start]));
    }
    await k.time.sleep(2 * MILLISECOND);
    expect(rang.map(([offset]) => offset)).toEqual([...offsets].sort((a, b) => a - b));
    for (const [offset, at] of rang) {
      expect(at).toBeGreaterThanOrEqual(offset);
      expect(at).toBeLessThan(offset + LATE);
    }
  });

  guestTest('at one instant ring in the order in which they were set', MODES, async (k) => {
    const at = k.time.nanos() + MILLISECOND;
    const rang: number[] = [];
    for (let i = 0; i < 10; i++) k.time.at(at, () => rang.push(i));
    await k.time.sleep(2 * MILLISECOND);
    expect(rang).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  });

  guestTest('in the past ring at once', MODES, async (k) => {
    await k.time.sleep(MILLISECOND);
    const before = k.time.nanos();
    const delay = await new Promise<number>((resolve) => {
      k.time.at(1, () => resolve(k.time.nanos() - before));
    });
    expect(delay).toBeLessThan(LATE);
  });

  guestTest('that were cancelled do not ring', MODES, async (k) => {
    const rang: string[] = [];
    const cancel = k.time.at(k.time.nanos() + MILLISECOND, () => rang.push('cancelled'));
    k.time.at(k.time.nanos() + 2 * MILLISECOND, () => rang.push('kept'));
    cancel();
    await k.time.sleep(3 * MILLISECOND);
    expect(rang).toEqual(['kept']);
  });

  guestTest('ring during long work', MODES, async (k) => {
    const start = k.time.nanos();
    const rang: number[] = [];
    for (let i = 1; i <= 5; i++) {
      k.time.at(start + i * MILLISECOND, () => rang.push(k.time.nanos() - start - i * MILLISECOND));
    }
    await k.cpu.work(10 * PRESET.mhz * 1000);
    expect(k.time.nanos() - start).toBeGreaterThan(10 * MILLISECOND);
    expect(rang).toHaveLength(5);
    for (const late of rang) {
      expect(late).toBeGreaterThanOrEqual(0);
      expect(late).toBeLessThan(LATE);
    }
  });
});

describe('sleep', () => {
  guestTest('takes as long as it was asked to', MODES, async (k) => {
    for (const ns of [0, 1000, 123_456, MILLISECOND, 10 * MILLISECOND, 70 * MILLISECOND]) {
      const before = k.time.nanos();
      await k.time.sleep(ns);
      const slept = k.time.nanos() - before;
      expect(slept).toBeGreaterThanOrEqual(ns);
      expect(slept).toBeLessThan(ns + LATE);
    }
  });
});

describe('a timer of a domain that is paused', () => {
  it('wakes it when it runs again', async () => {
    const host = new GuestHost();
    const order: string[] = [];
    const sleeper = host.add(async (k) => {
      await k.time.sleep(1_000_000);
      order.push('slept');
    });
    host.add(async (k) => {
      await k.time.sleep(100_000);
      host.xen.pause(sleeper);
      await k.time.sleep(5_000_000);
      order.push('unpaused');
      host.xen.unpause(sleeper);
    });
    await host.run();
    expect(order).toEqual(['unpaused', 'slept']);
  });
});
