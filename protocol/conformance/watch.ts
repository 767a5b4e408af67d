/**
 * What a peer does to its ring, watched access by access: where it writes, what it publishes, what it reads twice.
 * The one idea: an access is announced before it happens; so its place is judged at once, and what it did when the
 * peer is next seen. Where accesses are not announced, the page is compared with what it was.
 * @source xen/io/ring.h
 */
import { HEADER_WORDS, type ModelEnd, SIDES, type Side, SLOTS_AT } from './model.ts';
import type { Grain, PeerEnd, Role, Verb } from './peer.ts';
import type { RingRule } from './rules.ts';

const PVT = 4; // the word of the header that a protocol may use: `pvt` in ring.h

/** What the runs of one end of one peer have shown. */
export interface Tally {
  /** It had a barrier after it wrote its index, and before the verb returned: the other end could move there. */
  published: boolean;
  /** Likewise after it wrote its threshold. */
  armed: boolean;
  /** A back end that begins at 0 wherever the ring stands. */
  standsAtZero: boolean;
}

/** The run that is watched. */
export interface Watched {
  readonly role: Role;
  readonly size: number; // slots
  readonly entry: number; // bytes of a slot
  readonly grain: Grain;
  readonly tally: Tally;
  readonly end: PeerEnd;
  readonly model: ModelEnd;
  readonly filled: number;
  published: number;
  readonly consumed: number;
  readonly full: boolean;
  readonly over: boolean;
  readonly unwatched: boolean;
  /** Whether somebody keeps the steps. */
  readonly kept: boolean;
  slot(index: number): number;
  between(quiet: boolean, place: string): void;
  find(rule: RingRule, why: string): void;
  note(who: Role, what: string): void;
}

export class Watch {
  /** The model's thresholds since the peer published in this verb: those that its check may have seen. */
  thresholds: number[] = [];
  readonly #run: Watched;
  readonly #side: Side;
  #shadow: Uint32Array; // the page as it was when the peer was last seen at rest
  #verb: Verb | undefined;
  #write: { offset: number; length: number } | undefined; // announced, and now done
  // What the peer is taken to know besides its indices: each shared word as it last saw it, and, within a
  // verb, the way it came. A peer that remembers more may have states that count as one here.
  readonly #seen = new Uint32Array(4);
  #way = 0;
  // For each byte of an entry, in which verb it was last read from the slot.
  readonly #fetched: Uint32Array;
  #fetches = 0;
  #wasHeader = true;
  #wrote: number | undefined; // the word of the header last written in this verb

  constructor(run: Watched) {
    this.#run = run;
    this.#side = SIDES[run.role];
    this.#fetched = new Uint32Array(run.entry);
    this.#shadow = run.end.page.slice();
  }

  /** A verb begins; between two verbs there is none. */
  begin(verb: Verb): void {
    this.#verb = verb;
    this.#way = 0;
    this.#fetches++;
    this.thresholds = [];
    this.#write = undefined;
    this.#wrote = undefined;
    this.#wasHeader = true;
    this.#shadow.set(this.#run.end.page);
  }

