/** The evaluator and the processor on the same random cases, and where they disagree. */

import type { CodeMode } from '../../../machine/vcpu.ts';
import type { Operation } from '../../../machine/x86/decoder.ts';
import { disassembleBytes, registerName } from '../../../machine/x86/disassembler.ts';
import { flagNames } from '../../../machine/x86/flags.ts';
import type { Undecodable } from '../../../machine/x86/operands.ts';
import { X87Registers } from '../../../machine/x86/x87-state.ts';
import { CASE_BYTES, Case, COMPLETED, FLAGS, GPR, RIP, VECTOR } from './case.ts';
import { explained } from './explained.ts';
import { Generator } from './generator.ts';
import type { NativeOracle } from './native-oracle.ts';
import { differences, Subject } from './subject.ts';
import { describeX87, getX87 } from './x87-values.ts';

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

export const describeCase = (test: Case, found: readonly string[]): string => {
  const bytes = [...test.code].map((byte) => byte.toString(16).padStart(2, '0')).join(' ');
  const hex = (value: bigint | number): string => value.toString(16);
  const registers = Array.from(
    { length: 16 },
    (_, i) => `${registerName(i, 8)}=${hex(test.get(GPR + 8 * i))}`,
  );
  const vectors = Array.from({ length: 16 }, (_, i) => `xmm${i}=${hex(test.vector(i))}`);
  const flags = `flags [${flagNames(Number(test.get(FLAGS)))}] mxcsr=${hex(test.mxcsr)}`;
  const text = disassembleBytes(test.code, test.get(RIP), test.mode);
  return `${text}\n  ${bytes} at 0x${hex(test.get(RIP))}\n  ${found.join('\n  ')}\n  in: ${registers.join(' ')} ${flags}\n  ${x87Text(test)} ${vectors.join(' ')}`;
};

const x87Text = (test: Case): string => {
  const x87 = new X87Registers();
  getX87(test, x87);
  return describeX87(x87);
};

/** Compares `count` cases of `seed`, of code in `mode`. */
export const compareCases = (
  oracle: NativeOracle,
  seed: number,
  count: number,
  tally: Tally,
  mode: CodeMode = 64,
): void => {
  const { maker } = oracle;
  const generator = new Generator(seed, mode, maker);
  const subject = new Subject(maker);
  const cases = new ArrayBuffer(count * CASE_BYTES);
  const results = new ArrayBuffer(count * CASE_BYTES);
  const operations: (Operation | Undecodable)[] = [];
  while (operations.length < count) {
    const i = operations.length;
    const test = new Case(cases, i);
    const op = generator.fill(test);
    if (explained(test, op, maker)) tally.explained++;
    else if (subject.run(test, new Case(results, i)) === undefined) tally.skipped++;
    else operations.push(op);
  }
  const given = cases.slice(0);
  oracle.run(cases);
  operations.forEach((op, i) => {
    const ours = new Case(results, i);
    record(op, ours, tally);
    const found = differences(ours, new Case(cases, i), maker);
    if (found.length > 0) tally.differences.push(describeCase(new Case(given, i), found));
  });
};

const record = (op: Operation | Undecodable, ours: Case, tally: Tally): void => {
  tally.compared++;
  const completed = ours.get(VECTOR) === BigInt(COMPLETED);
  if (!completed) tally.faults++;
  if (typeof op !== 'string' && (completed || op.form.row.traits.privilege)) {
    const key = `${op.form.row.name} ${op.form.text}`;
    tally.forms.set(key, (tally.forms.get(key) ?? 0) + 1);
  }
};
