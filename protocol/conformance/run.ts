/**
 * One run: a peer at one end of a ring, the model at the other, and everything that is known of both.
 * The one idea: the first broken rule ends the run; the peer finishes its verb undisturbed.
 * @source xen/io/ring.h
 */

import { ringSize } from '../ring.ts';
import type { Guide } from './guide.ts';
import { JudgedRun } from './judged-run.ts';
import { ModelEnd, type Move, type Ring, SLOTS_AT } from './model.ts';
import type { Grain, Peer, PeerEnd, Role, Verb } from './peer.ts';
import type { Messages, RingProtocol } from './ring-protocols.ts';
import type { RingRule } from './rules.ts';
import { type Tally, Watch, type Watched } from './watch.ts';

/** What a run is about. */
export interface RunOptions {
  readonly peer: Peer;
  readonly role: Role; // the peer's
  readonly protocol: RingProtocol;
  readonly bytes: number; // of the ring
  readonly todo: number; // requests in all
  readonly guide: Guide;
  /** What is noted of all the runs of one peer. */
  readonly tally: Tally;
  /** Keeps the steps, each with this picture of the ring. */
  readonly picture?: (run: Run) => string;
}

export class Run extends JudgedRun<RingRule, Move> implements Ring, Watched {
  readonly role: Role;
  readonly size: number;
  readonly bytes: number;
  readonly end: PeerEnd;
  model: ModelEnd;
  // What the peer has been told to do: free-running indices, as u32.
  filled = 0;
  published = 0;
  consumed = 0;
  todo: number;
  asleep = false;
  notified = false;
  /** While this is set, the peer is neither watched nor disturbed. */
  unwatched = false;
  readonly options: RunOptions;
  readonly entry: number; // bytes of a slot
  readonly #out: Messages; // the peer's
  readonly #in: Messages; // the model's
  readonly #watch: Watch;

  constructor(options: RunOptions) {
    const { peer, role, protocol, bytes, todo } = options;
    const { requestSize, responseSize } = protocol.layout;
    const { guide, picture } = options;
    super(guide, picture && (() => picture(this)));
    this.options = options;
    this.role = role;
    this.todo = role === 'front' ? todo : 0;
    this.size = ringSize(protocol.layout, bytes);
    this.bytes = bytes;
    this.entry = Math.max(requestSize, responseSize);
    this.#out = role === 'front' ? protocol.request : protocol.response;
    this.#in = role === 'front' ? protocol.response : protocol.request;
    this.end = peer.open(role, bytes, (at, length, write) => this.#watch.point(at, length, write));
    this.#watch = new Watch(this);
    this.model = new ModelEnd(
      role === 'front' ? 'back' : 'front',
      this,
      0,
      role === 'back' ? todo : 0,
    );
  }

  get grain(): Grain {
    return this.options.peer.grain;
  }

  get tally(): Tally {
    return this.options.tally;
  }

  /** Both ends stand at `index`, awake, with `todo` requests to come. */
  standAt(index: number, todo: number): void {
    const other = this.model.role;
    this.model = new ModelEnd(other, this, index, other === 'front' ? todo : 0);
    this.filled = this.published = this.consumed = index;
    this.todo = this.role === 'front' ? todo : 0;
    this.asleep = this.notified = false;
  }

  /** Writes an empty ring's header at `index`, as a front end does that begins there. */
  writeHeader(index: number): void {
    this.end.page.fill(0, 0, SLOTS_AT / 4);
    this.end.page.set([index, index + 1, index, index + 1]);
  }

  // The model's accesses: what it writes is not held against the peer.

  get(word: number): number {
    return this.end.page[word]!;
  }

  set(word: number, value: number): void {
    this.end.page[word] = value;
    this.#watch.excuse(word, 1);
  }

  fill(index: number): void {
    const { page } = this.end;
    const at = this.slot(index);
    const bytes = new Uint8Array(page.buffer, page.byteOffset, page.byteLength);
    bytes.set(this.#in.of(index), at);
    this.#watch.excuse(at >> 2, this.entry >> 2);
  }

  take(index: number): void {
    const { page } = this.end;
    const bytes = new Uint8Array(page.buffer, page.byteOffset + this.slot(index), this.entry);
    if (this.#out.matches(index, bytes)) return;
    const what = this.role === 'front' ? 'request' : 'response';
    this.find('RING-07', `${what} ${index} is published, but is not what stands in its slot`);
  }

  notifyPeer(): void {
    this.notified = true;
  }

  /** Calls a verb, with whatever the guide has the model do meanwhile, and judges its accesses. */
  call(verb: Verb, argument?: number, index?: number): number {
    this.#watch.begin(verb);
    const result = this.callPeer(verb, argument, index);
    this.#watch.end();
    return result;
  }

  /** The message that the peer is to send next, put where it takes it from. */
  offer(): void {
    this.end.buffer.set(this.#out.of(this.filled));
  }

  /** Whether the message that the peer gave is the one that is due. */
  received(): boolean {
    return this.#in.matches(this.consumed, this.end.buffer);
  }

  /** Where the run stands: indices, both ends, and all that the peer has seen. */
  protected key(place: string): string {
    const { page } = this.end;
    return (
      `${place};${page[0]},${page[1]},${page[2]},${page[3]};${this.model.key()};${this.filled},${this.published},` +
      `${this.consumed},${this.asleep},${this.notified},${this.todo};${this.#watch.key()}`
    );
  }

  /** The thresholds that the model has had since the peer published: those that its check may have seen. */
  get thresholds(): readonly number[] {
    return this.#watch.thresholds;
  }

  get full(): boolean {
    return (this.filled - this.consumed) >>> 0 === this.size;
  }

  /** The byte offset of the slot of that index. */
  slot(index: number): number {
    return SLOTS_AT + (index & (this.size - 1)) * this.entry;
  }
}
