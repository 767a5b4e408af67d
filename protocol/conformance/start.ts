/**
 * How a run begins: at zero, or anywhere else, such as just below 2^32. A back end attaches to a ring that stands
 * there, a front end says `attach`. An end that can do neither, but whose memory can be seen, is moved: the words of
 * its memory that grew by one with each request are its indices, and are all put forward by the same amount.
 */
import { SIDES } from './model.ts';
import type { Run } from './run.ts';
import { init } from './verbs.ts';
import type { MovableEnd } from './wasm-peer.ts';

/** The peer makes its end of a new ring that stands at `index`. @returns why it could not, if so */
export function start(run: Run, index = 0): string | undefined {
  const { role, options } = run;
  const elsewhere = index !== 0;
  if (role === 'back' && !(elsewhere && options.tally.standsAtZero)) {
    run.writeHeader(index);
    init(run);
  } else if (!elsewhere) {
    init(run);
  } else {
    const why = startElsewhere(run, index);
    if (why !== undefined) return why;
  }
  // An end that was moved has published one message more, to show that it was.
  run.standAt(elsewhere ? run.get(SIDES[role].producer) : index, options.todo);
  return undefined;
}

function startElsewhere(run: Run, index: number): string | undefined {
  const { role } = run;
  const { peer } = run.options;
  if (peer.has(role, 'attach')) {
    run.writeHeader(index);
    run.call('attach', run.bytes, index);
    run.note(role, `attach at ${index}`);
    return undefined;
  }
  if (peer.kind === 'wasm') return move(run, index);
  return `the peer begins at 0 only: give it ${role}_attach`;
}

function move(run: Run, index: number): string | undefined {
  const end = run.end as MovableEnd;
  const { producer } = SIDES[run.role];
  run.unwatched = true;
  if (run.role === 'back') run.writeHeader(0);
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
  const moved = run.get(producer) === (index + 1) >>> 0;
  run.unwatched = false;
  if (moved) return undefined;
  return `its indices could not be found in its memory: export ${run.role}_attach`;
}

/** One request and its response, unseen. */
function cycle(run: Run, index: number): void {
  run.offer();
  if (run.role === 'back') run.end.page[SIDES.back.peerProducer] = index + 1;
  run.call('request');
  if (run.role === 'front') {
    run.call('push');
    run.end.page[SIDES.front.peerProducer] = index + 1;
  }
  run.call('response');
  if (run.role === 'back') run.call('push');
}
