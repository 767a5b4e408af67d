/** Event dispatch over a shared_info page. */
import { describe, expect, it } from 'vitest';
import { Xen } from '../../guest-kernel/index.ts';
import { PvEvents } from '../../guest-kernel/pv/events.ts';
import { Port } from '../../protocol/units.ts';
import { FakeCpu } from './fake-cpu.ts';

const SHARED = -0x80000000;
const PENDING = SHARED + 2048;
const MASK = SHARED + 2560;

const fixture = () => {
  const fake = new FakeCpu(8192);
  const xen = new Xen(fake.cpu, SHARED + 4096);
  const events = new PvEvents(xen, SHARED);
  /** What Xen does when `port` is notified. @returns whether an upcall follows. */
  const notify = (port: number): boolean => {
    const [word, bit] = [port >>> 5, 1 << (port & 31)];
    fake.or32(PENDING + word * 4, bit);
    if ((fake.load32(MASK + word * 4) & bit) !== 0) return false;
    const index = port >>> 6;
    fake.or32(SHARED + 8 + (index >>> 5) * 4, 1 << (index & 31));
    fake.store8(SHARED, 1);
    return true;
  };
  return { fake, events, notify };
};

describe('PvEvents', () => {
  it('calls who listens to each pending port, once', () => {
    const { fake, events, notify } = fixture();
    const seen: number[] = [];
    for (const port of [1, 31, 32, 63, 64, 2047, 2048, 4095]) {
      events.events(Port(port)).subscribe(() => seen.push(port));
      expect(notify(port)).toBe(true);
    }
    events.dispatch();
    events.dispatch();
    expect(seen).toEqual([1, 31, 32, 63, 64, 2047, 2048, 4095]);
    expect(fake.load8(SHARED)).toBe(0);
    expect(fake.load32(PENDING)).toBe(0);
  });

  it('leaves a port that nobody listens to masked and pending', () => {
    const { fake, events, notify } = fixture();
    expect(notify(5)).toBe(false);
    events.dispatch();
    expect(fake.load32(PENDING)).toBe(1 << 5);
  });

  it('looks at the pending bit once when somebody subscribes', () => {
    const { fake, events, notify } = fixture();
    notify(5);
    let seen = 0;
    const subscription = events.events(Port(5)).subscribe(() => seen++);
    expect(seen).toBe(1);
    expect(fake.load32(PENDING)).toBe(0);
    expect(notify(5)).toBe(true);
    subscription.unsubscribe();
    expect(notify(5)).toBe(false);
    events.dispatch();
    expect(seen).toBe(1);
    events.events(Port(5)).subscribe(() => seen++);
    expect(seen).toBe(2);
  });

  it('does not lose an event that arrives while handlers run', () => {
    const { fake, events, notify } = fixture();
    let seen = 0;
    events.events(Port(9)).subscribe(() => {
      if (++seen === 1) notify(9);
    });
    notify(9);
    events.dispatch();
    expect(fake.load8(SHARED)).toBe(1);
    events.dispatch();
    expect(seen).toBe(2);
  });

  it('completes a closed port and drops what was pending', () => {
    const { fake, events, notify } = fixture();
    let complete = false;
    events.events(Port(40)).subscribe({
      complete: () => {
        complete = true;
      },
    });
    notify(40);
    events.close(Port(40));
    expect(complete).toBe(true);
    expect(fake.load32(PENDING + 4)).toBe(0);
    expect(notify(40)).toBe(false);
  });

  it('ends a physical interrupt after its handlers', () => {
    const { fake, events, notify } = fixture();
    fake.answer = () => {
      fake.store32(SHARED + 4096 + 8, 6);
      return 0;
    };
    const port = events.bindPirq(14);
    expect(port).toBe(6);
    const order: string[] = [];
    fake.answer = () => {
      order.push(`eoi ${fake.load32(SHARED + 4096)}`);
      return 0;
    };
    events.events(port).subscribe(() => order.push('handler'));
    notify(6);
    events.dispatch();
    expect(order).toEqual(['handler', 'eoi 14']);
  });
});
