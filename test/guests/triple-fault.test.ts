/**
 * An exception that cannot be delivered ends the guest, and nothing else.
 *
 * - bare: no IDT, or a stack that is not there: #DF cannot be delivered either, a triple fault
 * - PV: no handler for the vector, or a stack that cannot take the frame: the reason has vector, code and place
 */
import { describe, expect } from 'vitest';
import { BARE, guestTest, PV, rawTest } from '../support/guests.ts';

const RSP = 4;
const NOWHERE = 0x5000;

describe('an exception that cannot be delivered', () => {
  guestTest(
    'is a triple fault without an IDT',
    BARE,
    async (k) => {
      k.cpu.lidt(0, 0);
      k.cpu.ud2();
    },
    { ends: 'crash', check: ({ why }) => expect(why).toMatch(/triple fault/) },
  );

  guestTest(
    'is a triple fault without a stack',
    BARE,
    async (k) => {
      k.cpu.setReg(RSP, NOWHERE);
      k.cpu.ud2();
    },
    { ends: 'crash', check: ({ why }) => expect(why).toMatch(/triple fault/) },
  );

  guestTest(
    'crashes a PV domain whose stack cannot take it',
    PV,
    async (k) => {
      k.cpu.setReg(RSP, NOWHERE);
      k.cpu.load8(0x1234);
    },
    {
      ends: 'crash',
      check: ({ why }) => {
        expect(why).toMatch(/its stack cannot take #PF \(error code 0x0, address 0x1234, rip 0x/);
      },
    },
  );

  rawTest('crashes a PV domain that has no handler for it', PV, async (cpu) => cpu.ud2(), {
    ends: 'crash',
    check: ({ why }) => expect(why).toContain('it has no handler for #UD'),
  });
});
