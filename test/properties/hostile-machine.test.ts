import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BARE_VIRT_BASE } from '../../machine/bare-loader.ts';
import { MemoryStore } from '../../machine/block-store.ts';
import type { Cpu } from '../../machine/cpu.ts';
import { RSP } from '../../machine/vcpu.ts';
import { PvHost } from '../support/pv-fixture.ts';
import { Choices } from './choices.ts';
import { stopped } from './hostile-instructions.ts';
import { checkInvariants } from './invariants.ts';

const RUNS = Number(process.env['HOSTILE_RUNS'] ?? 60);
const SEED = Number(process.env['HOSTILE_SEED'] ?? 20051205);
const PAGES = 640;
const FREE = BARE_VIRT_BASE + 512 * 4096;
const LIMIT = 2e7;

/** The ports of every device, and around them. */
const PORTS: readonly (readonly [number, number])[] = [
  [0x1f, 0x24],
  [0x3f, 0x44],
  [0x60, 0x65],
  [0x9f, 0xa3],
  [0x16f, 0x178],
  [0x1ef, 0x1f8],
  [0x375, 0x378],
  [0x3f5, 0x3ff],
  [0xbfff, 0xc010],
  [0xfffe, 0x10002],
];

class HostileMachine {
  readonly cpu: Cpu;
  c = new Choices(0);
  handled = 0;
  readonly root: number;

  constructor(cpu: Cpu) {
    this.cpu = cpu;
    this.root = cpu.readCr(3);
  }

  port(): number {
    const { c } = this;
    if (c.once(12)) return this.odd();
    const [first, last] = c.pick(PORTS);
    return first + c.below(last - first);
  }

  va(): number {
    const { c } = this;
    switch (c.below(9)) {
      case 0:
        return c.pick([0, -8, 2 ** 47, 2 ** 60, -(2 ** 63), 2 ** 32, 0xfee00000, 0.5, Number.NaN]);
      case 1:
        return BARE_VIRT_BASE + PAGES * 4096 + c.below(9) * 4096 - 4;
      case 2:
        return BARE_VIRT_BASE + this.root + c.below(512) * 8;
      case 3:
        return BARE_VIRT_BASE + c.below(PAGES * 512) * 8;
      default:
        return FREE + c.below(64) * 64 + (c.once(4) ? c.below(64) : 0);
    }
  }

  odd(): number {
    const { c } = this;
    return c.pick([
      () => c.below(256),
      () => c.below(8),
      () => c.bits(),
      () => 2 ** c.below(64) - c.below(3),
      () => -(2 ** c.below(64)),
      () => this.va(),
      () => c.pick([Number.NaN, 0.5, -1, 1e300, Number.POSITIVE_INFINITY]),
    ])();
  }
}

type Deed = (m: HostileMachine) => unknown;

const gate = (m: HostileMachine, at: number, code: () => void, type = 0x8e): void => {
  const address = m.cpu.entry(code);
  m.cpu.store32(at, (address & 0xffff) | (0x10 << 16));
  m.cpu.store32(at + 4, (address & 0xffff0000) | (type << 8));
  m.cpu.store32(at + 8, Math.floor(address / 2 ** 32));
};

const ERROR_CODES: readonly number[] = [8, 10, 11, 12, 13, 14, 17];
class GivenUp extends Error {}

/** An IDT that has faults given up and interrupts acknowledged, at FREE + 64 KiB; a stack at its end. */
const settleIn = (m: HostileMachine): void => {
  const { cpu } = m;
  const idt = FREE + 0x10000;
  for (const withError of [false, true]) {
    const code = (): void => {
      if (withError) cpu.setReg(RSP, cpu.reg(RSP) + 8);
      cpu.iretq();
      throw new GivenUp();
    };
    for (let vector = 0; vector < 32; vector++)
      if (ERROR_CODES.includes(vector) === withError) gate(m, idt + vector * 16, code);
  }
  const interrupt = (): void => {
    cpu.out8(0xa0, 0x20);
    cpu.out8(0x20, 0x20);
    cpu.iretq();
  };
  for (let vector = 32; vector < 256; vector++) gate(m, idt + vector * 16, interrupt);
  cpu.lidt(idt, 0xfff);
  cpu.setReg(RSP, FREE + 0x20000);
};

