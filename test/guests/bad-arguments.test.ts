/**
 * A guest that passes nonsense to every hypercall gets an errno each time, goes on, and nobody else notices.
 *
 * - pointers: to nothing, into the hypervisor, not canonical, to a page table of its own (which it may not write)
 * - frames of the hypervisor, of another domain, and none at all; ports that are not its own; counts beyond all sense
 * - each refusal is in the trace with the errno, the rule, and the operand that broke it
 * - a neighbour that computes meanwhile finds everything as it left it; the ledger does not change
 */
import { describe, expect, it } from 'vitest';
import { errnoName } from '../../protocol/errno.ts';
import * as abi from '../../protocol/index.ts';
import { GuestHost, Mailbox } from '../support/guest-host.ts';
import { type Kernel, MILLISECOND } from '../support/guests.ts';

const NOWHERE = 0x700000000000;
const HYPERVISOR = -0x7d0000000000;
const NOT_CANONICAL = 0x900000000000;
const HUGE = 0x7fffffff;
const NO_FRAME = 0xfffffffff;

/** What was tried, with what result. */
interface Tried {
  readonly what: string;
  readonly result: number;
}

/** Does what a hostile kernel does, beside a neighbour that must not notice. */
const besideNeighbour = async (
  attack: (k: Kernel, attempt: (what: string, ...call: (number | bigint)[]) => void) => void,
): Promise<{ tried: Tried[]; host: GuestHost; rules: string[]; details: object[] }> => {
  const host = new GuestHost();
  const tried: Tried[] = [];
  const neighbourReady = new Mailbox<true>();
  const over = new Mailbox<true>();
  const neighbour = host.add(async (k) => {
    const pfns = Array.from({ length: 200 }, () => k.frames.alloc());
    for (const pfn of pfns) k.cpu.fillBytes(k.virt(pfn), 4096, pfn & 0xff);
    neighbourReady.put(true);
    await over.take(k);
    const page = new Uint8Array(4096);
    for (const pfn of pfns) {
      k.cpu.loadBytes(k.virt(pfn), page);
      expect(page.every((byte) => byte === (pfn & 0xff))).toBe(true);
    }
  });
  const guest = host.add(async (k) => {
    await neighbourReady.take(k);
    const before = host.xen.ledger();
    const attempt = (what: string, number: number | bigint, ...args: (number | bigint)[]): void => {
      tried.push({ what, result: k.xen!.hypercall(Number(number), ...args) });
    };
    attack(k, attempt as never);
    expect(host.xen.ledger()).toEqual(before);
    over.put(true);
    await k.time.sleep(MILLISECOND);
  });
  await host.run();
  expect([neighbour.end?.outcome, guest.end?.outcome, guest.end?.why]).toEqual([
    'poweroff',
    'poweroff',
    'the guest powered itself off',
  ]);
  expect(host.refusals(neighbour)).toEqual([]);
  const refusals = host.refusals(guest);
  const rules = refusals.map(({ errno, rule }) => `${errno}: ${rule}`);
  return { tried, host, rules, details: refusals };
};

/** Every attempt failed, each with one refusal in the trace that has its errno. */
const allRefused = (tried: readonly Tried[], rules: readonly string[]): void => {
  const names = tried.map(
    ({ what, result }) => `${what}: ${result < 0 ? errnoName(-result) : result}`,
  );
  expect(names.filter((name) => /: \d+$/.test(name))).toEqual([]);
  expect(rules.map((rule) => rule.split(':')[0])).toEqual(
    tried.map(({ result }) => errnoName(-result)),
  );
};

const LISTS: readonly (readonly [string, (va: number) => (number | bigint)[]])[] = [
  ['set_trap_table', (va) => [abi.__HYPERVISOR_set_trap_table, va]],
  ['mmu_update', (va) => [abi.__HYPERVISOR_mmu_update, va, 1, 0, abi.DOMID_SELF]],
  ['mmuext_op', (va) => [abi.__HYPERVISOR_mmuext_op, va, 1, 0, abi.DOMID_SELF]],
  ['set_gdt', (va) => [abi.__HYPERVISOR_set_gdt, va, 512]],
  ['memory_op', (va) => [abi.__HYPERVISOR_memory_op, abi.XENMEM_current_reservation, va]],
  ['multicall', (va) => [abi.__HYPERVISOR_multicall, va, 1]],
  ['xen_version', (va) => [abi.__HYPERVISOR_xen_version, abi.XENVER_get_features, va]],
  [
    'grant_table_op map',
    (va) => [abi.__HYPERVISOR_grant_table_op, abi.GNTTABOP_map_grant_ref, va, 1],
  ],
  ['grant_table_op copy', (va) => [abi.__HYPERVISOR_grant_table_op, abi.GNTTABOP_copy, va, 1]],
  [
    'grant_table_op setup',
    (va) => [abi.__HYPERVISOR_grant_table_op, abi.GNTTABOP_setup_table, va, 1],
  ],
  ['event_channel_op send', (va) => [abi.__HYPERVISOR_event_channel_op, abi.EVTCHNOP_send, va]],
  ['event_channel_op status', (va) => [abi.__HYPERVISOR_event_channel_op, abi.EVTCHNOP_status, va]],
  ['sched_op poll', (va) => [abi.__HYPERVISOR_sched_op, abi.SCHEDOP_poll, va]],
  ['sched_op shutdown', (va) => [abi.__HYPERVISOR_sched_op, abi.SCHEDOP_shutdown, va]],
  ['callback_op', (va) => [abi.__HYPERVISOR_callback_op, abi.CALLBACKOP_register, va]],
  ['physdev_op', (va) => [abi.__HYPERVISOR_physdev_op, abi.PHYSDEVOP_set_iopl, va]],
  ['vcpu_op', (va) => [abi.__HYPERVISOR_vcpu_op, abi.VCPUOP_set_singleshot_timer, 0, va]],
];

