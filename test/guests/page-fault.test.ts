/**
 * Every kind of forbidden access raises #PF with the address and the exact error code (SDM vol. 3, 4.7): bit 0 a page
 * is there, bit 1 a write, bit 2 user mode, bit 4 an instruction fetch.
 *
 * - read and write of nothing: 0, 2 (in user mode 4, 6)
 * - write of a read-only page: 3 (7)
 * - user access to a page of the kernel: 5 and 7 where both share a root, 4 and 6 where user mode has its own (PV)
 * - an access that crosses into a missing page names the missing page
 * - the handler's return makes the access again; data in pages without execute permission may be read
 */
import { describe, expect } from 'vitest';
import { KernelFault } from '../../guest-kernel/index.ts';
import { guestTest, type Kernel, MODES } from '../support/guests.ts';

const USER = 0x400000;
const PAGE = 4096;

/** The error code of the page fault that `access` raises at `address`. */
const codeOf = (address: number, access: (va: number) => unknown): number | string => {
  try {
    access(address);
  } catch (error) {
    if (!(error instanceof KernelFault) || error.vector !== 14) throw error;
    return error.address === address ? error.error : `at ${error.address}`;
  }
  return 'no fault';
};

/** A user page, then a read-only one, then nothing. */
const threePages = (k: Kernel): void => {
  const space = k.newAddressSpace();
  space.map(USER, k.frames.alloc(), { write: true, user: true });
  space.map(USER + PAGE, k.frames.alloc(), { user: true });
  space.activate();
};

describe('#PF', () => {
  guestTest('in the kernel has the exact code', MODES, async (k) => {
    threePages(k);
    const read = (va: number): number => k.cpu.load32(va);
    const write = (va: number): void => k.cpu.store8(va, 1);
    expect(codeOf(USER, write)).toBe('no fault');
    expect(codeOf(USER + PAGE, read)).toBe('no fault');
    expect(codeOf(USER + PAGE, write)).toBe(3);
    expect(codeOf(USER + 2 * PAGE, read)).toBe(0);
    expect(codeOf(USER + 2 * PAGE + 17, write)).toBe(2);
    expect(codeOf(0x7ffffffff000, read)).toBe(0);
  });

  guestTest('in user mode has the exact code', MODES, async (k) => {
    threePages(k);
    const kernelPage = k.virt(k.frames.alloc());
    const shared = k.arch === 'bare' ? 1 : 0;
    const codes: (number | string)[] = [];
    k.runUser(() => {
      const read = (va: number): number => k.cpu.load32(va);
      const write = (va: number): void => k.cpu.store8(va, 1);
      codes.push(codeOf(USER, write), codeOf(USER + PAGE, read), codeOf(USER + PAGE, write));
      codes.push(codeOf(USER + 2 * PAGE, read), codeOf(USER + 2 * PAGE, write));
      codes.push(codeOf(kernelPage, read), codeOf(kernelPage, write));
    });
    expect(codes).toEqual(['no fault', 'no fault', 7, 4, 6, 4 | shared, 6 | shared]);
  });

  guestTest('of an access across two pages names the missing one', MODES, async (k) => {
    threePages(k);
    const fault = (): unknown => k.cpu.load64(USER + 2 * PAGE - 4);
    expect(fault).toThrow(KernelFault);
    try {
      fault();
    } catch (error) {
      expect((error as KernelFault).address).toBe(USER + 2 * PAGE);
    }
  });

  guestTest('once mended makes the access again', MODES, async (k) => {
    const space = k.newAddressSpace();
    space.activate();
    const seen: number[][] = [];
    const restore = k.traps.onFault(({ vector, error, address, user }) => {
      seen.push([vector, error, address, user ? 1 : 0]);
      space.map(USER, k.frames.alloc(), { write: true });
    });
    k.cpu.store32(USER + 8, 42);
    restore();
    expect(k.cpu.load32(USER + 8)).toBe(42);
    expect(seen).toEqual([[14, 2, USER + 8, 0]]);
  });

  guestTest('of a fetch says so, with or without a page', MODES, async (k) => {
    const space = k.newAddressSpace();
    space.map(USER, k.frames.alloc(), { write: true, execute: false });
    space.activate();
    k.cpu.store32(USER, 1);
    const codes: number[] = [];
    const restore = k.traps.onFault(({ error }) => {
      codes.push(error);
      k.cpu.jump(here);
    });
    const here = k.cpu.here();
    const go = (va: number): void => {
      try {
        k.cpu.jump(va);
      } catch (error) {
        if (error instanceof KernelFault) throw error;
      }
    };
    go(USER);
    go(USER + PAGE);
    restore();
    expect(codes).toEqual([0x11, 0x10]);
  });
});
