/**
 * Two domains talk: one grants a page and offers a port, the other maps the one and binds the other.
 *
 * - what one writes the other reads, both ways, told by events; no event is lost in 200 rounds
 * - a read-only grant maps read-only, never writable; a page granted to one is not another's
 * - a grant cannot be ended while it is mapped, and can afterwards
 */
import { firstValueFrom } from 'rxjs';
import { describe, expect, it } from 'vitest';
import { GrantError } from '../../guest-kernel/index.ts';
import { Domid, type Gref, type Port } from '../../protocol/units.ts';
import { GuestHost, Mailbox } from '../support/guest-host.ts';

const GRANTER = Domid(1);
const MAPPER = Domid(2);

describe('two domains', () => {
  it('share a page and take turns on it', async () => {
    const host = new GuestHost();
    const offer = new Mailbox<{ gref: Gref; port: Port }>();
    host.add(async ({ cpu, frames, grants, events, virt }) => {
      const pfn = frames.alloc();
      const gref = grants!.grant(MAPPER, pfn, false);
      const port = events!.allocUnbound(MAPPER);
      cpu.store32(virt(pfn), 0);
      offer.put({ gref, port });
      for (let i = 1; i <= 200; i++) {
        await firstValueFrom(events!.events(port));
        expect(cpu.load32(virt(pfn))).toBe(i * 2 - 1);
        if (i === 1) expect(grants!.end(gref)).toBe(false);
        cpu.store32(virt(pfn), i * 2);
        events!.send(port);
      }
      await firstValueFrom(events!.events(port));
      expect(grants!.end(gref)).toBe(true);
    });
    host.add(async (k) => {
      const { gref, port } = await offer.take(k);
      const { va, unmap } = k.grants!.map(GRANTER, gref);
      const mine = k.events!.bindInterdomain(GRANTER, port);
      // Binding raises the port once: events may have been sent before it.
      await firstValueFrom(k.events!.events(mine));
      for (let i = 1; i <= 200; i++) {
        expect(k.cpu.load32(va)).toBe(i * 2 - 2);
        k.cpu.store32(va, i * 2 - 1);
        k.events!.send(mine);
        await firstValueFrom(k.events!.events(mine));
      }
      unmap();
      expect(() => k.cpu.load32(va)).toThrow('#PF(0)');
      k.events!.send(mine);
    });
    await host.run();
    expect([...host.xen.domains.values()].map(({ end }) => end?.outcome)).toEqual([
      'poweroff',
      'poweroff',
    ]);
    expect(host.xen.ledger()).toMatchObject({ grants: 0, mappings: 0 });
  });

  it('may share a page for reading alone, and with nobody else', async () => {
    const host = new GuestHost();
    const offer = new Mailbox<Gref>();
    const done = new Mailbox<true>();
    host.add(async (k) => {
      const pfn = k.frames.alloc();
      k.cpu.store32(k.virt(pfn), 7);
      offer.put(k.grants!.grant(MAPPER, pfn, true));
      await done.take(k);
      expect(k.cpu.load32(k.virt(pfn))).toBe(7);
    });
    host.add(async (k) => {
      const gref = await offer.take(k);
      expect(() => k.grants!.map(GRANTER, gref)).toThrow(GrantError);
      const { va } = k.grants!.map(GRANTER, gref, true);
      expect(k.cpu.load32(va)).toBe(7);
      expect(() => k.cpu.store32(va, 8)).toThrow('#PF(3)');
      done.put(true);
    });
    const third = host.add(async (k) => {
      const gref = await offer.take(k);
      expect(() => k.grants!.map(GRANTER, gref, true)).toThrow(GrantError);
    });
    await host.run();
    expect(third.end?.outcome).toBe('poweroff');
    expect(host.refusals(third)).toHaveLength(1);
  });
});