describe('bad pointers', () => {
  for (const [where, va] of [
    ['to nothing', NOWHERE],
    ['into the hypervisor', HYPERVISOR],
    ['that are not canonical', NOT_CANONICAL],
  ] as const) {
    it(`${where} are -EFAULT in every hypercall`, async () => {
      const { tried, rules, details } = await besideNeighbour((_k, attempt) => {
        for (const [what, call] of LISTS) attempt(what, ...call(va));
      });
      allRefused(tried, rules);
      expect(tried.map(({ what, result }) => [what, result])).toEqual(
        LISTS.map(([what]) => [what, -abi.EFAULT]),
      );
      for (const [i, record] of details.entries()) {
        expect([tried[i]!.what, ...Object.values(record)]).toContain(va);
      }
    });
  }

  it('to a page table are -EFAULT where results would be written, and change nothing', async () => {
    let table: Uint8Array | undefined;
    const { tried, rules } = await besideNeighbour((k, attempt) => {
      const root = Math.floor(k.cpu.readCr(3) / 4096);
      const va = k.virt(k.cpu.loadNumber(abi.MACH2PHYS_VIRT_START + root * 8));
      const before = new Uint8Array(4096);
      k.cpu.loadBytes(va, before);
      attempt('features', abi.__HYPERVISOR_xen_version, abi.XENVER_get_features, va);
      attempt('map', abi.__HYPERVISOR_grant_table_op, abi.GNTTABOP_map_grant_ref, va, 1);
      attempt('multicall', abi.__HYPERVISOR_multicall, va, 1);
      table = new Uint8Array(4096);
      k.cpu.loadBytes(va, table);
      expect(table).toEqual(before);
    });
    expect(tried.filter(({ result }) => result >= 0)).toEqual([]);
    expect(rules.length).toBeGreaterThanOrEqual(tried.length);
  });
});

describe('foreign frames', () => {
  it('cannot be mapped, pinned, loaded, given away or written', async () => {
    const { tried, rules } = await besideNeighbour((k, attempt) => {
      const page = k.frames.alloc();
      const va = k.virt(page);
      const mine = k.machineFrame(page);
      const list = k.virt(k.frames.alloc());
      const put = (...words: (number | bigint)[]): number => {
        for (const [i, word] of words.entries()) k.cpu.store64(list + i * 8, BigInt(word));
        return list;
      };
      // The first frames are Xen's; the neighbour's lie next to ours, for it was built just before.
      const theirs = mine - 1024;
      for (const [whose, mfn] of [
        ['of Xen', 1],
        ['of the neighbour', theirs],
        ['of nobody', NO_FRAME],
      ] as const) {
        const entry = (BigInt(mfn) << 12n) | 0x63n;
        const ext = (cmd: number): (number | bigint)[] => [
          abi.__HYPERVISOR_mmuext_op,
          put(cmd, mfn, 0),
          1,
          0,
          abi.DOMID_SELF,
        ];
        attempt(`map ${whose}`, abi.__HYPERVISOR_update_va_mapping, va, entry, 0);
        attempt(`pin ${whose}`, ...ext(abi.MMUEXT_PIN_L4_TABLE));
        attempt(`pin low ${whose}`, ...ext(abi.MMUEXT_PIN_L1_TABLE));
        attempt(`unpin ${whose}`, ...ext(abi.MMUEXT_UNPIN_TABLE));
        attempt(`load ${whose}`, ...ext(abi.MMUEXT_NEW_BASEPTR));
        attempt(`load for user mode ${whose}`, ...ext(abi.MMUEXT_NEW_USER_BASEPTR));
        attempt(`clear ${whose}`, ...ext(abi.MMUEXT_CLEAR_PAGE));
        const update = put(BigInt(mfn) << 12n, BigInt(mine) << 12n);
        attempt(`entry in ${whose}`, abi.__HYPERVISOR_mmu_update, update, 1, 0, abi.DOMID_SELF);
        const m2p = put((BigInt(mfn) << 12n) | BigInt(abi.MMU_MACHPHYS_UPDATE), 5n);
        attempt(`M2P ${whose}`, abi.__HYPERVISOR_mmu_update, m2p, 1, 0, abi.DOMID_SELF);
        attempt(
          `descriptor in ${whose}`,
          abi.__HYPERVISOR_update_descriptor,
          BigInt(mfn) << 12n,
          0n,
        );
        attempt(`GDT ${whose}`, abi.__HYPERVISOR_set_gdt, put(mfn), 512);
      }
    });
    allRefused(tried, rules);
  });
});

