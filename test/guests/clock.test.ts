/**
 * The time-stamp counter never goes back, and the kernel's clock agrees with it.
 *
 * - RDTSC grows with every read, across waits, work and system calls
 * - the clock advances by cycles / MHz, within 1 µs and one part in 10,000
 */
import { describe, expect } from 'vitest';
import { guestTest, type Kernel, MILLISECOND, MODES, PRESET } from '../support/guests.ts';

const bothAfter = async (k: Kernel, act: () => Promise<void>): Promise<[number, number]> => {
  const [tsc, ns] = [k.cpu.rdtsc(), k.time.nanos()];
  await act();
  return [k.cpu.rdtsc() - tsc, k.time.nanos() - ns];
};

describe('RDTSC', () => {
  guestTest('never goes back', MODES, async (k) => {
    let last = k.cpu.rdtsc();
    const look = (): void => {
      const now = k.cpu.rdtsc();
      expect(now).toBeGreaterThan(last);
      last = now;
    };
    for (let i = 0; i < 100; i++) look();
    for (let i = 0; i < 5; i++) {
      await k.time.sleep(10_000);
      look();
      await k.cpu.work(1000);
      look();
      k.runUser(look);
      look();
    }
  });

  guestTest('counts the cycles of work', MODES, async (k) => {
    const before = k.cpu.rdtsc();
    await k.cpu.work(1_000_000);
    const took = k.cpu.rdtsc() - before;
    expect(took).toBeGreaterThanOrEqual(1_000_000);
    expect(took).toBeLessThan(1_010_000);
  });
});

describe('the clock', () => {
  guestTest('agrees with RDTSC', MODES, async (k) => {
    const acts = [
      () => k.cpu.work(5_000_000),
      () => k.time.sleep(3 * MILLISECOND),
      () => k.time.sleep(50 * MILLISECOND),
    ];
    for (const act of acts) {
      const [cycles, ns] = await bothAfter(k, act);
      const expected = (cycles * 1000) / PRESET.mhz;
      expect(Math.abs(ns - expected)).toBeLessThan(1000 + expected / 10_000);
    }
  });

  guestTest('never goes back', MODES, async (k) => {
    let last = k.time.nanos();
    for (let i = 0; i < 1000; i++) {
      const now = k.time.nanos();
      expect(now).toBeGreaterThanOrEqual(last);
      last = now;
    }
  });
});
