/**
 * User mode: code runs there until it returns, and reaches the kernel by system calls alone.
 *
 * - number and six arguments arrive, the result returns; a call that nobody handles gives -ENOSYS
 * - an error in user code is thrown to the kernel that waits; the kernel then runs on
 * - a system call's handler may run user code of its own
 */
import { describe, expect } from 'vitest';
import { ENOSYS } from '../../protocol/errno.ts';
import { guestTest, MODES } from '../support/guests.ts';

describe('user mode', () => {
  guestTest('passes system calls with all arguments', MODES, async (k) => {
    const seen: number[][] = [];
    k.traps.onSyscall((...call) => {
      seen.push(call);
      return call[0] * -1000;
    });
    const results: number[] = [];
    k.runUser(() => {
      results.push(
        k.cpu.syscall(7, 1, -2, 3, 0x7fffffffffff, 5, 6),
        k.cpu.syscall(8, 0, 0, 0, 0, 0, 0),
      );
    });
    expect(seen).toEqual([
      [7, 1, -2, 3, 0x7fffffffffff, 5, 6],
      [8, 0, 0, 0, 0, 0, 0],
    ]);
    expect(results).toEqual([-7000, -8000]);
  });

  guestTest('gets -ENOSYS for a call that nobody handles', MODES, async (k) => {
    let result = 0;
    k.runUser(() => {
      result = k.cpu.syscall(4711);
    });
    expect(result).toBe(-ENOSYS);
  });

  guestTest('hands its errors to the kernel, which goes on', MODES, async (k) => {
    for (let i = 0; i < 100; i++) {
      expect(() =>
        k.runUser(() => {
          throw new Error(`user ${i}`);
        }),
      ).toThrow(`user ${i}`);
    }
    k.runUser(() => {});
  });

  guestTest('may be entered from a system call', MODES, async (k) => {
    const log: string[] = [];
    k.traps.onSyscall((nr) => {
      log.push(`call ${nr}`);
      if (nr === 1) k.runUser(() => log.push(`inner ${k.cpu.syscall(2)}`));
      return nr + 10;
    });
    k.runUser(() => log.push(`outer ${k.cpu.syscall(1)}`));
    expect(log).toEqual(['call 1', 'call 2', 'inner 12', 'outer 11']);
  });

  guestTest('is interrupted by timers', MODES, async (k) => {
    let rang = 0;
    k.time.at(k.time.nanos() + 50_000, () => {
      rang++;
    });
    k.runUser(() => {
      const end = k.cpu.rdtsc() + 3_000_000;
      while (k.cpu.rdtsc() < end) k.cpu.reg(0);
    });
    expect(rang).toBe(1);
  });
});
