/** Our half of bench/ring.ts, a program of its own: prints the round trips per second in batches of its argument. */
import { BLKIF_REQUEST_WORDS, BLKIF_RESPONSE_WORDS, BLKIF_RING } from '../protocol/blkif.ts';
import { ArrayRingMemory, BackRing, FrontRing, initSharedRing } from '../protocol/ring.ts';

const TRIPS = 2 ** 20;
const RUNS = 9;

function ours(batch: number, rounds: number): number {
  const page = new Uint32Array(1024);
  const memory = new ArrayRingMemory(page);
  initSharedRing(memory);
  const front = new FrontRing(memory, BLKIF_RING);
  const back = new BackRing(new ArrayRingMemory(page), BLKIF_RING);
  const out = new Uint32Array(BLKIF_REQUEST_WORDS).fill(0x01010101);
  const into = new Uint32Array(BLKIF_REQUEST_WORDS);
  const answer = new Uint32Array(BLKIF_RESPONSE_WORDS).fill(0x02020202);
  const got = new Uint32Array(BLKIF_RESPONSE_WORDS);
  let sum = 0;
  const start = performance.now();
  for (let round = 0; round < rounds; round++) {
    submit(front, batch, out);
    serve(back, into, answer);
    sum += collect(front, got);
  }
  const seconds = (performance.now() - start) / 1000;
  if (sum !== (rounds * batch * (batch - 1)) / 2) throw new Error('the ring lost an id');
  return (rounds * batch) / seconds;
}

function submit(front: FrontRing, batch: number, request: Uint32Array): void {
  for (let i = 0; i < batch; i++) {
    request[2] = i;
    front.request(request);
  }
  front.push();
}

function serve(back: BackRing, request: Uint32Array, response: Uint32Array): void {
  do {
    while (back.request(request)) {
      response[0] = request[2]!;
      back.respond(response);
    }
    back.push();
  } while (back.finalCheck());
}

function collect(front: FrontRing, response: Uint32Array): number {
  let sum = 0;
  do {
    while (front.response(response)) sum += response[0]!;
  } while (front.finalCheck());
  return sum;
}

const batch = Number(process.argv[2]);
const rates = Array.from({ length: RUNS }, () => ours(batch, TRIPS / batch));
console.log(Math.max(...rates));
