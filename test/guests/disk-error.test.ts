/**
 * An I/O error of the host's store reaches the guest that asked, as DiskError, and nothing else breaks.
 *
 * - reads and writes of a bad sector fail; of the sectors around it they do not
 * - a flush that fails says so
 * - other disks, the console and the clock go on; the guest ends as it wants to
 */
import { describe, expect } from 'vitest';
import { DiskError } from '../../drivers/index.ts';
import { MemoryStore } from '../../machine/block-store.ts';
import { guestTest, MODES, pattern } from '../support/guests.ts';

const BAD = 40;

/** Sector 40 cannot be read or written. */
class BadStore extends MemoryStore {
  override read(sector: number, into: Uint8Array): void {
    this.#check(sector, into.length);
    super.read(sector, into);
  }

  override write(sector: number, from: Uint8Array): void {
    this.#check(sector, from.length);
    super.write(sector, from);
  }

  #check(sector: number, length: number): void {
    if (sector <= BAD && BAD * 512 < sector * 512 + length) throw new Error('EIO: i/o error');
  }
}

class Unflushable extends MemoryStore {
  override flush(): void {
    throw new Error('ENOSPC: no space left on device');
  }
}

describe('an I/O error of the host', () => {
  guestTest(
    'reaches the guest that asked, and nobody else',
    MODES,
    async (k) => {
      const [bad, good] = await k.disks();
      await expect(bad!.read(BAD, 1)).rejects.toThrow(DiskError);
      await expect(bad!.write(BAD, new Uint8Array(512))).rejects.toThrow(DiskError);
      await expect(bad!.read(0, 80)).rejects.toThrow(DiskError);
      expect(await bad!.read(BAD - 1, 1)).toEqual(
        pattern(100).subarray((BAD - 1) * 512, BAD * 512),
      );
      expect((await bad!.read(BAD + 1, 8))[0]).toBe(pattern(100)[(BAD + 1) * 512]);
      await bad!.write(BAD + 1, new Uint8Array(512).fill(9));
      expect((await bad!.read(BAD + 1, 1))[0]).toBe(9);
      const [failed, fine] = await Promise.allSettled([bad!.read(BAD, 1), good!.read(0, 88)]);
      expect([failed.status, fine.status]).toEqual(['rejected', 'fulfilled']);
      await k.time.sleep(1000);
      await k.console.write('alive\n');
    },
    {
      disks: () => [new BadStore(pattern(100)), new MemoryStore(pattern(100))],
      check: ({ console }) => expect(console).toBe('alive\n'),
    },
  );

  guestTest(
    'in a flush is told to who flushed',
    MODES,
    async (k) => {
      const disk = await k.disk('xvda');
      await disk.write(0, new Uint8Array(512).fill(1));
      await expect(disk.flush()).rejects.toThrow(DiskError);
      expect((await disk.read(0, 1))[0]).toBe(1);
    },
    { disks: () => [new Unflushable(pattern(8))] },
  );

  guestTest(
    'that nobody catches is the reason for the crash',
    MODES,
    async (k) => void (await (await k.disk('xvda')).read(BAD, 1)),
    {
      ends: 'crash',
      disks: () => [new BadStore(pattern(100))],
      check: ({ why }) => expect(why).toMatch(/DiskError: .*: read at sector 40/),
    },
  );
});
