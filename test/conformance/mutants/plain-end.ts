/**
 * A ring end written as plainly as it can be, from the rules of docs/rings.md: correct, and in pieces that a mutant
 * can change one at a time. Both roles are one class, since they mirror each other.
 */
import type { EndObject } from '../../../protocol/conformance/object-peer.ts';
import type { Role } from '../../../protocol/conformance/peer.ts';
import type { RingLayout, RingMemory } from '../../../protocol/ring.ts';

const ENOSPC = 28;
const EINVAL = 22;

export class PlainEnd implements EndObject {
  readonly role: Role;
  readonly layout: RingLayout;
  ring!: RingMemory;
  size = 0;
  pvt = 0; // the producer, private
  pushed = 0;
  cons = 0;

  constructor(role: Role, layout: RingLayout) {
    this.role = role;
    this.layout = layout;
  }

  // Byte offsets of the four words.
  get producer(): number {
    return this.role === 'front' ? 0 : 8;
  }
  get threshold(): number {
    return this.role === 'front' ? 12 : 4;
  }
  get peerProducer(): number {
    return this.role === 'front' ? 8 : 0;
  }
  get peerThreshold(): number {
    return this.role === 'front' ? 4 : 12;
  }

  init(ring: RingMemory, bytes: number): number {
    if (this.role === 'back') return this.attach(ring, bytes, ring.get32(8));
    this.initialise(ring);
    return this.attach(ring, bytes, 0);
  }

  initialise(ring: RingMemory): void {
    for (let at = 0; at < 64; at += 4) ring.set32(at, at === 4 || at === 12 ? 1 : 0);
  }

  attach(ring: RingMemory, bytes: number, index: number): number {
    this.ring = ring;
    this.size = this.slots(bytes);
    this.pvt = this.pushed = this.cons = index;
    return this.size;
  }

  slots(bytes: number): number {
    const fit = Math.floor((bytes - 64) / this.entry);
    return 2 ** Math.floor(Math.log2(fit));
  }

  get entry(): number {
    return Math.max(this.layout.requestSize, this.layout.responseSize);
  }

  slot(index: number): number {
    return 64 + (index & (this.size - 1)) * this.entry;
  }

  request(message: Uint32Array): number {
    return this.role === 'front' ? this.put(message) : this.take(message);
  }

  response(message: Uint32Array): number {
    return this.role === 'front' ? this.take(message) : this.put(message);
  }

  full(): boolean {
    return this.role === 'front' && (this.pvt - this.cons) >>> 0 === this.size;
  }

  put(message: Uint32Array): number {
    if (this.full()) return -ENOSPC;
    this.fill(this.pvt, message);
    this.pvt = (this.pvt + 1) >>> 0;
    return 0;
  }

  fill(index: number, message: Uint32Array): void {
    this.ring.write(this.slot(index), message);
  }

  push(): number {
    const old = this.pushed;
    this.publish(this.pvt);
    return Number(this.owed(old, this.ring.get32(this.peerThreshold)));
  }

  publish(index: number): void {
    this.ring.set32(this.producer, index);
    this.pushed = index;
  }

  owed(old: number, threshold: number): boolean {
    return (this.pushed - threshold) >>> 0 < (this.pushed - old) >>> 0;
  }

  take(message: Uint32Array): number {
    const producer = this.look();
    if (this.impossible(producer)) return -EINVAL;
    if (!this.more(producer)) return 0;
    this.copy(message);
    this.cons = (this.cons + 1) >>> 0;
    return 1;
  }

  look(): number {
    return this.ring.get32(this.peerProducer);
  }

  copy(message: Uint32Array): void {
    this.ring.read(this.slot(this.cons), message);
  }

  impossible(producer: number): boolean {
    const asked = this.role === 'front' ? this.cons : this.pvt;
    return (producer - asked) >>> 0 > this.size;
  }

  more(producer: number): boolean {
    if (producer === this.cons) return false;
    return this.role === 'front' || (this.cons - this.pvt) >>> 0 < this.size;
  }

  finalCheck(): number {
    if (this.more(this.look())) return 1;
    this.arm();
    return Number(this.more(this.look()));
  }

  arm(): void {
    this.ring.set32(this.threshold, (this.cons + 1) >>> 0);
  }
}
