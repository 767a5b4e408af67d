/** A debugger of machine code: where it is asked, what it hears, and that the code notices nothing. */
import { describe, expect } from 'vitest';
import { ICOUNT, RCX, type Vcpu } from '../../../machine/vcpu.ts';
import type { Debugger } from '../../../machine/x86/debugger.ts';
import { CODE, DATA, it, runCode } from './code-fixture.ts';

const ALL = Number.POSITIVE_INFINITY;

/** Stops at `addresses`; `seen` has a note of each. */
class Stops implements Debugger {
  readonly breakpoints: Set<number>;
  readonly seen: string[] = [];
  readonly accesses: string[] = [];
  readonly #most: number | Promise<number>;

  constructor(addresses: readonly number[], most: number | Promise<number> = ALL) {
    this.breakpoints = new Set(addresses);
    this.#most = most;
  }

  before(vcpu: Vcpu): number | Promise<number> {
    if (this.breakpoints.has(vcpu.rip))
      this.seen.push(`${(vcpu.rip - CODE).toString(16)} rcx=${vcpu.gpr(RCX)}`);
    return this.#most;
  }

  accessed(_vcpu: Vcpu, va: number, bytes: number, write: boolean): void {
    this.accesses.push(`${write ? 'w' : 'r'}${bytes} ${va.toString(16)}`);
  }
}

/** Three bytes, a loop of four instructions from offset 5 on, HLT. */
const LOOP = `mov $3, %ecx
  1: incl ${DATA}
  dec %ecx
  jnz 1b
  hlt`;
const BODY = 5;
const DEC = BODY + 7;

describe('a debugger', () => {
  it('is asked before the instruction at a breakpoint, each time', async () => {
    const debug = new Stops([CODE, CODE + DEC]);
    const ran = await runCode(LOOP, { debug });
    expect(debug.seen).toEqual(['0 rcx=0', 'c rcx=3', 'c rcx=2', 'c rcx=1']);
    expect(ran.word(DATA)).toBe(3n);
  });

  it('is asked after as many instructions as it said, of breakpoints or not', async () => {
    const counts: number[] = [];
    const debug: Debugger = {
      breakpoints: new Set(),
      accessed: () => {},
      before: (vcpu) => {
        counts.push(vcpu.get(ICOUNT));
        return 3;
      },
    };
    await runCode(LOOP, { debug });
    expect(counts).toEqual([0, 3, 6, 9]);
  });

  it('makes no time pass, however often it is asked, and however late it answers', async () => {
    const alone = await runCode(LOOP);
    for (const debug of [
      new Stops([CODE + DEC]),
      new Stops([], 1),
      new Stops([CODE + DEC, CODE + BODY], Promise.resolve(2)),
    ]) {
      const ran = await runCode(LOOP, { debug });
      expect(ran.machine.now).toBe(alone.machine.now);
      expect(ran.vcpu.get(ICOUNT)).toBe(alone.vcpu.get(ICOUNT));
    }
  });

  it('hears of accesses, instruction by instruction', async () => {
    const debug = new Stops([], 1);
    await runCode(`movl $5, ${DATA}; mov ${DATA}, %al; push %rax; hlt`, { debug });
    expect(debug.accesses).toEqual(['w4 30000', 'r1 30000', 'w8 1fff8']);
  });

  it('stops in code that was written just before', async () => {
    const code = `movb $0x90, target; call target; movb $0x41, target; call target; hlt
      target: .byte 0x41; nop; mov $1, %ecx; ret`;
    const first = await runCode(code);
    const debug = new Stops([CODE + 27]);
    const ran = await runCode(code, { debug });
    expect(debug.seen).toEqual(['1b rcx=0', '1b rcx=1']);
    expect(ran.machine.now).toBe(first.machine.now);
  });

  it('may set breakpoints while it runs, and take them away', async () => {
    const debug = new Stops([CODE + DEC]);
    const { before } = Stops.prototype;
    debug.before = (vcpu) => {
      const most = before.call(debug, vcpu);
      // The first time behind the breakpoint.
      if (vcpu.gpr(RCX) === 2) {
        debug.breakpoints.delete(CODE + DEC);
        debug.breakpoints.add(CODE + BODY);
      }
      return most;
    };
    await runCode(LOOP, { debug });
    expect(debug.seen).toEqual(['c rcx=3', '5 rcx=2', '5 rcx=1']);
  });
});
