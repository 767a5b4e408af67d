/**
 * Event channels of one domain, by IPIs to itself.
 *
 * - an event is delivered before the call that sent it returns
 * - masked, it stays pending, once however often it was sent, and comes at unmask
 * - sent before anybody listens, it is not lost: every wait for an event that was sent before ends
 * - with upcalls masked nothing comes; a handler is not entered twice at once
 */
import { firstValueFrom } from 'rxjs';
import { describe, expect } from 'vitest';
import { guestTest, type Kernel, MILLISECOND, PV } from '../support/guests.ts';

const counter = (k: Kernel) => {
  const events = k.events!;
  const port = events.bindIpi();
  const seen = { port, count: 0 };
  events.events(port).subscribe(() => {
    seen.count++;
  });
  return seen;
};

describe('an event', () => {
  guestTest('to itself is there when the call returns', PV, async (k) => {
    const seen = counter(k);
    for (let i = 1; i <= 10; i++) {
      k.events!.send(seen.port);
      expect(seen.count).toBe(i);
    }
  });

  guestTest('that is masked waits, and comes once', PV, async (k) => {
    const seen = counter(k);
    k.events!.mask(seen.port);
    for (let i = 0; i < 3; i++) k.events!.send(seen.port);
    await k.time.sleep(MILLISECOND);
    expect(seen.count).toBe(0);
    k.events!.unmask(seen.port);
    expect(seen.count).toBe(1);
    await k.time.sleep(MILLISECOND);
    expect(seen.count).toBe(1);
  });

  guestTest('sent before anybody listens is not lost', PV, async (k) => {
    const events = k.events!;
    const port = events.bindIpi();
    for (let i = 0; i < 200; i++) {
      events.send(port);
      if (i % 3 === 0) await k.threads.yield();
      await firstValueFrom(events.events(port));
    }
  });

  guestTest('sent while the domain blocks wakes it', PV, async (k) => {
    const events = k.events!;
    const port = events.bindIpi();
    for (let i = 0; i < 50; i++) {
      k.time.at(k.time.nanos() + 1000 * i, () => events.send(port));
      await firstValueFrom(events.events(port));
    }
  });
});

describe('the upcall mask', () => {
  guestTest('keeps events back until it is cleared', PV, async (k) => {
    const seen = counter(k);
    expect(k.interrupts.disable()).toBe(true);
    expect(k.interrupts.disable()).toBe(false);
    k.events!.send(seen.port);
    k.cpu.load32(k.virt(0));
    expect(seen.count).toBe(0);
    k.interrupts.enable();
    expect(seen.count).toBe(1);
  });

  guestTest('is set in a handler: it is not entered twice at once', PV, async (k) => {
    const events = k.events!;
    const port = events.bindIpi();
    const log: string[] = [];
    events.events(port).subscribe(() => {
      const n = log.length;
      log.push('in');
      if (n < 6) events.send(port);
      log.push('out');
    });
    events.send(port);
    expect(log.join(' ')).toBe('in out in out in out in out');
  });
});

describe('a closed port', () => {
  guestTest('delivers nothing, and may be given out again', PV, async (k) => {
    const seen = counter(k);
    k.events!.close(seen.port);
    expect(() => k.events!.send(seen.port)).toThrow('EVTCHNOP_send: -EINVAL');
    const again = counter(k);
    expect(again.port).toBe(seen.port);
    k.events!.send(again.port);
    expect([seen.count, again.count]).toEqual([0, 1]);
  });
});
