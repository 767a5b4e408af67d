/**
 * Address spaces are apart: what one maps, changes or removes, the other does not see; the kernel half is in both.
 *
 * - the same address, two frames: each space has its own contents, also in user mode, after any number of switches
 * - an unmapped page is gone at once, a page made read-only is so at once (nothing stale in the TLB)
 * - destroyed spaces give their frames back
 */
import { describe, expect } from 'vitest';
import { KernelFault } from '../../guest-kernel/index.ts';
import { guestTest, MODES } from '../support/guests.ts';

const VA = 0x7000_0000;

describe('address spaces', () => {
  guestTest('have contents of their own at one address', MODES, async (k) => {
    const spaces = [k.newAddressSpace(), k.newAddressSpace()];
    for (const space of spaces) space.map(VA, k.frames.alloc(), { write: true, user: true });
    for (let turn = 0; turn < 20; turn++) {
      const i = turn % 2;
      spaces[i]!.activate();
      const before = turn < 2 ? 0 : turn - 2;
      if (turn >= 2) expect(k.cpu.load32(VA)).toBe(before);
      k.cpu.store32(VA, turn);
    }
    const seen: number[] = [];
    for (const space of spaces) {
      space.activate();
      k.runUser(() => seen.push(k.cpu.load32(VA)));
    }
    expect(seen).toEqual([18, 19]);
  });

  guestTest('do not show what only another maps', MODES, async (k) => {
    const [one, two] = [k.newAddressSpace(), k.newAddressSpace()];
    one.map(VA, k.frames.alloc(), { write: true });
    one.activate();
    k.cpu.store32(VA, 1);
    two.activate();
    expect(() => k.cpu.load32(VA)).toThrow(KernelFault);
    expect(two.translate(VA)).toBe(-1);
  });

  guestTest('lose a page, or the right to write it, at once', MODES, async (k) => {
    const space = k.newAddressSpace();
    const pfn = k.frames.alloc();
    space.map(VA, pfn, { write: true });
    space.activate();
    k.cpu.store32(VA, 1);
    space.protect(VA, {});
    expect(() => k.cpu.store32(VA, 2)).toThrow('#PF(3)');
    expect(k.cpu.load32(VA)).toBe(1);
    expect(space.unmap(VA)).toBe(pfn);
    expect(() => k.cpu.load32(VA)).toThrow('#PF(0)');
    space.map(VA, pfn, { write: true });
    k.cpu.store32(VA, 3);
    expect(k.cpu.load32(k.virt(pfn))).toBe(3);
  });

  guestTest('give their tables back', MODES, async (k) => {
    const page = k.frames.alloc();
    const cycle = (): void => {
      const space = k.newAddressSpace();
      space.map(VA, page, { write: true, user: true });
      space.map(VA + 2 ** 40, page);
      space.activate();
      k.cpu.store8(VA, 1);
      space.destroy();
    };
    cycle();
    const before = k.frames.available;
    for (let i = 0; i < 20; i++) cycle();
    expect(k.frames.available).toBe(before);
  });
});
