/**
 * A guest that waits for what can never happen is found out: no host time passes, and the reason says so.
 *
 * - waiting with nothing armed
 * - waiting with interrupts disabled while an alarm is armed (a deadline that cannot be heard)
 */
import { describe, expect } from 'vitest';
import { BARE, guestTest, MILLISECOND, MODES } from '../support/guests.ts';

describe('a guest that waits', () => {
  guestTest('for nothing hangs', MODES, () => new Promise(() => {}), {
    ends: 'hang',
    then: ({ why }) => expect(why).toContain('nothing can wake it'),
  });

  guestTest(
    'by HLT with interrupts disabled hangs',
    BARE,
    async (k) => {
      k.time.at(k.time.nanos() + MILLISECOND, () => k.earlyWrite('heard'));
      k.cpu.idle(() => {
        k.cpu.cli();
        k.cpu.hlt();
      });
      await new Promise(() => {});
    },
    { ends: 'hang', then: ({ console }) => expect(console).toBe('') },
  );
});
