/**
 * What a guest writes reaches the outside byte by byte, in order.
 *
 * - 64 KiB, many times what a ring or a UART holds
 * - every byte value, and text beyond ASCII split anywhere
 * - what was written just before the end
 */
import { describe, expect } from 'vitest';
import { guestTest, MODES } from '../support/guests.ts';

const LARGE = Array.from({ length: 4096 }, (_, i) => `line ${String(i).padStart(10, '0')}\n`).join(
  '',
);
const BINARY = Uint8Array.from({ length: 1024 }, (_, i) => i * 5 + (i >> 8));

describe('the console', () => {
  guestTest('takes 64 KiB', MODES, (k) => k.console.write(LARGE), {
    check: ({ console }) => {
      expect(LARGE.length).toBe(65536);
      expect(console === LARGE).toBe(true);
    },
  });

  guestTest('takes any byte', MODES, (k) => k.console.write(BINARY), {
    check: ({ bytes }) => expect(bytes).toEqual(BINARY),
  });

  guestTest(
    'keeps the order of writes that nobody waited for',
    MODES,
    async (k) => {
      const writes = ['one ', 'zwei ', 'trois ', 'четыре'].map((word) => k.console.write(word));
      await Promise.all(writes);
    },
    { check: ({ console }) => expect(console).toBe('one zwei trois четыре') },
  );

  guestTest(
    'has the last words of a kernel that crashes',
    MODES,
    async (k) => {
      await k.console.write('before\n');
      throw new Error('after');
    },
    {
      ends: 'crash',
      check: ({ console }) => expect(console).toBe('before\npanic: Error: after\n'),
    },
  );
});
