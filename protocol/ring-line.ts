/**
 * A ring in one line, for schedules: the columns are of fixed width, so that lines stand under each other.
 * @source xen/io/ring.h
 */
import type { RingLayout } from './ring.ts';
import { type RingPrivate, readRingIndices, type SlotState, slotStates } from './ring-indices.ts';

const WIDTH = 10; // of the largest u32
const COLUMNS = ['req_prod', 'rsp_prod', 'req_event', 'rsp_event', 'req_cons', 'rsp_cons'];
const MOST_SLOTS = 64;

/** What stands above the lines of `ringLine`. */
export function ringLineHeader(): string {
  return [...COLUMNS.map((name) => name.padStart(WIDTH)), ' slots'].join(' ');
}

/**
 * The indices, then a character for each slot by its place: `.` free, `q` staged request, `Q` request, `t`
 * taken by the back end, `a` staged answer, `A` answer, `?` where an index cannot be. A private index that is
 * not known is `-`. A ring of more than 64 slots has counts instead.
 * @throws RangeError when not even one slot fits in `words`.
 */
export function ringLine(words: Uint32Array, layout: RingLayout, known: RingPrivate = {}): string {
  const ring = readRingIndices(words, layout, known);
  const { reqProd, rspProd, reqEvent, rspEvent } = ring;
  const { reqCons = '-', rspCons = '-' } = ring.known;
  const columns = [reqProd, rspProd, reqEvent, rspEvent, reqCons, rspCons];
  const states = slotStates(ring);
  const slots = states.length > MOST_SLOTS ? counts(states) : states.join('');
  return [...columns.map((value) => String(value).padStart(WIDTH)), ` ${slots}`].join(' ');
}

/** `3Q 2t`: how many slots are in each state but free. */
function counts(states: readonly SlotState[]): string {
  if (states[0] === '?') return '?';
  const busy = (['A', 'a', 't', 'Q', 'q'] as const).map((state) => {
    const count = states.filter((other) => other === state).length;
    return count > 0 ? `${count}${state}` : '';
  });
  return busy.filter((text) => text !== '').join(' ') || '.';
}
