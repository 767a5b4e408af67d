/** Where the domain builder puts things; numbers with a source are those of Xen 4.17's, read by a kernel there. */
import { describe, expect, it } from 'vitest';
import { planPv } from '../../hypervisor/pv-layout.ts';

const HIGH = -0x80000000;

const kernel = (virtBase: number, at: number, bytes: number, p2mBase?: number) => ({
  ...{ virtBase, p2mBase, modStartPfn: p2mBase !== undefined },
  parts: [{ at, bytes: new Uint8Array(), memBytes: bytes }],
});
const domain = { pages: 0x8000, ramdiskBytes: 0, privileged: false };

describe('planPv', () => {
  it('puts everything behind a kernel at 1 MiB, as Xen', () => {
    expect(planPv(kernel(0, 0x100000, 0x5110), domain)).toMatchObject({
      ...{ p2mAddress: 0x106000, p2mPages: 0x40, p2mFrames: 0, startInfo: 0x146 },
      ...{ store: 0x147, console: 0x148, tables: 0x149, tableCount: 5, stack: 0x14e, end: 0x400 },
    });
  });

  it('needs more tables for a kernel at 16 MiB, as Xen', () => {
    expect(planPv(kernel(HIGH, 0x1000000, 0x3110), domain)).toMatchObject({
      ...{ p2m: 0x1004, startInfo: 0x1044, tables: 0x1047, tableCount: 0xd, stack: 0x1054 },
    });
  });

  it('puts a P2M with a place of its own behind the mapping, with its tables, as Xen', () => {
    expect(planPv(kernel(HIGH, 0x1000000, 0x3110, 0x8000000000), domain)).toMatchObject({
      ...{ startInfo: 0x1004, tables: 0x1007, p2m: 0x1400, p2mFrames: 0x43 },
    });
  });

  it('maps 512 KiB more than it uses, up to whole 4 MiB of address space', () => {
    // One page less, and all would fit into 4 MiB.
    const fits = planPv(kernel(0, 0, (1024 - 128 - 0x49) * 4096), domain);
    const more = planPv(kernel(0, 0, (1024 - 128 - 0x48) * 4096), domain);
    expect([fits.end, more.end]).toEqual([0x400, 0x800]);
    expect(planPv(kernel(0x3ff000, 0, 4096), domain).end).toBe(0x401);
  });

  it('says how much memory is enough, the P2M that comes with it included', () => {
    const big = kernel(0, 0, (1024 - 128 - 10) * 4096);
    const plan = (pages: number) => planPv(big, { ...domain, pages });
    expect(() => plan(500)).toThrow('booting this kernel takes 8M and the domain has 1.96M');
    expect(plan(0x800).end).toBe(0x800);
    expect(() => plan(0x7ff)).toThrow('takes 8M');
  });

  it('refuses a kernel that leaves no addresses behind it', () => {
    expect(() => planPv(kernel(-0x80000, 0, 4096), domain)).toThrow(/no room/);
    expect(() => planPv(kernel(2 ** 47 - 0x80000, 0, 4096), domain)).toThrow(/no room/);
  });
});
