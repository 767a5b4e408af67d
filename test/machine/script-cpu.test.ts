import { describe, expect, it } from 'vitest';
import { CAUSE_WORK } from '../../machine/account.ts';
import type { Cpu } from '../../machine/cpu.ts';
import { CONTROL_SYSCALL, EXIT_EXCEPTION, EXIT_SYSCALL } from '../../machine/exit.ts';
import type { Machine } from '../../machine/machine.ts';
import { PTE_P, PTE_RW, PTE_US } from '../../machine/pte.ts';
import { ScriptText } from '../../machine/script-text.ts';
import {
  CONTROLS,
  EXCEPTION_BITMAP,
  EXIT_A,
  EXIT_C,
  EXIT_REASON,
  RAX,
  RDI,
  RSP,
  type Vcpu,
} from '../../machine/vcpu.ts';
import {
  flatMachine,
  pagingVcpu,
  Recorder,
  runGuest,
  setEntry,
} from '../support/machine-fixture.ts';

const ALL = PTE_P | PTE_RW | PTE_US;
const IDT = 0x10000;
const STACK = 0x20000;

interface Fixture {
  machine: Machine;
  vcpu: Vcpu;
  recorder: Recorder;
}

/** Pages at 0x10000.. (IDT, frame 10), 0x1f000 (stack, frame 11), 0x30000 and 0x31000 (frames 12, 13). */
const fixture = (): Fixture => {
  const machine = flatMachine();
  const vcpu = pagingVcpu(machine);
  for (const [level, table] of [
    [4, 1],
    [3, 2],
    [2, 3],
  ] as const)
    setEntry(machine, table, 0, level, table + 1, ALL);
  setEntry(machine, 4, IDT, 1, 10, ALL);
  setEntry(machine, 4, STACK - 4096, 1, 11, ALL);
  setEntry(machine, 4, 0x30000, 1, 12, ALL);
  setEntry(machine, 4, 0x31000, 1, 13, ALL);
  vcpu.setGpr(RSP, STACK);
  return { machine, vcpu, recorder: new Recorder(machine) };
};

/** Write an interrupt gate of DPL `dpl` for `vector`. */
const gate = (cpu: Cpu, vector: number, handler: () => void, dpl = 0): void => {
  const address = cpu.entry(handler);
  cpu.store16(IDT + vector * 16, address & 0xffff);
  cpu.store16(IDT + vector * 16 + 2, 0x10);
  cpu.store8(IDT + vector * 16 + 5, 0x8e | (dpl << 5));
  cpu.store16(IDT + vector * 16 + 6, (address >> 16) & 0xffff);
  cpu.store32(IDT + vector * 16 + 8, 0xffffffff);
};

describe('loads and stores', () => {
  it('agree in every width, crossing pages too', async () => {
    const { recorder, vcpu } = fixture();
    await runGuest(recorder, vcpu, (cpu) => {
      for (const va of [0x30008, 0x30ffd, 0x30ffc]) {
        cpu.store64(va, 0x8877665544332211n);
        expect(cpu.load64(va)).toBe(0x8877665544332211n);
        expect(cpu.load32(va)).toBe(0x44332211);
        expect(cpu.load16(va + 3)).toBe(0x5544);
        expect(cpu.load8(va + 7)).toBe(0x88);
        cpu.storeNumber(va, -0x80000000);
        expect(cpu.loadNumber(va)).toBe(-0x80000000);
        expect(cpu.load64(va)).toBe(0xffffffff80000000n);
        cpu.store16(va, 0xabcd);
        expect(cpu.load32(va)).toBe(0x8000abcd);
      }
      const bytes = Uint8Array.from({ length: 4100 }, (_, i) => i * 7);
      cpu.storeBytes(0x30800, bytes.subarray(0, 2500));
      const back = new Uint8Array(2500);
      cpu.loadBytes(0x30800, back);
      expect(back).toEqual(bytes.subarray(0, 2500));
      expect(cpu.exchange32(0x30000, 5)).not.toBe(5);
      expect(cpu.compareExchange32(0x30000, 4, 9)).toBe(5);
      expect(cpu.compareExchange32(0x30000, 5, 9)).toBe(5);
      expect(cpu.or32(0x30000, 6)).toBe(9);
      expect(cpu.and32(0x30000, 3)).toBe(15);
      expect(cpu.load32(0x30000)).toBe(3);
    });
    expect(recorder.failures).toEqual([]);
  });

  it('fault into the IDT and are retried when the handler has mended the page', async () => {
    const { machine, recorder, vcpu } = fixture();
    const seen: number[] = [];
    await runGuest(recorder, vcpu, (cpu) => {
      cpu.lidt(IDT, 0xfff);
      gate(cpu, 14, () => {
        seen.push(cpu.readCr(2), cpu.load32(cpu.reg(RSP)));
        setEntry(machine, 4, 0x40000, 1, 14, ALL);
        cpu.setReg(RSP, cpu.reg(RSP) + 8);
        cpu.iretq();
      });
      cpu.store32(0x40010, 77);
      expect(cpu.load32(0x40010)).toBe(77);
      expect(cpu.reg(RSP)).toBe(STACK);
    });
    expect(recorder.failures).toEqual([]);
    expect(seen).toEqual([0x40010, 2]);
  });

  it('pass an error that the handler throws after its IRET to the access', async () => {
    const { recorder, vcpu } = fixture();
    await runGuest(recorder, vcpu, (cpu) => {
      cpu.lidt(IDT, 0xfff);
      gate(cpu, 14, () => {
        cpu.setReg(RSP, cpu.reg(RSP) + 8);
        cpu.iretq();
        throw new Error('fixup');
      });
      expect(() => cpu.load8(0x50000)).toThrow('fixup');
      expect(cpu.load8(0x30000)).toBe(0);
    });
    expect(recorder.failures).toEqual([]);
  });

  it('stop at a triple fault when there is no IDT', async () => {
    const { recorder, vcpu } = fixture();
    recorder.onExit = (v) => recorder.fail(v, `exit ${v.lo(EXIT_REASON)}`);
    await runGuest(recorder, vcpu, (cpu) => {
      cpu.load8(0x50000);
    });
    expect(recorder.failures).toEqual(['exit 2']);
  });
});

