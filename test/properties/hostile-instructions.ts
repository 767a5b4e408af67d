/** Instructions of a hostile kernel, and what it has its handlers do. */
import type { Code, Cpu } from '../../machine/cpu.ts';
import { RSP } from '../../machine/vcpu.ts';
import {
  __HYPERVISOR_iret,
  __HYPERVISOR_mmuext_op,
  __HYPERVISOR_multicall,
  __HYPERVISOR_update_va_mapping,
} from '../../protocol/hypercalls.ts';
import { DOMID_SELF, MmuextOp } from '../../protocol/xen.ts';
import { Choices } from './choices.ts';
import { type HostileGuest, Skipped } from './hostile-guest.ts';
import { hostileCall, multicallList } from './hostile-hypercalls.ts';

type Instruction = (cpu: Cpu, g: HostileGuest) => unknown;

const va = (g: HostileGuest): number => (g.c.once(5) ? g.odd() : g.va());

/** Every instruction that there is, with operands good and bad. */
export const INSTRUCTIONS: readonly Instruction[] = [
  (cpu, g) => cpu.load8(va(g)),
  (cpu, g) => cpu.load16(va(g)),
  (cpu, g) => cpu.load32(va(g)),
  (cpu, g) => cpu.load64(va(g)),
  (cpu, g) => cpu.loadNumber(va(g)),
  (cpu, g) => cpu.store8(va(g), g.odd()),
  (cpu, g) => cpu.store16(va(g), g.odd()),
  (cpu, g) => cpu.store32(va(g), g.odd()),
  (cpu, g) => cpu.store64(va(g), g.c.once(4) ? (g.odd() as unknown as bigint) : g.big()),
  (cpu, g) => cpu.storeNumber(va(g), g.odd()),
  (cpu, g) => cpu.loadBytes(va(g), new Uint8Array(g.c.below(9000))),
  (cpu, g) => cpu.storeBytes(va(g), g.c.bytes(g.c.below(5000))),
  (cpu, g) => cpu.fillBytes(va(g), g.c.below(5000), g.odd()),
  (cpu, g) => cpu.fillBytes(va(g), g.c.pick([Number.NaN, -1, 0.5, 4096.5]), 1),
  (cpu, g) => cpu.exchange32(va(g), g.odd()),
  (cpu, g) => cpu.compareExchange32(va(g), g.odd(), g.odd()),
  (cpu, g) => cpu.and32(va(g), g.odd()),
  (cpu, g) => cpu.or32(va(g), g.odd()),
  (cpu, g) => cpu.compareExchange16(va(g), g.odd(), g.odd()),
  (cpu, g) => cpu.reg(g.odd()),
  (cpu, g) => cpu.setReg(g.odd(), g.odd()),
  (cpu) => cpu.flags(),
  (cpu) => cpu.here(),
  (cpu, g) => void cpu.work(g.c.once(3) ? g.odd() % 1e9 : g.c.below(1e6)),
  (cpu) => void cpu.resumed(),
  (cpu, g) => cpu.vmcall(g.odd(), g.odd(), g.big()),
  (cpu, g) => cpu.syscall(g.odd(), g.odd(), g.odd(), g.odd(), g.odd(), g.odd(), g.odd()),
  (cpu, g) => cpu.syscall(g.small(), undefined, g.odd()),
  (cpu, g) => cpu.sysret(va(g), g.odd()),
  (cpu) => cpu.iretq(),
  (cpu, g) => g.c.once(6) && cpu.jump(va(g)),
  (cpu, g) => cpu.int(g.odd()),
  (cpu) => cpu.ud2(),
  (cpu, g) => cpu.cpuid(g.odd(), g.odd()),
  (cpu) => cpu.rdtsc(),
  (cpu, g) => cpu.readCr(g.c.pick([0, 2, 3, 4, 8 as 0])),
  (cpu, g) => cpu.writeCr(g.c.pick([0, 2, 3, 4, 8 as 0]), g.odd()),
  (cpu, g) => cpu.invlpg(va(g)),
  (cpu, g) => cpu.rdmsr(g.c.once(2) ? g.odd() : 0xc0000080 + g.c.below(0x104)),
  (cpu, g) => cpu.wrmsr(g.c.once(2) ? g.odd() : 0xc0000080 + g.c.below(0x104), g.big()),
  (cpu) => cpu.cli(),
  (cpu) => cpu.sti(),
  (cpu) => cpu.hlt(),
  (cpu, g) => cpu.lidt(va(g), g.odd()),
  (cpu, g) => cpu.lgdt(va(g), g.odd()),
  (cpu, g) => cpu.ltr(va(g)),
  (cpu, g) => cpu.in8(g.odd()),
  (cpu, g) => cpu.in16(g.odd()),
  (cpu, g) => cpu.in32(g.odd()),
  (cpu, g) => cpu.out8(g.odd(), g.odd()),
  (cpu, g) => cpu.out16(g.odd(), g.odd()),
  (cpu, g) => cpu.out32(g.odd(), g.odd()),
  (cpu, g) => cpu.insw(g.odd(), va(g), g.c.below(3000)),
  (cpu, g) => cpu.outsw(g.odd(), va(g), g.c.below(3000)),
  (cpu, g) => cpu.entry(g.odd() as unknown as () => void),
];

/** What a step may be; `call` stands for several. */
export const DEEDS = [
  ...Array.from({ length: 14 }, () => 'call' as const),
  ...Array.from({ length: 6 }, () => 'table' as const),
  ...(['multicall', 'multicall', 'instruction', 'instruction', 'store', 'work'] as const),
  ...(['stack', 'iret'] as const),
] as const;
export type Deed = (typeof DEEDS)[number];

