import { describe, expect } from 'vitest';
import { wasmPeer } from '../../protocol/conformance/wasm-peer.ts';
import { ArrayRingMemory, BackRing, initSharedRing } from '../../protocol/ring.ts';
import { CLANG, compileModule, hasClang, XEN_PRELUDE } from '../support/c-module.ts';
import { hasHeader, itNeeds } from '../support/tools.ts';

describe('a front end over the macros of xen/io/ring.h', () => {
  const SOURCE = `${XEN_PRELUDE}
    static blkif_front_ring_t front;
    VERB(front_init) int init(void *ring, unsigned bytes) {
      blkif_sring_t *shared = ring;
      SHARED_RING_INIT(shared);
      FRONT_RING_INIT(&front, shared, bytes);
      return 0;
    }
    VERB(front_request) int request(const blkif_request_t *from) {
      if (RING_FULL(&front)) return 0;
      *RING_GET_REQUEST(&front, front.req_prod_pvt) = *from;
      front.req_prod_pvt++;
      return 1;
    }
    VERB(front_push) int push(void) {
      int notify;
      RING_PUSH_REQUESTS_AND_CHECK_NOTIFY(&front, notify);
      return notify;
    }
    VERB(front_response) int response(blkif_response_t *into) {
      RING_IDX producer = front.sring->rsp_prod;
      xen_rmb();
      if (producer == front.rsp_cons) return 0;
      *into = *RING_GET_RESPONSE(&front, front.rsp_cons);
      front.rsp_cons++;
      return 1;
    }
    VERB(front_final_check) int final_check(void) {
      int more;
      RING_FINAL_CHECK_FOR_RESPONSES(&front, more);
      return more;
    }
  `;
  for (const level of ['-O0', '-O2']) {
    const needs = hasClang() && hasHeader('xen/io/blkif.h');
    itNeeds(
      `${CLANG} libxen-dev`,
      needs,
      `exchanges messages with BackRing: clang ${level}`,
      () => {
        const points: [number, number, boolean][] = [];
        const peer = wasmPeer(compileModule(SOURCE, level), 'blk.wasm');
        const end = peer.open('front', 4096, (...point) => points.push(point));
        const expected = new Uint32Array(1024);
        initSharedRing(new ArrayRingMemory(expected));
        end.call('init', 4096);
        expect([...end.page]).toEqual([...expected]);
        const back = new BackRing(new ArrayRingMemory(end.page), {
          name: 'blkif',
          requestSize: 112,
          responseSize: 16,
        });
        const [request, response] = [new Uint32Array(28), new Uint32Array(4)];
        for (let round = 0; round < 100; round++) {
          end.buffer.fill(round, 0, 112);
          expect(end.call('request')).toBe(1);
          expect(end.call('push')).toBe(1);
          expect(back.request(request)).toBe(true);
          expect([...request]).toEqual(Array(28).fill(round * 0x01010101));
          expect(back.finalCheck()).toBe(false);
          expect(end.call('response')).toBe(0);
          back.respond(response.fill(round + 1));
          expect(back.push()).toBe(true);
          expect(end.call('response')).toBe(1);
          expect([...new Uint32Array(end.buffer.buffer, end.buffer.byteOffset, 2)]).toEqual([
            round + 1,
            round + 1,
          ]);
          expect(end.call('final_check')).toBe(0);
        }
        expect(points).toContainEqual([0, 4, true]); // req_prod
        expect(points).toContainEqual([8, 4, false]); // rsp_prod
        for (let i = 0; i < 32; i++) expect(end.call('request')).toBe(1);
        expect(end.call('request')).toBe(0);
      },
    );
  }
});
