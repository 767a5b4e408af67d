/**
 * The interpreter and the evaluator on the same random code: two machines with the same memory, of which one runs and the
 * other steps, compared in everything that a guest or a clock can see.
 */
import { FXSAVE, ICOUNT, MXCSR, RCX, RFLAGS, RIP, XMM } from '../../../machine/vcpu.ts';
import { disassembleBytes, registerName } from '../../../machine/x86/disassembler.ts';
import { TF } from '../../../machine/x86/flags.ts';
import type { Outcome } from '../../../machine/x86/state.ts';
import { Choices } from '../../properties/choices.ts';
import { CASE_BYTES, Case, CODE, DATA, FLAGS, PAGE } from './case.ts';
import { EngineMachine } from './engine-fixture.ts';
import { forms, Generator } from './generator.ts';

const FRAMES = 16;
/** Enough for a block of code, and where it begins: often so that it crosses into the second page. */
const BLOCK = 30;
const ROUNDS = 12;
/** All exceptions masked, PE set. */
const EASY_MXCSR = 0x1fa0;

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

  load(image: Uint8Array, setup: Case, rip: number, mxcsr: number): void {
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
    vcpu.setLow(MXCSR, mxcsr);
    vcpu.setHalves(RFLAGS, (Number(setup.get(FLAGS)) & ~TF) | 2, 0);
    vcpu.rip = rip;
  }

  /** The state that a guest or a clock sees, register by register. */
  registers(): ReadonlyArray<readonly [name: string, value: bigint]> {
    const { vcpu } = this.host;
    const general = Array.from({ length: 16 }, (_, i) => [registerName(i, 8), 8 * i] as const);
    const vectors = Array.from({ length: 32 }, (_, i) => [`xmm${i / 2}`, XMM + 8 * i] as const);
    const x87 = Array.from({ length: 20 }, (_, i) => [`x87+${8 * i}`, FXSAVE + 8 * i] as const);
    const fields = [...general, ...vectors, ...x87, ['rip', RIP], ['rflags', RFLAGS]] as const;
    return [
      ...fields.map(([name, field]) => [name, vcpu.getBig(field)] as const),
      ['icount', BigInt(vcpu.get(ICOUNT))],
      ['now', BigInt(vcpu.pcpu.now)],
    ];
  }

  /** Memory, page tables with their accessed and dirty bits included. */
  get memory(): Uint8Array {
    const { memory } = this.host.machine;
    return memory.u8.subarray(memory.frameBase);
  }
}

const outcomeText = (outcome: Outcome): string => {
  if (outcome.kind === 'done') return 'done';
  if (outcome.kind === 'exit') return `exit ${outcome.reason}`;
  const { vector, error, address } = outcome.fault;
  return `fault ${vector} ${error.toString(16)} ${address.toString(16)}`;
};

/** Into the page of data, away from its ends. */
const pointer = (r: Choices): bigint => BigInt(DATA + 512 + r.below(PAGE - 1024));

const jump = (r: Choices): Uint8Array =>
  Uint8Array.from([0x70 + r.below(16), r.chance(50) ? r.below(30) : 256 - r.below(40)]);

/** Of two registers: with a jump after it one handler does both. */
const comparison = (r: Choices): Uint8Array =>
  Uint8Array.from([r.pick([0x39, 0x84, 0x85]), 0xc0 + r.below(64)]);

/** Mostly one that stays near what its registers point to, and that does not leave. */
const instruction = (r: Choices, generator: Generator, setup: Case): Uint8Array => {
  for (;;) {
    const operation = generator.instruct(setup, r.pick(forms));
    if (r.chance(1)) return setup.code.slice();
    if (typeof operation === 'string') continue;
    const { traits } = operation.form.row;
    const leaves = traits.privilege !== undefined || traits.size === 'f64';
    const far = operation.operands.some(
      (o) =>
        o.kind === 'memory' &&
        (o.index >= 0 ||
          o.base < 0 ||
          o.addressWidth === 4 ||
          BigInt.asIntN(9, o.displacement) !== o.displacement),
    );
    if (r.chance(4) || !(leaves || far)) return setup.code.slice(0, operation.length);
  }
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
  readonly #seed: number;
  readonly #random: Choices;
  readonly #generator: Generator;

  constructor(seed: number) {
    this.#seed = seed;
    this.#random = new Choices(seed);
    this.#generator = new Generator(seed);
    this.#image.set(this.#random.bytes(this.#image.length));
  }

  /** One block of random code, in slices of random length. */
  compare(): void {
    const r = this.#random;
    const setup = new Case(new ArrayBuffer(CASE_BYTES), 0);
    const start = r.chance(50) ? r.below(PAGE) : PAGE - r.below(120) - 1;
    this.#generator.fill(setup);
    const code = this.#block(setup, start);
    const rip = CODE + start;
    for (let i = 0; i < 16; i++) if (r.chance(70)) setup.set(8 * i, pointer(r));
    if (r.chance(15)) setup.set(8 * r.below(16), BigInt(rip + r.below(100)));
    if (r.chance(70)) setup.set(8 * RCX, BigInt(r.below(40)));
    const mxcsr = r.chance(60) ? EASY_MXCSR : 0x1f80 | (r.bits() & 0xe03f);
    for (const twin of [this.#interpreted, this.#evaluated])
      twin.load(this.#image, setup, rip, mxcsr);
    this.tally.cases++;
    for (let round = 0; round < ROUNDS; round++) {
      const budget = 1 + r.below(r.chance(50) ? 8 : 400);
      const ours = outcomeText(this.#run(budget));
      const theirs = outcomeText(this.#step(budget));
      const found = this.#differences();
      if (ours !== theirs) found.push(`${ours}, evaluator ${theirs}`);
      if (found.length > 0) {
        const where = `seed ${this.#seed} case ${this.tally.cases} slice ${round} of ${budget}`;
        this.tally.differences.push(`${where}\n  ${found.join('\n  ')}\n${code}`);
        return;
      }
      if (ours.startsWith('fault')) this.tally.faults++;
      if (ours.startsWith('exit')) this.tally.exits++;
      // Single steps are not the engine's.
      if (ours !== 'done' || (this.#interpreted.host.vcpu.lo(RFLAGS) & TF) !== 0) return;
    }
  }

  #differences(): string[] {
    const evaluated = this.#evaluated.registers();
    const found = this.#interpreted
      .registers()
      .map(([name, value], i) => [name, value, evaluated[i]![1]] as const)
      .filter(([, ours, theirs]) => ours !== theirs)
      .map(
        ([name, ours, theirs]) => `${name} ${ours.toString(16)}, evaluator ${theirs.toString(16)}`,
      );
    if (Buffer.compare(this.#interpreted.memory, this.#evaluated.memory) !== 0)
      found.push('memory');
    return found;
  }

  /** Instructions one after the other, some of them short jumps. @returns the disassembly */
  #block(setup: Case, start: number): string {
    const r = this.#random;
    const lines: string[] = [];
    let at = start;
    while (lines.length < BLOCK && at < 2 * PAGE - 16) {
      const one = (): Uint8Array =>
        r.chance(8) ? jump(r) : instruction(r, this.#generator, setup);
      for (const bytes of r.chance(5) ? [comparison(r), jump(r)] : [one()]) {
        this.#image.set(bytes, at);
        const address = CODE + at;
        lines.push(`  ${address.toString(16)} ${disassembleBytes(bytes, BigInt(address))}`);
        at += bytes.length;
      }
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
      if (outcome.kind !== 'done' || (vcpu.lo(RFLAGS) & TF) !== 0) return outcome;
    }
    return { kind: 'done' };
  }
}
