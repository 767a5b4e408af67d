/**
 * An end of a byte ring written as plainly as it can be, from the rules of docs/rings.md: correct, and in pieces that a
 * mutant can change one at a time. Both roles and both protocols are one class: they differ only in places.
 */
import type { ByteRingPlace } from '../../../protocol/byte-ring.ts';
import type { EndObject } from '../../../protocol/conformance/object-peer.ts';
import type { RingMemory } from '../../../protocol/ring.ts';

const EINVAL = 22;

export class PlainByteEnd implements EndObject {
  readonly out: ByteRingPlace;
  readonly in: ByteRingPlace;
  ring!: RingMemory;
  produced = 0;
  consumed = 0;

  constructor(out: ByteRingPlace, into: ByteRingPlace) {
    this.out = out;
    this.in = into;
  }

  init(ring: RingMemory, _bytes: number): number {
    this.ring = ring;
    this.goOn();
    return 0;
  }

  goOn(): void {
    this.produced = this.ring.get32(this.out.prod);
    this.consumed = this.ring.get32(this.in.cons);
  }

  write(from: Uint8Array): number {
    const used = this.used();
    if (this.overfull(used)) return -EINVAL;
    const count = this.fitting(from.length, used);
    this.place(this.produced, from.subarray(0, count));
    this.produced = (this.produced + count) >>> 0;
    this.publish(count);
    return count;
  }

  /** Bytes that the other end has not taken. */
  used(): number {
    return (this.produced - this.ring.get32(this.out.cons)) >>> 0;
  }

  overfull(used: number): boolean {
    return used > this.out.size;
  }

  fitting(length: number, used: number): number {
    return Math.min(length, this.out.size - used);
  }

  place(index: number, from: Uint8Array): void {
    for (const [i, byte] of from.entries()) this.put((index + i) & (this.out.size - 1), byte);
  }

  /** One byte: the others of its word stay. */
  put(at: number, byte: number): void {
    const word = this.out.data + (at & ~3);
    const shift = (at & 3) * 8;
    this.ring.set32(word, (this.ring.get32(word) & ~(0xff << shift)) | (byte << shift));
  }

  publish(_count: number): void {
    this.ring.set32(this.out.prod, this.produced);
  }

  read(into: Uint8Array): number {
    const there = this.there();
    if (this.impossible(there)) return -EINVAL;
    const count = this.taking(into.length, there);
    this.copy(this.consumed, into.subarray(0, count));
    this.consumed = (this.consumed + count) >>> 0;
    this.release(count);
    return count;
  }

  /** Bytes that wait. */
  there(): number {
    return (this.ring.get32(this.in.prod) - this.consumed) >>> 0;
  }

  impossible(there: number): boolean {
    return there > this.in.size;
  }

  taking(length: number, there: number): number {
    return Math.min(length, there);
  }

  copy(index: number, into: Uint8Array): void {
    for (let i = 0; i < into.length; i++) into[i] = this.get((index + i) & (this.in.size - 1));
  }

  get(at: number): number {
    return (this.ring.get32(this.in.data + (at & ~3)) >>> ((at & 3) * 8)) & 0xff;
  }

  release(_count: number): void {
    this.ring.set32(this.in.cons, this.consumed);
  }
}
