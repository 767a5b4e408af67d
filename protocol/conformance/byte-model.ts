/**
 * The other end of a byte ring: the kit's own, correct, and cut into single steps. It may put some bytes, or take some.
 * The one idea: room that the peer gives back is overwritten with junk at once, which a producer may do before
 * it publishes; so whoever gives back too early reads junk, however short the moment is.
 */
import { byteOf, junkOf, placeOf, type Stream } from './byte-page.ts';
import type { Role } from './peer.ts';

/** What the model needs of the run it takes part in. */
export interface ByteRing {
  /** The direction that the model takes from, and the peer's published index there. */
  readonly out: Stream;
  readonly published: number;
  /** The direction that the model puts into, and the peer's published index there. */
  readonly in: Stream;
  readonly released: number;
  setByte(at: number, value: number): void;
  setWord(at: number, value: number): void;
  /** The model takes the peer's bytes with these indices out of the ring. */
  take(from: number, count: number): void;
  /** Called only where somebody keeps the steps. */
  log?: ((what: string) => void) | undefined;
}

/** How many bytes the model moves in a run. */
export interface Most {
  readonly puts: number;
  readonly takes: number;
}

export interface ByteMove {
  readonly what: 'put' | 'take';
  readonly count: number;
}

export class ByteModel {
  readonly role: Role;
  produced: number;
  consumed: number;
  /** Bytes that it will still put, and take. */
  puts: number;
  takes: number;
  readonly #ring: ByteRing;
  /** How much it may move at once, besides all that there is. */
  readonly #pieces: readonly number[];

  constructor(role: Role, ring: ByteRing, most: Most, pieces: readonly number[]) {
    this.role = role;
    this.#ring = ring;
    this.puts = most.puts;
    this.takes = most.takes;
    this.#pieces = pieces;
    this.produced = 0;
    this.consumed = 0;
  }

  get ready(): number {
    const { in: stream, released } = this.#ring;
    return Math.min(this.puts, stream.size - ((this.produced - released) >>> 0));
  }

  get takeable(): number {
    return Math.min(this.takes, (this.#ring.published - this.consumed) >>> 0);
  }

  /** What it may do next. */
  moves(): ByteMove[] {
    const { ready, takeable } = this;
    return [
      ...this.#counts(takeable).map((count) => ({ what: 'take', count }) as const),
      ...this.#counts(ready).map((count) => ({ what: 'put', count }) as const),
    ];
  }

  #counts(most: number): number[] {
    if (most === 0) return [];
    return [most, ...this.#pieces.filter((count) => count < most)];
  }

  make({ what, count }: ByteMove): void {
    if (what === 'put') this.put(count);
    else this.take(count);
  }

  put(count: number): void {
    const { in: stream } = this.#ring;
    for (let i = 0; i < count; i++) {
      const index = (this.produced + i) >>> 0;
      this.#ring.setByte(placeOf(stream, index), byteOf(stream, index));
    }
    this.produced = (this.produced + count) >>> 0;
    this.puts -= count;
    this.#ring.setWord(stream.prod, this.produced);
    this.#ring.log?.(`puts ${count}: ${stream.label}_prod = ${this.produced}`);
  }

  take(count: number): void {
    const { out: stream } = this.#ring;
    this.#ring.take(this.consumed, count);
    this.takes -= count;
    this.consumed = (this.consumed + count) >>> 0;
    this.#ring.setWord(stream.cons, this.consumed);
    this.#ring.log?.(`takes ${count}: ${stream.label}_cons = ${this.consumed}`);
  }

  /** The peer has given back the room of `count` bytes from `from`. */
  spoil(from: number, count: number): void {
    const { in: stream } = this.#ring;
    for (let i = 0; i < count; i++) {
      const index = (from + i) >>> 0;
      this.#ring.setByte(placeOf(stream, index), junkOf(stream, (index + stream.size) >>> 0));
    }
  }

  /** One part of what two runs must have in common to have the same future. */
  key(): string {
    return `${this.produced},${this.consumed},${this.puts},${this.takes}`;
  }
}