describe('bad ports and domains', () => {
  it('are refused by every operation on ports', async () => {
    const { tried, rules } = await besideNeighbour((k, attempt) => {
      const list = k.virt(k.frames.alloc());
      const put = (a: number, b = 0, c = 0): number => {
        k.cpu.store32(list, a);
        k.cpu.store32(list + 4, b);
        k.cpu.store32(list + 8, c);
        return list;
      };
      const op = abi.__HYPERVISOR_event_channel_op;
      for (const port of [0, 999, 4095, 4096, 0x7fffffff, 0xffffffff]) {
        attempt(`send ${port}`, op, abi.EVTCHNOP_send, put(port));
        attempt(`close ${port}`, op, abi.EVTCHNOP_close, put(port));
        attempt(`bind vCPU ${port}`, op, abi.EVTCHNOP_bind_vcpu, put(port));
        // Port 0 is reserved: never open, but a port.
        if (port > 0) {
          attempt(`unmask ${port}`, op, abi.EVTCHNOP_unmask, put(port));
          attempt(`status ${port}`, op, abi.EVTCHNOP_status, put(abi.DOMID_SELF, port));
        }
        attempt(
          `bind to ${port} of the neighbour`,
          op,
          abi.EVTCHNOP_bind_interdomain,
          put(1, port),
        );
      }
      attempt('bind to a port for domain 0', op, abi.EVTCHNOP_bind_interdomain, put(1, 1));
      attempt('bind to no domain', op, abi.EVTCHNOP_bind_interdomain, put(77, 1));
      attempt('reset the neighbour', op, abi.EVTCHNOP_reset, put(1));
      attempt('look at the neighbour', op, abi.EVTCHNOP_status, put(1, 1));
      attempt('a port for the neighbour', op, abi.EVTCHNOP_alloc_unbound, put(1));
      attempt('an IPI to no vCPU', op, abi.EVTCHNOP_bind_ipi, put(9));
      attempt('no such VIRQ', op, abi.EVTCHNOP_bind_virq, put(999));
      attempt('a physical interrupt', op, abi.EVTCHNOP_bind_pirq, put(1));
      attempt('no such operation', op, 99, list);
    });
    allRefused(tried, rules);
  });
});

describe('huge counts', () => {
  it('end where the list does, with an errno', async () => {
    const { tried, rules } = await besideNeighbour((k, attempt) => {
      const end = k.newAddressSpace();
      const page = k.frames.alloc();
      end.map(0x400000, page, { write: true });
      end.activate();
      const last = 0x400000 + 4096 - 64;
      for (const va of [NOWHERE, last]) {
        attempt('mmu_update', abi.__HYPERVISOR_mmu_update, va, HUGE, 0, abi.DOMID_SELF);
        attempt('mmuext_op', abi.__HYPERVISOR_mmuext_op, va, HUGE, 0, abi.DOMID_SELF);
        attempt('multicall', abi.__HYPERVISOR_multicall, va, 0x3fffffff);
        attempt('grants', abi.__HYPERVISOR_grant_table_op, abi.GNTTABOP_copy, va, HUGE);
        attempt('GDT', abi.__HYPERVISOR_set_gdt, va, 0xffffffff);
      }
      const slot = k.virt(k.frames.alloc());
      k.cpu.storeNumber(slot, slot + 64);
      k.cpu.store32(slot + 8, HUGE);
      attempt('poll', abi.__HYPERVISOR_sched_op, abi.SCHEDOP_poll, slot);
      attempt('negative', abi.__HYPERVISOR_grant_table_op, abi.GNTTABOP_copy, slot, 0xffffffff);
    });
    expect(tried.filter(({ result }) => result >= 0)).toEqual([]);
    expect(rules.length).toBeGreaterThanOrEqual(tried.length);
  });
});
