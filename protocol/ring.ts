/**
 * The shared ring: requests one way, responses the other, in one page that neither end trusts.
 * Indices are free-running u32 and only ever compared by difference; each end keeps its own
 * producer private and reads the peer's once per batch. `event` thresholds avoid needless wake-ups.
 * @source xen/io/ring.h
 */

/** A shared ring page as its owner can reach it; offsets in bytes, multiples of 4. */
export interface RingMemory {
  get32(offset: number): number;
  /** Stores `value` modulo 2^32; it may be negative. */
  set32(offset: number, value: number): void;
  /** Copies `into.length` words out. */
  read(offset: number, into: Uint32Array): void;
  /** Copies `from.length` words in. */
  write(offset: number, from: Uint32Array): void;
}

const NO_WORDS = new Uint32Array(0);

/**
 * Ring memory over an array: one page, or several contiguous ones. A buffer that comes again and
 * again is copied 64 bits at a time, so each end should have a memory of its own. RangeError if
 * `words` does not begin at a multiple of 8 bytes.
 */
export class ArrayRingMemory implements RingMemory {
  readonly words: Uint32Array;
  readonly #longs: BigUint64Array;
  // Buffers that came twice running: an end mostly reads into one and writes from one.
  #into: Uint32Array = NO_WORDS;
  #intoLongs = longsOf(NO_WORDS);
  #intoLast: Uint32Array = NO_WORDS;
  #from: Uint32Array = NO_WORDS;
  #fromLongs = longsOf(NO_WORDS);
  #fromLast: Uint32Array = NO_WORDS;

  constructor(words: Uint32Array) {
    this.words = words;
    this.#longs = longsOf(words);
  }

  get32(offset: number): number {
    return this.words[offset >>> 2]!;
  }

  set32(offset: number, value: number): void {
    this.words[offset >>> 2] = value;
  }

