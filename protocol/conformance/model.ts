/**
 * The other end: the kit's own, correct, and cut into single steps (look, publish, check, arm, look again, sleep),
 * so that any of them can happen between two accesses of the peer.
 * The one idea: it may do whatever a correct end may do, and the guide decides what it does.
 * @source xen/io/ring.h
 */
import type { Role } from './peer.ts';

/** Where an end keeps its indices in the shared header, in words. */
export interface Side {
  readonly producer: number;
  readonly threshold: number;
  readonly peerProducer: number;
  readonly peerThreshold: number;
}

export const SIDES: Readonly<Record<Role, Side>> = {
  front: { producer: 0, threshold: 3, peerProducer: 2, peerThreshold: 1 },
  back: { producer: 2, threshold: 1, peerProducer: 0, peerThreshold: 3 },
};

/** Where the slots begin: bytes. */
export const SLOTS_AT = 64;

export const HEADER_WORDS = ['req_prod', 'req_event', 'rsp_prod', 'rsp_event'] as const;

/** Whether a message among (old, now] is the one that `threshold` asks to be told of. */
export function passes(threshold: number, old: number, now: number): boolean {
  return (now - threshold) >>> 0 < (now - old) >>> 0;
}

/** What the model needs of the run it takes part in. */
export interface Ring {
  readonly size: number;
  get(word: number): number;
  set(word: number, value: number): void;
  /** Puts the model's message with that index into its slot. */
  fill(index: number): void;
  /** The model takes the peer's message with that index out of its slot. */
  take(index: number): void;
  notifyPeer(): void;
  /** Called only where somebody keeps the steps. */
  log?: ((what: string) => void) | undefined;
}

/** `awake`; `idle` has looked and found nothing; `armed` has set its threshold; `asleep` waits to be notified. */
type State = 'awake' | 'idle' | 'armed' | 'asleep';

export type Move = 'look' | 'arm' | 'look again' | 'check' | 'wake' | number; // a number: publish so many

export class ModelEnd {
  readonly role: Role;
  readonly side: Side;
  published: number;
  consumed: number;
  state: State = 'awake';
  notified = false;
  /** Requests that a front end will still make. */
  todo: number;
  readonly #ring: Ring;
  #unchecked: number | undefined; // what the index was before the publication not yet followed by a check

  constructor(role: Role, ring: Ring, start: number, todo: number) {
    this.role = role;
    this.side = SIDES[role];
    this.#ring = ring;
    this.published = start;
    this.consumed = start;
    this.todo = todo;
  }

  /** Whether it has published and not yet looked whether the peer wants to be told. */
  get unchecked(): boolean {
    return this.#unchecked !== undefined;
  }

  /** How many messages it could publish now. */
  get ready(): number {
    if (this.role === 'back') return (this.consumed - this.published) >>> 0;
    return Math.min(this.todo, this.#ring.size - ((this.published - this.consumed) >>> 0));
  }

  /** What it may do next; nothing if it sleeps and has nothing to say. */
  moves(): Move[] {
    if (this.#unchecked !== undefined) return ['check'];
    if (this.state === 'armed') return ['look again'];
    // What brings the two ends forward comes first, because that is what an undecided guide chooses.
    const moves: Move[] = [];
    if (this.state === 'asleep' && this.notified) moves.push('wake');
    for (let count = 1; count <= this.ready; count++) moves.push(count);
    if (this.state === 'idle') moves.push('arm');
    if (this.state !== 'asleep') moves.push('look');
    return moves;
  }

  make(move: Move): void {
    if (typeof move === 'number') this.publish(move);
    else if (move === 'check') this.check();
    else if (move === 'arm') this.arm();
    else if (move === 'wake') this.wake();
    else this.look(move === 'look again');
  }

  look(again: boolean): void {
    const { side } = this;
    const producer = this.#ring.get(side.peerProducer);
    const from = this.consumed;
    const count = Math.min((producer - from) >>> 0, this.#ring.size);
    for (let i = 0; i < count; i++) this.#ring.take((from + i) >>> 0);
    this.consumed = (from + count) >>> 0;
    this.#ring.log?.(
      `${again ? 'looks again' : 'looks'}: ${name(side.peerProducer)} = ${producer}, ` +
        (count > 0 ? `takes ${count}` : again ? 'sleeps' : 'nothing new'),
    );
    this.state = count > 0 ? 'awake' : again ? 'asleep' : 'idle';
  }

  publish(count: number): void {
    const old = this.published;
    for (let i = 0; i < count; i++) this.#ring.fill((old + i) >>> 0);
    this.published = (old + count) >>> 0;
    if (this.role === 'front') this.todo -= count;
    this.#ring.set(this.side.producer, this.published);
    this.#unchecked = old;
    this.#ring.log?.(`publishes ${count}: ${name(this.side.producer)} = ${this.published}`);
  }

  check(): void {
    const threshold = this.#ring.get(this.side.peerThreshold);
    const owed = passes(threshold, this.#unchecked!, this.published);
    this.#unchecked = undefined;
    this.#ring.log?.(
      `checks: ${name(this.side.peerThreshold)} = ${threshold}, ${owed ? 'notifies' : 'need not notify'}`,
    );
    if (owed) this.#ring.notifyPeer();
  }

  arm(): void {
    const threshold = (this.consumed + 1) >>> 0;
    this.#ring.set(this.side.threshold, threshold);
    this.state = 'armed';
    this.#ring.log?.(`arms: ${name(this.side.threshold)} = ${threshold}`);
  }

  wake(): void {
    this.notified = false;
    this.state = 'awake';
    this.#ring.log?.('wakes');
  }

  /** One part of what two runs must have in common to have the same future. */
  key(): string {
    return `${this.published},${this.consumed},${this.todo},${this.state},${this.notified},${this.#unchecked}`;
  }
}

function name(word: number): string {
  return HEADER_WORDS[word]!;
}
