/**
 * No guest gets a writable mapping of a page table, its own or another's, by any route: else it could map what it likes.
 *
 * - a store to it; update_va_mapping; an L1 entry by mmu_update, and one through another table
 * - pinning, or linking, a table that is mapped writable, or that maps a table writable (itself, or the root)
 * - a grant of it mapped writable by another domain or by itself; a grant copy into it
 * - registering it as memory that Xen writes to; loading it as a GDT; a large page over it; the recursive entry
 * - each refusal names the rule and the operand; the table is unchanged afterwards
 */
import { describe, expect, it } from 'vitest';
import { GrantError, XenError } from '../../guest-kernel/index.ts';
import * as abi from '../../protocol/index.ts';
import { GuestHost, Mailbox } from '../support/guest-host.ts';
import { type Kernel, MILLISECOND } from '../support/guests.ts';

const VA = 0x400000;
const WRITABLE = 0x63;
const READABLE = 0x21;
const TABLE = 0x67;

const outcome = (attempt: () => unknown): string => {
  try {
    const result = attempt();
    if (typeof result === 'number' && result < 0) return abi.errnoName(-result);
    return `done${typeof result === 'number' ? ` (${result})` : ''}`;
  } catch (error) {
    if (error instanceof XenError) return abi.errnoName(error.errno);
    if (error instanceof GrantError) return `grant status ${error.status}`;
    return error instanceof Error ? error.message : String(error);
  }
};

const pfnOf = (k: Kernel, mfn: number): number =>
  k.cpu.loadNumber(abi.MACH2PHYS_VIRT_START + mfn * 8);

/** Machine frames of the tables that lead to `va`, L4 to L1. */
const tablesOf = (k: Kernel, va: number): number[] => {
  const frames = [Math.floor(k.cpu.readCr(3) / 4096)];
  for (let level = 4; level > 1; level--) {
    const index = Math.floor(va / 2 ** (3 + 9 * level)) & 511;
    const entry = k.cpu.load64(k.virt(pfnOf(k, frames[4 - level]!)) + index * 8);
    frames.push(Number((entry >> 12n) & 0xffffffffn));
  }
  return frames;
};

/** A kernel with VA mapped, and everything that an attack needs at hand. */
const prepare = (k: Kernel) => {
  const { memory } = k.xen!;
  const space = k.newAddressSpace();
  const data = k.frames.alloc();
  space.map(VA, data, { write: true });
  space.activate();
  const tables = tablesOf(k, VA);
  const [l4, l3, l2, l1] = tables as [number, number, number, number];
  const snapshot = (): string =>
    tables
      .map((mfn) => {
        const bytes = new Uint8Array(4096);
        k.cpu.loadBytes(k.virt(pfnOf(k, mfn)), bytes);
        return Buffer.from(bytes).toString('base64');
      })
      .join();
  /** Set an entry by mmu_update. */
  const set = (mfn: number, index: number, target: number, flags: number): void =>
    memory.mmuUpdate([{ ptr: mfn * 4096 + index * 8, val: BigInt(target * 4096 + flags) }]);
  /** A page with `entry` at its start, mapped read-only, as a table would be. */
  const crafted = (target: number, flags: number, readonly = true): number => {
    const pfn = k.frames.alloc();
    k.cpu.fillBytes(k.virt(pfn), 4096, 0);
    const mfn = k.machineFrame(pfn);
    k.cpu.storeNumber(k.virt(pfn), (target < 0 ? mfn : target) * 4096 + flags);
    if (readonly) memory.updateVaMapping(k.virt(pfn), mfn * 4096 + READABLE);
    return mfn;
  };
  const pin = (cmd: number, mfn: number): void => memory.mmuext([{ cmd, arg1: mfn }]);
  return { ...{ memory, space, data, l4, l3, l2, l1, tables }, snapshot, set, crafted, pin };
};

type Prepared = ReturnType<typeof prepare>;
const ITSELF = -1;

