/**
 * A guest boots, finds the memory that it was given, and powers off.
 *
 * - its first and its last free frame hold what is written to them
 * - it ends by a power-off, whether it asks for one or returns from its main function
 * - what it cost is the exact sum of the causes listed
 */
import { describe, expect } from 'vitest';
import { type GuestRun, guestTest, MODES } from '../support/guests.ts';

const exactSum = ({ causes, cycles }: GuestRun): void => {
  expect(causes.reduce((sum, line) => sum + line.cycles, 0)).toBe(cycles);
  expect(cycles).toBeGreaterThan(0);
};

describe('boot', () => {
  guestTest(
    'gives a kernel its memory',
    MODES,
    async (k) => {
      expect(k.boot.pages).toBeLessThanOrEqual(1024);
      expect(k.boot.pages).toBeGreaterThan(900);
      const pfns: number[] = [];
      while (k.frames.available > 8) pfns.push(k.frames.alloc());
      for (const pfn of pfns) k.cpu.storeNumber(k.virt(pfn) + 4088, pfn * 3);
      for (const pfn of pfns) expect(k.cpu.loadNumber(k.virt(pfn) + 4088)).toBe(pfn * 3);
      expect(new Set(pfns).size).toBe(pfns.length);
      expect(pfns.length).toBeGreaterThan(700);
    },
    { check: exactSum },
  );
});

describe('power off', () => {
  guestTest('ends a kernel that asks for it', MODES, async (k) => k.poweroff(), {
    check: ({ why, console }) => expect({ why, console }).toEqual({ why: undefined, console: '' }),
  });

  guestTest(
    'executes nothing after it',
    MODES,
    async (k) => {
      try {
        k.poweroff();
      } catch {
        k.earlyWrite('still here');
      }
    },
    { check: ({ console }) => expect(console).toBe('') },
  );
});
