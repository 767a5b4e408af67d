/**
 * A fault handler may fault itself: each level is mended, the outer ones go on where they were, innermost first.
 *
 * - a chain of six levels (in PV, memory for hypercall arguments is set aside for seven)
 * - a handler that never mends what it faults on is ended with a reason, not the host's stack
 */
import { describe, expect } from 'vitest';
import { guestTest, MODES } from '../support/guests.ts';

const BASE = 0x10000000;
const PAGE = 4096;
const LEVELS = 6;

describe('nested faults', () => {
  guestTest('are mended from the innermost out', MODES, async (k) => {
    const space = k.newAddressSpace();
    space.activate();
    const log: string[] = [];
    const restore = k.traps.onFault(({ address }) => {
      const level = Math.floor((address - BASE) / PAGE);
      log.push(`in ${level}`);
      if (level + 1 < LEVELS) k.cpu.store32(BASE + (level + 1) * PAGE, level + 1);
      space.map(BASE + level * PAGE, k.frames.alloc(), { write: true });
      log.push(`out ${level}`);
    });
    k.cpu.store32(BASE, 100);
    restore();
    const down = Array.from({ length: LEVELS }, (_, i) => `in ${i}`);
    const up = Array.from({ length: LEVELS }, (_, i) => `out ${LEVELS - 1 - i}`);
    expect(log).toEqual([...down, ...up]);
    const values = Array.from({ length: LEVELS }, (_, i) => k.cpu.load32(BASE + i * PAGE));
    expect(values).toEqual([100, 1, 2, 3, 4, 5]);
  });

  guestTest(
    'without end are ended with a reason',
    MODES,
    async (k) => {
      k.traps.onFault(({ address }) => void k.cpu.load8(address));
      k.cpu.load8(BASE);
    },
    { ends: 'crash', check: ({ why }) => expect(why).toMatch(/nest|stack|triple fault/) },
  );
});