/** Prepare a PRD table, and set a transfer going. */
const dma: Deed = ({ cpu, c }) => {
  const table = FREE + 0x3000;
  for (let i = 0; i < 4; i++) {
    cpu.store32(table + 8 * i, c.once(3) ? c.bits() : 512 * 4096 + c.below(64) * 512);
    cpu.store32(
      table + 8 * i + 4,
      (c.once(2) ? c.bits() & 0xffff : 512) | (c.once(3) ? 2 ** 31 : 0),
    );
  }
  const base = 0xc000 + 8 * c.below(2);
  const drive = c.once(2) ? 0x1f0 : 0x170;
  cpu.out32(base + 4, c.once(4) ? c.bits() : 512 * 4096 + 0x3000);
  cpu.out8(drive + 2, c.below(6));
  for (let i = 3; i < 6; i++) cpu.out8(drive + i, c.once(3) ? c.bits() & 0xff : 0);
  cpu.out8(drive + 6, 0xe0 + (c.once(3) ? 0x10 : 0) + c.below(2));
  cpu.out8(
    drive + 7,
    c.pick([0xc8, 0xca, 0x20, 0x30, 0xc4, 0xc5, 0xec, 0xe7, 0x25, 0x35, 0xef, c.bits() & 0xff]),
  );
  cpu.out8(base, c.pick([1, 9, 9, 1, 0, 8]));
};

const timer: Deed = ({ cpu, c }) => {
  cpu.out8(0x43, c.once(3) ? c.bits() & 0xff : 0x30 + 2 * c.below(8));
  cpu.out8(0x40, c.below(4));
  cpu.out8(0x40, c.once(3) ? c.bits() & 0xff : 0);
};

const table: Deed = (m) => {
  const { c, cpu } = m;
  const entry = BigInt(c.once(3) ? c.bits() : c.below(PAGES)) * 4096n + BigInt(c.bits() & 0x1e7);
  const high = c.once(6) ? BigInt(c.bits()) << 32n : 0n;
  cpu.store64(
    FREE + 0x4000 + c.below(4) * 4096 + c.pick([0, 256, 511, c.below(512)]) * 8,
    entry | high,
  );
};

const tableRoot: Deed = (m) => {
  const { c, cpu } = m;
  // A copy of the root that works, with some entries of others' making.
  const bytes = new Uint8Array(4096);
  cpu.loadBytes(BARE_VIRT_BASE + m.root, bytes);
  const page = FREE + 0x4000 + c.below(4) * 4096;
  cpu.storeBytes(page, bytes);
  table(m);
  cpu.writeCr(3, c.once(6) ? m.odd() : page - BARE_VIRT_BASE);
};