const mappings = (k: Kernel, p: Prepared): (readonly [string, () => unknown])[] => {
  const index = Math.floor(VA / 4096) & 511;
  return [
    ...p.tables.map(
      (mfn, i) =>
        [`store to the L${4 - i}`, () => k.cpu.store32(k.virt(pfnOf(k, mfn)), 0)] as const,
    ),
    ...p.tables.map(
      (mfn, i) =>
        [
          `update_va_mapping of the L${4 - i}`,
          () => p.memory.updateVaMapping(VA, mfn * 4096 + WRITABLE),
        ] as const,
    ),
    ...p.tables.map(
      (mfn, i) =>
        [
          `mmu_update of an L1 entry to the L${4 - i}`,
          () => p.set(p.l1, index, mfn, WRITABLE),
        ] as const,
    ),
    [
      'its L1 mapped into its direct map',
      () => p.memory.updateVaMapping(k.virt(pfnOf(k, p.l1)), p.l1 * 4096 + WRITABLE),
    ],
    [
      'mmu_update with its accessed bits kept',
      () =>
        p.memory.mmuUpdate([
          {
            ptr: p.l1 * 4096 + index * 8 + abi.MMU_PT_UPDATE_PRESERVE_AD,
            val: BigInt(p.l4 * 4096 + WRITABLE),
          },
        ]),
    ],
    ['a large page over it', () => p.set(p.l2, 5, Math.floor(p.l1 / 512) * 512, WRITABLE | 0x80)],
    ['a recursive root, writable', () => p.set(p.l4, 5, p.l4, TABLE)],
    ['an L2 entry to the L3', () => p.set(p.l2, 5, p.l3, TABLE)],
    ['an L3 entry to a page of data', () => p.set(p.l3, 5, k.machineFrame(p.data), TABLE)],
    ['an entry in a hypervisor slot', () => p.set(p.l4, 256, p.l3, TABLE)],
  ];
};

const pins = (k: Kernel, p: Prepared): (readonly [string, () => unknown])[] => [
  [
    'pin a page that is mapped writable',
    () => p.pin(abi.MMUEXT_PIN_L1_TABLE, p.crafted(0, 0, false)),
  ],
  [
    'pin an L1 that maps itself writable',
    () => p.pin(abi.MMUEXT_PIN_L1_TABLE, p.crafted(ITSELF, WRITABLE)),
  ],
  [
    'pin an L1 that maps the root writable',
    () => p.pin(abi.MMUEXT_PIN_L1_TABLE, p.crafted(p.l4, WRITABLE)),
  ],
  [
    'pin an L2 that maps data as an L1',
    () => p.pin(abi.MMUEXT_PIN_L2_TABLE, p.crafted(k.machineFrame(p.data), TABLE)),
  ],
  ['pin the root as an L1', () => p.pin(abi.MMUEXT_PIN_L1_TABLE, p.l4)],
  [
    'link an L1 that maps the root writable',
    () => p.set(p.l2, 6, p.crafted(p.l4, WRITABLE), TABLE),
  ],
  ['link a page that is mapped writable', () => p.set(p.l2, 6, p.crafted(0, 0, false), TABLE)],
  ['load a page of data as the root', () => p.pin(abi.MMUEXT_NEW_BASEPTR, k.machineFrame(p.data))],
  ['load the L1 as the user root', () => p.pin(abi.MMUEXT_NEW_USER_BASEPTR, p.l1)],
  ['clear it', () => p.pin(abi.MMUEXT_CLEAR_PAGE, p.l1)],
  [
    'copy over it',
    () =>
      p.memory.mmuext([{ cmd: abi.MMUEXT_COPY_PAGE, arg1: p.l1, arg2: k.machineFrame(p.data) }]),
  ],
];

const others = (k: Kernel, p: Prepared): (readonly [string, () => unknown])[] => {
  const xen = k.xen!;
  const list = k.virt(k.frames.alloc());
  const readable = k.virt(pfnOf(k, p.l1));
  const self = abi.Domid(1);
  return [
    [
      'a GDT',
      () => {
        k.cpu.storeNumber(list, p.l1);
        return xen.hypercall(abi.__HYPERVISOR_set_gdt, list, 512);
      },
    ],
    ['a descriptor', () => xen.hypercall(abi.__HYPERVISOR_update_descriptor, p.l1 * 4096, 0)],
    [
      'vcpu_info in it',
      () => {
        k.cpu.fillBytes(list, 64, 0);
        k.cpu.storeNumber(list, p.l1);
        return xen.hypercall(abi.__HYPERVISOR_vcpu_op, abi.VCPUOP_register_vcpu_info, 0, list);
      },
    ],
    [
      'results in it',
      () => xen.hypercall(abi.__HYPERVISOR_xen_version, abi.XENVER_get_features, readable),
    ],
    [
      'a grant of it to itself',
      () => k.grants!.map(self, k.grants!.grant(self, pfnOf(k, p.l1), false)),
    ],
    [
      'a copy into it',
      () => {
        const [status] = k.grants!.copy([
          {
            from: { pfn: p.data, offset: 0 },
            to: { pfn: pfnOf(k, p.l1), offset: 0 },
            length: 4096,
          },
        ]);
        if (status !== 0) throw new GrantError('copy', status!);
      },
    ],
    [
      'a table where a grant is mapped',
      () => {
        const gref = k.grants!.grant(self, p.data, false);
        const { va } = k.grants!.map(self, gref);
        return outcome(() => p.memory.updateVaMapping(va, p.l4 * 4096 + WRITABLE)).startsWith('E')
          ? -abi.EBUSY
          : 0;
      },
    ],
  ];
};