describe('activations', () => {
  it('nest, and a jump to live code abandons what is above it', async () => {
    const { recorder, vcpu } = fixture();
    const log: string[] = [];
    await runGuest(recorder, vcpu, (cpu) => {
      const home = cpu.here();
      cpu.jump(
        cpu.entry(() => {
          log.push('a');
          cpu.jump(
            cpu.entry(() => {
              log.push('b');
              cpu.jump(home);
              log.push('never');
            }),
          );
          log.push('never either');
        }),
      );
      log.push('home');
    });
    expect(log).toEqual(['a', 'b', 'home']);
    expect(recorder.failures).toEqual([]);
  });

  it('fail when code falls off its end, or throws', async () => {
    for (const [code, why] of [
      [() => {}, 'its handler returned without IRET'],
      [
        () => {
          throw new TypeError('oops');
        },
        'its handler threw: TypeError: oops',
      ],
    ] as const) {
      const { recorder, vcpu } = fixture();
      await runGuest(recorder, vcpu, (cpu) => cpu.jump(cpu.entry(code)));
      expect(recorder.failures).toEqual([why]);
    }
  });

  it('cannot swallow their own abandonment', async () => {
    const { recorder, vcpu } = fixture();
    const log: string[] = [];
    await runGuest(recorder, vcpu, (cpu) => {
      const home = cpu.here();
      cpu.jump(
        cpu.entry(() => {
          try {
            cpu.jump(home);
          } catch {
            log.push('caught');
          }
          cpu.load8(0x30000);
          log.push('never');
        }),
      );
      log.push('home');
    });
    expect(log).toEqual(['caught', 'home']);
  });

  it('execute nothing once abandoned, not even HLT, which takes no interrupt before it', async () => {
    const { recorder, vcpu } = fixture();
    const log: string[] = [];
    await runGuest(recorder, vcpu, (cpu) => {
      const home = cpu.here();
      cpu.jump(
        cpu.entry(() => {
          try {
            cpu.jump(home);
          } catch {
            cpu.hlt();
            log.push('never');
          }
        }),
      );
      log.push('home');
    });
    expect(log).toEqual(['home']);
  });
});

describe('a deprivileged kernel', () => {
  it('leaves by SYSCALL with its arguments in registers, and by #GP with the instruction decoded', async () => {
    const { recorder, vcpu } = fixture();
    const exits: number[][] = [];
    vcpu.cpl = 3;
    vcpu.setHalves(EXCEPTION_BITMAP, 0xffffffff, 0);
    vcpu.setHalves(CONTROLS, CONTROL_SYSCALL, 0);
    recorder.onExit = (v) => {
      exits.push([v.lo(EXIT_REASON), v.gpr(RAX), v.gpr(RDI)]);
      v.setGpr(RAX, -38);
    };
    await runGuest(recorder, vcpu, (cpu) => {
      expect(cpu.syscall(17, -0x80000000, 0x8000000000000025n)).toBe(-38);
      cpu.writeCr(3, 4096);
      cpu.cli();
    });
    expect(exits.map(([reason]) => reason)).toEqual([EXIT_SYSCALL, EXIT_EXCEPTION, EXIT_EXCEPTION]);
    expect(exits[0]).toEqual([EXIT_SYSCALL, 17, -0x80000000]);
    expect(exits[1]![1]).toBe(4096);
  });

  it('has its page faults reported with address and user bit', async () => {
    const { machine, recorder, vcpu } = fixture();
    vcpu.cpl = 3;
    vcpu.setHalves(EXCEPTION_BITMAP, 0xffffffff, 0);
    const seen: number[] = [];
    recorder.onExit = (v) => {
      seen.push(v.get(EXIT_A), v.get(EXIT_C));
      setEntry(machine, 4, 0x40000, 1, 14, ALL);
    };
    await runGuest(recorder, vcpu, (cpu) => expect(cpu.load8(0x40001)).toBe(0));
    expect(seen).toEqual([14, 0x40001]);
  });
});

