/**
 * What a peer of a byte ring is told to do. Freely, any pieces at any time, as generated schedules have it; or a short
 * program of a few writes and reads, small enough that every interleaving with the other end can be tried.
 * The one idea: at the end both ends take what there is, and all must have arrived.
 */
import type { Most } from './byte-model.ts';
import type { ByteRun, Standing } from './byte-run.ts';
import { read, waiting, write } from './byte-verbs.ts';

const SIZES = [3, 30, 1, 400, 2, 3000]; // bytes, of writes and reads

/** Verbs and moves of the model in any order, until the guide has had enough; then all that waits is taken. */
export function driveFreely(run: ByteRun): void {
  while (!run.over) {
    const moves = run.model.moves();
    const answer = run.ask(1 + 2 * SIZES.length + moves.length, 'free');
    if (answer === 0) break;
    const size = SIZES[(answer - 1) >> 1];
    if (size === undefined) run.model.make(moves[answer - 1 - 2 * SIZES.length]!);
    else if ((answer & 1) === 1) write(run, size);
    else read(run, size);
  }
  drain(run);
}

/** Both ends take what waits; the model first. */
export function drain(run: ByteRun): void {
  if (run.over) return;
  run.undisturbed = true;
  if (run.model.takeable > 0) run.model.take(run.model.takeable);
  while (!run.over && waiting(run) > 0) if (read(run, run.in.size) === 0) break;
  run.undisturbed = false;
}

/** A few short pieces each way, from a ring that stands so, while the model moves no more than so many bytes. */
export interface Program {
  readonly name: string;
  readonly writes: readonly number[];
  readonly reads: readonly number[];
  readonly most: Most;
  readonly standing: (run: ByteRun) => Standing;
}

const EMPTY = (run: ByteRun): Standing => ({
  ...{ written: 5 * run.out.size - 3, unread: 0 },
  ...{ read: 5 * run.in.size - 2, waiting: 0 },
});
const FULL = (run: ByteRun): Standing => ({
  ...{ written: 9 * run.out.size - 1, unread: run.out.size - 3 },
  ...{ read: 9 * run.in.size - 2, waiting: run.in.size },
});

const WRITES = { writes: [2, 3, 1], reads: [], most: { puts: 0, takes: 5 } };
const READS = { writes: [], reads: [3, 1, 2], most: { puts: 5, takes: 0 } };
const BOTH = { writes: [2, 2], reads: [1, 3], most: { puts: 2, takes: 2 } };

/** The two directions alone, and then, shorter, both. */
export const PROGRAMS: readonly Program[] = [
  { name: 'writes to an empty ring', ...WRITES, standing: EMPTY },
  { name: 'writes to a full ring', ...WRITES, standing: FULL },
  { name: 'reads of an empty ring', ...READS, standing: EMPTY },
  { name: 'reads of a full ring', ...READS, standing: FULL },
  { name: 'both, empty', ...BOTH, standing: EMPTY },
  { name: 'both, full', ...BOTH, standing: FULL },
];

/** Bytes that the model may move at once in a program, besides all that it can. */
export const PROGRAM_PIECES = [1, 2];

export function driveProgram(run: ByteRun, { writes, reads }: Program): void {
  let [written, taken] = [0, 0];
  while (!run.over && written + taken < writes.length + reads.length) {
    run.stage = `${written} ${taken}`;
    run.between(true, 'turn');
    const both = written < writes.length && taken < reads.length;
    const first = both && !run.over ? run.ask(2, 'which') : Number(written >= writes.length);
    if (run.over) return;
    if (first === 0) write(run, writes[written++]!);
    else read(run, reads[taken++]!);
  }
  run.stage = 'end';
  run.between(true, 'end');
}
