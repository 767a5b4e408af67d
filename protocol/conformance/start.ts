/**
 * How a run begins: at zero, or anywhere else, such as just below 2^32. A back end attaches to a ring that stands
 * there. A front end says `attach`; one that cannot, but whose memory can be seen, is moved: the words of its
 * memory that grew by one with each request are its indices, and are all put forward by the same amount.
 */
import type { Run } from './run.ts';
import { init } from './verbs.ts';
import type { MovableEnd } from './wasm-peer.ts';

/** The peer makes its end of a new ring that stands at `index`. @returns why it could not, if so */
export function start(run: Run, index = 0): string | undefined {
  if (run.role === 'back') {
    run.writeHeader(index);
    init(run);
  } else if (index === 0) {
    init(run);
  } else {
    const why = startFront(run, index);
    if (why !== undefined) return why;
  }
  // A front end that was moved has made one request more, to show that it was.
  run.standAt(run.role === 'front' ? run.get(0) : index, run.options.todo);
  return undefined;
}

function startFront(run: Run, index: number): string | undefined {
  const { peer } = run.options;
  if (peer.has('front', 'attach')) {
    run.writeHeader(index);
    run.call('attach', run.bytes, index);
    run.note('front', `attach at ${index}`);
    return undefined;
  }
  if (peer.kind === 'wasm') return move(run, index);
  return 'the peer cannot begin near 2^32: give it front_attach';
}

function move(run: Run, index: number): string | undefined {
  const end = run.end as MovableEnd;
  run.unwatched = true;
  run.call('init', run.bytes);
  const samples: DataView<ArrayBuffer>[] = [];
  const counts = [1, 3, 7].map((rings) => rings * run.size); // whole rings, so that slots stay where they are
  let done = 0;
  for (const count of counts) {
    for (; done < count; done++) cycle(run, done);
    samples.push(new DataView(end.memory.slice().buffer));
  }
  const memory = new DataView(end.memory.buffer, end.memory.byteOffset, end.memory.length);
  for (let at = 0; at + 4 <= memory.byteLength; at += 4) {
    const [a, b, c] = samples.map((sample) => sample.getUint32(at, true)) as [
      number,
      number,
      number,
    ];
    if (b - a === 2 * run.size && c - b === 4 * run.size)
      memory.setUint32(at, c + index - done, true);
  }
  run.writeHeader(index);
  cycle(run, index);
  const moved = run.get(0) === (index + 1) >>> 0;
  run.unwatched = false;
  return moved ? undefined : 'its indices could not be found in its memory: export front_attach';
}

/** One request and its response, unseen. */
function cycle(run: Run, index: number): void {
  run.offer();
  run.call('request');
  run.call('push');
  run.end.page[2] = index + 1;
  run.call('response');
}
