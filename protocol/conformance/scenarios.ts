/**
 * What random schedules do not reach: the beginning, thresholds of every kind, full rings, indices that lie, a second
 * life. Each scenario is a short fixed script over one run and one rule; another rule that it finds broken is
 * broken all the same.
 * @source xen/io/ring.h
 */
import { rest } from './drive.ts';
import { HEADER_WORDS, SIDES } from './model.ts';
import { ringBytes } from './ring-protocols.ts';
import type { RingRule } from './rules.ts';
import type { Run, RunOptions } from './run.ts';
import { start } from './start.ts';
import { finalCheck, init, push, request, response, take } from './verbs.ts';

/** Begins a run with these options changed. */
export type Begin = (over?: Partial<RunOptions>) => Run;

export interface Scenario {
  readonly rule: RingRule;
  readonly roles: readonly Run['role'][];
  /** Yields one run after another, each already judged. @returns why it could not be tried, if so */
  readonly play: (begin: Begin) => Generator<Run, string | undefined>;
}

/** Whatever `act` finds broken, but what `except` names, breaks `rule`; what is wasteful meanwhile does not count. */
function under(run: Run, rule: RingRule, act: () => void, except: readonly RingRule[] = []): Run {
  act();
  run.warnings.clear();
  const { finding } = run;
  if (!finding) return run;
  const { rule: cause, why } = finding;
  run.finding = except.includes(cause) ? undefined : { rule, why, cause };
  return run;
}

const BOTH = ['front', 'back'] as const;

export const SCENARIOS: readonly Scenario[] = [
  { rule: 'RING-01', roles: ['front'], play: initialises },
  { rule: 'RING-02', roles: ['back'], play: leavesThePage },
  { rule: 'RING-03', roles: ['back'], play: goesOn },
  { rule: 'RING-04', roles: BOTH, play: sizes },
  { rule: 'RING-09', roles: BOTH, play: scribbled },
  { rule: 'RING-10', roles: BOTH, play: thresholds },
  { rule: 'RING-13', roles: ['front'], play: fills },
  { rule: 'RING-16', roles: BOTH, play: arms },
  { rule: 'RING-19', roles: ['back'], play: impossible },
  { rule: 'RING-20', roles: ['back'], play: turnedBack },
  { rule: 'RING-21', roles: ['front'], play: unasked },
  { rule: 'RING-22', roles: BOTH, play: wide },
  { rule: 'RING-23', roles: ['front'], play: fillsAcross },
  { rule: 'RING-25', roles: BOTH, play: again },
];

function* initialises(begin: Begin): Generator<Run, undefined> {
  const run = begin();
  run.end.page.fill(0xa5a5a5a5);
  init(run);
  const expected = [0, 1, 0, 1];
  for (let word = 0; word < 16 && !run.over; word++) {
    const is = run.end.page[word]!;
    if (is === (expected[word] ?? 0)) continue;
    const what = word < 4 ? HEADER_WORDS[word] : `the word at ${word * 4}, private to the ring,`;
    run.find('RING-01', `after init over a used page ${what} is ${is}, not ${expected[word] ?? 0}`);
  }
  yield run;
}

function* leavesThePage(begin: Begin): Generator<Run, undefined> {
  for (const index of [0, 1000]) {
    const run = begin();
    run.end.page.fill(0xa5a5a5a5, 16);
    run.writeHeader(index);
    init(run); // whatever it writes is found at once
    yield run;
  }
}

/** Three requests wait, of which an earlier back end took some and answered none. */
function* goesOn(begin: Begin): Generator<Run, undefined> {
  for (const index of [0, 1000]) {
    const run = begin({ todo: 3 });
    run.writeHeader(index);
    run.standAt(index, 3);
    run.model.publish(3);
    run.model.check();
    under(run, 'RING-03', () => {
      init(run);
      for (let i = 0; i < 3 && !run.over; i++) {
        if (take(run)) response(run);
      }
      if (!run.over) push(run);
    });
    if (run.finding && index > 0) trustsZero(run);
    yield run;
    if (run.finding) return;
  }
}

/** BACK_RING_INIT begins at 0: that is right over a ring that is new, which a back end cannot know. */
function trustsZero(run: Run): void {
  const { tally } = run.options;
  tally.standsAtZero = true;
  run.warn('RING-03', `it takes up a new ring, but not one that stands at ${run.model.consumed}`);
  run.finding = undefined;
}

function* sizes(begin: Begin): Generator<Run, undefined> {
  const { layout } = begin().options.protocol;
  const entry = Math.max(layout.requestSize, layout.responseSize);
  const lengths = [1, 2, 3, 5, 8].map(
    (slots) => ringBytes(layout, slots) + (slots & 1) * (entry - 4),
  );
  for (const bytes of [4096, 8192, 65536, ...lengths]) {
    const run = begin({ bytes });
    if (run.role === 'back') run.writeHeader(0);
    init(run);
    yield run;
  }
}

function* scribbled(begin: Begin): Generator<Run, undefined> {
  for (const garbage of [0, 0x12345678, 0xffffffff]) {
    const run = begin({ todo: 4 });
    start(run);
    const { producer, threshold } = SIDES[run.role];
    yield under(
      run,
      'RING-09',
      () => {
        for (let i = 0; i < 3 && !run.over; i++) {
          work(run, 1);
          run.set(producer, garbage);
          run.set(threshold, garbage);
        }
      },
      ['RING-10', 'RING-11'],
    );
  }
}