const FRAME_WORDS = 9;

/** Do one thing. Whatever it throws is the guest's. */
export const act = (g: HostileGuest, deed: Deed): void => {
  const { c, raw } = g;
  const { cpu } = raw;
  const code = (): number => cpu.entry(handler(g, c.once(3) ? c.below(HANDLERS) : 2 + c.below(2)));
  const start = (): number => cpu.entry(startUp(g) as unknown as Code);
  g.main.current = g;
  switch (deed) {
    case 'call': {
      const [number, args] = hostileCall(g, code, start);
      cpu.syscall(number, ...(args as [number, number]));
      break;
    }
    case 'multicall': {
      const count = 1 + c.below(6);
      cpu.syscall(
        __HYPERVISOR_multicall,
        multicallList(g, code, start, count),
        c.once(9) ? g.number() : count,
      );
      break;
    }
    case 'table':
      table(g);
      break;
    case 'instruction':
      c.pick(INSTRUCTIONS)(cpu, g);
      break;
    case 'store':
      cpu.store32(raw.shared + c.below(1024) * 4, c.once(2) ? c.bits() : 0);
      break;
    case 'stack':
      cpu.setReg(RSP, c.once(3) ? g.number() : c.pick(g.pages) + c.below(80) * 8);
      c.pick(INSTRUCTIONS)(cpu, g);
      break;
    case 'iret': {
      const frame = c.pick(g.pages) + c.below(8) * 8;
      for (let i = 0; i < FRAME_WORDS; i++)
        cpu.storeNumber(
          frame + 8 * i,
          i === 4 && !c.once(3) ? code() : i === 7 && !c.once(4) ? g.stack : g.number(),
        );
      if (!c.once(3)) cpu.storeNumber(frame + 40, 0xe030 + (c.once(4) ? 3 : 0));
      cpu.setReg(RSP, frame);
      cpu.syscall(__HYPERVISOR_iret);
      break;
    }
    case 'work':
      void cpu.work(c.below(3e6));
  }
};

/** Make a table of a page, more or less as it must be, and use it. */
const table = (g: HostileGuest): void => {
  const { c, raw } = g;
  const { cpu } = raw;
  const i = c.below(g.pages.length);
  for (let n = c.below(6); n > 0; n--) {
    const target = c.once(3) ? g.mfn() : c.pick(c.once(2) ? g.mfns : g.tables);
    const entry = BigInt(target) * 4096n + BigInt(c.pick([0x21, 0x25, 0x27, 0x67, 0x63, 0x61]));
    cpu.store64(g.pages[i]! + c.pick([0, 1, 2, 255, 256, 257, 511]) * 8, entry);
  }
  const readOnly = BigInt(g.mfns[i]!) * 4096n + 0x21n;
  cpu.syscall(__HYPERVISOR_update_va_mapping, g.pages[i]!, readOnly, c.below(3));
  const level = c.once(2) ? 0 : c.below(4);
  const operation = g.list(MmuextOp, 1, () => ({
    cmd: c.once(3) ? c.pick([5, 15]) : level,
    arg1: { mfn: g.mfns[i]! },
  }));
  cpu.syscall(__HYPERVISOR_mmuext_op, operation, 1, 0, DOMID_SELF);
};

/** What another vCPU of the kernel begins with. */
const startUp = (g: HostileGuest): ((cpu: Cpu) => Promise<void>) => {
  return async (cpu) => {
    const own = g.on(cpu, new Choices(cpu.reg(RSP)));
    cpu.idle(() => cpu.syscall(29, 1, 0));
    for (let i = 0; i < 20; i++) {
      try {
        act(own, own.c.pick(DEEDS));
      } catch (error) {
        if (stopped(error)) return;
      }
      await cpu.work(1000);
    }
  };
};

/** The vCPU executes nothing more. */
export const stopped = (error: unknown): boolean =>
  error instanceof Error && error.message.includes('has stopped');

const HANDLERS = 8;
const known = new WeakMap<HostileGuest, (() => void)[]>();
const MAX_NESTED = 20;
const MAX_RETURNS = 30;

/** Handlers that come back, do not come back, come back elsewhere, do more of the same. */
export const handler = (g: HostileGuest, n: number): (() => void) => {
  const { main } = g;
  let handlers = known.get(g.main);
  if (!handlers) {
    handlers = Array.from({ length: HANDLERS }, (_, i) => () => handle(main.current, i));
    known.set(g.main, handlers);
  }
  return handlers[n]!;
};

const handle = (g: HostileGuest, n: number): void => {
  const { raw, c } = g;
  switch (n) {
    case 0:
    case 1:
      raw.iret(n === 1);
      // A fault that is not mended comes again, for ever: such a guest would only hang itself.
      if (++g.main.returns > MAX_RETURNS) throw new Skipped();
      return;
    case 2:
    case 3:
      raw.iret(n === 3);
      throw new Skipped();
    case 4:
      if (c.once(9)) return;
      if (++g.main.returns > MAX_RETURNS) throw new Skipped();
      raw.iret(false, (frame) => raw.cpu.storeNumber(frame + 8 * c.below(9), g.number()));
      return;
    case 5:
      raw.cpu.jump(g.va());
      return;
    case 6:
      raw.iret();
      raw.cpu.hlt();
      raw.cpu.reg(0);
      raw.cpu.syscall(29, 0, 0);
      if (++g.main.returns > MAX_RETURNS) throw new Skipped();
      return;
    default:
      if (++g.depth < MAX_NESTED) act(g, new Choices(c.bits()).pick(DEEDS));
      g.depth--;
      raw.iret();
      if (++g.main.returns > MAX_RETURNS) throw new Skipped();
  }
};