const DEEDS: readonly Deed[] = [
  dma,
  dma,
  timer,
  table,
  tableRoot,
  (m) => m.cpu.in8(m.port()),
  (m) => m.cpu.in16(m.port()),
  (m) => m.cpu.in32(m.port()),
  (m) => m.cpu.out8(m.port(), m.odd()),
  (m) => m.cpu.out8(m.port(), m.c.bits() & 0xff),
  (m) => m.cpu.out16(m.port(), m.odd()),
  (m) => m.cpu.out32(m.port(), m.odd()),
  (m) => m.cpu.insw(m.port(), m.va(), m.c.once(9) ? -1 : m.c.below(700)),
  (m) => m.cpu.outsw(m.port(), m.va(), m.c.below(700)),
  (m) => m.cpu.load32(m.va()),
  (m) => m.cpu.load64(m.va()),
  (m) => m.cpu.store32(m.va(), m.c.bits()),
  (m) => m.cpu.storeNumber(m.va(), m.odd()),
  (m) => m.cpu.loadBytes(m.va(), new Uint8Array(m.c.below(9000))),
  (m) => m.cpu.storeBytes(m.va(), m.c.bytes(m.c.below(3000))),
  (m) => m.cpu.exchange32(m.va(), m.odd()),
  (m) => m.cpu.compareExchange16(m.va(), m.odd(), 1),
  (m) => m.c.once(3) && m.cpu.writeCr(m.c.pick([0, 2, 3, 4]), m.odd()),
  (m) => m.cpu.readCr(m.c.pick([0, 2, 3, 4])),
  (m) => m.cpu.wrmsr(0xc0000080 + m.c.below(6), BigInt(m.c.bits()) << BigInt(m.c.below(32))),
  (m) => m.cpu.wrmsr(m.odd(), BigInt(m.c.bits())),
  (m) => m.cpu.rdmsr(m.c.once(2) ? m.odd() : 0xc0000100 + m.c.below(4)),
  (m) => m.cpu.cpuid(m.odd(), m.odd()),
  (m) => m.c.once(4) && m.cpu.lidt(m.va(), m.odd()),
  (m) => m.cpu.lgdt(m.va(), m.odd()),
  (m) => m.cpu.ltr(m.va()),
  (m) => m.cpu.int(m.odd()),
  (m) => m.cpu.ud2(),
  (m) => m.c.once(4) && m.cpu.sysret(m.odd(), m.odd()),
  (m) => m.c.once(4) && m.cpu.syscall(m.odd()),
  (m) => m.c.once(4) && m.cpu.iretq(),
  (m) => m.c.once(8) && m.cpu.jump(m.odd()),
  (m) => m.c.once(8) && m.cpu.setReg(RSP, m.odd()),
  (m) => m.cpu.sti(),
  (m) => m.cpu.cli(),
  (m) => m.c.once(6) && m.cpu.hlt(),
  (m) => m.cpu.invlpg(m.va()),
  (m) => m.cpu.vmcall(m.c.below(65), m.odd(), m.odd(), m.odd(), m.odd()),
  (m) => m.cpu.vmcall(m.c.pick([12, 13, 17, 20, 24, 29, 32]), m.c.below(12), m.va(), m.c.below(4)),
  (m) => m.cpu.vmcall(24, m.c.pick([7, 8, 6]), 0, m.va()),
  (m) => void m.cpu.work(m.c.below(100_000)),
];

const hostile =
  (seeds: readonly number[], look: () => void) =>
  async (cpu: Cpu): Promise<void> => {
    const m = new HostileMachine(cpu);
    cpu.idle(() => {
      cpu.sti();
      cpu.hlt();
    });
    for (const seed of seeds) {
      try {
        m.c = new Choices(seed);
        if (seed % 5 === 0) settleIn(m);
        if (seed % 9 === 0) cpu.setReg(RSP, FREE + 0x20000);
        m.c.pick(DEEDS)(m);
      } catch (error) {
        if (stopped(error)) return;
      }
      look();
      if (seed % 7 === 0) await cpu.work(2000);
    }
  };

const disks = () => [
  new MemoryStore(new Uint8Array(64 * 512)),
  undefined,
  new MemoryStore(new Uint8Array(8 * 512)),
];

describe('a hostile hardware-assisted domain', () => {
  it('breaks neither the host nor its neighbour, whatever it does to its devices and tables', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.nat(), { maxLength: 80, size: 'max' }),
        fc.boolean(),
        async (seeds, trace) => {
          const host = new PvHost({ frames: 2048, vcpus: 4 });
          const { xen, machine } = host;
          machine.limit = LIMIT;
          if (trace) machine.trace.listen(() => {});
          const before = xen.ledger();
          let rounds = 0;
          const victim = host.add(async ({ cpu }) => {
            for (; rounds < 50; rounds++) await cpu.work(1000);
          });
          let failure: unknown;
          const look = (): void => {
            try {
              checkInvariants(xen);
            } catch (error) {
              failure ??= error;
            }
          };
          const domain = xen.create({
            name: 'hvm',
            kind: 'hvm',
            memoryBytes: PAGES * 4096,
            disks: disks(),
            guest: hostile(seeds, look),
          });
          xen.unpause(domain);
          await machine.run(xen);
          if (failure) throw failure;
          expect(rounds).toBe(50);
          expect(victim.end).toMatchObject({ outcome: 'poweroff' });
          xen.destroy(domain);
          xen.destroy(victim);
          expect(xen.ledger()).toEqual(before);
        },
      ),
      { numRuns: RUNS, seed: SEED, endOnFailure: process.env['HOSTILE_FAST'] !== undefined },
    );
  });
});
