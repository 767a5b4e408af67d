/**
 * A guest that waits for what can never happen is found out: no host time passes, and the reason says so.
 *
 * - waiting with nothing armed
 * - HLT with interrupts disabled: hardware waits for ever, Xen takes it for the guest's power-off
 */
import { describe, expect } from 'vitest';
import { guestTest, MILLISECOND, MODES } from '../support/guests.ts';

describe('a guest that waits', () => {
  guestTest('for nothing hangs', MODES, () => new Promise(() => {}), {
    ends: 'hang',
    check: ({ why }) => expect(why).toContain('nothing can wake it'),
  });

  for (const [mode, ends] of [
    ['native', 'hang'],
    ['hvm', 'poweroff'],
  ] as const) {
    guestTest(
      `by HLT with interrupts disabled never hears its alarm: ${ends}`,
      [mode],
      async (k) => {
        k.time.at(k.time.nanos() + MILLISECOND, () => k.earlyWrite('heard'));
        k.cpu.idle(() => {
          k.cpu.cli();
          k.cpu.hlt();
        });
        await new Promise(() => {});
      },
      { ends, check: ({ console }) => expect(console).toBe('') },
    );
  }
});
