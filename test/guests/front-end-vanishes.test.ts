/**
 * A front end vanishes while its requests are in flight, at any instant: destroyed before domain 0 knows, or after.
 *
 * - domain 0 and other domains on the same disk go on; what they read and write is right
 * - each sector of the vanished domain's write is either the old or the new one
 * - everything is given back: the ledger is what it was before; a new domain uses the disk at once
 */
import { describe, expect, it } from 'vitest';
import type { Machine as Kernel } from '../../drivers/index.ts';
import type { Domain } from '../../hypervisor/domain.ts';
import { MemoryStore } from '../../machine/block-store.ts';
import { VIRQ_DOM_EXC } from '../../protocol/xen.ts';
import { ServedHost } from '../drivers/served-host.ts';
import { pattern } from '../support/guests.ts';

const SECTORS = 400;
const OLD = pattern(SECTORS);
const NEW = 0xee;
/** Instants, in cycles after the first request, at which it is destroyed. */
const INSTANTS = [0, 1, 50, 400, 1500, 4000, 9000, 20_000, 60_000];

const same = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0;
const sector = (bytes: Uint8Array, n: number): Uint8Array => bytes.subarray(n * 512, n * 512 + 512);

const readsRight = async (k: Kernel): Promise<void> => {
  const disk = await k.disk('xvda');
  const upper = await disk.read(SECTORS / 2, SECTORS / 2);
  await k.console.write(same(upper, OLD.subarray(SECTORS * 256)) ? 'right' : 'wrong');
};

const allReads = async (host: ServedHost): Promise<void> => {
  const next = host.start(readsRight, [false]);
  await host.settle();
  expect(host.console(next)).toBe('right');
  await host.release(next);
};

describe('a front end that vanishes mid-request', () => {
  for (const order of ['before domain 0 is told', 'after'] as const) {
    it(`(destroyed ${order}) harms nobody, whenever it does`, async () => {
      const store = new MemoryStore(OLD.slice());
      const host = new ServedHost([store]);
      await host.settle();
      await allReads(host);
      const before = host.xen.ledger();
      let inFlight = 0;
      for (const instant of INSTANTS) {
        store.bytes.set(OLD);
        let settled = 0;
        const vanish = (domain: Domain): void => {
          if (settled < 2) inFlight++;
          if (order === 'after') host.service.release(domain.id);
          host.xen.destroy(domain);
          if (order !== 'after') host.service.release(domain.id);
          host.xen.sendGlobalVirq(VIRQ_DOM_EXC);
        };
        const main = async (k: Kernel): Promise<void> => {
          const disk = await k.disk('xvda');
          const requests = [
            disk.write(0, new Uint8Array((SECTORS / 2) * 512).fill(NEW)),
            disk.read(0, SECTORS),
          ];
          const count = (): void => void settled++;
          for (const request of requests) void request.then(count, count);
          host.machine.timeline.at(host.machine.now + instant, () => vanish(victim));
          await new Promise(() => {});
        };
        const victim: Domain = host.start(main, [false]);
        const other = host.start(readsRight, [false]);
        await host.settle();
        expect(victim.end?.outcome).toBe('destroyed');
        expect(host.console(other)).toBe('right');
        await host.release(other);
        for (let n = 0; n < SECTORS; n++) {
          const bytes = sector(store.bytes, n);
          const whole =
            same(bytes, sector(OLD, n)) || (n < SECTORS / 2 && bytes.every((b) => b === NEW));
          expect([instant, n, whole]).toEqual([instant, n, true]);
        }
        expect([instant, host.xen.ledger()]).toEqual([instant, before]);
        await allReads(host);
      }
      expect(inFlight).toBeGreaterThan(INSTANTS.length / 2);
    });
  }
});
