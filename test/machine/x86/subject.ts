/** The evaluator on random cases: what it makes of one is a case again, and how that differs from the processor's. */
import { decode } from '../../../machine/x86/decoder.ts';
import { registerName } from '../../../machine/x86/disassembler.ts';
import { Evaluator } from '../../../machine/x86/evaluator.ts';
import { flagNames, RF, STATUS, TF } from '../../../machine/x86/flags.ts';
import type { Outcome, State } from '../../../machine/x86/state.ts';
import { X87Registers } from '../../../machine/x86/x87-state.ts';
import {
  CASE_BYTES,
  type Case,
  COMPLETED,
  CR2,
  ERROR,
  FCW,
  FLAGS,
  GPR,
  GS_BASE,
  RESULT_UNDEFINED,
  RIP,
  UNDEFINED,
  VECTOR,
} from './case.ts';
import { CaseMemory, OutsideWindow } from './case-memory.ts';
import { LONG_CR0, LONG_CR4 } from './engine-fixture.ts';
import type { Maker } from './maker.ts';
import { forgive } from './x87-tolerance.ts';
import { getX87, putX87 } from './x87-values.ts';

/** Bits of the flags that a signal frame does not carry faithfully. */
const UNSEEN = RF | TF;

const USER_END = 0x7ffffffff000n;

export class Subject {
  readonly #memory = new CaseMemory();
  readonly #x87 = new X87Registers();
  readonly #state: { -readonly [K in keyof State]: State[K] } = {
    gpr: new BigUint64Array(16),
    vectors: [],
    mxcsr: 0,
    x87: this.#x87,
    rip: 0n,
    rflags: 0,
    fsBase: 0n,
    gsBase: BigInt(GS_BASE),
    cpl: 3,
    mode: 64,
    cr0: LONG_CR0,
    cr4: LONG_CR4,
  };
  readonly #given: bigint[] = [];
  readonly #evaluator = new Evaluator(this.#state, this.#memory);
  readonly #maker: Maker;

  /** `maker`: of the processor that the results are compared with. */
  constructor(maker: Maker) {
    this.#maker = maker;
  }

  /** Executes `test`; the result goes to `ours`. @returns undefined when the case cannot be compared. */
  run(test: Case, ours: Case): Outcome | undefined {
    const state = this.#state;
    state.gpr.set(test.gpr);
    for (let i = 0; i < 16; i++) state.vectors[i] = this.#given[i] = test.vector(i);
    state.mxcsr = test.mxcsr;
    getX87(test, this.#x87);
    state.rip = test.get(RIP);
    state.mode = test.mode;
    state.rflags = Number(test.get(FLAGS));
    this.#memory.load(test, Number(state.rip));
    const outcome = this.#step();
    if (outcome === undefined || outcome.kind === 'exit') return undefined;
    this.#record(test, ours, outcome);
    return outcome;
  }

  #step(): Outcome | undefined {
    try {
      return this.#evaluator.step();
    } catch (thrown) {
      if (thrown instanceof OutsideWindow) return undefined;
      throw thrown;
    }
  }

  #record(test: Case, ours: Case, outcome: Outcome): void {
    const state = this.#state;
    const { undefinedMask, resultUndefined } = this.#evaluator;
    const loose = undefinedMask | (this.#unfinished(test, outcome) ? STATUS : 0);
    const fault = outcome.kind === 'fault' ? outcome.fault : undefined;
    // Linux claims that what lies beyond a user's addresses is present.
    const beyond = fault !== undefined && fault.address >= USER_END ? 1 : 0;
    ours.bytes.set(test.bytes);
    ours.gpr.set(state.gpr);
    for (let i = 0; i < 16; i++)
      if (state.vectors[i] !== this.#given[i]) ours.setVector(i, state.vectors[i]!);
    putX87(ours, this.#x87, this.#maker);
    ours.mxcsr = state.mxcsr;
    ours.set(RIP, state.rip);
    ours.set(FLAGS, BigInt(state.rflags));
    ours.set(VECTOR, BigInt(fault?.vector ?? COMPLETED));
    ours.set(ERROR, BigInt((fault?.error ?? 0) | beyond));
    ours.set(CR2, fault?.address ?? 0n);
    ours.set(UNDEFINED, BigInt(loose) | (resultUndefined ? RESULT_UNDEFINED : 0n));
    this.#memory.copyWindow(ours.window);
  }

  /** Intel's processors set the flags of REPE and REPNE with the last element. @source SDM vol. 2, REP */
  #unfinished(test: Case, { kind }: Outcome): boolean {
    return this.#maker === 'intel' && kind === 'done' && this.#state.rip === test.get(RIP);
  }
}

