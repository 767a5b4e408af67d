/**
 * Properties of the shared ring: it is a pair of queues near the wrap of its indices; no wake-up is
 * lost however the two ends interleave; and no index a peer can write takes us out of the ring.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  ArrayRingMemory,
  BackRing,
  FrontRing,
  initSharedRing,
  type RingLayout,
  type RingMemory,
  RingOverflow,
} from '../../protocol/ring.ts';

const LAYOUT: RingLayout = { name: 'test', requestSize: 8, responseSize: 4 };

/** Few slots, so that every run meets a full ring and the wrap: 64 + 4 * 8 bytes. */
const BYTES = 96;

function sharedPage(start: number): { words: Uint32Array; memory: ArrayRingMemory } {
  const words = new Uint32Array(1024);
  const memory = new ArrayRingMemory(words);
  initSharedRing(memory);
  words.set([start, start + 1, start, start + 1]);
  return { words, memory };
}

describe('a ring', () => {
  const step = fc.constantFrom('request', 'push', 'take', 'respond', 'answer', 'collect', 'check');

  it('is a queue of requests and a queue of responses, also across 2^32', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), fc.nat(60), (steps, back) => {
        const start = (2 ** 32 - back) >>> 0;
        const { memory } = sharedPage(start);
        const front = FrontRing.attach(memory, LAYOUT, start, BYTES);
        const rear = BackRing.attach(memory, LAYOUT, start, BYTES);
        const model = new Model(front.size);
        for (const name of steps) model.step(name, front, rear);
        expect([front.size, front.free]).toEqual([4, model.free]);
      }),
      { numRuns: 500 },
    );
  });
});

describe('notifications', () => {
  const place = fc.nat(7);

  it('lose no wake-up, however the two ends interleave', () => {
    const arbitrary = fc.record({
      batches: fc.array(fc.integer({ min: 1, max: 6 }), { minLength: 1, maxLength: 12 }),
      burst: fc.integer({ min: 1, max: 5 }),
      schedule: fc.array(fc.tuple(fc.boolean(), place, place), { minLength: 1, maxLength: 40 }),
      start: fc.constantFrom(0, 2 ** 32 - 3, 2 ** 32 - 1),
    });
    fc.assert(
      fc.property(arbitrary, ({ batches, burst, schedule, start }) => {
        const { requests, responses, stuck } = converse(batches, burst, schedule, start);
        expect({ stuck, responses }).toEqual({ stuck: false, responses: requests });
      }),
      { numRuns: 3000 },
    );
  });

  it('are asked for only when the other end sleeps', () => {
    const { memory } = sharedPage(0);
    const front = new FrontRing(memory, LAYOUT, BYTES);
    const back = new BackRing(memory, LAYOUT, BYTES);
    const request = new Uint32Array(2);
    const wakes = [1, 2, 3].map(() => {
      front.request(request);
      return front.push();
    });
    expect(wakes).toEqual([true, false, false]);
    while (back.request(request));
    expect(back.finalCheck()).toBe(false);
    front.request(request);
    expect(front.push()).toBe(true);
  });
});

describe('a hostile index', () => {
  it('is refused, or serves no more than a ring of requests', () => {
    fc.assert(
      fc.property(fc.nat(3), fc.nat(0xffffffff), (taken, hostile) => {
        const { words, memory } = sharedPage(0);
        const back = new BackRing(memory, LAYOUT, BYTES);
        words[0] = taken;
        const copy = new Uint32Array(2);
        while (back.request(copy));
        words[0] = hostile;
        let served = 0;
        try {
          while (back.request(copy)) served++;
          expect(hostile).toBe(taken + served);
        } catch (error) {
          expect(error).toBeInstanceOf(RingOverflow);
        }
        expect(back.unanswered).toBeLessThanOrEqual(4);
      }),
    );
  });
});

/** What the two rings must do, as plain lists. */
class Model {
  readonly #size: number;
  readonly #filled: number[] = [];
  readonly #pushed: number[] = [];
  readonly #taken: number[] = [];
  readonly #answered: number[] = [];
  readonly #returned: number[] = [];
  #next = 0;

  constructor(size: number) {
    this.#size = size;
  }

