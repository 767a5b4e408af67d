/**
 * The shared ring: requests one way, responses the other, in one page that neither end trusts.
 * Indices are free-running u32 and only ever compared by difference; each end keeps its own
 * producer private and reads the peer's once per batch. `event` thresholds avoid needless wake-ups.
 * @source xen/io/ring.h
 */

/** A shared ring page as its owner can reach it; offsets in bytes, multiples of 4. */
export interface RingMemory {
  get32(offset: number): number;
  set32(offset: number, value: number): void;
  /** Copies `into.length` words out. */
  read(offset: number, into: Uint32Array): void;
  /** Copies `from.length` words in. */
  write(offset: number, from: Uint32Array): void;
}

/** Up to this many words a loop beats a call of TypedArray.set. */
const LOOP_WORDS = 10;

/** Ring memory over an array: one page, or several contiguous ones. */
export class ArrayRingMemory implements RingMemory {
  readonly words: Uint32Array;
  readonly #views: Uint32Array[]; // by first word: a ring reads the same few places for ever

  constructor(words: Uint32Array) {
    this.words = words;
    this.#views = Array.from(words, () => words);
  }

  get32(offset: number): number {
    return this.words[offset >>> 2]!;
  }

  set32(offset: number, value: number): void {
    this.words[offset >>> 2] = value;
  }

  read(offset: number, into: Uint32Array): void {
    const first = offset >>> 2;
    const { words } = this;
    const { length } = into;
    if (length <= LOOP_WORDS) {
      for (let i = 0; i < length; i++) into[i] = words[first + i]!;
      return;
    }
    let view = this.#views[first]!;
    if (view.length !== length) {
      view = words.subarray(first, first + length);
      this.#views[first] = view;
    }
    into.set(view);
  }

  write(offset: number, from: Uint32Array): void {
    const first = offset >>> 2;
    const { words } = this;
    const { length } = from;
    if (length <= LOOP_WORDS) {
      for (let i = 0; i < length; i++) words[first + i] = from[i]!;
      return;
    }
    words.set(from, first);
  }
}

/** Sizes of one protocol's entries in bytes, multiples of 4; a slot holds the larger. */
export interface RingLayout {
  readonly name: string;
  readonly requestSize: number;
  readonly responseSize: number;
}

/** The peer's producer index cannot be true: it lies, and must be disconnected. */
export class RingOverflow extends Error {
  readonly producer: number;
  readonly consumer: number;
  readonly size: number;

  constructor(name: string, producer: number, consumer: number, size: number) {
    super(`${name} ring: producer ${producer} is impossible at consumer ${consumer}, size ${size}`);
    this.name = 'RingOverflow';
    this.producer = producer;
    this.consumer = consumer;
    this.size = size;
  }
}

// The shared header: four indices, 48 private bytes, then the slots. @source ring.h:100
const REQ_PROD = 0;
const REQ_EVENT = 4;
const RSP_PROD = 8;
const RSP_EVENT = 12;
const SLOTS = 64;

/** SHARED_RING_INIT: makes the page an empty ring; only the front end does this. */
export function initSharedRing(memory: RingMemory): void {
  for (let offset = 0; offset < SLOTS; offset += 4) memory.set32(offset, 0);
  memory.set32(REQ_EVENT, 1);
  memory.set32(RSP_EVENT, 1);
}

/** __RING_SIZE: how many slots fit in `bytes`, rounded down to a power of two; 0 if none does. */
export function ringSize(layout: RingLayout, bytes: number): number {
  const fit = Math.floor((bytes - SLOTS) / Math.max(layout.requestSize, layout.responseSize));
  return fit < 1 ? 0 : 1 << (31 - Math.clz32(fit));
}

/** The end that makes requests; the page must be initialised already. */
export class FrontRing {
  readonly size: number;
  readonly #memory: RingMemory;
  readonly #name: string;
  readonly #entry: number;
  readonly #mask: number;
  #reqProd: number; // next private slot
  #pushed: number; // what the shared req_prod says
  #rspCons: number;
  #rspSeen: number; // rsp_prod as last read and checked

  constructor(memory: RingMemory, layout: RingLayout, bytes = 4096, index = 0) {
    this.size = checkedSize(layout, bytes);
    this.#memory = memory;
    this.#name = layout.name;
    this.#entry = Math.max(layout.requestSize, layout.responseSize);
    this.#mask = this.size - 1;
    this.#reqProd = index;
    this.#pushed = index;
    this.#rspCons = index;
    this.#rspSeen = index;
  }

  /** FRONT_RING_ATTACH: continues a ring whose both sides stand at `index`. */
  static attach(memory: RingMemory, layout: RingLayout, index: number, bytes = 4096): FrontRing {
    return new FrontRing(memory, layout, bytes, index >>> 0);
  }

