/**
 * A disk is the same bytes inside and outside, however they are asked for.
 *
 * - every sector read, hashed in the guest's memory and out
 * - requests of every length around what one request holds (11 pages), from odd sectors, to the very end
 * - writes land where they should and nowhere else, and are read back
 * - read-only disks and what lies beyond the end are refused; several disks are told apart; many requests at once
 */
import { createHash } from 'node:crypto';
import { describe, expect } from 'vitest';
import { DiskError } from '../../drivers/index.ts';
import { MemoryStore } from '../../machine/block-store.ts';
import { guestTest, MODES, pattern } from '../support/guests.ts';

const SECTORS = 500;
const CONTENT = pattern(SECTORS);
const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');
const part = (from: number, count: number): Uint8Array =>
  CONTENT.subarray(from * 512, (from + count) * 512);
const same = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0;

const one = (): MemoryStore[] => [new MemoryStore(CONTENT.slice())];

describe('a disk', () => {
  guestTest(
    'has the bytes that it has outside',
    MODES,
    async (k) => {
      const disk = await k.disk('xvda');
      expect(disk.sectors).toBe(SECTORS);
      expect(sha256(await disk.read(0, SECTORS))).toBe(sha256(CONTENT));
    },
    { disks: one },
  );

  guestTest(
    'reads from anywhere, as much as is asked',
    MODES,
    async (k) => {
      const disk = await k.disk('xvda');
      for (const count of [0, 1, 7, 8, 9, 87, 88, 89, 176, 177, 255, 256, 257]) {
        expect([count, same(await disk.read(3, count), part(3, count))]).toEqual([count, true]);
      }
      expect(same(await disk.read(SECTORS - 13, 13), part(SECTORS - 13, 13))).toBe(true);
    },
    { disks: one },
  );

  const written: MemoryStore[] = [];
  guestTest(
    'keeps what is written, and changes nothing else',
    MODES,
    async (k) => {
      const disk = await k.disk('xvda');
      const fresh = pattern(180).map((byte) => byte ^ 0xff);
      await disk.write(1, fresh.subarray(0, 90 * 512));
      await disk.write(SECTORS - 1, fresh.subarray(0, 512));
      await disk.write(200, fresh);
      await disk.flush();
      expect(same(await disk.read(1, 90), fresh.subarray(0, 90 * 512))).toBe(true);
    },
    {
      disks: () => {
        written.splice(0, 1, one()[0]!);
        return written;
      },
      check: () => {
        const fresh = pattern(180).map((byte) => byte ^ 0xff);
        const expected = CONTENT.slice();
        expected.set(fresh.subarray(0, 90 * 512), 512);
        expected.set(fresh.subarray(0, 512), (SECTORS - 1) * 512);
        expected.set(fresh, 200 * 512);
        expect(sha256(written[0]!.bytes)).toBe(sha256(expected));
      },
    },
  );

  guestTest(
    'refuses what lies beyond its end, and half sectors',
    MODES,
    async (k) => {
      const disk = await k.disk('xvda');
      await expect(disk.read(SECTORS, 1)).rejects.toThrow(RangeError);
      await expect(disk.read(SECTORS - 1, 2)).rejects.toThrow(RangeError);
      await expect(disk.read(-1, 1)).rejects.toThrow(RangeError);
      await expect(disk.read(0.5, 1)).rejects.toThrow(RangeError);
      await expect(disk.write(SECTORS, new Uint8Array(512))).rejects.toThrow(RangeError);
      await expect(disk.write(0, new Uint8Array(100))).rejects.toThrow(RangeError);
      expect(await disk.read(SECTORS, 0)).toHaveLength(0);
      expect(same(await disk.read(SECTORS - 1, 1), part(SECTORS - 1, 1))).toBe(true);
    },
    { disks: one },
  );

  guestTest(
    'that is read-only refuses to be written, and goes on',
    MODES,
    async (k) => {
      const disk = await k.disk('xvda');
      await expect(disk.write(0, new Uint8Array(512))).rejects.toThrow(DiskError);
      expect(same(await disk.read(0, 2), part(0, 2))).toBe(true);
    },
    { disks: () => [new MemoryStore(CONTENT.slice(), true)] },
  );

  guestTest(
    'serves many requests at once',
    MODES,
    async (k) => {
      const disk = await k.disk('xvda');
      const reads = Array.from({ length: 60 }, (_, i) => disk.read(i * 7, 1 + (i % 20)));
      const got = await Promise.all(reads);
      got.forEach((bytes, i) => {
        expect(same(bytes, part(i * 7, 1 + (i % 20)))).toBe(true);
      });
    },
    { disks: one },
  );
});

describe('several disks', () => {
  guestTest(
    'are told apart',
    MODES,
    async (k) => {
      const disks = await k.disks();
      expect(disks.map(({ name, sectors }) => `${name} ${sectors}`)).toEqual([
        'xvda 10',
        'xvdb 20',
        'xvdc 30',
        'xvdd 40',
      ]);
      const firsts = await Promise.all(disks.map((disk) => disk.read(9, 1)));
      expect(firsts.map((bytes) => bytes[0])).toEqual([1, 2, 3, 4]);
      await Promise.all(disks.map((disk, i) => disk.write(0, new Uint8Array(512).fill(i + 10))));
      for (const [i, disk] of disks.entries()) expect((await disk.read(0, 1))[511]).toBe(i + 10);
    },
    { disks: () => [1, 2, 3, 4].map((n) => new MemoryStore(new Uint8Array(n * 5120).fill(n))) },
  );

  guestTest('may be none', MODES, async (k) => expect(await k.disks()).toEqual([]));
});