/** Runs the attacks of `which`, each of which must fail, in a domain of its own. */
const attack = async (
  which: (k: Kernel, p: Prepared) => (readonly [string, () => unknown])[],
): Promise<{ allowed: string[]; refusals: object[]; count: number }> => {
  const host = new GuestHost();
  const allowed: string[] = [];
  let count = 0;
  const guest = host.add(async (k) => {
    const p = prepare(k);
    const attempts = which(k, p);
    const before = p.snapshot();
    for (const [what, act] of attempts) {
      const came = outcome(act);
      if (came.startsWith('done')) allowed.push(`${what}: ${came}`);
      expect([what, p.snapshot() === before]).toEqual([what, true]);
    }
    count = attempts.length;
    expect(k.cpu.load32(VA)).toBe(0);
  });
  await host.run();
  expect(guest.end).toMatchObject({ outcome: 'poweroff' });
  return { allowed, refusals: host.refusals(guest), count };
};

describe('a page table of its own', () => {
  it('cannot be mapped writable', async () => {
    const { allowed, refusals, count } = await attack(mappings);
    expect(allowed).toEqual([]);
    // Stores are faults, not refusals.
    expect(refusals.length).toBe(count - 4);
    for (const refusal of refusals) {
      expect(refusal).toMatchObject({ rule: expect.any(String) });
      const places = ['va', 'mfn', 'table', 'slot'].filter((key) => key in refusal);
      expect(places).not.toEqual([]);
    }
  });

  it('cannot be made of a page that can be written, nor give one', async () => {
    const { allowed, refusals, count } = await attack(pins);
    expect(allowed).toEqual([]);
    expect(refusals.length).toBe(count);
  });

  it('cannot be written by Xen in its stead', async () => {
    const { allowed, refusals, count } = await attack(others);
    expect(allowed).toEqual([]);
    expect(refusals.length).toBeGreaterThanOrEqual(count);
  });
});

describe('a page table of another', () => {
  it('that is granted cannot be mapped writable, nor copied into', async () => {
    const host = new GuestHost();
    const offer = new Mailbox<[abi.Gref, abi.Gref]>();
    const done = new Mailbox<true>();
    host.add(async (k) => {
      const { l1, snapshot } = prepare(k);
      const before = snapshot();
      const pfn = pfnOf(k, l1);
      const grants = k.grants!;
      offer.put([grants.grant(abi.Domid(2), pfn, false), grants.grant(abi.Domid(2), pfn, true)]);
      await done.take(k);
      expect(snapshot()).toBe(before);
    });
    const mapper = host.add(async (k) => {
      const [writable, readable] = await offer.take(k);
      const owner = abi.Domid(1);
      expect(() => k.grants!.map(owner, writable)).toThrow(GrantError);
      const page = k.frames.alloc();
      const [status] = k.grants!.copy([
        {
          from: { pfn: page, offset: 0 },
          to: { gref: writable, domid: owner, offset: 0 },
          length: 8,
        },
      ]);
      expect(status).not.toBe(0);
      // To read it harms nobody.
      const { va, unmap } = k.grants!.map(owner, readable, true);
      expect(() => k.cpu.store32(va, 0)).toThrow('#PF(3)');
      unmap();
      done.put(true);
      await k.time.sleep(MILLISECOND);
    });
    await host.run();
    expect([...host.xen.domains.values()].map(({ end }) => end?.outcome)).toEqual([
      'poweroff',
      'poweroff',
    ]);
    expect(host.refusals(mapper)).toMatchObject([
      {
        rule: expect.stringContaining('grant map'),
        domid: 1,
        ref: expect.any(Number),
        va: expect.any(Number),
      },
      { rule: expect.stringContaining('grant copy'), toDomid: 1, to: expect.any(Number) },
    ]);
  });

  it('that holds a writable grant mapping cannot be made one', async () => {
    const host = new GuestHost();
    const offer = new Mailbox<abi.Gref>();
    const mapped = new Mailbox<true>();
    const tried = new Mailbox<true>();
    host.add(async (k) => {
      const { crafted, pin } = prepare(k);
      const mfn = crafted(0, 0);
      offer.put(k.grants!.grant(abi.Domid(2), pfnOf(k, mfn), false));
      await mapped.take(k);
      expect(outcome(() => pin(abi.MMUEXT_PIN_L1_TABLE, mfn))).toMatch(/^E/);
      tried.put(true);
    });
    host.add(async (k) => {
      k.grants!.map(abi.Domid(1), await offer.take(k));
      mapped.put(true);
      await tried.take(k);
    });
    await host.run();
    expect([...host.xen.domains.values()].map(({ end }) => end?.outcome)).toEqual([
      'poweroff',
      'poweroff',
    ]);
  });
});
