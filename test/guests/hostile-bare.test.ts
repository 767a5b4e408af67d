/**
 * A bare kernel that abuses its hardware breaks nothing but itself.
 *
 * - DMA to and from where no memory is: the transfer fails, the drive goes on
 * - random values to every device port: the machine goes on, and can still be powered off
 * - ports that nobody has read as all ones; hypercalls by VMCALL with bad pointers are -EFAULT, unknown ones -ENOSYS
 */
import { describe, expect } from 'vitest';
import { MemoryStore } from '../../machine/block-store.ts';
import * as abi from '../../protocol/index.ts';
import { BARE, guestTest, MILLISECOND, pattern } from '../support/guests.ts';

const BUS_MASTER = 0xc000;
const DRIVE = 0x1f0;
const READ_DMA = 0xc8;
const PORTS = [
  ...[
    0x20, 0x21, 0xa0, 0xa1, 0x40, 0x41, 0x42, 0x43, 0x61, 0x170, 0x171, 0x172, 0x173, 0x174, 0x175,
  ],
  ...[
    0x176, 0x177, 0x1f0, 0x1f1, 0x1f2, 0x1f3, 0x1f4, 0x1f5, 0x1f6, 0x1f7, 0x376, 0x3f6, 0x3f8,
    0x3f9,
  ],
  ...[
    0x3fa, 0x3fb, 0x3fc, 0x3fd, 0x3fe, 0x3ff, 0xc000, 0xc002, 0xc004, 0xc008, 0xc00a, 0xc00c, 0x80,
  ],
];
const disks = (): MemoryStore[] => [new MemoryStore(pattern(100))];

describe('a bare kernel', () => {
  for (const [where, address] of [
    ['a list that is not in memory', 0xfffff000],
    ['buffers that are not in memory', 0],
  ] as const) {
    guestTest(
      `may point DMA to ${where}`,
      BARE,
      async (k) => {
        const { cpu } = k;
        const disk = await k.disk('xvda');
        const list = k.frames.alloc();
        cpu.store32(k.virt(list), 0xf0000000);
        cpu.store32(k.virt(list) + 4, 0x80000000 | 512);
        cpu.out32(BUS_MASTER + 4, address === 0 ? list * 4096 : address);
        for (const [i, value] of [1, 0, 0, 0, 0xe0].entries()) cpu.out8(DRIVE + 2 + i, value);
        cpu.out8(DRIVE + 7, READ_DMA);
        cpu.out8(BUS_MASTER, 9);
        await k.time.sleep(30 * MILLISECOND);
        expect(cpu.in8(BUS_MASTER + 2) & 2).toBe(2);
        cpu.out8(BUS_MASTER, 0);
        cpu.out8(BUS_MASTER + 2, 6);
        expect((await disk.read(7, 1))[0]).toBe(pattern(8)[7 * 512]);
      },
      { disks },
    );
  }

  guestTest(
    'may write anything to its ports',
    BARE,
    async (k) => {
      k.interrupts.disable();
      let state = 12345;
      const random = (): number => {
        state = (Math.imul(state, 1103515245) + 12345) >>> 0;
        return state >>> 8;
      };
      for (let i = 0; i < 20_000; i++) {
        const port = PORTS[random() % PORTS.length]!;
        const how = random() % 6;
        if (how === 0) k.cpu.in8(port);
        else if (how === 1) k.cpu.in16(port);
        else if (how === 2) k.cpu.out32(port, random());
        else if (how === 3) k.cpu.out16(port, random());
        else k.cpu.out8(port, random());
      }
    },
    { disks },
  );

  guestTest('reads all ones from ports that nobody has', BARE, async ({ cpu }) => {
    expect([cpu.in8(0x5000), cpu.in16(0x5000), cpu.in32(0x5000)]).toEqual([
      0xff, 0xffff, 0xffffffff,
    ]);
    cpu.out32(0x5000, 1);
  });

  guestTest('in a domain gets errnos for bad hypercalls', ['hvm'], async ({ cpu }) => {
    const nowhere = 0x700000000000;
    expect(cpu.vmcall(abi.__HYPERVISOR_event_channel_op, abi.EVTCHNOP_send, nowhere)).toBe(
      -abi.EFAULT,
    );
    expect(
      cpu.vmcall(abi.__HYPERVISOR_memory_op, abi.XENMEM_maximum_reservation, -0x7d0000000000),
    ).toBe(-abi.EFAULT);
    expect(cpu.vmcall(63)).toBe(-abi.ENOSYS);
    expect(cpu.vmcall(abi.__HYPERVISOR_mmu_update, nowhere, 1, 0, abi.DOMID_SELF)).toBe(
      -abi.ENOSYS,
    );
  });
});
