/** One kernel, two back ends: boot, memory, faults, user mode, time, threads. */
import { firstValueFrom, interval, take, toArray } from 'rxjs';
import { describe, expect, it } from 'vitest';
import { type Fault, type Kernel, KernelFault } from '../../guest-kernel/index.ts';
import { runBare } from './bare-fixture.ts';
import { runHvm, runPv } from './domain-fixture.ts';

const USER_VA = 0x400000;
const MS = 1_000_000;

describe.each([
  ['native', 'bare', runBare],
  ['paravirtual', 'pv', runPv],
  ['hardware-assisted', 'bare', runHvm],
] as const)('a %s kernel', (_mode, arch, boot) => {
  /** Boots `main`, which must return. */
  const run = async (main: (kernel: Kernel) => Promise<void>): Promise<void> => {
    expect(await boot(main)).toMatchObject({ outcome: 'poweroff' });
  };

  describe('bootKernel', () => {
    it('powers off when main returns', async () => {
      const end = await boot(async (k) => {
        expect(k.arch).toBe(arch);
        expect(k.boot.pages).toBeGreaterThan(900);
        k.earlyWrite('hello\n');
      });
      expect(end).toMatchObject({ outcome: 'poweroff', console: 'hello\n' });
    });

    it('panics with the error that main threw', async () => {
      const end = await boot(async () => {
        throw new Error('no root file system');
      });
      expect(end.outcome).toBe('crash');
      expect(end.console).toBe('panic: Error: no root file system\n');
    });

    it('reboots when told to', async () => {
      expect((await boot(async (k) => k.reboot())).outcome).toBe('reboot');
    });
  });

  describe('AddressSpace', () => {
    it('maps, translates, protects and unmaps', async () => {
      await run(async (k) => {
        const space = k.newAddressSpace();
        const pfn = k.frames.alloc();
        space.map(USER_VA, pfn, { write: true });
        space.activate();
        k.cpu.store32(USER_VA + 8, 0x1234);
        expect(k.cpu.load32(k.virt(pfn) + 8)).toBe(0x1234);
        expect(space.translate(USER_VA)).toBe(pfn);

        space.protect(USER_VA, {});
        expect(() => k.cpu.store32(USER_VA, 1)).toThrow(KernelFault);
        expect(space.unmap(USER_VA)).toBe(pfn);
        expect(() => k.cpu.load32(USER_VA)).toThrow('#PF(0) at 0x0000000000400000');
        expect(space.unmap(USER_VA)).toBe(-1);
      });
    });

    it('gives back every frame that it took', async () => {
      await run(async (k) => {
        const before = k.frames.available;
        const space = k.newAddressSpace();
        const pfns = Array.from({ length: 600 }, () => k.frames.alloc());
        space.mapMany(USER_VA, pfns, { write: true, user: true });
        space.activate();
        expect(before - k.frames.available).toBeLessThanOrEqual(600 + 6); // roots, L3, L2, two L1s
        k.cpu.store8(USER_VA + 599 * 4096, 7);
        expect(k.cpu.load8(k.virt(pfns[599]!))).toBe(7);
        space.unmapMany(USER_VA, 600);
        expect(() => k.cpu.load8(USER_VA + 599 * 4096)).toThrow(KernelFault);
        expect(space.translate(USER_VA)).toBe(-1);
        space.destroy();
        for (const pfn of pfns) k.frames.free(pfn);
        expect(k.frames.available).toBe(before);
      });
    });

    it.each([
      ['an unaligned address', USER_VA + 1, {}],
      ['an address beyond the user half', 0x800000000000, {}],
      ['a kernel page among user pages', USER_VA + 4096, {}],
      ['a user page in the kernel half', -4096, { user: true }],
    ])('refuses %s', async (_case, va, options) => {
      await run(async (k) => {
        const space = k.newAddressSpace();
        space.map(USER_VA, k.frames.alloc(), { user: true });
        expect(() => space.map(va, k.frames.alloc(), options)).toThrow(RangeError);
      });
    });

    it('keeps spaces apart', async () => {
      await run(async (k) => {
        const [a, b] = [k.newAddressSpace(), k.newAddressSpace()];
        const [one, two] = [k.frames.alloc(), k.frames.alloc()];
        a.map(USER_VA, one, { write: true });
        b.map(USER_VA, two, { write: true });
        a.activate();
        k.cpu.store32(USER_VA, 1);
        b.activate();
        k.cpu.store32(USER_VA, 2);
        a.activate();
        expect(k.cpu.load32(USER_VA)).toBe(1);
        b.destroy();
        expect(k.cpu.load32(USER_VA)).toBe(1);
      });
    });
  });

  describe('onFault', () => {
    it('repeats the access after the handler fixed it', async () => {
      await run(async (k) => {
        const space = k.newAddressSpace();
        space.activate();
        const faults: Fault[] = [];
        k.traps.onFault((fault) => {
          faults.push(fault);
          space.map(USER_VA, k.frames.alloc(), { write: true });
        });
        k.cpu.store32(USER_VA + 16, 99);
        expect(k.cpu.load32(USER_VA + 16)).toBe(99);
        expect(faults).toHaveLength(1);
        expect(faults[0]).toMatchObject({
          vector: 14,
          error: 2,
          address: USER_VA + 16,
          user: false,
        });
      });
    });

    it('makes the access throw what the handler throws, and puts the earlier handler back', async () => {
      await run(async (k) => {
        const undo = k.traps.onFault(() => {
          throw new RangeError('mine');
        });
        expect(() => k.cpu.load8(0)).toThrow('mine');
        undo();
        expect(() => k.cpu.load8(0)).toThrow(KernelFault);
        expect(() => k.cpu.ud2()).toThrow('#UD');
      });
    });
  });

  describe('runUser', () => {
    it('runs code at CPL 3, whose system calls reach the handler', async () => {
      await run(async (k) => {
        const calls: number[][] = [];
        k.traps.onSyscall((nr, a1, a2, a3, a4, a5, a6) => {
          calls.push([nr, a1, a2, a3, a4, a5, a6]);
          return a1 + a2;
        });
        let sum = 0;
        k.runUser(() => {
          sum = k.cpu.syscall(7, 40, 2, -3, 4, 5, 6);
          expect(() => k.cpu.cli()).toThrow('#GP');
        });
        expect(sum).toBe(42);
        expect(calls).toEqual([[7, 40, 2, -3, 4, 5, 6]]);
        expect(k.cpu.load8(k.virt(0))).toBeTypeOf('number'); // kernel mode again
      });
    });

    it('ends where user code makes the exit system call itself', async () => {
      await run(async (k) => {
        const log: string[] = [];
        k.runUser(() => {
          log.push('before');
          k.cpu.syscall(-1);
          log.push('after');
        });
        expect(log).toEqual(['before']);
      });
    });

    it('handles a fault that the system call handler takes', async () => {
      await run(async (k) => {
        const space = k.newAddressSpace();
        space.activate();
        k.traps.onFault((fault) => {
          expect(fault.user).toBe(false);
          space.map(USER_VA, k.frames.alloc(), { write: true, user: true });
        });
        k.traps.onSyscall((_nr, va) => {
          k.cpu.store32(va, 11);
          return k.cpu.load32(va);
        });
        let answer = 0;
        k.runUser(() => {
          answer = k.cpu.syscall(1, USER_VA) + k.cpu.load32(USER_VA);
        });
        expect(answer).toBe(22);
      });
    });

    it('throws in user code what the system call handler throws', async () => {
      await run(async (k) => {
        k.traps.onSyscall(() => {
          throw new RangeError('bad number');
        });
        k.runUser(() => {
          expect(() => k.cpu.syscall(1)).toThrow('bad number');
        });
      });
    });

    it('lets user code reach user pages only', async () => {
      await run(async (k) => {
        const space = k.newAddressSpace();
        const pfn = k.frames.alloc();
        space.map(USER_VA, pfn, { write: true, user: true });
        space.activate();
        const seen: boolean[] = [];
        k.traps.onFault((fault) => {
          seen.push(fault.user);
          throw new KernelFault(fault);
        });
        k.runUser(() => {
          k.cpu.store32(USER_VA, 5);
          expect(() => k.cpu.load32(k.virt(pfn))).toThrow('#PF');
        });
        expect(k.cpu.load32(k.virt(pfn))).toBe(5);
        expect(seen).toEqual([true]);
      });
    });

    it('throws what user code throws, and the kernel goes on', async () => {
      await run(async (k) => {
        expect(() =>
          k.runUser(() => {
            throw new Error('user bug');
          }),
        ).toThrow('user bug');
        let again = false;
        k.runUser(() => {
          again = true;
        });
        expect(again).toBe(true);
        await k.time.sleep(MS);
      });
    });

    it('takes timer interrupts in user mode', async () => {
      await run(async (k) => {
        let rang = 0;
        k.time.at(k.time.nanos() + 10_000, () => {
          rang++;
        });
        const until = k.cpu.rdtsc() + 200_000;
        k.runUser(() => {
          while (k.cpu.rdtsc() < until) k.cpu.reg(0);
        });
        expect(rang).toBe(1);
      });
    });
  });

  describe('Clock', () => {
    it('sleeps for about as long as asked, beyond one PIT period too', async () => {
      await run(async (k) => {
        for (const ms of [1, 20, 200]) {
          const before = k.time.nanos();
          await k.time.sleep(ms * MS);
          const slept = (k.time.nanos() - before) / MS;
          expect(slept).toBeGreaterThanOrEqual(ms);
          expect(slept).toBeLessThan(ms + 0.1);
        }
      });
    });

    it('rings alarms in order and not those cancelled', async () => {
      await run(async (k) => {
        const rung: number[] = [];
        const now = k.time.nanos();
        for (const n of [3, 1, 2]) k.time.at(now + n * MS, () => rung.push(n));
        k.time.at(now + 2 * MS, () => rung.push(9))();
        await k.time.sleep(5 * MS);
        expect(rung).toEqual([1, 2, 3]);
      });
    });

    it('drives RxJS operators', async () => {
      await run(async (k) => {
        const ticks = interval(2, k.time.scheduler).pipe(take(3), toArray());
        const before = k.time.nanos();
        expect(await firstValueFrom(ticks)).toEqual([0, 1, 2]);
        expect(Math.round((k.time.nanos() - before) / MS)).toBe(6);
      });
    });
  });

  describe('Threads', () => {
    it('take turns', async () => {
      await run(async (k) => {
        const log: string[] = [];
        const worker = (name: string) => async (): Promise<void> => {
          for (let i = 0; i < 3; i++) {
            log.push(`${name}${i}`);
            await k.threads.yield();
          }
        };
        const [a, b] = [k.threads.spawn('a', worker('a')), k.threads.spawn('b', worker('b'))];
        await Promise.all([a.done, b.done]);
        expect(log).toEqual(['a0', 'b0', 'a1', 'b1', 'a2', 'b2']);
      });
    });

    it('panic when one that nobody joins fails', async () => {
      const end = await boot(async (k) => {
        k.threads.spawn('worker', async () => {
          throw new Error('oops');
        });
        await k.time.sleep(MS);
      });
      expect(end).toMatchObject({
        outcome: 'crash',
        console: 'panic: thread worker: Error: oops\n',
      });
    });

    it('hand their error to who joins them', async () => {
      await run(async (k) => {
        const thread = k.threads.spawn('worker', async () => {
          throw new Error('oops');
        });
        await expect(thread.done).rejects.toThrow('oops');
      });
    });
  });
});

describe('irq', () => {
  it('emits while somebody listens', async () => {
    await runBare(async (k) => {
      let ticks = 0;
      const subscription = k.irq!(0).subscribe(() => {
        ticks++;
      });
      await k.time.sleep(MS);
      expect(ticks).toBe(1);
      subscription.unsubscribe();
      expect(() => k.irq!(16)).toThrow(RangeError);
    });
  });

  it('panics when a handler throws', async () => {
    const end = await runBare(async (k) => {
      k.time.at(k.time.nanos() + MS, () => {
        throw new Error('bad handler');
      });
      await k.time.sleep(5 * MS);
    });
    expect(end.outcome).toBe('crash');
    expect(end.console).toContain('bad handler');
  });
});
