/** Faults of taking, and of arithmetic. */
import type { RingMemory } from '../../../protocol/ring.ts';
import { PlainEnd } from './plain-end.ts';
import { BACK, BOTH, FRONT, mutant, type RingMutant } from './ring-mutant.ts';

export const CONSUMING: readonly RingMutant[] = [
  mutant(
    'RING-14',
    'a message delivered twice',
    BOTH,
    class extends PlainEnd {
      override take(message: Uint32Array): number {
        const taken = super.take(message);
        if (taken === 1 && this.cons % 3 === 2) this.cons = (this.cons - 1) >>> 0;
        return taken;
      }
    },
  ),
  mutant(
    'RING-14',
    'stale copy',
    BOTH,
    class extends PlainEnd {
      #last: Uint32Array | undefined;
      override copy(message: Uint32Array): void {
        super.copy(message);
        const now = message.slice();
        if (this.#last) message.set(this.#last);
        this.#last = now;
      }
    },
  ),
  mutant(
    'RING-14',
    'a message that was not published',
    BOTH,
    class extends PlainEnd {
      override more(): boolean {
        return true;
      }
      override finalCheck(): number {
        return Number(this.look() !== this.cons);
      }
    },
  ),
  mutant(
    'RING-14',
    'last message of a batch overlooked',
    BOTH,
    class extends PlainEnd {
      override more(producer: number): boolean {
        return super.more(producer) && (producer - this.cons) >>> 0 > 1;
      }
    },
  ),
  mutant(
    'RING-15',
    'message read before the index',
    BOTH,
    class extends PlainEnd {
      override take(message: Uint32Array): number {
        this.copy(message);
        const producer = this.look();
        if (this.impossible(producer)) return -22;
        if (!this.more(producer)) return 0;
        this.cons = (this.cons + 1) >>> 0;
        return 1;
      }
    },
  ),
  mutant(
    'RING-19',
    'no overflow check',
    BACK,
    class extends PlainEnd {
      override impossible(): boolean {
        return false;
      }
    },
  ),
  mutant(
    'RING-19',
    'overflow check off by one',
    BACK,
    class extends PlainEnd {
      override impossible(producer: number): boolean {
        return (producer - this.pvt) >>> 0 > this.size + 1;
      }
    },
  ),
  mutant(
    'RING-19',
    'unanswered requests not counted',
    BACK,
    class extends PlainEnd {
      override impossible(producer: number): boolean {
        return (producer - this.cons) >>> 0 > this.size;
      }
    },
  ),
  mutant(
    'RING-20',
    'more than a ring taken',
    BACK,
    class extends PlainEnd {
      override more(producer: number): boolean {
        return producer !== this.cons;
      }
    },
  ),
  mutant(
    'RING-21',
    'any number of responses believed',
    FRONT,
    class extends PlainEnd {
      override impossible(): boolean {
        return false;
      }
    },
    'warn',
  ),
  mutant(
    'RING-22',
    '16-bit index',
    BOTH,
    class extends PlainEnd {
      override put(message: Uint32Array): number {
        const result = super.put(message);
        this.pvt &= 0xffff;
        return result;
      }
    },
  ),
  mutant(
    'RING-22',
    '16-bit consumer',
    BOTH,
    class extends PlainEnd {
      override more(producer: number): boolean {
        this.cons &= 0xffff;
        return super.more(producer);
      }
    },
  ),
  mutant(
    'RING-23',
    'compared by magnitude',
    BOTH,
    class extends PlainEnd {
      override more(producer: number): boolean {
        return producer > this.cons;
      }
      override impossible(producer: number): boolean {
        return super.impossible(producer);
      }
    },
  ),
  mutant(
    'RING-23',
    'free slots by signed difference',
    FRONT,
    class extends PlainEnd {
      override full(): boolean {
        return this.pvt - this.cons >= this.size;
      }
    },
  ),
  mutant(
    'RING-24',
    'wakes only for the second notification',
    BOTH,
    class extends PlainEnd {
      #armed = false;
      override arm(): void {
        // Arms every other time, as one does who arms on waking instead of before sleep.
        if (this.#armed) this.ring.set32(this.threshold, this.cons);
        else super.arm();
        this.#armed = !this.#armed;
      }
    },
  ),
  mutant(
    'RING-25',
    'indices of the last life',
    BOTH,
    class extends PlainEnd {
      override attach(ring: RingMemory, bytes: number, index: number): number {
        const { pvt, pushed, cons, size } = this;
        super.attach(ring, bytes, index);
        if (size > 0) Object.assign(this, { pvt, pushed, cons });
        return this.size;
      }
    },
  ),
  mutant(
    'RING-26',
    'message checked in the slot, then copied',
    BOTH,
    class extends PlainEnd {
      override copy(message: Uint32Array): void {
        const first = new Uint32Array(1);
        this.ring.read(this.slot(this.cons), first);
        super.copy(message);
      }
    },
  ),
];
