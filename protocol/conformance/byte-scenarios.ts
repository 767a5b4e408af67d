/**
 * What random schedules do not reach in a byte ring: pages of all kinds to begin with, indices that lie, a second
 * life. Each scenario is a short fixed script over one run and one rule; another rule that it finds broken is
 * broken all the same.
 * @source xen/io/console.h, xen/io/xs_wire.h
 */
import { drain } from './byte-drive.ts';
import type { ByteRule } from './byte-rules.ts';
import type { ByteRun, ByteRunOptions, Standing } from './byte-run.ts';
import { read, refused, start, unread, waiting, write } from './byte-verbs.ts';

/** Begins a run with these options changed. */
export type BeginBytes = (over?: Partial<ByteRunOptions>) => ByteRun;

export interface ByteScenario {
  readonly rule: ByteRule;
  /** Yields one run after another, each already judged. */
  readonly play: (begin: BeginBytes) => Generator<ByteRun, undefined>;
}

/** Whatever `act` finds broken, but what `except` names, breaks `rule`; what is wasteful meanwhile does not count. */
function under(
  run: ByteRun,
  rule: ByteRule,
  act: () => void,
  except: readonly ByteRule[] = [],
): ByteRun {
  act();
  run.warnings.clear();
  const { finding } = run;
  if (!finding || finding.rule === rule || except.includes(finding.rule)) return run;
  const { rule: cause, why } = finding;
  run.finding = { rule, why, cause };
  return run;
}

export const BYTE_SCENARIOS: readonly ByteScenario[] = [
  { rule: 'BYTE-01', play: untouched },
  { rule: 'BYTE-02', play: goesOn },
  { rule: 'BYTE-04', play: splits },
  { rule: 'BYTE-08', play: fills },
  { rule: 'BYTE-11', play: takes },
  { rule: 'BYTE-14', play: scribbled },
  { rule: 'BYTE-15', play: impossible },
  { rule: 'BYTE-15', play: impossibleMeanwhile },
  { rule: 'BYTE-16', play: wide },
  { rule: 'BYTE-17', play: across },
  { rule: 'BYTE-18', play: nothing },
  { rule: 'BYTE-19', play: again },
];

const ZERO: Standing = { written: 0, unread: 0, read: 0, waiting: 0 };

/** Both directions stand at `index`, with so much waiting in each. */
const at = (index: number, there = 0, waits = there): Standing => ({
  ...{ written: (index + there) >>> 0, unread: there },
  ...{ read: index >>> 0, waiting: waits },
});

function* untouched(begin: BeginBytes): Generator<ByteRun, undefined> {
  for (const standing of [ZERO, at(1000, 5), at(2 ** 32 - 3, 7)]) {
    const run = begin();
    run.end.page.fill(0xa5a5a5a5);
    run.initWrites = false;
    start(run, standing); // whatever it writes is found at once
    yield run;
  }
}

/** A ring that an earlier end left with bytes in it, or full, or empty. */
function* goesOn(begin: BeginBytes): Generator<ByteRun, undefined> {
  const { out, in: into } = begin();
  const left = [at(7), at(1000, 5, 9), at(3001, out.size, into.size), at(40_000, 1, 0)];
  for (const standing of left) {
    const run = begin();
    yield under(run, 'BYTE-02', () => {
      start(run, standing);
      exchange(run, 3);
    });
  }
}

/** Pieces that begin and end at any byte of a word, on either side of the end. */
function* splits(begin: BeginBytes): Generator<ByteRun, undefined> {
  for (let before = 0; before <= 5; before++) {
    for (const count of [1, 2, 4, 7]) {
      const run = begin();
      start(run);
      pass(run, run.out.size - before, run.in.size - before);
      exchange(run, count);
      yield run;
    }
  }
}

function* fills(begin: BeginBytes): Generator<ByteRun, undefined> {
  for (const piece of [4000, 300, 7]) {
    const run = begin();
    start(run);
    for (let i = 0; i <= run.out.size && !run.over; i += piece) write(run, piece);
    if (!run.over) write(run, 1);
    if (!run.over) run.model.take(Math.min(3, run.model.takeable));
    if (!run.over) write(run, 10);
    drain(run);
    yield run;
  }
}

/** More than was asked for, less, exactly, and nothing. */
function* takes(begin: BeginBytes): Generator<ByteRun, undefined> {
  for (const [there, asked] of [
    [5, 3],
    [3, 5],
    [4, 4],
    [0, 4],
    [1000, 4000],
  ] as const) {
    const run = begin();
    start(run);
    if (!run.over) run.model.put(there);
    for (let i = 0; i < 3 && !run.over; i++) read(run, asked);
    yield run;
  }
}

function* scribbled(begin: BeginBytes): Generator<ByteRun, undefined> {
  for (const garbage of [0, 0x12345678, 0xffffffff]) {
    const run = begin();
    yield under(run, 'BYTE-14', () => {
      start(run);
      for (let i = 0; i < 3; i++) {
        exchange(run, 5);
        if (run.over) break;
        run.setWord(run.out.prod, garbage);
        run.setWord(run.in.cons, garbage);
        run.log?.(`writes ${garbage} over the peer's indices`);
      }
    });
  }
}

