/** Faults of a beginning, of places and of what is published. */
import type { RingMemory } from '../../../protocol/ring.ts';
import { PlainEnd } from './plain-end.ts';
import { BACK, BOTH, FRONT, mutant, type RingMutant } from './ring-mutant.ts';

export const PRODUCING: readonly RingMutant[] = [
  mutant(
    'RING-01',
    'thresholds start at 0',
    FRONT,
    class extends PlainEnd {
      override initialise(ring: RingMemory): void {
        for (let at = 0; at < 64; at += 4) ring.set32(at, 0);
      }
    },
  ),
  mutant(
    'RING-01',
    'private bytes left as they were',
    FRONT,
    class extends PlainEnd {
      override initialise(ring: RingMemory): void {
        for (let at = 0; at < 16; at += 4) ring.set32(at, at === 4 || at === 12 ? 1 : 0);
      }
    },
  ),
  mutant(
    'RING-02',
    'ring re-initialised by the back end',
    BACK,
    class extends PlainEnd {
      override init(ring: RingMemory, bytes: number): number {
        this.initialise(ring);
        return this.attach(ring, bytes, 0);
      }
    },
  ),
  mutant(
    'RING-03',
    'back end starts at 0',
    BACK,
    class extends PlainEnd {
      override init(ring: RingMemory, bytes: number): number {
        return this.attach(ring, bytes, 0);
      }
    },
    'warn',
  ),
  mutant(
    'RING-03',
    'back end skips unanswered requests',
    BACK,
    class extends PlainEnd {
      override init(ring: RingMemory, bytes: number): number {
        return this.attach(ring, bytes, ring.get32(0));
      }
    },
  ),
  mutant(
    'RING-04',
    'slots not rounded down',
    BOTH,
    class extends PlainEnd {
      override slots(bytes: number): number {
        return Math.floor((bytes - 64) / this.entry);
      }
    },
  ),
  mutant(
    'RING-04',
    'header counted as slots',
    BOTH,
    class extends PlainEnd {
      override slots(bytes: number): number {
        return super.slots(bytes + 64);
      }
    },
  ),
  mutant(
    'RING-05',
    "threshold of the other end's",
    BOTH,
    class extends PlainEnd {
      override get threshold(): number {
        return this.peerThreshold;
      }
    },
  ),
  mutant(
    'RING-05',
    "consumer index written over the other end's producer",
    BOTH,
    class extends PlainEnd {
      override copy(message: Uint32Array): void {
        super.copy(message);
        this.ring.set32(this.peerProducer, this.look());
      }
    },
  ),
  mutant(
    'RING-06',
    'message beyond the slot',
    BOTH,
    class extends PlainEnd {
      override fill(index: number, message: Uint32Array): void {
        this.ring.write(
          this.slot(index),
          Uint32Array.from({ length: this.entry / 4 + 1 }, (_, i) => message[i] ?? 0),
        );
      }
    },
  ),
  mutant(
    'RING-06',
    'the slot after the next',
    BOTH,
    class extends PlainEnd {
      override fill(index: number, message: Uint32Array): void {
        super.fill(index + 1, message);
      }
    },
  ),
  mutant(
    'RING-07',
    'index before message',
    BOTH,
    class extends PlainEnd {
      #staged: Uint32Array[] = [];
      override fill(_index: number, message: Uint32Array): void {
        this.#staged.push(message.slice());
      }
      override publish(index: number): void {
        const from = this.pushed;
        super.publish(index);
        for (const [i, message] of this.#staged.entries()) super.fill(from + i, message);
        this.#staged = [];
      }
    },
  ),
  mutant(
    'RING-07',
    'last word not copied in',
    BOTH,
    class extends PlainEnd {
      override fill(index: number, message: Uint32Array): void {
        // Of a response the last word is padding: there, leave out the first as well.
        super.fill(
          index,
          Uint32Array.from(message, (word, i) => (i % (message.length - 1) === 0 ? 0 : word)),
        );
      }
    },
  ),
  mutant(
    'RING-08',
    'published as it is filled',
    BOTH,
    class extends PlainEnd {
      override put(message: Uint32Array): number {
        const result = super.put(message);
        this.ring.set32(this.producer, this.pvt);
        return result;
      }
    },
  ),
  mutant(
    'RING-08',
    'last message of a push kept back',
    BOTH,
    class extends PlainEnd {
      override publish(index: number): void {
        super.publish(index === this.pushed ? index : (index - 1) >>> 0);
      }
    },
  ),
  mutant(
    'RING-09',
    'goes on from the shared index',
    BOTH,
    class extends PlainEnd {
      override publish(index: number): void {
        const shared = this.ring.get32(this.producer);
        super.publish((shared + index - this.pushed) >>> 0);
      }
    },
  ),
  mutant(
    'RING-13',
    'one request too many',
    FRONT,
    class extends PlainEnd {
      override full(): boolean {
        return (this.pvt - this.cons) >>> 0 > this.size;
      }
    },
  ),
  mutant(
    'RING-13',
    'full when half full',
    FRONT,
    class extends PlainEnd {
      override full(): boolean {
        return (this.pvt - this.cons) >>> 0 >= this.size / 2;
      }
    },
  ),
  mutant(
    'RING-13',
    'one slot always left free',
    FRONT,
    class extends PlainEnd {
      override full(): boolean {
        return (this.pvt - this.cons) >>> 0 >= this.size - 1;
      }
    },
    'warn',
  ),
];
