/**
 * One run: a peer at one end of a ring, the model at the other, and everything that is known of both. The peer's
 * accesses come to `#point`; what they did is judged against what the peer has been told to do so far.
 * The one idea: the first broken rule ends the run; the peer finishes its verb undisturbed.
 * @source xen/io/ring.h
 */

import { ringSize } from '../ring.ts';
import type { Guide } from './guide.ts';
import { HEADER_WORDS, ModelEnd, type Move, type Ring, SIDES, type Side } from './model.ts';
import type { Peer, PeerEnd, Role, Verb } from './peer.ts';
import type { Messages, RingProtocol } from './ring-protocols.ts';
import type { Finding, RingRule } from './rules.ts';
import type { Step } from './verdict.ts';

/** What a run is about. */
export interface RunOptions {
  readonly peer: Peer;
  readonly role: Role; // the peer's
  readonly protocol: RingProtocol;
  readonly bytes: number; // of the ring
  readonly todo: number; // requests in all
  readonly guide: Guide;
  /** What is noted of all the runs of one peer. */
  readonly tally?: Tally;
  /** Keeps the steps, each with this picture of the ring. */
  readonly picture?: (run: Run) => string;
}

/** Where a peer that is seen only at its barriers has had one: else nothing could move there. */
export interface Tally {
  published: boolean; // after the index was written, before the verb returned
  armed: boolean; // after the threshold was written, likewise
}

const SLOTS_AT = 64;
export class Run implements Ring {
  readonly role: Role;
  readonly size: number;
  readonly bytes: number;
  readonly end: PeerEnd;
  model: ModelEnd;
  readonly steps: Step[] = [];
  readonly warnings = new Map<RingRule, string>();
  finding: Finding | undefined;
  /** The guide ended the run: nothing more is to be learnt from it. */
  ended = false;
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
  readonly #side: Side;
  readonly #entry: number;
  readonly #out: Messages; // the peer's
  readonly #in: Messages; // the model's
  #shadow: Uint32Array; // the page as it was when the peer was last seen at rest
  #verb: Verb | undefined;
  #write: { offset: number; length: number } | undefined; // announced, and now done
  #thresholds: number[] = []; // the model's, since the peer published in this verb
  // What the peer is taken to know besides its indices: each shared word as it last saw it, and, within a
  // verb, the way it came. A peer that remembers more may have states that count as one here.
  readonly #seen = new Uint32Array(4);
  #way = 0;
  #wasHeader = true;
  #wrote: number | undefined; // the word of the header last written in this verb

