/**
 * The verbs of a byte ring as the kit calls them, each with what its result must be. The one idea: the result is
 * judged by what the other end had done when the verb began and when it returned; between the two lies the
 * freedom that a correct end has.
 */
import { byteOf, junkOf } from './byte-page.ts';
import type { ByteRun, Standing } from './byte-run.ts';
import { BUFFER_BYTES } from './peer.ts';

const FRESH: Standing = { written: 0, unread: 0, read: 0, waiting: 0 };
const PAST = 64; // bytes behind what was asked for, which must stay as they were

/** Has the peer make its end of a ring that stands so, as the domain builder left it if nothing else is said. */
export function start(run: ByteRun, standing: Standing = FRESH): void {
  run.standAt(standing);
  init(run);
}

export function init(run: ByteRun): void {
  const result = run.call('init', run.bytes.length);
  run.note(run.role, `init → ${result}`);
  if (!run.over && result < 0)
    run.find('BYTE-02', `init returns ${result}: the ring stands as it may`);
}

/** Bytes of the peer that the model has not taken. */
export function unread(run: ByteRun): number {
  return (run.published - run.model.consumed) >>> 0;
}

/** Bytes of the model that the peer has not taken. */
export function waiting(run: ByteRun): number {
  return (run.model.produced - run.released) >>> 0;
}

/**
 * The peer writes the next `count` bytes of its stream.
 * @param mayRefuse the other end's index becomes impossible meanwhile
 * @returns how many it took
 */
export function write(run: ByteRun, count: number, mayRefuse = false): number {
  const from = run.published;
  const before = unread(run);
  offer(run, count);
  const result = run.call('write', count);
  run.note(run.role, `write ${count} → ${result}`);
  if (run.over) return 0;
  const moved = (run.published - from) >>> 0;
  const name = `${run.out.label}_prod`;
  if (result < 0 && mayRefuse && moved === 0) return 0;
  if (result < 0) {
    run.find('BYTE-15', `write returns ${result}, but ${run.out.label}_cons is possible`);
  } else if (result !== moved) {
    run.find('BYTE-06', `write returns ${result}, but ${name} has moved by ${moved}`);
  } else judgeRoom(run, count, moved, before);
  return run.over ? 0 : moved;
}

function offer(run: ByteRun, count: number): void {
  for (let i = 0; i < count; i++) run.end.buffer[i] = byteOf(run.out, run.published + i);
}

function judgeRoom(run: ByteRun, count: number, moved: number, before: number): void {
  const { size, label } = run.out;
  const fits = Math.min(count, size - before);
  if (moved >= fits) return;
  const why = `write takes ${moved} of ${count} bytes, with ${before} of ${size} unread in ${label}`;
  // Who waits for room in an empty ring waits for ever.
  if (moved === 0 && before === 0) run.find('BYTE-08', why);
  else run.warn('BYTE-08', why);
}

/** The peer reads at most `count` bytes. @param mayRefuse as of `write` @returns how many it gave */
export function read(run: ByteRun, count: number, mayRefuse = false): number {
  const from = run.released;
  const before = waiting(run);
  run.end.buffer.fill(0xa5, 0, Math.min(count + PAST, BUFFER_BYTES));
  const result = run.call('read', count);
  run.note(run.role, `read ${count} → ${result}`);
  if (run.over) return 0;
  const moved = (run.released - from) >>> 0;
  const name = `${run.in.label}_cons`;
  if (result < 0 && mayRefuse && moved === 0) return 0;
  if (result < 0) {
    run.find('BYTE-15', `read returns ${result}, but ${run.in.label}_prod is possible`);
  } else if (result > count) {
    run.find('BYTE-11', `read gives ${result} bytes, but ${count} were asked for`);
  } else if (result > waiting(run) + moved) {
    run.find('BYTE-09', `read gives ${result} bytes, but ${waiting(run) + moved} were published`);
  } else if (!judgeBytes(run, from, result, before)) {
    return 0;
  } else if (result !== moved) {
    run.find('BYTE-10', `read gives ${result} bytes, but ${name} has moved by ${moved}`);
  } else if (run.end.buffer.subarray(count, count + PAST).some((byte) => byte !== 0xa5)) {
    run.find('BYTE-11', `read writes behind the ${count} bytes that were asked for`);
  } else judgeTaken(run, count, moved, before);
  return run.over ? 0 : moved;
}

function judgeTaken(run: ByteRun, count: number, moved: number, before: number): void {
  const there = Math.min(count, before);
  if (moved >= there) return;
  const why = `read ${count} gives ${moved}, with ${before} bytes waiting in ${run.in.label}`;
  if (moved === 0) run.find('BYTE-11', why);
  else run.warn('BYTE-11', why);
}

/** Whether the bytes that came out are those that were published; if not, they say when they were copied. */
function judgeBytes(run: ByteRun, from: number, count: number, before: number): boolean {
  const { buffer } = run.end;
  const stream = run.in;
  const wrong: number[] = [];
  for (let i = 0; i < count; i++) if (buffer[i] !== byteOf(stream, from + i)) wrong.push(i);
  const first = wrong[0];
  if (first === undefined) return true;
  const early = (i: number) => buffer[i] === junkOf(stream, from + i);
  const next = (i: number) => from + i + stream.size; // the index that has the place afterwards
  const late = (i: number) =>
    buffer[i] === junkOf(stream, next(i)) || buffer[i] === byteOf(stream, next(i));
  const why = `read does not give byte ${(from + first) >>> 0} of ${stream.label} as it was published`;
  if (first >= before && wrong.every(early)) {
    run.find('BYTE-12', `${why}: it was copied before the index was read`);
  } else if (wrong.every(late)) {
    run.find('BYTE-13', `${why}: it was copied after its room was given back`);
  } else run.find('BYTE-09', why);
  return false;
}

/** Calls a verb whose result must say that the other end's index is impossible. */
export function refused(run: ByteRun, verb: 'write' | 'read', count: number, lie: string): void {
  const index = verb === 'write' ? run.published : run.released;
  if (verb === 'write') offer(run, count);
  const result = run.call(verb, count);
  run.note(run.role, `${verb} ${count} → ${result}`);
  if (run.over) return;
  const now = verb === 'write' ? run.published : run.released;
  if (result >= 0) run.find('BYTE-15', `${lie}, but ${verb} returns ${result}`);
  else if (now !== index) run.find('BYTE-15', `${lie}, but ${verb} moves its index to ${now}`);
}
