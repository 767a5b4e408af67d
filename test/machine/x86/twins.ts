/**
 * The interpreter and the evaluator on the same random code: two machines with the same memory, of which one runs and the
 * other steps, compared in everything that a guest or a clock can see.
 */
import { ICOUNT, RBP, RCX, RDI, RFLAGS, RIP, RSI, RSP, XMM } from '../../../machine/vcpu.ts';
import { decode } from '../../../machine/x86/decoder.ts';
import { disassembleBytes } from '../../../machine/x86/disassembler.ts';
import type { Outcome } from '../../../machine/x86/state.ts';
import { Choices } from '../../properties/choices.ts';
import { CASE_BYTES, Case, CODE, DATA, PAGE } from './case.ts';
import { EngineMachine } from './engine-fixture.ts';
import { Generator } from './generator.ts';

const FRAMES = 64;
/** Enough for a block of code, and where it begins: often so that it crosses into the second page. */
const BLOCK = 30;
const ROUNDS = 12;

class Twin {
  readonly host = new EngineMachine(FRAMES);
  readonly #frames: readonly number[];

  /** Two pages of code that can be written, one of data, one that can only be read; nothing around them. */
  constructor() {
    const { host } = this;
    this.#frames = [
      host.map(CODE, 'rwx'),
      host.map(CODE + PAGE, 'rwx'),
      host.map(DATA, 'rw'),
      host.map(DATA + PAGE, 'r'),
    ];
  }

  load(image: Uint8Array, setup: Case, rip: number): void {
    const { vcpu, machine } = this.host;
    const { memory } = machine;
    for (const [i, mfn] of this.#frames.entries()) {
      memory.frame(mfn).set(image.subarray(i * PAGE, (i + 1) * PAGE));
      memory.wrote(mfn);
    }
    machine.mmu.flush(vcpu);
    for (let i = 0; i < 16; i++) vcpu.setBig(8 * i, setup.get(8 * i));
    for (let i = 0; i < 16; i++) {
      vcpu.setBig(XMM + 16 * i, setup.vector(i));
      vcpu.setBig(XMM + 16 * i + 8, setup.vector(i) >> 64n);
    }
    vcpu.setHalves(RFLAGS, (Number(setup.get(136)) & ~0x100) | 2, 0);
    vcpu.rip = rip;
  }

  /** What there is to see. */
  view(): readonly string[] {
    const { vcpu, machine } = this.host;
    const registers = Array.from({ length: 16 }, (_, i) => `r${i}=${vcpu.getBig(8 * i).toString(16)}`);
    const vectors = Array.from(
      { length: 16 },
      (_, i) =>
        `xmm${i}=${vcpu.getBig(XMM + 16 * i + 8).toString(16)}:${vcpu.getBig(XMM + 16 * i).toString(16)}`,
    );
    return [
      `rip=${vcpu.getBig(RIP).toString(16)}`,
      `rflags=${vcpu.lo(RFLAGS).toString(16)}`,
      `icount=${vcpu.get(ICOUNT)}`,
      `now=${vcpu.pcpu.now}`,
      ...registers,
      ...vectors,
      ...this.#frames.map((mfn) => `${Buffer.from(machine.memory.frame(mfn)).toString('base64')}`),
      ...Array.from({ length: 8 }, (_, mfn) =>
        Buffer.from(machine.memory.frame(mfn)).toString('base64'),
      ),
    ];
  }
}

const outcomeText = (outcome: Outcome): string => {
  if (outcome.kind === 'done') return 'done';
  if (outcome.kind === 'exit') return `exit ${outcome.reason}`;
  const { vector, error, address } = outcome.fault;
  return `fault ${vector} ${error.toString(16)} ${address.toString(16)}`;
};

export interface TwinTally {
  cases: number;
  instructions: number;
  faults: number;
  exits: number;
  readonly differences: string[];
}