  /** RING_FREE_REQUESTS */
  get free(): number {
    return this.size - ((this.#reqProd - this.#rspCons) >>> 0);
  }

  /** RING_FULL */
  get full(): boolean {
    return this.free === 0;
  }

  /** Fills the next private slot; the back end sees it after `push`. RangeError if full. */
  request(from: Uint32Array): void {
    if (this.full) refuse(`${this.#name} ring is full`);
    this.#memory.write(SLOTS + (this.#reqProd & this.#mask) * this.#entry, from);
    this.#reqProd = (this.#reqProd + 1) >>> 0;
  }

  /** RING_PUSH_REQUESTS_AND_CHECK_NOTIFY: true if the back end asked to be woken for one of these. */
  push(): boolean {
    const before = this.#pushed;
    const now = this.#reqProd;
    this.#memory.set32(REQ_PROD, now);
    this.#pushed = now;
    return crossed(this.#memory.get32(REQ_EVENT), before, now);
  }

  /** Copies the next response out, if there is one. RingOverflow if there cannot be so many. */
  response(into: Uint32Array): boolean {
    if (this.#rspCons === this.#rspSeen && this.unconsumed === 0) return false;
    this.#memory.read(SLOTS + (this.#rspCons & this.#mask) * this.#entry, into);
    this.#rspCons = (this.#rspCons + 1) >>> 0;
    return true;
  }

  /** Responses that wait; reads the peer's index anew. RingOverflow if more than were asked for. */
  get unconsumed(): number {
    const producer = this.#memory.get32(RSP_PROD);
    const count = (producer - this.#rspCons) >>> 0;
    if (count > (this.#pushed - this.#rspCons) >>> 0) {
      overflow(this.#name, producer, this.#rspCons, this.size);
    }
    this.#rspSeen = producer;
    return count;
  }

  /** RING_FINAL_CHECK_FOR_RESPONSES: false means that the next response will notify. */
  finalCheck(): boolean {
    if (this.unconsumed > 0) return true;
    this.#memory.set32(RSP_EVENT, this.#rspCons + 1);
    return this.unconsumed > 0;
  }
}

/** The end that answers requests. */
export class BackRing {
  readonly size: number;
  readonly #memory: RingMemory;
  readonly #name: string;
  readonly #entry: number;
  readonly #mask: number;
  #rspProd: number; // next private slot
  #pushed: number; // what the shared rsp_prod says
  #reqCons: number;
  #reqSeen: number; // req_prod as last read and checked

  constructor(memory: RingMemory, layout: RingLayout, bytes = 4096, index = 0) {
    this.size = checkedSize(layout, bytes);
    this.#memory = memory;
    this.#name = layout.name;
    this.#entry = Math.max(layout.requestSize, layout.responseSize);
    this.#mask = this.size - 1;
    this.#rspProd = index;
    this.#pushed = index;
    this.#reqCons = index;
    this.#reqSeen = index;
  }

  /** BACK_RING_ATTACH: continues a ring at `index`, the last rsp_prod; unanswered requests come again. */
  static attach(memory: RingMemory, layout: RingLayout, index: number, bytes = 4096): BackRing {
    return new BackRing(memory, layout, bytes, index >>> 0);
  }

  /** Requests taken and not yet answered. */
  get unanswered(): number {
    return (this.#reqCons - this.#rspProd) >>> 0;
  }

  /** Copies the next request out, if there is one. RingOverflow if there cannot be so many. */
  request(into: Uint32Array): boolean {
    if (this.#reqCons === this.#reqSeen && this.unconsumed === 0) return false;
    this.#memory.read(SLOTS + (this.#reqCons & this.#mask) * this.#entry, into);
    this.#reqCons = (this.#reqCons + 1) >>> 0;
    return true;
  }

  /** Requests that wait; reads the peer's index anew. RingOverflow if more than have room. */
  get unconsumed(): number {
    const producer = this.#memory.get32(REQ_PROD);
    const count = (producer - this.#reqCons) >>> 0;
    // Stricter than RING_REQUEST_PROD_OVERFLOW: also catches a producer that moved backwards.
    if (count > this.size - this.unanswered) {
      overflow(this.#name, producer, this.#reqCons, this.size);
    }
    this.#reqSeen = producer;
    return count;
  }

  /** Fills the next private response slot. RangeError if every request taken is answered. */
  respond(from: Uint32Array): void {
    if (this.#rspProd === this.#reqCons) refuse(`${this.#name} ring: response without request`);
    this.#memory.write(SLOTS + (this.#rspProd & this.#mask) * this.#entry, from);
    this.#rspProd = (this.#rspProd + 1) >>> 0;
  }

  /** RING_PUSH_RESPONSES_AND_CHECK_NOTIFY: true if the front end asked to be woken for one of these. */
  push(): boolean {
    const before = this.#pushed;
    const now = this.#rspProd;
    this.#memory.set32(RSP_PROD, now);
    this.#pushed = now;
    return crossed(this.#memory.get32(RSP_EVENT), before, now);
  }

  /** RING_FINAL_CHECK_FOR_REQUESTS: false means that the next request will notify. */
  finalCheck(): boolean {
    if (this.unconsumed > 0) return true;
    this.#memory.set32(REQ_EVENT, this.#reqCons + 1);
    return this.unconsumed > 0;
  }
}

/** Whether `event` lies in (before, now], modulo 2^32. */
function crossed(event: number, before: number, now: number): boolean {
  return (now - event) >>> 0 < (now - before) >>> 0;
}

// Throwing stands apart, so that the methods above stay small enough to be inlined.

function refuse(why: string): never {
  throw new RangeError(why);
}

function overflow(name: string, producer: number, consumer: number, size: number): never {
  throw new RingOverflow(name, producer, consumer, size);
}

function checkedSize(layout: RingLayout, bytes: number): number {
  const size = ringSize(layout, bytes);
  if (size === 0) throw new RangeError(`${layout.name} ring: no slot fits in ${bytes} bytes`);
  return size;
}