  constructor(options: RunOptions) {
    const { peer, role, protocol, bytes, todo } = options;
    const { requestSize, responseSize } = protocol.layout;
    this.options = options;
    this.role = role;
    this.todo = role === 'front' ? todo : 0;
    this.size = ringSize(protocol.layout, bytes);
    this.bytes = bytes;
    this.#entry = Math.max(requestSize, responseSize);
    this.#side = SIDES[role];
    this.#out = role === 'front' ? protocol.request : protocol.response;
    this.#in = role === 'front' ? protocol.response : protocol.request;
    this.end = peer.open(role, this.bytes, (at, length, write) => this.#point(at, length, write));
    this.#shadow = this.end.page.slice();
    this.model = new ModelEnd(
      role === 'front' ? 'back' : 'front',
      this,
      0,
      role === 'back' ? todo : 0,
    );
  }

  /** Whether the run is over, one way or the other. */
  get over(): boolean {
    return this.finding !== undefined || this.ended;
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

  get log(): ((what: string) => void) | undefined {
    return this.options.picture && ((what) => this.note(this.model.role, what));
  }

  note(who: Role, what: string): void {
    const { picture } = this.options;
    if (picture) this.steps.push({ who, what, picture: picture(this) });
  }

  find(rule: RingRule, why: string): void {
    this.finding ??= { rule, why };
  }

  warn(rule: RingRule, why: string): void {
    if (!this.warnings.has(rule)) this.warnings.set(rule, why);
  }

  // The model's accesses: what it writes is not held against the peer.

  get(word: number): number {
    return this.end.page[word]!;
  }

  set(word: number, value: number): void {
    this.end.page[word] = value;
    this.#shadow[word] = value;
    if (word === this.model.side.threshold) this.#thresholds.push(value);
  }

  fill(index: number): void {
    const { page } = this.end;
    const at = this.#slot(index);
    const bytes = new Uint8Array(page.buffer, page.byteOffset, page.byteLength);
    bytes.set(this.#in.of(index), at);
    for (let word = at >> 2; word < (at + this.#entry) >> 2; word++)
      this.#shadow[word] = page[word]!;
  }

  take(index: number): void {
    const { page } = this.end;
    const bytes = new Uint8Array(page.buffer, page.byteOffset + this.#slot(index), this.#entry);
    if (this.#out.matches(index, bytes)) return;
    const what = this.role === 'front' ? 'request' : 'response';
    this.find('RING-07', `${what} ${index} is published, but is not what stands in its slot`);
  }

  notifyPeer(): void {
    this.notified = true;
  }

  /** Calls a verb, with whatever the guide has the model do meanwhile, and judges its accesses. */
  call(verb: Verb, argument?: number, index?: number): number {
    this.#verb = verb;
    this.#way = 0;
    this.#thresholds = [];
    this.#write = undefined;
    this.#wrote = undefined;
    this.#wasHeader = true;
    this.#shadow.set(this.end.page);
    const result = this.end.call(verb, argument, index);
    if (!this.unwatched) this.#settle();
    this.#verb = undefined;
    this.#way = 0;
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

  /** Lets the model move: where `quiet`, it may also do nothing. `place` tells this question from others. */
  between(quiet: boolean, place: string): void {
    while (!this.over) {
      const moves = this.model.moves();
      if (moves.length === 0) return;
      const answer = this.ask(moves.length + Number(quiet), place);
      if (this.over || (quiet && answer === 0)) return;
      this.model.make(moves[answer - Number(quiet)] as Move);
      if (!quiet) return;
    }
  }

  /** Which of `ways` to go; 0 and an end to the run where the guide has had enough. */
  ask(ways: number, place: string): number {
    const answer = this.options.guide.ask(ways, () => this.#key(place));
    if (answer === undefined) this.ended = true;
    return answer ?? 0;
  }

  /** Where the run stands: indices, both ends, and all that the peer has seen. */
  #key(place: string): string {
    const { page } = this.end;
    return (
      `${place};${page[0]},${page[1]},${page[2]},${page[3]};${this.model.key()};${this.filled},${this.published},` +
      `${this.consumed},${this.asleep},${this.notified},${this.todo};${this.#verb},${this.#way};${this.#seen.join()}`
    );
  }

  /** The thresholds that the model has had since the peer published: those that its check may have seen. */
  get thresholds(): readonly number[] {
    return this.#thresholds;
  }

  get full(): boolean {
    return (this.filled - this.consumed) >>> 0 === this.size;
  }

  #slot(index: number): number {
    return SLOTS_AT + (index & (this.size - 1)) * this.#entry;
  }

  #point(offset: number, length: number, write: boolean): void {
    if (this.over || this.unwatched) return;
    this.#settle();
    if (this.over) return;
    if (length === 0) this.#pause();
    if (write) this.#claim(offset, length);
    const header = offset < SLOTS_AT;
    const own = length > 0 && this.#owns(offset >> 2) && !write;
    if (!own && (header || this.#wasHeader) && !this.#beginning) {
      this.#remark(offset);
      this.between(true, 'point');
    }
    this.#wasHeader = header;
    if (this.over) return;
    if (header && length > 0) this.#witness(offset, write);
    this.#write = write ? { offset, length } : undefined;
  }

  /** The peer is at a barrier. */
  #pause(): void {
    const { tally } = this.options;
    if (!tally) return;
    if (this.#verb === 'push' && this.#wrote === this.#side.producer) tally.published = true;
    if (this.#verb === 'final_check' && this.#wrote === this.#side.threshold) tally.armed = true;
  }

  /** The peer reads or writes the header: what it sees is part of where the run stands. */
  #witness(offset: number, write: boolean): void {
    const word = offset >> 2;
    this.#remark(write ? ~word : word ^ (this.end.page[word]! << 4));
    if (!write && word < 4) this.#seen[word] = this.end.page[word]!;
    if (write || word > 3 || this.#beginning) return;
    if (this.options.picture) {
      this.note(this.role, `  reads ${HEADER_WORDS[word]} = ${this.end.page[word]}`);
    }
  }

  #remark(value: number): void {
    this.#way = (Math.imul(this.#way ^ value, 0x9e3779b1) ^ (this.#way >>> 13)) | 0;
  }

  #owns(word: number): boolean {
    return word === this.#side.producer || word === this.#side.threshold;
  }

  /** Whether the peer is making its end: the other end is not there yet. */
  get #beginning(): boolean {
    return this.#verb === 'init' || this.#verb === 'attach';
  }

  /** Judges where the peer is about to write. */
  #claim(offset: number, length: number): void {
    if (this.#beginning) {
      if (this.role === 'back') this.find('RING-02', `init writes ${length} bytes at ${offset}`);
      return;
    }
    if (offset < SLOTS_AT) {
      const word = offset >> 2;
      if (this.#owns(word) && (offset & 3) + length <= 4) return;
      const what = word < 4 ? `${HEADER_WORDS[word]}, which is the other end's` : `byte ${offset}`;
      this.find('RING-05', `${this.#verb} writes ${what}`);
      return;
    }
    const slot = Math.floor((offset - SLOTS_AT) / this.#entry);
    const within = (offset - SLOTS_AT) % this.#entry;
    if (within + length > this.#entry) {
      const past = within + length - this.#entry;
      this.find('RING-06', `${this.#verb} writes ${past} bytes past the end of slot ${slot}`);
    } else if (!this.#mayFill(slot)) this.#refuseSlot(slot);
  }

  #mayFill(slot: number): boolean {
    const filling = this.#verb === (this.role === 'front' ? 'request' : 'response');
    if (!filling && this.#verb !== 'push') return false;
    const count = ((this.filled - this.published) >>> 0) + Number(filling && !this.full);
    return ((slot - this.published) & (this.size - 1)) < count;
  }

  #refuseSlot(slot: number): void {
    const { filled, published } = this;
    if (this.#verb === 'push' && published === filled) {
      this.find('RING-07', `slot ${slot} is written after the index that publishes it`);
    } else if (this.role === 'front' && this.full && this.#verb === 'request') {
      this.find('RING-13', `the ring is full, but slot ${slot} is written`);
    } else this.find('RING-06', `${this.#verb} writes slot ${slot}, which it does not fill`);
  }

  /** Judges what the peer has written since it was last looked at. */
  #settle(): void {
    const { page } = this.end;
    if (this.options.peer.grain === 'access') {
      if (!this.#write) return;
      const { offset, length } = this.#write;
      this.#write = undefined;
      const first = offset >> 2;
      const last = Math.min((offset + length + 3) >> 2, page.length);
      for (let word = first; word < last; word++) {
        if (page[word] !== this.#shadow[word] || word < 4) this.#effect(word);
        this.#shadow[word] = page[word]!;
      }
      return;
    }
    for (let word = page.length - 1; word >= 0; word--) {
      if (page[word] === this.#shadow[word]) continue;
      this.#claim(word * 4, 4);
      if (word < 16) this.#effect(word);
    }
    this.#shadow.set(page);
  }

  /** The peer has written a word of the header. */
  #effect(word: number): void {
    if (word > 3 || this.#beginning) return;
    const value = this.end.page[word]!;
    const name = HEADER_WORDS[word]!;
    this.#wrote = word;
    if (this.options.picture) this.note(this.role, `  writes ${name} = ${value}`);
    if (word !== this.#side.producer || this.over) return;
    if (this.#verb !== 'push' && value !== this.published) {
      this.find('RING-08', `${this.#verb} writes ${name}: only a push publishes`);
    } else if (this.#verb === 'push' && value !== this.filled) {
      this.find('RING-08', `${name} is ${value}, but ${this.filled} messages were filled in`);
    } else {
      this.published = value;
      this.#thresholds = [this.end.page[this.model.side.threshold]!];
    }
  }
}