export class Twins {
  readonly tally: TwinTally = { cases: 0, instructions: 0, faults: 0, exits: 0, differences: [] };
  readonly #interpreted = new Twin();
  readonly #evaluated = new Twin();
  readonly #image = new Uint8Array(4 * PAGE);

  /** One block of random code, in slices of random length. */
  compare(seed: number): void {
    const r = new Choices(seed);
    const generator = new Generator(seed);
    const setup = new Case(new ArrayBuffer(CASE_BYTES), 0);
    for (let i = 0; i < this.#image.length; i += 4) new DataView(this.#image.buffer).setUint32(i, r.bits(), true);
    const start = r.chance(50) ? r.below(PAGE) : PAGE - r.below(120) - 1;
    const code = this.#block(r, generator, setup, start);
    const rip = CODE + start;
    for (const register of [RSI, RDI, RSP, RBP])
      if (r.chance(70)) setup.set(8 * register, BigInt(DATA + 256 + r.below(PAGE - 512)));
    if (r.chance(15)) setup.set(8 * r.below(16), BigInt(rip + r.below(100)));
    if (r.chance(70)) setup.set(8 * RCX, BigInt(r.below(40)));
    for (const twin of [this.#interpreted, this.#evaluated]) twin.load(this.#image, setup, rip);
    this.tally.cases++;
    for (let round = 0; round < ROUNDS; round++) {
      const budget = 1 + r.below(r.chance(50) ? 8 : 400);
      const ours = outcomeText(this.#run(budget));
      const theirs = outcomeText(this.#step(budget));
      const [a, b] = [this.#interpreted.view(), this.#evaluated.view()];
      const found = a.flatMap((each, i) =>
        each === b[i] ? [] : [`${each.slice(0, 60)} evaluator ${b[i]!.slice(0, 60)}`],
      );
      if (ours !== theirs) found.push(`${ours}, evaluator ${theirs}`);
      if (found.length > 0) {
        this.tally.differences.push(`seed ${seed} round ${round} budget ${budget}\n  ${found.join('\n  ')}\n${code}`);
        return;
      }
      if (ours.startsWith('fault')) this.tally.faults++;
      if (ours.startsWith('exit')) this.tally.exits++;
      if (ours !== 'done') return;
    }
  }

  /** Instructions one after the other, some of them jumps back. @returns the disassembly */
  #block(r: Choices, generator: Generator, setup: Case, start: number): string {
    const lines: string[] = [];
    let at = start;
    for (let i = 0; i < BLOCK && at < 2 * PAGE - 16; i++) {
      generator.fill(setup);
      let bytes: Uint8Array = setup.code;
      const operation = decode(bytes);
      if (r.chance(10)) bytes = Uint8Array.from([0x70 + r.below(16), r.chance(50) ? r.below(30) : 256 - r.below(40)]);
      else if (typeof operation !== 'string') bytes = bytes.subarray(0, operation.length);
      else if (!r.chance(3)) continue;
      this.#image.set(bytes, at);
      lines.push(`  ${(CODE + at).toString(16)} ${disassembleBytes(bytes, BigInt(CODE + at))}`);
      at += bytes.length;
    }
    return lines.join('\n');
  }

  #run(budget: number): Outcome {
    const { vcpu, engine } = this.#interpreted.host;
    vcpu.pcpu.horizon = vcpu.pcpu.now + budget;
    const before = vcpu.get(ICOUNT);
    const outcome = engine.run(vcpu);
    this.tally.instructions += vcpu.get(ICOUNT) - before;
    return outcome;
  }

  #step(budget: number): Outcome {
    const { vcpu, engine } = this.#evaluated.host;
    const { pcpu } = vcpu;
    pcpu.horizon = pcpu.now + budget;
    while (pcpu.now < pcpu.horizon) {
      const outcome = engine.step(vcpu);
      if (outcome.kind !== 'done') return outcome;
    }
    return { kind: 'done' };
  }
}
