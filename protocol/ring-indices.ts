/**
 * The indices of a request/response ring, as they stand in its page and as its ends keep them, and what
 * follows from them: the state of every slot. A page alone shows neither what is taken nor what is staged,
 * so each private index may be missing, and what it would tell is then left open.
 * @source xen/io/ring.h
 */
import { type RingLayout, ringSize } from './ring.ts';

/** What an end keeps to itself, as far as the caller knows it. */
export interface RingPrivate {
  readonly reqCons?: number; // the back end's
  readonly rspProdPvt?: number;
  readonly rspCons?: number; // the front end's
  readonly reqProdPvt?: number;
}

/** All as u32, by Xen's names. */
export interface RingIndices {
  readonly size: number; // slots
  readonly reqProd: number;
  readonly reqEvent: number;
  readonly rspProd: number;
  readonly rspEvent: number;
  readonly known: RingPrivate;
  /** Requests published and not answered; more than `size` only where an index cannot be. */
  readonly outstanding: number;
}

/** Where the shared header ends and the slots begin, in words. */
export const HEADER = { words: 16, pvt: 4, pad: 5 } as const;

/** Each of the states by the character that shows it; `?` where the indices contradict each other. */
export type SlotState = '.' | 'q' | 'Q' | 't' | 'a' | 'A' | '?';

/** Reads the header. RangeError if the page has no room for one slot. */
export function readRingIndices(
  words: Uint32Array,
  layout: RingLayout,
  known: RingPrivate = {},
): RingIndices {
  const size = ringSize(layout, words.byteLength);
  if (size === 0) {
    throw new RangeError(`${layout.name} ring: no slot fits in ${words.byteLength} bytes`);
  }
  const [reqProd, reqEvent, rspProd, rspEvent] = [words[0]!, words[1]!, words[2]!, words[3]!];
  const unsigned = Object.entries(known)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => [name, value >>> 0]);
  return {
    ...{ size, reqProd, reqEvent, rspProd, rspEvent },
    known: Object.fromEntries(unsigned) as RingPrivate,
    outstanding: (reqProd - rspProd) >>> 0,
  };
}

/** What cannot be about the indices, as a sentence; undefined if every slot has a state. */
export function impossibleIndices(ring: RingIndices): string | undefined {
  const { size, reqProd, rspProd, outstanding } = ring;
  const early = (rspProd - reqProd) >>> 0;
  if (outstanding > size && early > outstanding) {
    return `${outstanding} requests are outstanding in ${size} slots`;
  }
  const order = inOrder(ring);
  for (const [i, [name, value]] of order.entries()) {
    const [next, then] = order[i + 1] ?? [name, value];
    const ahead = (value - then) >>> 0;
    if (ahead > 0 && ahead <= 2 ** 31) return `${name} ${value} is ahead of ${next} ${then}`;
    if (-ahead >>> 0 > size) return tooFar(ring, [name, value], [next, then]);
  }
  const [oldest, newest] = [order[0]!, order.at(-1)!];
  return (newest[1] - oldest[1]) >>> 0 > size ? tooFar(ring, oldest, newest) : undefined;
}

type NamedIndex = [name: string, value: number];

function tooFar({ size }: RingIndices, [name, value]: NamedIndex, [next, then]: NamedIndex) {
  return `${next} ${then} is ${(then - value) >>> 0} ahead of ${name} ${value}, in ${size} slots`;
}

/** The known indices, each never ahead of the next. */
function inOrder({ known, reqProd, rspProd }: RingIndices): NamedIndex[] {
  const all: [string, number | undefined][] = [
    ['rsp_cons', known.rspCons],
    ['rsp_prod', rspProd],
    ['rsp_prod_pvt', known.rspProdPvt],
    ['req_cons', known.reqCons],
    ['req_prod', reqProd],
    ['req_prod_pvt', known.reqProdPvt],
  ];
  return all.filter((entry): entry is NamedIndex => entry[1] !== undefined);
}

/** One past the newest request that is known of. */
export function requestsEnd({ known, reqProd }: RingIndices): number {
  return known.reqProdPvt ?? reqProd;
}

/**
 * The state of each slot by its place in the ring. Without `rspCons` an answer may have been taken, and is
 * `A` all the same; free is then only what a ring that began at 0 has not used yet.
 */
export function slotStates(ring: RingIndices): SlotState[] {
  const { size, reqProd, rspProd, known } = ring;
  const states = Array<SlotState>(size).fill('.');
  if (impossibleIndices(ring)) return states.fill('?');
  const end = requestsEnd(ring);
  const answered = known.rspProdPvt ?? rspProd;
  const lapped = end >= size || rspProd > end; // or the indices have wrapped
  const mark = (from: number, to: number, state: SlotState): void => {
    const count = (to - from) >>> 0;
    for (let i = 0; i < count; i++) states[(from + i) & (size - 1)] = state;
  };
  mark(known.rspCons ?? (lapped ? end - size : 0), rspProd, 'A');
  mark(rspProd, answered, 'a');
  mark(answered, known.reqCons ?? answered, 't');
  mark(known.reqCons ?? answered, reqProd, 'Q');
  mark(reqProd, end, 'q');
  return states;
}

/** How far a threshold is ahead of its producer: 1 asks to be told of the very next message. */
export function thresholdAhead(producer: number, event: number): number {
  return (event - producer) | 0;
}

/** Whether publishing up to `now` must notify who set `event`. */
export function mustNotify(event: number, old: number, now: number): boolean {
  return (now - event) >>> 0 < (now - old) >>> 0;
}
