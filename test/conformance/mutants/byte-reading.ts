/** Faults of reading bytes. */
import { type ByteMutant, byteMutant } from './byte-mutant.ts';
import { PlainByteEnd } from './plain-byte-end.ts';

export const BYTE_READING: readonly ByteMutant[] = [
  byteMutant(
    'BYTE-03',
    'bytes cleared once they are read',
    class extends PlainByteEnd {
      override copy(index: number, into: Uint8Array): void {
        super.copy(index, into);
        const at = index & (this.in.size - 1) & ~3;
        if (into.length > 0) this.ring.set32(this.in.data + at, 0);
      }
    },
  ),
  byteMutant(
    'BYTE-03',
    "the other end's producer index written back",
    class extends PlainByteEnd {
      override release(count: number): void {
        super.release(count);
        this.ring.set32(this.in.prod, this.ring.get32(this.in.prod));
      }
    },
  ),
  byteMutant(
    'BYTE-09',
    'bytes of 7 bits',
    class extends PlainByteEnd {
      override get(at: number): number {
        return super.get(at) & 0x7f;
      }
    },
  ),
  byteMutant(
    'BYTE-09',
    'the part behind the end comes first',
    class extends PlainByteEnd {
      override copy(index: number, into: Uint8Array): void {
        super.copy(index, into);
        const first = Math.min(into.length, this.in.size - (index & (this.in.size - 1)));
        const swapped = [...into.subarray(first), ...into.subarray(0, first)];
        into.set(swapped);
      }
    },
  ),
  byteMutant(
    'BYTE-10',
    'the room of the last byte kept',
    class extends PlainByteEnd {
      override release(count: number): void {
        this.ring.set32(this.in.cons, (this.consumed - Math.min(1, count)) >>> 0);
      }
    },
  ),
  byteMutant(
    'BYTE-10',
    'all of the room given back, whatever was taken',
    class extends PlainByteEnd {
      override release(): void {
        this.ring.set32(this.in.cons, this.ring.get32(this.in.prod));
      }
    },
  ),
  byteMutant(
    'BYTE-11',
    'nothing unless all waits that was asked for',
    class extends PlainByteEnd {
      override taking(length: number, there: number): number {
        return there < length ? 0 : length;
      }
    },
  ),
  byteMutant(
    'BYTE-11',
    'says what there was, not what was asked',
    class extends PlainByteEnd {
      override read(into: Uint8Array): number {
        const there = this.there();
        const count = super.read(into);
        return count < 0 ? count : there;
      }
    },
  ),
  byteMutant(
    'BYTE-11',
    'stops at the end',
    class extends PlainByteEnd {
      override taking(length: number, there: number): number {
        return Math.min(length, there, this.in.size - (this.consumed & (this.in.size - 1)));
      }
    },
    'warn',
  ),
  byteMutant(
    'BYTE-12',
    'bytes before the index',
    class extends PlainByteEnd {
      override read(into: Uint8Array): number {
        const early = new Uint8Array(into.length);
        super.copy(this.consumed, early);
        const count = super.read(into);
        if (count > 0) into.set(early.subarray(0, count));
        return count;
      }
    },
  ),
  byteMutant(
    'BYTE-13',
    'room before bytes',
    class extends PlainByteEnd {
      #into: Uint8Array = new Uint8Array();
      override copy(_index: number, into: Uint8Array): void {
        this.#into = into;
      }
      override release(count: number): void {
        super.release(count);
        super.copy((this.consumed - count) >>> 0, this.#into);
      }
    },
  ),
  byteMutant(
    'BYTE-13',
    'one byte given back before it is copied',
    class extends PlainByteEnd {
      override copy(index: number, into: Uint8Array): void {
        if (into.length > 0) this.ring.set32(this.in.cons, (index + 1) >>> 0);
        super.copy(index, into);
      }
    },
  ),
  byteMutant(
    'BYTE-14',
    'goes on from the shared consumer index',
    class extends PlainByteEnd {
      override there(): number {
        this.consumed = this.ring.get32(this.in.cons);
        return super.there();
      }
    },
  ),
  byteMutant(
    'BYTE-15',
    'no check of the producer index',
    class extends PlainByteEnd {
      override impossible(): boolean {
        return false;
      }
    },
  ),
  byteMutant(
    'BYTE-15',
    'an index that lies is believed as far as it goes',
    class extends PlainByteEnd {
      override impossible(): boolean {
        return false;
      }
      override taking(length: number, there: number): number {
        return Math.min(length, there, this.in.size);
      }
    },
  ),
  byteMutant(
    'BYTE-15',
    'the producer index read twice: checked, then used',
    class extends PlainByteEnd {
      override taking(length: number): number {
        return Math.min(length, this.there());
      }
    },
  ),
  byteMutant(
    'BYTE-16',
    'a consumer index of 16 bits',
    class extends PlainByteEnd {
      override release(count: number): void {
        this.consumed &= 0xffff;
        super.release(count);
      }
    },
  ),
  byteMutant(
    'BYTE-17',
    'compared by magnitude',
    class extends PlainByteEnd {
      override there(): number {
        return Math.max(0, this.ring.get32(this.in.prod) - this.consumed);
      }
    },
  ),
  byteMutant(
    'BYTE-18',
    'nothing asked is an error',
    class extends PlainByteEnd {
      override read(into: Uint8Array): number {
        return into.length === 0 ? -22 : super.read(into);
      }
    },
  ),
];
