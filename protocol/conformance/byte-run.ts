/**
 * One run over a byte ring: a peer at one end, the model at the other, and what is known of both. The peer's
 * accesses come to `#point`; what they did is judged against what it was given and what it has published.
 * The one idea: the first broken rule ends the run; the peer finishes its verb undisturbed.
 * @source xen/io/console.h, xen/io/xs_wire.h
 */
import { ByteModel, type ByteMove, type ByteRing, type Most } from './byte-model.ts';
import { type BytePage, byteOf, fillStream, placeOf, type Stream, streamsOf } from './byte-page.ts';
import type { ByteRule } from './byte-rules.ts';
import { ByteWatch } from './byte-watch.ts';
import type { Guide } from './guide.ts';
import { JudgedRun } from './judged-run.ts';
import type { Peer, PeerEnd, Role } from './peer.ts';

/** What a run is about. */
export interface ByteRunOptions {
  readonly peer: Peer;
  readonly role: Role; // the peer's
  readonly page: BytePage;
  readonly guide: Guide;
  /** How many bytes the model will move, and in which pieces besides all that it can. */
  readonly most: Most;
  readonly pieces: readonly number[];
  /** What is noted of all the runs of one peer. */
  readonly tally?: ByteTally;
  /** Keeps the steps, each with this picture of the ring. */
  readonly picture?: (run: ByteRun) => string;
}

/** Where a peer that is seen only at its barriers has had one: else nothing could be seen there. */
export interface ByteTally {
  placed: boolean; // after bytes were written, before the index was
}

/** How a ring stands when the peer comes to it: the indices of both directions, and what waits in them. */
export interface Standing {
  readonly written: number; // the peer's producer index
  readonly unread: number; // bytes of the peer, for the model
  readonly read: number; // the peer's consumer index
  readonly waiting: number; // bytes of the model, for the peer
}

export type ByteVerb = 'init' | 'write' | 'read';

export class ByteRun extends JudgedRun<ByteRule, ByteMove> implements ByteRing {
  readonly role: Role;
  readonly out: Stream; // what the peer writes
  readonly in: Stream;
  readonly end: PeerEnd;
  readonly model: ByteModel;
  readonly options: ByteRunOptions;
  /** Whether what `init` writes ends the run: only where that is the question. */
  initWrites = true;
  /** Where the program stands, for what tells one state of a run from others. */
  stage = '';
  // The peer's two indices, as it has published them.
  published = 0;
  released = 0;
  readonly #watch: ByteWatch;
  #page: Uint32Array | undefined;
  #bytes: Uint8Array = new Uint8Array();

  constructor(options: ByteRunOptions) {
    const { peer, role, page, most, pieces, guide, picture } = options;
    super(guide, picture && (() => picture(this)));
    this.options = options;
    this.role = role;
    const streams = streamsOf(page, role);
    this.out = streams.out;
    this.in = streams.in;
    this.#watch = new ByteWatch(this);
    this.end = peer.open(role, 4096, (at, length, write) => this.#watch.point(at, length, write));
    this.model = new ByteModel(role === 'front' ? 'back' : 'front', this, most, pieces);
  }

  /** Makes the ring stand so. */
  standAt({ written, unread, read, waiting }: Standing): void {
    const { page } = this.end;
    fillStream(page, this.out, written, unread);
    fillStream(page, this.in, (read + waiting) >>> 0, waiting);
    this.published = written;
    this.released = read;
    this.model.consumed = (written - unread) >>> 0;
    this.model.produced = (read + waiting) >>> 0;
  }

  /** The page as bytes. Another array after each call of the peer, perhaps. */
  get bytes(): Uint8Array {
    const { page } = this.end;
    if (page !== this.#page) {
      this.#page = page;
      this.#bytes = new Uint8Array(page.buffer, page.byteOffset, page.byteLength);
    }
    return this.#bytes;
  }

  word(at: number): number {
    return this.end.page[at >>> 2]!;
  }

  // The model's accesses: what it writes is not held against the peer.

  setByte(at: number, value: number): void {
    this.#watch.setByte(at, value);
  }

  setWord(at: number, value: number): void {
    for (let i = 0; i < 4; i++) this.#watch.setByte(at + i, (value >>> (8 * i)) & 0xff);
  }

  take(from: number, count: number): void {
    const wrong = this.firstWrong(from, count);
    if (wrong === undefined) return;
    this.find('BYTE-07', `byte ${wrong} of ${this.out.label} is not any more what was published`);
  }

  /** The first index whose byte does not stand in its place, if there is one. */
  firstWrong(from: number, count: number): number | undefined {
    const { bytes } = this;
    for (let i = 0; i < count; i++) {
      const index = (from + i) >>> 0;
      if (bytes[placeOf(this.out, index)] !== byteOf(this.out, index)) return index;
    }
    return undefined;
  }

  /** Calls a verb, with whatever the guide has the model do meanwhile, and judges its accesses. */
  call(verb: ByteVerb, count: number): number {
    this.#watch.begin(verb, count);
    try {
      return this.callPeer(verb, count);
    } finally {
      this.#watch.finish();
    }
  }

  /** At the peer's n-th point from now on that the other end can move at, this happens. */
  interrupt(n: number, act: () => void): void {
    this.#watch.interrupt(n, act);
  }

  /** Where the run stands: indices, both ends, and all that the peer has seen. */
  protected key(place: string): string {
    const { model, published, released, stage } = this;
    return `${stage};${place};${model.key()};${published},${released};${this.#watch.key()}`;
  }
}