  read(offset: number, into: Uint32Array): void {
    if (into !== this.#into || (offset & 4) !== 0) this.#readWords(offset, into);
    else readLongs(this.#longs, offset >>> 3, this.#intoLongs);
  }

  write(offset: number, from: Uint32Array): void {
    if (from !== this.#from || (offset & 4) !== 0) this.#writeWords(offset, from);
    else writeLongs(this.#longs, offset >>> 3, this.#fromLongs);
  }

  #readWords(offset: number, into: Uint32Array): void {
    const at = offset >>> 2;
    for (let i = 0; i < into.length; i++) into[i] = this.words[at + i]!;
    if (into !== this.#intoLast) {
      this.#intoLast = into;
    } else if (into !== this.#into && hasLongs(into)) {
      this.#into = into;
      this.#intoLongs = longsOf(into);
    }
  }

  #writeWords(offset: number, from: Uint32Array): void {
    const at = offset >>> 2;
    for (let i = 0; i < from.length; i++) this.words[at + i] = from[i]!;
    if (from !== this.#fromLast) {
      this.#fromLast = from;
    } else if (from !== this.#from && hasLongs(from)) {
      this.#from = from;
      this.#fromLongs = longsOf(from);
    }
  }
}

/** Whether a buffer is whole longs, and at least the two that the copying begins with. */
function hasLongs(words: Uint32Array): boolean {
  return words.length >= 4 && words.length % 2 === 0 && words.byteOffset % 8 === 0;
}

function longsOf(words: Uint32Array): BigUint64Array {
  return new BigUint64Array(words.buffer, words.byteOffset, words.length >>> 1);
}

// Compiled, these make no BigInt: a long goes from load to store in a register. They are written
// out because a loop costs more than the copying: a blkif response, then the rest of a request.

function readLongs(from: BigUint64Array, at: number, to: BigUint64Array): void {
  const { length } = to;
  let i = 2;
  to[0] = from[at]!;
  to[1] = from[at + 1]!;
  if (length >= 14) {
    to[2] = from[at + 2]!;
    to[3] = from[at + 3]!;
    to[4] = from[at + 4]!;
    to[5] = from[at + 5]!;
    to[6] = from[at + 6]!;
    to[7] = from[at + 7]!;
    to[8] = from[at + 8]!;
    to[9] = from[at + 9]!;
    to[10] = from[at + 10]!;
    to[11] = from[at + 11]!;
    to[12] = from[at + 12]!;
    to[13] = from[at + 13]!;
    i = 14;
  }
  for (; i < length; i++) to[i] = from[at + i]!;
}

function writeLongs(to: BigUint64Array, at: number, from: BigUint64Array): void {
  const { length } = from;
  let i = 2;
  to[at] = from[0]!;
  to[at + 1] = from[1]!;
  if (length >= 14) {
    to[at + 2] = from[2]!;
    to[at + 3] = from[3]!;
    to[at + 4] = from[4]!;
    to[at + 5] = from[5]!;
    to[at + 6] = from[6]!;
    to[at + 7] = from[7]!;
    to[at + 8] = from[8]!;
    to[at + 9] = from[9]!;
    to[at + 10] = from[10]!;
    to[at + 11] = from[11]!;
    to[at + 12] = from[12]!;
    to[at + 13] = from[13]!;
    i = 14;
  }
  for (; i < length; i++) to[at + i] = from[i]!;
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
  readonly name: string;
  readonly size: number;
  readonly #memory: RingMemory;
  readonly #entry: number;
  readonly #mask: number;
  // Indices are kept signed, and never undefined, so that they stay small integers for V8.
  #reqProd = 0; // next private slot
  #pushed = 0; // what the shared req_prod says
  #rspCons = 0;
  #rspSeen = 0; // rsp_prod as last read and checked

  constructor(memory: RingMemory, layout: RingLayout, bytes = 4096, index = 0) {
    this.name = layout.name;
    this.size = checkedSize(layout, bytes);
    this.#memory = memory;
    this.#entry = Math.max(layout.requestSize, layout.responseSize);
    this.#mask = this.size - 1;
    this.#reqProd = index | 0;
    this.#pushed = index | 0;
    this.#rspCons = index | 0;
    this.#rspSeen = index | 0;
  }

  /** FRONT_RING_ATTACH: continues a ring whose both sides stand at `index`. */
  static attach(memory: RingMemory, layout: RingLayout, index: number, bytes = 4096): FrontRing {
    return new FrontRing(memory, layout, bytes, index);
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
    const index = this.#reqProd;
    if (((index - this.#rspCons) | 0) === this.size) refuse(this, 'is full');
    this.#memory.write(SLOTS + (index & this.#mask) * this.#entry, from);
    this.#reqProd = (index + 1) | 0;
  }

  /** RING_PUSH_REQUESTS_AND_CHECK_NOTIFY: true if the back end asked to be woken for one of these. */
  push(): boolean {
    const memory = this.#memory;
    const now = this.#reqProd;
    const count = (now - this.#pushed) >>> 0;
    memory.set32(REQ_PROD, now);
    this.#pushed = now;
    return (now - memory.get32(REQ_EVENT)) >>> 0 < count; // it is among those pushed now
  }

  /** Copies the next response out, if there is one. RingOverflow if there cannot be so many. */
  response(into: Uint32Array): boolean {
    const memory = this.#memory;
    const index = this.#rspCons;
    if (index === this.#rspSeen) {
      const producer = memory.get32(RSP_PROD) | 0;
      if (producer === index) return false;
      const count = (producer - index) >>> 0;
      if (count > (this.#pushed - index) >>> 0) overflow(this, producer, index);
      this.#rspSeen = producer;
    }
    memory.read(SLOTS + (index & this.#mask) * this.#entry, into);
    this.#rspCons = (index + 1) | 0;
    return true;
  }

  /** Responses that wait; reads the peer's index anew. RingOverflow if more than were asked for. */
  get unconsumed(): number {
    const producer = this.#memory.get32(RSP_PROD) | 0;
    const consumer = this.#rspCons;
    const count = (producer - consumer) >>> 0;
    if (count > (this.#pushed - consumer) >>> 0) overflow(this, producer, consumer);
    this.#rspSeen = producer;
    return count;
  }

  /** RING_FINAL_CHECK_FOR_RESPONSES: false means that the next response will notify. */
  finalCheck(): boolean {
    const memory = this.#memory;
    const consumer = this.#rspCons;
    if ((memory.get32(RSP_PROD) | 0) === consumer) {
      memory.set32(RSP_EVENT, consumer + 1);
      if ((memory.get32(RSP_PROD) | 0) === consumer) return false;
    }
    return this.unconsumed > 0;
  }
}

/** The end that answers requests. */
export class BackRing {
  readonly name: string;
  readonly size: number;
  readonly #memory: RingMemory;
  readonly #entry: number;
  readonly #mask: number;
  #rspProd = 0; // next private slot; indices are signed as in FrontRing
  #pushed = 0; // what the shared rsp_prod says
  #reqCons = 0;
  #reqSeen = 0; // req_prod as last read and checked

  constructor(memory: RingMemory, layout: RingLayout, bytes = 4096, index = 0) {
    this.name = layout.name;
    this.size = checkedSize(layout, bytes);
    this.#memory = memory;
    this.#entry = Math.max(layout.requestSize, layout.responseSize);
    this.#mask = this.size - 1;
    this.#rspProd = index | 0;
    this.#pushed = index | 0;
    this.#reqCons = index | 0;
    this.#reqSeen = index | 0;
  }

  /** BACK_RING_ATTACH: continues a ring at `index`, the last rsp_prod; unanswered requests come again. */
  static attach(memory: RingMemory, layout: RingLayout, index: number, bytes = 4096): BackRing {
    return new BackRing(memory, layout, bytes, index);
  }

  /** Requests taken and not yet answered. */
  get unanswered(): number {
    return (this.#reqCons - this.#rspProd) >>> 0;
  }

  /** Copies the next request out, if there is one. RingOverflow if there cannot be so many. */
  request(into: Uint32Array): boolean {
    const memory = this.#memory;
    const index = this.#reqCons;
    if (index === this.#reqSeen) {
      const producer = memory.get32(REQ_PROD) | 0;
      if (producer === index) return false;
      const count = (producer - index) >>> 0;
      if (count > (this.#rspProd + this.size - index) >>> 0) overflow(this, producer, index);
      this.#reqSeen = producer;
    }
    memory.read(SLOTS + (index & this.#mask) * this.#entry, into);
    this.#reqCons = (index + 1) | 0;
    return true;
  }

  /** Requests that wait; reads the peer's index anew. RingOverflow if more than have room. */
  get unconsumed(): number {
    const producer = this.#memory.get32(REQ_PROD) | 0;
    const consumer = this.#reqCons;
    const count = (producer - consumer) >>> 0;
    if (count > (this.#rspProd + this.size - consumer) >>> 0) overflow(this, producer, consumer);
    this.#reqSeen = producer;
    return count;
  }

  /** Fills the next private response slot. RangeError if every request taken is answered. */
  respond(from: Uint32Array): void {
    const index = this.#rspProd;
    if (index === this.#reqCons) refuse(this, 'has no request to answer');
    this.#memory.write(SLOTS + (index & this.#mask) * this.#entry, from);
    this.#rspProd = (index + 1) | 0;
  }

  /** RING_PUSH_RESPONSES_AND_CHECK_NOTIFY: true if the front end asked to be woken for one of these. */
  push(): boolean {
    const memory = this.#memory;
    const now = this.#rspProd;
    const count = (now - this.#pushed) >>> 0;
    memory.set32(RSP_PROD, now);
    this.#pushed = now;
    return (now - memory.get32(RSP_EVENT)) >>> 0 < count; // it is among those pushed now
  }

  /** RING_FINAL_CHECK_FOR_REQUESTS: false means that the next request will notify. */
  finalCheck(): boolean {
    const memory = this.#memory;
    const consumer = this.#reqCons;
    if ((memory.get32(REQ_PROD) | 0) === consumer) {
      memory.set32(REQ_EVENT, consumer + 1);
      if ((memory.get32(REQ_PROD) | 0) === consumer) return false;
    }
    return this.unconsumed > 0;
  }
}

// Throwing stands apart, so that the methods above stay small enough to be inlined.

type Named = Pick<FrontRing, 'name' | 'size'>;

function refuse(ring: Named, why: string): never {
  throw new RangeError(`${ring.name} ring ${why}`);
}

function overflow(ring: Named, producer: number, consumer: number): never {
  throw new RingOverflow(ring.name, producer >>> 0, consumer >>> 0, ring.size);
}

function checkedSize(layout: RingLayout, bytes: number): number {
  const size = ringSize(layout, bytes);
  if (size === 0) throw new RangeError(`${layout.name} ring: no slot fits in ${bytes} bytes`);
  return size;
}
