import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ByteConsumer, ByteProducer } from '../../protocol/byte-ring.ts';
import { CONSOLE_IN, CONSOLE_OUT } from '../../protocol/console-ring.ts';
import { ArrayRingMemory, RingOverflow } from '../../protocol/ring.ts';
import { XENSTORE_REQ, XENSTORE_RSP } from '../../protocol/xs-wire.ts';

const PLACES = [CONSOLE_IN, CONSOLE_OUT, XENSTORE_REQ, XENSTORE_RSP];

function page(fill = 0) {
  const words = new Uint32Array(1024).fill(fill);
  return { words, bytes: new Uint8Array(words.buffer), memory: new ArrayRingMemory(words) };
}

describe.each(PLACES.map((place) => [place.name, place] as const))(
  'the %s ring',
  (_name, place) => {
    it('carries any bytes in any pieces, across the end of the ring and across 2^32', () => {
      const piece = fc.uint8Array({ minLength: 0, maxLength: 1500 });
      const move = fc.record({ piece, take: fc.nat(1500) });
      fc.assert(
        fc.property(fc.array(move, { maxLength: 30 }), fc.nat(3000), (moves, back) => {
          const { words, memory } = page();
          words[place.cons / 4] = 2 ** 32 - back;
          words[place.prod / 4] = 2 ** 32 - back;
          const producer = new ByteProducer(memory, place);
          const consumer = new ByteConsumer(memory, place);
          const sent: number[] = [];
          const got: number[] = [];
          for (const { piece, take } of moves) {
            const room = producer.room;
            const count = producer.write(piece);
            expect(count).toBe(Math.min(room, piece.length));
            sent.push(...piece.subarray(0, count));
            const into = new Uint8Array(take);
            got.push(...into.subarray(0, consumer.read(into)));
            expect(consumer.available).toBe(sent.length - got.length);
          }
          expect(got).toEqual(sent.slice(0, got.length));
        }),
      );
    });

    it('writes nothing outside its bytes and its index', () => {
      const { words, bytes, memory } = page(0xeeeeeeee);
      words[place.cons / 4] = 3;
      words[place.prod / 4] = 3;
      new ByteProducer(memory, place).write(Uint8Array.of(1, 2));
      const changed = [...bytes.keys()].filter(
        (i) => bytes[i] !== 0xee && (i < place.cons || i >= place.cons + 4),
      );
      const { prod, data } = place;
      expect(changed).toEqual(
        [data + 3, data + 4, prod, prod + 1, prod + 2, prod + 3].sort((a, b) => a - b),
      );
    });

    it('refuses impossible indices of the other end', () => {
      const { words, memory } = page();
      const producer = new ByteProducer(memory, place);
      const consumer = new ByteConsumer(memory, place);
      words[place.prod / 4] = place.size + 1;
      words[place.cons / 4] = 1;
      expect(() => consumer.read(new Uint8Array(8))).toThrow(RingOverflow);
      expect(() => producer.write(new Uint8Array(8))).toThrow(RingOverflow);
    });

    it('fills up to its whole size', () => {
      const { memory } = page();
      const producer = new ByteProducer(memory, place);
      expect(producer.write(new Uint8Array(5000))).toBe(place.size);
      expect(producer.write(new Uint8Array(1))).toBe(0);
    });
  },
);
