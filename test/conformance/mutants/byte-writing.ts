/** Faults of a beginning and of writing bytes. */
import { type ByteMutant, byteMutant } from './byte-mutant.ts';
import { PlainByteEnd } from './plain-byte-end.ts';

const XENSTORE_ERROR = 2072;
const XENSTORE_FEATURES = 2064;

export const BYTE_WRITING: readonly ByteMutant[] = [
  byteMutant(
    'BYTE-01',
    'indices set to 0 at the beginning',
    class extends PlainByteEnd {
      override goOn(): void {
        for (const { cons, prod } of [this.out, this.in]) {
          this.ring.set32(cons, 0);
          this.ring.set32(prod, 0);
        }
        super.goOn();
      }
    },
  ),
  byteMutant(
    'BYTE-02',
    'begins at 0',
    class extends PlainByteEnd {
      override goOn(): void {
        this.produced = this.consumed = 0;
      }
    },
  ),
  byteMutant(
    'BYTE-02',
    'what waits at the beginning is skipped',
    class extends PlainByteEnd {
      override goOn(): void {
        super.goOn();
        this.consumed = this.ring.get32(this.in.prod);
      }
    },
  ),
  byteMutant(
    'BYTE-04',
    'not split at the end',
    class extends PlainByteEnd {
      override place(index: number, from: Uint8Array): void {
        const start = index & (this.out.size - 1);
        for (const [i, byte] of from.entries()) this.put(start + i, byte);
      }
    },
  ),
  byteMutant(
    'BYTE-04',
    'one place too far',
    class extends PlainByteEnd {
      override place(index: number, from: Uint8Array): void {
        super.place(index + 1, from);
      }
    },
  ),
  byteMutant(
    'BYTE-05',
    'index before bytes',
    class extends PlainByteEnd {
      #later: Uint8Array = new Uint8Array();
      override place(_index: number, from: Uint8Array): void {
        this.#later = from;
      }
      override publish(count: number): void {
        super.publish(count);
        super.place((this.produced - count) >>> 0, this.#later);
      }
    },
  ),
  byteMutant(
    'BYTE-05',
    'the last byte after the index',
    class extends PlainByteEnd {
      #last: Uint8Array = new Uint8Array();
      override place(index: number, from: Uint8Array): void {
        super.place(index, from.subarray(0, -1));
        this.#last = from.subarray(-1);
      }
      override publish(count: number): void {
        super.publish(count);
        super.place((this.produced - this.#last.length) >>> 0, this.#last);
      }
    },
  ),
  byteMutant(
    'BYTE-06',
    'says that all was taken',
    class extends PlainByteEnd {
      override write(from: Uint8Array): number {
        return Math.max(super.write(from), from.length);
      }
    },
  ),
  byteMutant(
    'BYTE-06',
    'short pieces not published yet',
    class extends PlainByteEnd {
      override publish(count: number): void {
        if (count > 2) super.publish(count);
      }
    },
  ),
  byteMutant(
    'BYTE-07',
    'one byte too many',
    class extends PlainByteEnd {
      override overfull(used: number): boolean {
        return used > this.out.size + 1;
      }
      override fitting(length: number, used: number): number {
        return Math.min(length, this.out.size + 1 - used);
      }
    },
  ),
  byteMutant(
    'BYTE-04',
    'the other bytes of a word lost',
    class extends PlainByteEnd {
      override put(at: number, byte: number): void {
        this.ring.set32(this.out.data + (at & ~3), byte << ((at & 3) * 8));
      }
    },
  ),
  byteMutant(
    'BYTE-07',
    'no look at the room',
    class extends PlainByteEnd {
      override fitting(length: number): number {
        return length;
      }
    },
  ),
  byteMutant(
    'BYTE-08',
    'one byte always left free',
    class extends PlainByteEnd {
      override fitting(length: number, used: number): number {
        return Math.max(0, super.fitting(length, used + 1));
      }
    },
    'warn',
  ),
  byteMutant(
    'BYTE-08',
    'stops at the end',
    class extends PlainByteEnd {
      override fitting(length: number, used: number): number {
        const first = this.out.size - (this.produced & (this.out.size - 1));
        return Math.min(first, super.fitting(length, used));
      }
    },
    'warn',
  ),
  byteMutant(
    'BYTE-08',
    'all or nothing',
    class extends PlainByteEnd {
      override fitting(length: number, used: number): number {
        return used + length > this.out.size ? 0 : length;
      }
    },
  ),
  byteMutant(
    'BYTE-14',
    'goes on from the shared producer index',
    class extends PlainByteEnd {
      override used(): number {
        this.produced = this.ring.get32(this.out.prod);
        return super.used();
      }
    },
  ),
  byteMutant(
    'BYTE-15',
    'no check of the consumer index',
    class extends PlainByteEnd {
      override overfull(): boolean {
        return false;
      }
      override fitting(length: number, used: number): number {
        return used > this.out.size ? 0 : super.fitting(length, used);
      }
    },
  ),
  byteMutant(
    'BYTE-15',
    'the check of the consumer index off by one',
    class extends PlainByteEnd {
      override overfull(used: number): boolean {
        return used > this.out.size + 1;
      }
      override fitting(length: number, used: number): number {
        return Math.max(0, super.fitting(length, used));
      }
    },
  ),
  byteMutant(
    'BYTE-16',
    'a producer index of 16 bits',
    class extends PlainByteEnd {
      override publish(count: number): void {
        this.produced &= 0xffff;
        super.publish(count);
      }
    },
  ),
  byteMutant(
    'BYTE-17',
    'room by signed numbers',
    class extends PlainByteEnd {
      override used(): number {
        return (this.produced | 0) - (this.ring.get32(this.out.cons) | 0);
      }
      override overfull(used: number): boolean {
        return super.overfull(used >>> 0);
      }
    },
  ),
  byteMutant(
    'BYTE-18',
    'at least one byte is written',
    class extends PlainByteEnd {
      override write(from: Uint8Array): number {
        return super.write(from.length === 0 ? Uint8Array.of(0) : from);
      }
    },
  ),
  byteMutant(
    'BYTE-19',
    'the indices of the last life',
    class extends PlainByteEnd {
      #begun = false;
      override goOn(): void {
        if (!this.#begun) super.goOn();
        this.#begun = true;
      }
    },
  ),
];

/** What only a guest's end of xenstore can do wrong. */
export const XENSTORE_FRONT: readonly ByteMutant[] = [
  byteMutant(
    'BYTE-20',
    'the guest says itself that an index is wrong',
    class extends PlainByteEnd {
      override impossible(there: number): boolean {
        if (super.impossible(there)) this.ring.set32(XENSTORE_ERROR, 2);
        return super.impossible(there);
      }
    },
  ),
  byteMutant(
    'BYTE-20',
    'the guest clears the features at the beginning',
    class extends PlainByteEnd {
      override goOn(): void {
        super.goOn();
        this.ring.set32(XENSTORE_FEATURES, 0);
      }
    },
  ),
];