  end(): void {
    if (!this.#run.unwatched) this.settle();
    this.#verb = undefined;
    this.#way = 0;
  }

  /** The model has written `count` words: that is not held against the peer. */
  excuse(word: number, count: number): void {
    const { page } = this.#run.end;
    for (let i = word; i < word + count; i++) this.#shadow[i] = page[i]!;
    if (word === this.#run.model.side.threshold) this.thresholds.push(page[word]!);
  }

  /** What the peer knows, as far as a run's future depends on it. */
  key(): string {
    return `${this.#verb},${this.#way};${this.#seen.join()}`;
  }

  /** The peer is about to make an access: what came before is judged, and the model may move. */
  point(offset: number, length: number, write: boolean): void {
    if (this.#run.over || this.#run.unwatched) return;
    this.settle();
    if (this.#run.over) return;
    if (length === 0) this.#pause();
    if (write) this.#claim(offset, length);
    else if (offset >= SLOTS_AT) this.#fetch(offset, length);
    const header = offset < SLOTS_AT;
    const own = length > 0 && this.#owns(offset >> 2) && !write;
    if (!own && (header || this.#wasHeader) && !this.#beginning) {
      this.#remark(offset);
      this.#run.between(true, 'point');
    }
    this.#wasHeader = header;
    if (this.#run.over) return;
    if (header && length > 0) this.#witness(offset, write);
    this.#write = write ? { offset, length } : undefined;
  }

  /** The peer is at a barrier: since the last one it may have read what stands in the header, or written it. */
  #pause(): void {
    for (const word of [this.#side.peerProducer, this.#side.peerThreshold]) {
      this.#seen[word] = this.#run.end.page[word]!;
      this.#remark(word ^ (this.#seen[word]! << 4));
    }

    const { tally } = this.#run;
    if (this.#verb === 'push' && this.#wrote === this.#side.producer) tally.published = true;
    if (this.#verb === 'final_check' && this.#wrote === this.#side.threshold) tally.armed = true;
  }

  /** The peer reads or writes the header: what it sees is part of where the run stands. */
  #witness(offset: number, write: boolean): void {
    const word = offset >> 2;
    this.#remark(write ? ~word : word ^ (this.#run.end.page[word]! << 4));
    if (!write && word < 4) this.#seen[word] = this.#run.end.page[word]!;
    if (write || word > 3 || this.#beginning) return;
    if (this.#run.kept) {
      this.#run.note(this.#run.role, `  reads ${HEADER_WORDS[word]} = ${this.#run.end.page[word]}`);
    }
  }

  #remark(value: number): void {
    this.#way = (Math.imul(this.#way ^ value, 0x9e3779b1) ^ (this.#way >>> 13)) + 1; // so that it always changes
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
      if (this.#run.role === 'back')
        this.#run.find('RING-02', `init writes ${length} bytes at ${offset}`);
      return;
    }
    if (offset < SLOTS_AT) {
      const word = offset >> 2;
      if (this.#owns(word) && (offset & 3) + length <= 4) return;
      if (word === PVT && (offset & 3) + length <= 4) return; // the protocol's own, whatever it is for
      const what = word < 4 ? `${HEADER_WORDS[word]}, which is the other end's` : `byte ${offset}`;
      this.#run.find('RING-05', `${this.#verb} writes ${what}`);
      return;
    }
    const slot = Math.floor((offset - SLOTS_AT) / this.#run.entry);
    const within = (offset - SLOTS_AT) % this.#run.entry;
    if (within + length > this.#run.entry) {
      const past = within + length - this.#run.entry;
      this.#run.find('RING-06', `${this.#verb} writes ${past} bytes past the end of slot ${slot}`);
    } else if (!this.#mayFill(slot)) this.#refuseSlot(slot);
  }

  /** The peer reads a slot: of the message that it takes, no byte a second time. */
  #fetch(offset: number, length: number): void {
    if (this.#verb !== (this.#run.role === 'front' ? 'response' : 'request')) return;
    const first = offset - this.#run.slot(this.#run.consumed);
    if (first < 0 || first >= this.#run.entry) return; // another slot: what it gets there will show
    for (let byte = first; byte < first + length; byte++) {
      if (this.#fetched[byte] === this.#fetches) {
        this.#run.find(
          'RING-26',
          `byte ${byte} of message ${this.#run.consumed} is read from the slot twice`,
        );
        return;
      }
      this.#fetched[byte] = this.#fetches;
    }
  }

  #mayFill(slot: number): boolean {
    const filling = this.#verb === (this.#run.role === 'front' ? 'request' : 'response');
    if (!filling && this.#verb !== 'push') return false;
    const count =
      ((this.#run.filled - this.#run.published) >>> 0) + Number(filling && !this.#run.full);
    return ((slot - this.#run.published) & (this.#run.size - 1)) < count;
  }

  #refuseSlot(slot: number): void {
    const { filled, published } = this.#run;
    if (this.#verb === 'push' && published === filled) {
      this.#run.find('RING-07', `slot ${slot} is written after the index that publishes it`);
    } else if (this.#run.role === 'front' && this.#run.full && this.#verb === 'request') {
      this.#run.find('RING-13', `the ring is full, but slot ${slot} is written`);
    } else this.#run.find('RING-06', `${this.#verb} writes slot ${slot}, which it does not fill`);
  }

  /** Judges what the peer has written since it was last looked at. */
  settle(): void {
    const { page } = this.#run.end;
    if (this.#run.grain === 'access') {
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
    const value = this.#run.end.page[word]!;
    const name = HEADER_WORDS[word]!;
    this.#wrote = word;
    if (this.#run.kept) this.#run.note(this.#run.role, `  writes ${name} = ${value}`);
    if (word !== this.#side.producer || this.#run.over) return;
    if (this.#verb !== 'push' && value !== this.#run.published) {
      this.#run.find('RING-08', `${this.#verb} writes ${name}: only a push publishes`);
    } else if (this.#verb === 'push' && value !== this.#run.filled) {
      this.#run.find(
        'RING-08',
        `${name} is ${value}, but ${this.#run.filled} messages were filled in`,
      );
    } else {
      this.#run.published = value;
      this.thresholds = [this.#run.end.page[this.#run.model.side.threshold]!];
    }
  }
}