/** How far from where the peer stands an index may not be: behind it, before it, and anywhere. */
const BEYOND = [1, 2, 1000, 2 ** 31 - 5000, 2 ** 31];

function* impossible(begin: BeginBytes): Generator<ByteRun, undefined> {
  for (const verb of ['write', 'read'] as const) {
    for (const there of [0, 5]) {
      for (const beyond of [...BEYOND, -1]) {
        const run = begin();
        start(run);
        pass(run, 7, 7);
        yield under(
          run,
          'BYTE-15',
          () => {
            if (there > 0) offerBoth(run, there, there);
            if (run.over) return;
            const lie = lieTo(run, verb, beyond);
            for (const count of [1, 4000]) if (!run.over) refused(run, verb, count, lie);
          },
          ['BYTE-20'],
        );
      }
    }
  }
}

/** Whoever reads an index twice may check one and use another. */
function* impossibleMeanwhile(begin: BeginBytes): Generator<ByteRun, undefined> {
  for (const verb of ['write', 'read'] as const) {
    for (let points = 0; points < 6; points++) {
      const run = begin();
      start(run);
      offerBoth(run, run.out.size - 3, 5);
      yield under(run, 'BYTE-15', () => {
        if (run.over) return;
        run.interrupt(points, () => lieTo(run, verb, 1000));
        if (verb === 'write') write(run, 20, true);
        else read(run, 20, true);
      });
    }
  }
}

/** The other end's index of that verb becomes one that cannot be. @returns what it says */
function lieTo(run: ByteRun, verb: 'write' | 'read', beyond: number): string {
  const { out, in: into } = run;
  const [stream, word, index] =
    verb === 'write'
      ? [out, out.cons, run.published - (beyond < 0 ? beyond : out.size + beyond)]
      : [into, into.prod, run.released + (beyond < 0 ? beyond : into.size + beyond)];
  run.setWord(word, index);
  const name = `${stream.label}_${verb === 'write' ? 'cons' : 'prod'}`;
  const lie = `${name} = ${index >>> 0} cannot be with the peer at ${verb === 'write' ? run.published : run.released}`;
  run.log?.(`lies: ${name} = ${index >>> 0}`);
  return lie;
}

function* wide(begin: BeginBytes): Generator<ByteRun, undefined> {
  const { out, in: into } = begin();
  for (const index of [out.size - 2, into.size - 2, 2 ** 16 - 2, 2 ** 24 - 2]) {
    const run = begin();
    yield under(run, 'BYTE-16', () => {
      start(run, at(index));
      for (let i = 0; i < 3 && !run.over; i++) exchange(run, 3);
    });
  }
}

/** Empty, with a few bytes and full, while the indices lie on both sides of the middle or the end of all numbers. */
function* across(begin: BeginBytes): Generator<ByteRun, undefined> {
  for (const middle of [2 ** 31, 2 ** 32]) {
    for (const full of [false, true]) {
      const run = begin();
      yield under(run, 'BYTE-17', () => {
        const { out, in: into } = run;
        start(run, full ? at(middle - 4, out.size - 2, into.size - 2) : at(middle - 4));
        for (let i = 0; i < 4 && !run.over; i++) exchange(run, 3);
        for (let i = 0; i < 2 && !run.over; i++) write(run, 3000);
        if (!run.over) drain(run);
      });
    }
  }
}

function* nothing(begin: BeginBytes): Generator<ByteRun, undefined> {
  for (const there of [0, 5]) {
    const run = begin();
    yield under(run, 'BYTE-18', () => {
      start(run);
      offerBoth(run, there, there);
      if (!run.over) write(run, 0);
      if (!run.over) read(run, 0);
      exchange(run, 2);
    });
  }
}

/** The page is a new one when the peer begins again. */
function* again(begin: BeginBytes): Generator<ByteRun, undefined> {
  const run = begin();
  start(run);
  offerBoth(run, 500, 6);
  exchange(run, 5);
  yield under(run, 'BYTE-19', () => {
    if (!run.over) start(run);
    exchange(run, 5);
  });
}

/** So many bytes wait in each direction. */
function offerBoth(run: ByteRun, written: number, put: number): void {
  if (!run.over && written > 0) write(run, written);
  if (!run.over && put > 0) run.model.put(put);
}

/** So many bytes go through, so that the indices of a new ring come that far. */
function pass(run: ByteRun, written: number, put: number): void {
  offerBoth(run, written, put);
  drain(run);
}

/** Bytes there, bytes back, and all taken. */
function exchange(run: ByteRun, count: number): void {
  if (run.over) return;
  if (run.model.ready >= count) run.model.put(count);
  if (!run.over) write(run, count);
  if (!run.over) read(run, count);
  if (!run.over && unread(run) > 1) run.model.take(unread(run) - 1);
  if (!run.over && waiting(run) > 0) read(run, run.in.size);
}
