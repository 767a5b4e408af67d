import { describe, expect, it } from 'vitest';
import { BLKIF_RING } from '../../protocol/blkif.ts';
import {
  ArrayRingMemory,
  BackRing,
  FrontRing,
  initSharedRing,
  RingOverflow,
  ringSize,
} from '../../protocol/ring.ts';

const REQ_PROD = 0;
const REQ_EVENT = 1;
const RSP_PROD = 2;
const RSP_EVENT = 3;

function twoEnds() {
  const words = new Uint32Array(1024);
  const memory = new ArrayRingMemory(words);
  initSharedRing(memory);
  const front = new FrontRing(memory, BLKIF_RING);
  const back = new BackRing(memory, BLKIF_RING);
  const request = new Uint32Array(28);
  const response = new Uint32Array(4);
  return { words, memory, front, back, request, response };
}

describe('ring memory over an array', () => {
  const pattern = (length: number) => Uint32Array.from({ length }, (_, i) => ~i);
  const EDGE = 0xdeadbeef;

  // By words the first two times, then by longs where the length and the place allow it.
  it.each([1, 2, 3, 4, 5, 6, 16, 26, 27, 28, 30, 63])(
    'copies %i words exactly, every time',
    (length) => {
      for (const at of [16, 17]) {
        const words = new Uint32Array(256);
        const memory = new ArrayRingMemory(words);
        const from = pattern(length);
        const into = new Uint32Array(length);
        for (let time = 0; time < 4; time++) {
          from[0] = time;
          words.fill(EDGE);
          memory.write(at * 4, from);
          expect([...words.subarray(at - 1, at + length + 1)]).toEqual([EDGE, ...from, EDGE]);
          into.fill(0);
          memory.read(at * 4, into);
          expect(into).toEqual(from);
        }
      }
    },
  );

  it('copies a buffer that begins in the middle of a long', () => {
    const memory = new ArrayRingMemory(new Uint32Array(64));
    const from = pattern(5).subarray(1);
    const into = new Uint32Array(5).subarray(1);
    for (let time = 0; time < 3; time++) {
      memory.write(64, from);
      memory.read(64, into);
      expect(into).toEqual(from);
    }
  });

  it('makes words that begin in the middle of a long a RangeError', () => {
    expect(() => new ArrayRingMemory(new Uint32Array(64).subarray(1))).toThrow(RangeError);
  });
});

describe('SHARED_RING_INIT', () => {
  it('sets both event thresholds to 1 and clears the rest of the header', () => {
    const words = new Uint32Array(1024).fill(0xdeadbeef);
    initSharedRing(new ArrayRingMemory(words));
    expect([...words.subarray(0, 17)]).toEqual([0, 1, 0, 1, ...Array(12).fill(0), 0xdeadbeef]);
  });
});

describe('__RING_SIZE', () => {
  it('rounds down to a power of two', () => {
    expect(ringSize(BLKIF_RING, 4096)).toBe(32);
    expect(ringSize(BLKIF_RING, 8192)).toBe(64);
    expect(ringSize({ name: 'netif tx', requestSize: 12, responseSize: 4 }, 4096)).toBe(256);
    expect(ringSize(BLKIF_RING, 64 + 112)).toBe(1);
    expect(ringSize(BLKIF_RING, 64 + 111)).toBe(0);
  });

  it('makes a page without room for one slot a RangeError', () => {
    const memory = new ArrayRingMemory(new Uint32Array(1024));
    expect(() => new FrontRing(memory, BLKIF_RING, 100)).toThrow(RangeError);
    expect(() => new BackRing(memory, BLKIF_RING, 100)).toThrow(RangeError);
  });
});

