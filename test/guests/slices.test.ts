/**
 * Two domains that compute share one CPU in slices of 30 ms, whatever each of them does.
 *
 * - long work is cut at the slice's end: they alternate, and end within a slice of each other
 * - one that never waits does not keep the other's alarms from ringing, one slice late at most
 */
import { describe, expect, it } from 'vitest';
import { GuestHost } from '../support/guest-host.ts';
import { MILLISECOND, PRESET } from '../support/guests.ts';

const CYCLES_PER_MS = PRESET.mhz * 1000;
const SLICE_MS = 30;

describe('two domains that compute', () => {
  it('alternate in slices', async () => {
    const host = new GuestHost();
    const ends: number[] = [];
    const main = async (k: { cpu: { work(cycles: number): Promise<void>; rdtsc(): number } }) => {
      await k.cpu.work(4.5 * SLICE_MS * CYCLES_PER_MS);
      ends.push(k.cpu.rdtsc());
    };
    host.add(main);
    host.add(main);
    await host.run();
    const switches = host.trace.filter(({ kind }) => kind === 'switch');
    const order = switches.map(({ who }) => who);
    expect(order.length).toBeGreaterThanOrEqual(9);
    expect(order.every((who, i) => i === 0 || who !== order[i - 1])).toBe(true);
    for (let i = 1; i < 9; i++) {
      const ms = (switches[i]!.time - switches[i - 1]!.time) / CYCLES_PER_MS;
      expect(ms).toBeGreaterThan(SLICE_MS - 0.1);
      expect(ms).toBeLessThan(SLICE_MS + 0.1);
    }
    expect((ends[1]! - ends[0]!) / CYCLES_PER_MS).toBeLessThan(SLICE_MS);
  });

  it('do not keep alarms of a third from ringing', async () => {
    const host = new GuestHost();
    host.add((k) => k.cpu.work(200 * CYCLES_PER_MS));
    let worst = 0;
    host.add(async (k) => {
      for (let i = 0; i < 4; i++) {
        const before = k.time.nanos();
        await k.time.sleep(10 * MILLISECOND);
        worst = Math.max(worst, k.time.nanos() - before - 10 * MILLISECOND);
      }
    });
    await host.run();
    expect(worst).toBeLessThan((SLICE_MS + 1) * MILLISECOND);
  });
});
