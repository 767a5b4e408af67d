/** The evaluator and the processor on the same random cases, and where they disagree. */
import { VECTOR_PF } from '../../../machine/exit.ts';
import { decode } from '../../../machine/x86/decoder.ts';
import { disassembleBytes, registerName } from '../../../machine/x86/disassembler.ts';
import { Evaluator } from '../../../machine/x86/evaluator.ts';
import { flagNames, RF, TF } from '../../../machine/x86/flags.ts';
import type { Outcome, State } from '../../../machine/x86/state.ts';
import {
  CASE_BYTES,
  Case,
  COMPLETED,
  CR2,
  ERROR,
  FLAGS,
  GPR,
  GS_BASE,
  RIP,
  VECTOR,
} from './case.ts';
import { CaseMemory, OutsideWindow } from './case-memory.ts';
import { explained } from './explained.ts';
import { Generator } from './generator.ts';
import type { NativeOracle } from './native-oracle.ts';

export interface Tally {
  compared: number;
  /** Of them, those that ended in a fault. */
  faults: number;
  /** Known to differ, see explained.ts. */
  explained: number;
  /** Touches memory outside the window. */
  skipped: number;
  readonly differences: string[];
  /** Cases compared and completed, by the text of the form. */
  readonly forms: Map<string, number>;
}

export const newTally = (): Tally => ({
  compared: 0,
  faults: 0,
  explained: 0,
  skipped: 0,
  differences: [],
  forms: new Map(),
});

/** Bits of the flags that a signal frame does not carry faithfully. */
const UNSEEN = RF | TF;

const USER_END = 0x7ffffffff000n;

class Subject {
  readonly memory = new CaseMemory();
  readonly state: State = {
    gpr: new BigUint64Array(16),
    vectors: [],
    rip: 0n,
    rflags: 0,
    fsBase: 0n,
    gsBase: BigInt(GS_BASE),
    cpl: 3,
  };
  readonly evaluator = new Evaluator(this.state, this.memory);

  /** @returns undefined when the case cannot be compared. */
  run(test: Case): Outcome | undefined {
    const { state } = this;
    for (let i = 0; i < 16; i++) state.gpr[i] = test.get(GPR + 8 * i);
    for (let i = 0; i < 16; i++) state.vectors[i] = test.vector(i);
    state.rip = test.get(RIP);
    state.rflags = Number(test.get(FLAGS));
    this.memory.load(test, Number(state.rip));
    try {
      const outcome = this.evaluator.step();
      return outcome.kind === 'exit' ? undefined : outcome;
    } catch (thrown) {
      if (thrown instanceof OutsideWindow) return undefined;
      throw thrown;
    }
  }
}

const hex = (value: bigint | number): string => `0x${value.toString(16)}`;

const differences = (subject: Subject, outcome: Outcome, native: Case): string[] => {
  const { state, evaluator } = subject;
  const found: string[] = [];
  const compare = (what: string, ours: bigint, theirs: bigint): void => {
    if (ours !== theirs) found.push(`${what} ${hex(ours)}, processor ${hex(theirs)}`);
  };
  const fault = outcome.kind === 'fault' ? outcome.fault : undefined;
  compare('vector', BigInt(fault?.vector ?? COMPLETED), native.get(VECTOR));
  // Linux claims that what lies beyond a user's addresses is present.
  const beyond = fault !== undefined && fault.address >= USER_END ? 1 : 0;
  if (fault !== undefined) compare('error', BigInt(fault.error | beyond), native.get(ERROR));
  if (fault?.vector === VECTOR_PF) compare('CR2', fault.address, native.get(CR2));
  compare('rip', state.rip, native.get(RIP));
  for (let i = 0; i < 16; i++) compare(registerName(i, 8), state.gpr[i]!, native.get(GPR + 8 * i));
  for (let i = 0; i < 16; i++) compare(`xmm${i}`, state.vectors[i]!, native.vector(i));
  const defined = ~(evaluator.undefinedMask | UNSEEN);
  const ours = state.rflags & defined;
  const theirs = Number(native.get(FLAGS)) & defined;
  if (ours !== theirs) found.push(`flags [${flagNames(ours)}], processor [${flagNames(theirs)}]`);
  if (!subject.memory.sameWindow(native.window)) found.push('memory differs');
  return found;
};

const describeCase = (test: Case, found: readonly string[]): string => {
  const bytes = [...test.code].map((byte) => byte.toString(16).padStart(2, '0')).join(' ');
  const registers = Array.from(
    { length: 16 },
    (_, i) => `${registerName(i, 8)}=${test.get(GPR + 8 * i).toString(16)}`,
  );
  const text = disassembleBytes(test.code, test.get(RIP));
  return `${text}\n  ${bytes} at ${hex(test.get(RIP))}\n  ${found.join('\n  ')}\n  in: ${registers.join(' ')} flags [${flagNames(Number(test.get(FLAGS)))}]`;
};

/** Compares `count` cases of `seed`. */
export const compareCases = (
  oracle: NativeOracle,
  seed: number,
  count: number,
  tally: Tally,
): void => {
  const generator = new Generator(seed);
  const subject = new Subject();
  const buffer = new ArrayBuffer(count * CASE_BYTES);
  for (let i = 0; i < count; ) {
    const test = new Case(buffer, i);
    generator.fill(test);
    if (explained(test)) tally.explained++;
    else if (subject.run(test) === undefined) tally.skipped++;
    else i++;
  }
  const given = buffer.slice(0);
  oracle.run(buffer);
  for (let i = 0; i < count; i++) judge(subject, new Case(given, i), new Case(buffer, i), tally);
};

const judge = (subject: Subject, test: Case, native: Case, tally: Tally): void => {
  const outcome = subject.run(test)!;
  tally.compared++;
  const op = decode(test.code);
  if (outcome.kind === 'fault') tally.faults++;
  if (typeof op !== 'string' && (outcome.kind === 'done' || op.form.row.traits.privilege)) {
    const key = `${op.form.row.name} ${op.form.text}`;
    tally.forms.set(key, (tally.forms.get(key) ?? 0) + 1);
  }
  if (subject.evaluator.resultUndefined) return;
  const found = differences(subject, outcome, native);
  if (found.length > 0) tally.differences.push(describeCase(test, found));
};