const hex = (value: bigint | number): string => `0x${value.toString(16)}`;

/** Bytes before the flags, and from the code on: those that are compared as they are. */
const EXACT = [
  [GPR, FLAGS],
  [VECTOR, UNDEFINED],
  [UNDEFINED + 8, CASE_BYTES],
] as const;

const same = (ours: Case, native: Case): boolean => {
  for (const [from, to] of EXACT)
    for (let at = from; at < to; at += 4)
      if (ours.view.getInt32(at, true) !== native.view.getInt32(at, true)) return false;
  return true;
};

/** Where `ours` is not what the processor, which is `maker`'s, made of the case. */
export const differences = (ours: Case, native: Case, maker: Maker): string[] => {
  const loose = ours.get(UNDEFINED);
  if ((loose & RESULT_UNDEFINED) !== 0n) return [];
  const defined = ~(Number(loose) | UNSEEN);
  const flags = [ours, native].map((each) => Number(each.get(FLAGS)) & defined);
  const found = flags[0] === flags[1] ? [] : [`flags ${flags.map((f) => `[${flagNames(f)}]`)}`];
  if (same(ours, native)) return found;
  forgive(ours, native, maker);
  return [...found, ...fields(ours, native)];
};

const X87_WORDS = [
  ['fcw', FCW],
  ['fsw', FCW + 2],
  ['ftw', FCW + 4],
  ['fop', FCW + 6],
] as const;

const fields = (ours: Case, native: Case): string[] => {
  const found: string[] = [];
  const compare = (what: string, mine: bigint, theirs: bigint): void => {
    if (mine !== theirs) found.push(`${what} ${hex(mine)}, processor ${hex(theirs)}`);
  };
  compare('vector', ours.get(VECTOR), native.get(VECTOR));
  compare('error', ours.get(ERROR), native.get(ERROR));
  compare('CR2', ours.get(CR2), native.get(CR2));
  compare('rip', ours.get(RIP), native.get(RIP));
  for (const [name, at] of X87_WORDS)
    compare(name, BigInt(ours.view.getUint16(at, true)), BigInt(native.view.getUint16(at, true)));
  compare('fip', ours.get(FCW + 8), native.get(FCW + 8));
  compare('fdp', ours.get(FCW + 16), native.get(FCW + 16));
  for (let i = 0; i < 8; i++) compare(`st${i}`, ours.stack(i), native.stack(i));
  compare('mxcsr', BigInt(ours.mxcsr), BigInt(native.mxcsr));
  for (let i = 0; i < 16; i++)
    compare(registerName(i, 8), ours.get(GPR + 8 * i), native.get(GPR + 8 * i));
  const near = approximates(native);
  for (let i = 0; i < 16; i++)
    if (!(near && closeVectors(ours.vector(i), native.vector(i))))
      compare(`xmm${i}`, ours.vector(i), native.vector(i));
  if (Buffer.compare(ours.window, native.window) !== 0)
    found.push(`memory differs${memoryText(ours.window, native.window)}`);
  return found;
};

/** The first byte and the number of those that differ. */
const memoryText = (ours: Uint8Array, native: Uint8Array): string => {
  const at = [...ours.keys()].filter((i) => ours[i] !== native[i]);
  const [first] = at;
  return ` in ${at.length} bytes, window+${first}: ${ours[first!]}, processor ${native[first!]}`;
};

/** The instructions of which the architecture only bounds the error. */
const approximates = (native: Case): boolean => {
  const op = decode(native.code, native.mode);
  return typeof op !== 'string' && /^r(cp|sqrt)/.test(op.form.row.name);
};

const TOLERANCE = 1.5 * 2 ** -12 * (1 + 2 ** -11);
/** About as small as a normal number is the processor may give zero. */
const SMALL = 2 ** -126 * (1 + 2 ** -11);
const lanes = new DataView(new ArrayBuffer(8));

const closeVectors = (x: bigint, y: bigint): boolean => {
  for (let at = 0n; at < 128n; at += 32n) {
    lanes.setUint32(0, Number(BigInt.asUintN(32, x >> at)));
    lanes.setUint32(4, Number(BigInt.asUintN(32, y >> at)));
    if (lanes.getUint32(0) === lanes.getUint32(4)) continue;
    const [m, n] = [lanes.getFloat32(0), lanes.getFloat32(4)];
    if (n === 0 && Math.abs(m) <= SMALL) continue;
    if (!(Math.abs(m - n) <= TOLERANCE * Math.abs(m))) return false;
  }
  return true;
};
