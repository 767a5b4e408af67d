/**
 * What becomes of a guest whose code returns.
 *
 * - with the library: a power-off
 * - without: the processor idles by STI and HLT; on bare hardware for ever, while a PV kernel may not execute HLT
 */
import { describe, expect } from 'vitest';
import { BARE, guestTest, MODES, PV, rawTest } from '../support/guests.ts';

describe('a guest that returns', () => {
  guestTest('powers off', MODES, async () => {});

  rawTest('without a library waits for ever on bare hardware', BARE, async () => {}, {
    ends: 'hang',
  });

  rawTest('without a library dies of HLT in a PV domain', PV, async () => {}, {
    ends: 'crash',
    check: ({ why }) => expect(why).toMatch(/no handler for #GP/),
  });
});
