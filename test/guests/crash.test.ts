/**
 * A guest whose kernel fails ends by a crash, and the reason names what failed:
 *
 * - an error of the language, an exception that no handler took, a crash that the kernel wants
 * - the console has the kernel's last words
 * - a guest without any library is told the same way
 */
import { describe, expect } from 'vitest';
import { guestTest, MODES, rawTest } from '../support/guests.ts';

describe('a kernel', () => {
  guestTest(
    'that throws crashes with its error as the reason',
    MODES,
    async () => {
      throw new TypeError('no such thing');
    },
    {
      ends: 'crash',
      check: ({ why, console }) => {
        expect(why).toContain('its kernel threw: TypeError: no such thing');
        expect(console).toBe('panic: TypeError: no such thing\n');
      },
    },
  );

  guestTest(
    'that takes an exception nobody handles crashes with vector, code and address',
    MODES,
    async (k) => void k.cpu.load32(0x123450),
    { ends: 'crash', check: ({ why }) => expect(why).toContain('#PF(0) at 0x0000000000123450') },
  );

  guestTest(
    'that meets an undefined instruction crashes with #UD',
    MODES,
    async (k) => k.cpu.ud2(),
    { ends: 'crash', check: ({ why }) => expect(why).toContain('#UD') },
  );

  guestTest('that gives up says why', MODES, async (k) => k.crash('on purpose'), {
    ends: 'crash',
    check: ({ console }) => expect(console).toBe('panic: on purpose\n'),
  });

  rawTest(
    'without a library that throws crashes with its error as the reason',
    MODES,
    async () => {
      throw new RangeError('raw');
    },
    { ends: 'crash', check: ({ why }) => expect(why).toContain('RangeError: raw') },
  );
});
