/**
 * A fault handler that throws makes the access throw, like an entry of an exception table; the kernel goes on.
 *
 * - many times over: no stack is used up
 * - the handler put back afterwards is the earlier one
 */
import { describe, expect } from 'vitest';
import { KernelFault } from '../../guest-kernel/index.ts';
import { guestTest, MODES } from '../support/guests.ts';

const NOWHERE = 0x600000;

describe('a fault handler that throws', () => {
  guestTest('makes the access throw, a thousand times', MODES, async (k) => {
    const restore = k.traps.onFault(({ address }) => {
      throw new RangeError(`nothing at ${address}`);
    });
    for (let i = 0; i < 1000; i++) {
      expect(() => k.cpu.store8(NOWHERE + i, 1)).toThrow(
        new RangeError(`nothing at ${NOWHERE + i}`),
      );
    }
    restore();
    expect(() => k.cpu.load8(NOWHERE)).toThrow(KernelFault);
  });

  guestTest('in user mode makes the access there throw', MODES, async (k) => {
    k.traps.onFault(() => {
      throw new RangeError('mine');
    });
    let caught = '';
    k.runUser(() => {
      try {
        k.cpu.load8(NOWHERE);
      } catch (error) {
        caught = String(error);
      }
    });
    expect(caught).toBe('RangeError: mine');
    expect(() => k.runUser(() => void k.cpu.load8(NOWHERE))).toThrow('mine');
  });
});