  get free(): number {
    const lists = [this.#filled, this.#pushed, this.#taken, this.#answered, this.#returned];
    return this.#size - lists.reduce((sum, list) => sum + list.length, 0);
  }

  step(name: string, front: FrontRing, back: BackRing): void {
    const copy = new Uint32Array(2);
    if (name === 'request' && this.free > 0) {
      this.#filled.push(this.#next);
      front.request(Uint32Array.of(this.#next, ~this.#next++));
    } else if (name === 'push') {
      front.push();
      this.#pushed.push(...this.#filled.splice(0));
    } else if (name === 'take') {
      const expected = this.#pushed.shift();
      expect(back.request(copy) ? copy[0] : undefined).toBe(expected);
      if (expected !== undefined) this.#taken.push(expected);
    } else if (name === 'respond' && this.#taken.length > 0) {
      const id = this.#taken.shift()!;
      back.respond(Uint32Array.of(id));
      this.#answered.push(id);
    } else if (name === 'answer') {
      back.push();
      this.#returned.push(...this.#answered.splice(0));
    } else if (name === 'collect') {
      const word = copy.subarray(0, 1);
      expect(front.response(word) ? word[0] : undefined).toBe(this.#returned.shift());
    } else if (name === 'check') {
      expect(front.finalCheck()).toBe(this.#returned.length > 0);
      expect(back.finalCheck()).toBe(this.#pushed.length > 0);
    }
    expect(front.full).toBe(this.free === 0);
  }
}

/** One end of a conversation: runs until it sleeps; `pending` is its event channel's bit. */
interface End {
  readonly script: Generator<'runs' | 'sleeps', void>;
  pending: boolean;
  asleep: boolean;
  finished: boolean;
}

/** Runs `other` in the middle of what `inner` does, between two of its memory accesses. */
class InterleavingMemory implements RingMemory {
  readonly #inner: RingMemory;
  #countdown = -1;
  #interruption: () => void = () => {};

  constructor(inner: RingMemory) {
    this.#inner = inner;
  }

  interruptAfter(accesses: number, interruption: () => void): void {
    this.#countdown = accesses;
    this.#interruption = interruption;
  }

  get32(offset: number): number {
    this.#access();
    return this.#inner.get32(offset);
  }

  set32(offset: number, value: number): void {
    this.#access();
    this.#inner.set32(offset, value);
  }

  read(offset: number, into: Uint32Array): void {
    this.#access();
    this.#inner.read(offset, into);
  }

  write(offset: number, from: Uint32Array): void {
    this.#access();
    this.#inner.write(offset, from);
  }

  #access(): void {
    if (this.#countdown-- === 0) this.#interruption();
  }
}

type Schedule = readonly (readonly [frontFirst: boolean, after: number, steps: number])[];

/** Plays both ends by `schedule`, then fairly, until both are done or both sleep for ever. */
function converse(batches: readonly number[], burst: number, schedule: Schedule, start: number) {
  const { memory } = sharedPage(start);
  const requests: number[] = [];
  const responses: number[] = [];
  const total = batches.reduce((sum, n) => sum + n, 0);
  const views = { front: new InterleavingMemory(memory), back: new InterleavingMemory(memory) };
  const ends = {
    front: end(frontEnd(FrontRing.attach(views.front, LAYOUT, start, BYTES))),
    back: end(backEnd(BackRing.attach(views.back, LAYOUT, start, BYTES))),
  };

  function* frontEnd(ring: FrontRing): End['script'] {
    const word = new Uint32Array(1);
    for (const batch of [...batches, 0]) {
      for (let left = batch; left > 0; ) {
        for (; left > 0 && !ring.full; left--) {
          ring.request(Uint32Array.of(requests.length, 0));
          requests.push(requests.length);
        }
        if (ring.push()) ends.back.pending = true;
        yield 'runs';
        while (ring.response(word)) responses.push(word[0]!);
        yield 'runs';
        if (ring.full && !ring.finalCheck()) yield 'sleeps';
      }
    }
    while (responses.length < total) {
      while (ring.response(word)) responses.push(word[0]!);
      yield 'runs';
      if (responses.length < total && !ring.finalCheck()) yield 'sleeps';
    }
  }

  function* backEnd(ring: BackRing): End['script'] {
    const copy = new Uint32Array(2);
    for (;;) {
      for (let n = 0; n < burst && ring.request(copy); n++) ring.respond(copy.subarray(0, 1));
      yield 'runs';
      if (ring.push()) ends.front.pending = true;
      yield 'runs';
      if (!ring.finalCheck()) yield 'sleeps';
    }
  }

  for (const [frontFirst, after, steps] of schedule) {
    const [one, other] = frontFirst ? [ends.front, ends.back] : [ends.back, ends.front];
    const view = frontFirst ? views.front : views.back;
    view.interruptAfter(after, () => {
      for (let i = 0; i < steps; i++) advance(other);
    });
    advance(one);
    view.interruptAfter(-1, () => {});
  }
  for (let i = 0; i < 1000 && !ends.front.finished; i++) {
    advance(ends.front);
    advance(ends.back);
  }
  return { requests, responses, stuck: !ends.front.finished };
}

function end(script: End['script']): End {
  return { script, pending: false, asleep: false, finished: false };
}

/** One step of an end, unless it sleeps and nobody has sent it an event. */
function advance(who: End): void {
  if (who.finished || (who.asleep && !who.pending)) return;
  if (who.asleep) {
    who.asleep = false;
    who.pending = false;
  }
  const { done, value } = who.script.next();
  who.finished = done === true;
  who.asleep = value === 'sleeps';
}
