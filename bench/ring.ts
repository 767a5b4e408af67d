/**
 * Round trips through the shared ring: a blkif request copied in and out, its response copied in and
 * out, pushes and final checks, one at a time and in batches of 32; beside the same loop in C over
 * Xen's ring.h, compiled on the spot where gcc and the headers are. Ours is in ring-trips.ts.
 */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { compileC } from '../test/support/c-program.ts';
import { hasHeader, hasTool } from '../test/support/tools.ts';
import type { BenchRow } from './types.ts';

const PROGRAM = `
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#define __XEN_INTERFACE_VERSION__ 0x00040e00
#define xen_mb() __sync_synchronize()
#define xen_rmb() __asm__ __volatile__("" ::: "memory")
#define xen_wmb() __asm__ __volatile__("" ::: "memory")
/* Other code filled the copy, or will read it: the compiler may not leave copying out. */
#define used(copy) __asm__ __volatile__("" : : "r"(copy) : "memory")
#include <xen/xen.h>
#include <xen/io/blkif.h>

static union { blkif_sring_t ring; uint8_t page[4096]; } shared;

int main(int argc, char **argv) {
  unsigned batch = atoi(argv[1]), rounds = atoi(argv[2]), wakes = 0, work;
  uint64_t sum = 0;
  blkif_front_ring_t f;
  blkif_back_ring_t b;
  blkif_request_t out, in;
  blkif_response_t answer, got;
  struct timespec from, to;
  memset(&out, 1, sizeof out);
  memset(&answer, 2, sizeof answer);
  XEN_FRONT_RING_INIT(&f, &shared.ring, 4096);
  BACK_RING_INIT(&b, &shared.ring, 4096);
  clock_gettime(CLOCK_MONOTONIC, &from);
  for (unsigned r = 0; r < rounds; r++) {
    for (unsigned i = 0; i < batch; i++) {
      out.id = i;
      used(&out);
      *RING_GET_REQUEST(&f, f.req_prod_pvt) = out;
      f.req_prod_pvt++;
    }
    RING_PUSH_REQUESTS_AND_CHECK_NOTIFY(&f, work);
    wakes += work;
    do {
      while (RING_HAS_UNCONSUMED_REQUESTS(&b)) {
        RING_COPY_REQUEST(&b, b.req_cons, &in);
        b.req_cons++;
        used(&in);
        answer.id = in.id;
        used(&answer);
        *RING_GET_RESPONSE(&b, b.rsp_prod_pvt) = answer;
        b.rsp_prod_pvt++;
      }
      RING_PUSH_RESPONSES_AND_CHECK_NOTIFY(&b, work);
      wakes += work;
      RING_FINAL_CHECK_FOR_REQUESTS(&b, work);
    } while (work);
    do {
      while (RING_HAS_UNCONSUMED_RESPONSES(&f)) {
        RING_COPY_RESPONSE(&f, f.rsp_cons, &got);
        f.rsp_cons++;
        used(&got);
        sum += got.id;
      }
      RING_FINAL_CHECK_FOR_RESPONSES(&f, work);
    } while (work);
  }
  clock_gettime(CLOCK_MONOTONIC, &to);
  fprintf(stderr, "%u %lu\\n", wakes, sum);
  printf("%.0f\\n", (double)batch * rounds
    / ((to.tv_sec - from.tv_sec) + (to.tv_nsec - from.tv_nsec) / 1e9));
  return 0;
}
`;

const AIMS = [
  { batch: 1, aim: 'at least half of C' },
  { batch: 32, aim: 'at least a quarter of C' },
] as const;

const TRIPS = 2 ** 20;

/** Round trips per second, ours and (where it can be compiled) C's. */
export async function benchRing(): Promise<BenchRow[]> {
  const program = hasTool('gcc') && hasHeader('xen/io/ring.h') ? compileC(PROGRAM) : undefined;
  const rows = AIMS.map(({ batch, aim }) => {
    const row: BenchRow = {
      name: `ring round trips, blkif, batches of ${batch}`,
      value: ours(batch),
      unit: '/s',
      aim,
    };
    if (program) {
      const rounds = String((TRIPS * 8) / batch);
      const value = best(() => Number(program.run([String(batch), rounds])));
      row.reference = { name: 'C over ring.h, gcc -O2', value };
    }
    return row;
  });
  program?.dispose();
  return rows;
}

function best(measure: () => number): number {
  return Math.max(...Array.from({ length: 9 }, measure));
}

/** In a process of its own, as the C program: what V8 made of other code is no part of it. */
function ours(batch: number): number {
  const file = fileURLToPath(new URL('ring-trips.ts', import.meta.url));
  const args = [...process.execArgv, file, String(batch)];
  return Number(spawnSync(process.execPath, args, { encoding: 'utf8' }).stdout);
}
