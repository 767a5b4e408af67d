/**
 * Kernel threads: cooperative, and fair.
 *
 * - each runs until it awaits; yield lets every other ready thread go first
 * - sleepers wake in the order of their deadlines, and the one that works long does not keep alarms from ringing
 * - an error goes to who joins the thread, or is a panic if nobody does
 */
import { describe, expect } from 'vitest';
import { guestTest, MILLISECOND, MODES, PRESET } from '../support/guests.ts';

describe('threads', () => {
  guestTest('take turns by yield', MODES, async (k) => {
    const log: string[] = [];
    const threads = ['a', 'b', 'c'].map((name) =>
      k.threads.spawn(name, async () => {
        for (let i = 0; i < 3; i++) {
          log.push(name + i);
          await k.threads.yield();
        }
      }),
    );
    await Promise.all(threads.map(({ done }) => done));
    expect(log.join(' ')).toBe('a0 b0 c0 a1 b1 c1 a2 b2 c2');
  });

  guestTest('wake in the order of their deadlines', MODES, async (k) => {
    const log: number[] = [];
    const sleepers = [30, 10, 20, 5, 25].map((n) =>
      k.threads.spawn(`sleeper ${n}`, async () => {
        await k.time.sleep(n * 10_000);
        log.push(n);
      }),
    );
    await Promise.all(sleepers.map(({ done }) => done));
    expect(log).toEqual([5, 10, 20, 25, 30]);
  });

  guestTest('do their work one after the other, and all of it', MODES, async (k) => {
    const cycles = MILLISECOND * 2 * (PRESET.mhz / 1000);
    const before = k.cpu.rdtsc();
    const workers = [1, 2, 3].map((n) => k.threads.spawn(`worker ${n}`, () => k.cpu.work(cycles)));
    await Promise.all(workers.map(({ done }) => done));
    const took = k.cpu.rdtsc() - before;
    expect(took).toBeGreaterThanOrEqual(3 * cycles);
    expect(took).toBeLessThan(3.01 * cycles);
  });

  guestTest('hand their error to who joins them', MODES, async (k) => {
    const { done } = k.threads.spawn('worker', async () => {
      throw new Error('oops');
    });
    await expect(done).rejects.toThrow('oops');
  });

  guestTest(
    'panic when nobody joins them',
    MODES,
    async (k) => {
      k.threads.spawn('worker', async () => {
        throw new Error('oops');
      });
      await k.time.sleep(MILLISECOND);
    },
    {
      ends: 'crash',
      check: ({ console }) => expect(console).toBe('panic: thread worker: Error: oops\n'),
    },
  );
});
