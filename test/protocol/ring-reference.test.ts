/** Our ring beside the macros of ring.h: one script of steps, the whole page compared after each. */
import { describe, expect } from 'vitest';
import { BLKIF_RING } from '../../protocol/blkif.ts';
import { ArrayRingMemory, BackRing, FrontRing, initSharedRing } from '../../protocol/ring.ts';
import { compileC } from '../support/c-program.ts';
import { hasHeader, hasTool, itNeeds } from '../support/tools.ts';

// Steps: q fill a request, P push requests, t take a request, r answer, p push responses,
// g take a response, F and B the final checks of front and back.
const PROGRAM = `
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#define __XEN_INTERFACE_VERSION__ 0x00040e00
#define xen_mb() __sync_synchronize()
#define xen_rmb() __sync_synchronize()
#define xen_wmb() __sync_synchronize()
#include <xen/xen.h>
#include <xen/io/blkif.h>

static union { blkif_sring_t ring; uint32_t word[1024]; } page;

static void pattern(uint32_t *to, int words, uint32_t seed) {
  for (int i = 0; i < words; i++) to[i] = seed * 2654435761u + i;
}

int main(int argc, char **argv) {
  uint32_t start = strtoul(argv[1], NULL, 10), seed = 0;
  blkif_front_ring_t f;
  blkif_back_ring_t b;
  blkif_sring_t *s = &page.ring;
  memset(&page, 0x5a, sizeof page);
  SHARED_RING_INIT(s);
  s->req_prod = s->rsp_prod = start;
  s->req_event = s->rsp_event = start + 1;
  FRONT_RING_ATTACH(&f, s, start, 4096);
  BACK_RING_ATTACH(&b, s, start, 4096);
  for (int step; (step = getchar()) != EOF;) {
    uint32_t result = 0, copy[28];
    seed++;
    switch (step) {
    case 'q':
      if ((result = !RING_FULL(&f)))
        pattern((uint32_t *)RING_GET_REQUEST(&f, f.req_prod_pvt++), 28, seed);
      break;
    case 'P': RING_PUSH_REQUESTS_AND_CHECK_NOTIFY(&f, result); break;
    case 't':
      if (RING_HAS_UNCONSUMED_REQUESTS(&b)) {
        RING_COPY_REQUEST(&b, b.req_cons, (blkif_request_t *)copy);
        b.req_cons++;
        result = copy[27];
      }
      break;
    case 'r':
      if ((result = b.rsp_prod_pvt != b.req_cons))
        pattern((uint32_t *)RING_GET_RESPONSE(&b, b.rsp_prod_pvt++), 4, seed);
      break;
    case 'p': RING_PUSH_RESPONSES_AND_CHECK_NOTIFY(&b, result); break;
    case 'g':
      if (RING_HAS_UNCONSUMED_RESPONSES(&f)) {
        RING_COPY_RESPONSE(&f, f.rsp_cons, (blkif_response_t *)copy);
        f.rsp_cons++;
        result = copy[3];
      }
      break;
    case 'F': RING_FINAL_CHECK_FOR_RESPONSES(&f, result); result = !!result; break;
    case 'B': RING_FINAL_CHECK_FOR_REQUESTS(&b, result); result = !!result; break;
    }
    printf("%c %u %u ", step, result, RING_FREE_REQUESTS(&f));
    for (int i = 0; i < 1024; i++) printf("%x,", page.word[i]);
    putchar('\\n');
  }
  return 0;
}
`;

describe('the ring against ring.h', () => {
  const available = hasTool('gcc') && hasHeader('xen/io/ring.h');
  itNeeds('gcc and libxen-dev', available, 'leaves the same bytes after every step', () => {
    const program = compileC(PROGRAM);
    for (const start of [0, 5, 2 ** 32 - 40]) {
      const steps = script(start + 1);
      const expected = program
        .run([String(start)], steps)
        .trimEnd()
        .split('\n');
      const actual = [...ours(start, steps)];
      const first = actual.findIndex((line, i) => line !== expected[i]);
      expect(first < 0 ? '' : `step ${first}: ${actual[first]}`).toBe(
        first < 0 ? '' : expected[first],
      );
      expect(actual.length).toBe(expected.length);
    }
    program.dispose();
  });
});

function* ours(start: number, steps: string): Generator<string> {
  const words = new Uint32Array(new Uint8Array(4096).fill(0x5a).buffer);
  const memory = new ArrayRingMemory(words);
  initSharedRing(memory);
  words.set([start, start + 1, start, start + 1]);
  const front = FrontRing.attach(memory, BLKIF_RING, start);
  const back = BackRing.attach(memory, BLKIF_RING, start);
  const copy = new Uint32Array(28);
  const answer = copy.subarray(0, 4);
  let seed = 0;
  const act: Record<string, () => number | boolean> = {
    q: () => {
      if (front.full) return false;
      front.request(pattern(28, seed));
      return true;
    },
    P: () => front.push(),
    t: () => (back.request(copy) ? copy[27]! : 0),
    r: () => {
      if (back.unanswered === 0) return false;
      back.respond(pattern(4, seed));
      return true;
    },
    p: () => back.push(),
    g: () => (front.response(answer) ? answer[3]! : 0),
    F: () => front.finalCheck(),
    B: () => back.finalCheck(),
  };
  for (const step of steps) {
    seed++;
    const result = Number(act[step]!());
    const page = Array.from(words, (word) => `${word.toString(16)},`).join('');
    yield `${step} ${result} ${front.free} ${page}`;
  }
}

function pattern(words: number, seed: number): Uint32Array {
  return Uint32Array.from({ length: words }, (_, i) => Math.imul(seed, 2654435761) + i);
}

/** A long repeatable mixture: sometimes eager ends, sometimes a full ring. */
function script(seed: number): string {
  let state = seed;
  const random = (n: number) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * n);
  };
  let steps = '';
  for (let round = 0; round < 60; round++) {
    const [fill, take] = [random(round % 7 === 0 ? 40 : 6), random(round % 5 === 0 ? 40 : 6)];
    steps += `${'q'.repeat(fill)}P${'tr'.repeat(take)}${'tB'[random(2)]}p${'g'.repeat(random(8))}`;
    steps += 'FBPp'.slice(random(4));
  }
  return steps;
}
