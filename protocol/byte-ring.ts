/**
 * A ring of bytes in shared memory, as the console and xenstore use it: one producer, one consumer,
 * free-running u32 indices. Each end trusts only its own index; the other one is read once per call.
 * Bytes move in whole words: a producer may rewrite its neighbours in a word, since nobody else writes.
 * @source xen/io/console.h, xen/io/xs_wire.h
 */
import { type RingMemory, RingOverflow } from './ring.ts';

/** Where a byte ring lies in its page: byte offsets, multiples of 4; `size` is a power of two. */
export interface ByteRingPlace {
  readonly name: string;
  readonly data: number;
  readonly size: number;
  readonly cons: number;
  readonly prod: number;
}

/** The writing end. */
export class ByteProducer {
  readonly #memory: RingMemory;
  readonly #place: ByteRingPlace;
  readonly #words: Uint32Array;
  readonly #bytes: Uint8Array;
  #prod: number;

  constructor(memory: RingMemory, place: ByteRingPlace) {
    this.#memory = memory;
    this.#place = place;
    this.#words = new Uint32Array(place.size / 4);
    this.#bytes = new Uint8Array(this.#words.buffer);
    this.#prod = memory.get32(place.prod);
  }

  /** Bytes that fit now. RingOverflow if the consumer's index is impossible. */
  get room(): number {
    const { name, size, cons } = this.#place;
    const consumer = this.#memory.get32(cons);
    const used = (this.#prod - consumer) >>> 0;
    if (used > size) throw new RingOverflow(name, this.#prod, consumer, size);
    return size - used;
  }

  /** Writes as much as fits and returns how much; the consumer sees it at once. */
  write(from: Uint8Array): number {
    const { size, prod } = this.#place;
    const count = Math.min(from.length, this.room);
    const start = this.#prod & (size - 1);
    const first = Math.min(count, size - start);
    this.#store(start, from.subarray(0, first));
    this.#store(0, from.subarray(first, count));
    this.#prod = (this.#prod + count) >>> 0;
    this.#memory.set32(prod, this.#prod);
    return count;
  }

  #store(start: number, from: Uint8Array): void {
    if (from.length === 0) return;
    const end = start + from.length;
    const low = start >>> 2;
    const high = (end + 3) >>> 2;
    const { data } = this.#place;
    if (start & 3) this.#words[low] = this.#memory.get32(data + low * 4);
    if (end & 3) this.#words[high - 1] = this.#memory.get32(data + (high - 1) * 4);
    this.#bytes.set(from, start);
    this.#memory.write(data + low * 4, this.#words.subarray(low, high));
  }
}

/** The reading end. */
export class ByteConsumer {
  readonly #memory: RingMemory;
  readonly #place: ByteRingPlace;
  readonly #words: Uint32Array;
  readonly #bytes: Uint8Array;
  #cons: number;

  constructor(memory: RingMemory, place: ByteRingPlace) {
    this.#memory = memory;
    this.#place = place;
    this.#words = new Uint32Array(place.size / 4);
    this.#bytes = new Uint8Array(this.#words.buffer);
    this.#cons = memory.get32(place.cons);
  }

  /** Bytes that wait. RingOverflow if the producer's index is impossible. */
  get available(): number {
    const { name, size, prod } = this.#place;
    const producer = this.#memory.get32(prod);
    const count = (producer - this.#cons) >>> 0;
    if (count > size) throw new RingOverflow(name, producer, this.#cons, size);
    return count;
  }

  /** Takes at most `into.length` bytes and returns how many; their room is free at once. */
  read(into: Uint8Array): number {
    const { size, cons } = this.#place;
    const count = Math.min(into.length, this.available);
    const start = this.#cons & (size - 1);
    const first = Math.min(count, size - start);
    this.#load(start, into.subarray(0, first));
    this.#load(0, into.subarray(first, count));
    this.#cons = (this.#cons + count) >>> 0;
    this.#memory.set32(cons, this.#cons);
    return count;
  }

  #load(start: number, into: Uint8Array): void {
    if (into.length === 0) return;
    const end = start + into.length;
    const low = start >>> 2;
    const high = (end + 3) >>> 2;
    this.#memory.read(this.#place.data + low * 4, this.#words.subarray(low, high));
    into.set(this.#bytes.subarray(start, end));
  }
}