/** Batches of every size against thresholds around them, as an end that wants few notifications sets them. */
function* thresholds(begin: Begin): Generator<Run, undefined> {
  for (const count of [1, 2, 4]) {
    for (let ahead = -2; ahead <= count + 2; ahead++) {
      const run = begin({ todo: 8 });
      start(run);
      if (!run.over) run.set(SIDES[run.role].peerThreshold, (run.published + ahead) >>> 0);
      work(run, count);
      yield run;
    }
  }
}

function* fills(begin: Begin): Generator<Run, undefined> {
  const run = begin({ todo: 100 });
  start(run);
  for (let i = 0; i < run.size && !run.over; i++) request(run);
  if (!run.over) request(run);
  if (!run.over) push(run);
  yield run;
}

function* arms(begin: Begin): Generator<Run, undefined> {
  const run = begin({ todo: 3 });
  start(run);
  for (let i = 0; i < 3 && !run.over; i++) {
    work(run, 1);
    run.model.look(false);
    if (run.role === 'front') run.model.publish(1);
    while (!run.over && take(run));
    if (!run.over) finalCheck(run);
  }
  yield run;
}

function* impossible(begin: Begin): Generator<Run, undefined> {
  for (const taken of [0, 2]) {
    for (const beyond of [1, 2, 1000, 2 ** 31]) {
      const run = begin({ todo: 2 });
      start(run);
      if (taken > 0) run.model.publish(taken);
      for (let i = 0; i < taken && !run.over; i++) take(run);
      lie(run, (run.filled + run.size + beyond) >>> 0);
      yield run;
    }
  }
  const run = begin({ todo: 2 });
  start(run);
  lie(run, 2 ** 32 - 1);
  yield run;
}

function lie(run: Run, producer: number): void {
  if (run.over) return;
  run.set(0, producer);
  run.note('front', `lies: req_prod = ${producer}`);
  const result = run.call('request');
  run.note('back', `request → ${result}`);
  if (run.over || result < 0) return;
  const answered = run.filled;
  run.find(
    'RING-19',
    `req_prod = ${producer} cannot be with ${answered} answered and ${run.size} slots, but request returns ${result}`,
  );
}

/** Every slot is taken and unanswered; then the index goes back among them. */
function* turnedBack(begin: Begin): Generator<Run, undefined> {
  const size = begin().size;
  const run = begin({ todo: size });
  start(run);
  if (!run.over) run.model.publish(size);
  for (let i = 0; i < size && !run.over; i++) take(run);
  if (!run.over) {
    run.set(0, (run.consumed - 2) >>> 0);
    run.note('front', 'lies: req_prod goes back by 2');
  }
  const result = run.over ? 0 : run.call('request');
  run.note('back', `request → ${result}`);
  if (result > 0) run.find('RING-20', `${size} requests are unanswered, but one more is taken`);
  yield run;
}

function* unasked(begin: Begin): Generator<Run, undefined> {
  for (const beyond of [1, 1000, 2 ** 31]) {
    const run = begin({ todo: 1 });
    start(run);
    work(run, 1);
    if (!run.over) {
      run.set(2, (run.consumed + run.size + beyond) >>> 0);
      run.note('back', `lies: rsp_prod = ${run.get(2)}`);
      const result = run.call('response');
      run.note('front', `response → ${result}`);
      if (result > 0)
        run.warn('RING-21', `rsp_prod = ${run.get(2)} is believed with one request made`);
    }
    yield run;
  }
}

/** Across 2^16: the index is there at once where the peer can begin there, else by work. */
function* wide(begin: Begin): Generator<Run, string | undefined> {
  const { peer, role, tally } = begin().options;
  const near = peer.has(role, 'attach') || (role === 'back' && !tally.standsAtZero);
  if (!near && peer.kind === 'process')
    return `the peer has no ${role}_attach, and 65,536 requests take too long`;
  const total = near ? 12 : 2 ** 16 + 4;
  const run = begin({ todo: total });
  yield under(run, 'RING-22', () => {
    start(run, near ? 2 ** 16 - 4 : 0);
    while (run.todo + run.model.todo > 0 && !run.over) exchange(run);
    if (!run.over) rest(run);
  });
  return undefined;
}

function* again(begin: Begin): Generator<Run, undefined> {
  const run = begin({ todo: 3 });
  start(run);
  for (let i = 0; i < 3 && !run.over; i++) exchange(run);
  yield under(run, 'RING-25', () => {
    if (!run.over) start(run);
    if (!run.over) rest(run);
  });
}

/** The ring is full while its indices lie on both sides of 2^32. */
function* fillsAcross(begin: Begin): Generator<Run, string | undefined> {
  const run = begin({ todo: 100 });
  const unable = start(run, 2 ** 32 - run.size);
  if (unable !== undefined) return unable;
  yield under(run, 'RING-23', () => {
    while (!run.over && run.consumed < 2 ** 32 - 2) exchange(run);
    for (let i = 0; i <= run.size && !run.over; i++) request(run);
    if (!run.over) push(run);
  });
  return undefined;
}

/** The peer publishes `count` messages; a back end first gets as many requests. */
function work(run: Run, count: number): void {
  if (run.over) return;
  if (run.role === 'back') run.model.publish(count);
  for (let i = 0; i < count && !run.over; i++) {
    if (run.role === 'front') request(run);
    else if (take(run)) response(run);
  }
  if (!run.over) push(run);
}

/** One request there, one response back. */
function exchange(run: Run): void {
  work(run, 1);
  if (run.over) return;
  run.model.look(false);
  if (run.role === 'front') {
    run.model.publish(1);
    take(run);
  }
}
