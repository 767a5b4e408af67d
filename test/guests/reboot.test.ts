/** A guest that asks for a reboot ends by one, and says so. */
import { describe, expect } from 'vitest';
import { guestTest, MODES } from '../support/guests.ts';

describe('reboot', () => {
  guestTest('is an end of its own', MODES, async (k) => k.reboot(), {
    ends: 'reboot',
    check: ({ why }) => expect(why).toMatch(/reboot/),
  });
});
