/**
 * The processor sets the accessed bit at the first use of an entry and the dirty bit at the first write, where the
 * guest sees them: in its own page tables.
 *
 * - neither before the first access; accessed after a read; both after a write
 * - cleared again (and flushed), they are set again
 */
import { describe, expect } from 'vitest';
import { MACH2PHYS_VIRT_START } from '../../protocol/xen.ts';
import { guestTest, type Kernel, MODES } from '../support/guests.ts';

const VA = 0x4321_0000;
const PRESENT_WRITABLE = 3;
const A = 0x20;
const D = 0x40;

/** Address of the L1 entry for `va`, in the kernel's direct map. */
const entryAt = (k: Kernel, va: number): number => {
  let frame = Math.floor(k.cpu.readCr(3) / 4096);
  for (let level = 4; ; level--) {
    const pfn = k.xen ? k.cpu.loadNumber(MACH2PHYS_VIRT_START + frame * 8) : frame;
    const at = k.virt(pfn) + (Math.floor(va / 2 ** (3 + 9 * level)) & 511) * 8;
    if (level === 1) return at;
    frame = Math.floor(k.cpu.loadNumber(at) / 4096) & 0xfffff;
  }
};

/** Make the entry anew, without either bit. */
const clear = (k: Kernel, at: number, pfn: number): void => {
  const entry = k.machineFrame(pfn) * 4096 + PRESENT_WRITABLE;
  if (k.xen) {
    k.xen.memory.updateVaMapping(VA, entry);
  } else {
    k.cpu.storeNumber(at, entry);
    k.cpu.invlpg(VA);
  }
};

describe('the accessed and the dirty bit', () => {
  guestTest('tell of reads and writes', MODES, async (k) => {
    const space = k.newAddressSpace();
    const pfn = k.frames.alloc();
    space.map(VA, pfn, { write: true });
    space.activate();
    const at = entryAt(k, VA);
    const bits = (): number => k.cpu.load32(at) & (A | D);
    for (let round = 0; round < 3; round++) {
      clear(k, at, pfn);
      expect(bits()).toBe(0);
      k.cpu.load8(VA);
      expect(bits()).toBe(A);
      k.cpu.load8(VA + 100);
      expect(bits()).toBe(A);
      k.cpu.store8(VA, round);
      expect(bits()).toBe(A | D);
    }
    clear(k, at, pfn);
    k.cpu.store8(VA + 4095, 1);
    expect(bits()).toBe(A | D);
  });
});