describe('a ring', () => {
  it('carries requests one way and responses the other', () => {
    const { front, back, request, response } = twoEnds();
    front.request(Uint32Array.from({ length: 28 }, (_, i) => i + 100));
    expect(back.request(request)).toBe(false); // not pushed yet
    expect(front.push()).toBe(true);
    expect(back.request(request)).toBe(true);
    expect([request[0], request[27]]).toEqual([100, 127]);
    back.respond(Uint32Array.of(1, 2, 3, 4));
    expect(front.response(response)).toBe(false);
    expect(back.push()).toBe(true);
    expect(front.response(response)).toBe(true);
    expect([...response]).toEqual([1, 2, 3, 4]);
    expect(front.response(response)).toBe(false);
  });

  it('is full at its size and says so', () => {
    const { front, request } = twoEnds();
    for (let i = 0; i < 32; i++) front.request(request);
    expect([front.full, front.free]).toEqual([true, 0]);
    expect(() => front.request(request)).toThrow(RangeError);
  });

  it('refuses a response without a request', () => {
    const { back, response } = twoEnds();
    expect(() => back.respond(response)).toThrow(RangeError);
  });

  it('gives a private copy of a request', () => {
    const { words, front, back, request } = twoEnds();
    front.request(Uint32Array.of(7));
    front.push();
    back.request(request);
    words[16] = 8;
    expect(request[0]).toBe(7);
  });

  it('reads the peer index once for a batch', () => {
    const { words, front, request } = twoEnds();
    let reads = 0;
    class CountingMemory extends ArrayRingMemory {
      override get32(offset: number): number {
        if (offset === REQ_PROD) reads++;
        return super.get32(offset);
      }
    }
    const back = new BackRing(new CountingMemory(words), BLKIF_RING);
    for (let i = 0; i < 8; i++) front.request(request);
    front.push();
    for (let i = 0; i < 8; i++) expect(back.request(request)).toBe(true);
    expect(reads).toBe(1);
  });

  it('continues at an index, across 2^32', () => {
    const { words, memory, request, response } = twoEnds();
    const index = 2 ** 32 - 2;
    words.set([index, index + 1, index, index + 1]);
    const front = FrontRing.attach(memory, BLKIF_RING, index);
    const back = BackRing.attach(memory, BLKIF_RING, index);
    for (let i = 0; i < 4; i++) front.request(Uint32Array.of(i));
    expect(front.push()).toBe(true);
    for (let i = 0; i < 4; i++) {
      expect(back.request(request)).toBe(true);
      back.respond(request.subarray(0, 4));
    }
    expect(back.push()).toBe(true);
    expect([words[REQ_PROD], words[RSP_PROD], front.unconsumed]).toEqual([2, 2, 4]);
    for (let i = 0; i < 4; i++) {
      front.response(response);
      expect(response[0]).toBe(i);
    }
    expect(back.finalCheck()).toBe(false);
    expect(front.finalCheck()).toBe(false);
    expect([words[REQ_EVENT], words[RSP_EVENT]]).toEqual([3, 3]);
  });

  it('gives unanswered requests again to a back end that attaches at rsp_prod', () => {
    const { memory, front, back, request } = twoEnds();
    for (let i = 0; i < 3; i++) front.request(Uint32Array.of(i));
    front.push();
    back.request(request);
    back.respond(request.subarray(0, 4));
    back.push();
    back.request(request);
    expect(back.unanswered).toBe(1);
    const next = BackRing.attach(memory, BLKIF_RING, 1);
    expect([next.request(request), request[0], next.unconsumed]).toEqual([true, 1, 1]);
  });
});

describe('a lying peer', () => {
  it.each([
    ['one more request than slots', 33],
    ['all of them', 0xffffffff],
    ['half of them', 0x80000000],
  ])('cannot announce %s', (_case, producer) => {
    const { words, back, request } = twoEnds();
    words[REQ_PROD] = producer;
    expect(() => back.request(request)).toThrow(RingOverflow);
    expect(() => back.finalCheck()).toThrow(RingOverflow);
    try {
      back.request(request);
    } catch (error) {
      expect(error).toMatchObject({ producer, consumer: 0, size: 32 });
    }
  });

  it('cannot move its producer backwards', () => {
    const { words, front, back, request } = twoEnds();
    for (let i = 0; i < 4; i++) front.request(request);
    front.push();
    for (let i = 0; i < 4; i++) back.request(request);
    words[REQ_PROD] = 2;
    expect(() => back.request(request)).toThrow(RingOverflow);
  });

  it('cannot have more than a ring of requests unanswered', () => {
    const { words, front, back, request } = twoEnds();
    for (let i = 0; i < 32; i++) front.request(request);
    front.push();
    for (let i = 0; i < 32; i++) expect(back.request(request)).toBe(true);
    words[REQ_PROD] = 33;
    expect(() => back.request(request)).toThrow(RingOverflow);
  });

  it('cannot answer more requests than were pushed', () => {
    const { words, front, request, response } = twoEnds();
    front.request(request);
    words[RSP_PROD] = 1;
    expect(() => front.response(response)).toThrow(RingOverflow);
    front.push();
    expect(front.response(response)).toBe(true);
    words[RSP_PROD] = 0;
    expect(() => front.finalCheck()).toThrow(RingOverflow);
  });

  it('cannot change what we have pushed: our producer is private', () => {
    const { words, front, request } = twoEnds();
    front.request(request);
    front.push();
    words[REQ_PROD] = 1000;
    words[REQ_EVENT] = 2;
    front.request(request);
    expect(front.push()).toBe(true);
    expect(words[REQ_PROD]).toBe(2);
  });
});