describe('time', () => {
  it('delivers an alarm between two instructions, and slices long work at it', async () => {
    const { machine, recorder, vcpu } = fixture();
    const rang: number[] = [];
    machine.timeline.at(500, (time) => rang.push(time));
    machine.timeline.at(5000, (time) => rang.push(time));
    await runGuest(recorder, vcpu, async (cpu) => {
      while (rang.length === 0) cpu.load8(0x30000);
      await cpu.work(10_000);
      expect(rang).toEqual([500, 5000]);
    });
    expect(recorder.failures).toEqual([]);
    expect(machine.idleAccount.cycles[CAUSE_WORK]).toBeGreaterThan(10_000);
  });

  it('stops at the limit, in straight code and in long work', async () => {
    for (const spin of [
      (cpu: Cpu) => {
        for (;;) cpu.load8(0x30000);
      },
      async (cpu: Cpu) => {
        for (;;) await cpu.work(1000);
      },
    ]) {
      const { machine, recorder, vcpu } = fixture();
      machine.limit = 5000;
      await runGuest(recorder, vcpu, spin);
      expect(machine.now).toBeGreaterThanOrEqual(5000);
      expect(machine.now).toBeLessThan(5100);
      expect(recorder.finished).toBe(false);
    }
  });

  it('refuses instructions executed from a host timer', async () => {
    const { recorder, vcpu } = fixture();
    let failure: unknown;
    await runGuest(
      recorder,
      vcpu,
      (cpu) => {
        setTimeout(() => {
          try {
            cpu.load8(0x30000);
          } catch (error) {
            failure = error;
          }
        }, 1);
      },
      new ScriptText(),
    );
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(String(failure)).toContain('while its vCPU was not running');
  });
});

describe('what a guest can reach', () => {
  it('is the instructions and nothing behind them', async () => {
    const { machine, recorder, vcpu } = fixture();
    const secrets = new Set<unknown>([
      machine,
      machine.memory,
      machine.memory.wasm,
      machine.memory.wasm.buffer,
      vcpu,
      recorder,
    ]);
    await runGuest(recorder, vcpu, (cpu, boot) => {
      const seen = new Set<unknown>();
      const queue: unknown[] = [cpu, boot];
      while (queue.length > 0) {
        const value = queue.pop();
        if (
          (typeof value !== 'object' && typeof value !== 'function') ||
          value === null ||
          seen.has(value)
        )
          continue;
        seen.add(value);
        for (const key of Reflect.ownKeys(value)) {
          const { value: inner, get } = Object.getOwnPropertyDescriptor(value, key)!;
          queue.push(inner, get);
        }
        queue.push(Object.getPrototypeOf(value));
        if (seen.size > 20_000) break;
      }
      for (const secret of secrets) expect(seen.has(secret)).toBe(false);
      expect(
        Object.isFrozen(cpu) &&
          Object.isFrozen(Object.getPrototypeOf(cpu)) &&
          Object.isFrozen(boot),
      ).toBe(true);
    });
    expect(recorder.failures).toEqual([]);
  });
});

describe('MSRs', () => {
  it('keep what they can hold, and #GP for anything else', async () => {
    const { recorder, vcpu } = fixture();
    const faults: number[] = [];
    vcpu.setHalves(EXCEPTION_BITMAP, 1 << 13, 0);
    recorder.onExit = (v) => faults.push(v.get(EXIT_A));
    await runGuest(recorder, vcpu, (cpu) => {
      cpu.wrmsr(0xc0000082, 0xffffffff80001000n);
      expect(cpu.rdmsr(0xc0000082)).toBe(0xffffffff80001000n);
      cpu.wrmsr(0xc0000081, 0x0013000800000000n);
      expect(cpu.rdmsr(0xc0000081)).toBe(0x0013000800000000n);
      cpu.wrmsr(0xc0000080, 0xd00n);
      expect(cpu.rdmsr(0xc0000080)).toBe(0xd00n);
      expect(faults).toEqual([]);
      cpu.wrmsr(0xc0000082, 0x800000000000n); // not canonical
      cpu.wrmsr(0xc0000080, 0x801n); // long mode cannot be left
      cpu.wrmsr(0xdead, 0n);
      cpu.rdmsr(0xdead);
    });
    expect(faults).toEqual([13, 13, 13, 13]);
    expect(recorder.failures).toEqual([]);
  });
});
