/**
 * The rules of request/response rings, by the numbers and titles of docs/rings.md, with the role that each binds.
 * A check names the rule that it finds broken; what no check finds broken has passed.
 */
import type { Role } from './peer.ts';

export interface Rule {
  readonly id: string;
  readonly title: string;
  readonly roles: readonly Role[];
}

const BOTH: readonly Role[] = ['front', 'back'];
const FRONT: readonly Role[] = ['front'];
const BACK: readonly Role[] = ['back'];

export const RING_RULES = [
  { id: 'RING-01', title: 'The front end makes the page a ring', roles: FRONT },
  { id: 'RING-02', title: 'The back end never initialises', roles: BACK },
  { id: 'RING-03', title: 'A back end goes on where the ring stands', roles: BACK },
  { id: 'RING-04', title: 'Slots: as many as fit, down to a power of two', roles: BOTH },
  { id: 'RING-05', title: 'An end writes only its own index and its own threshold', roles: BOTH },
  { id: 'RING-06', title: 'An end writes only the slot that it fills', roles: BOTH },
  { id: 'RING-07', title: 'A message stands in its slot before the index says so', roles: BOTH },
  { id: 'RING-08', title: 'A push publishes exactly what was filled', roles: BOTH },
  { id: 'RING-09', title: 'The private index counts, not the shared copy', roles: BOTH },
  { id: 'RING-10', title: 'A notification is owed when the threshold is passed', roles: BOTH },
  { id: 'RING-11', title: 'The threshold is read after the index is written', roles: BOTH },
  { id: 'RING-12', title: 'No notification that nobody asked for', roles: BOTH },
  { id: 'RING-13', title: 'A full ring refuses, and only a full ring', roles: FRONT },
  { id: 'RING-14', title: 'What is published arrives once, in order, as a copy', roles: BOTH },
  { id: 'RING-15', title: 'The index is read before the message', roles: BOTH },
  { id: 'RING-16', title: 'Before sleep, the threshold is set to the next message', roles: BOTH },
  { id: 'RING-17', title: 'After setting the threshold, look again', roles: BOTH },
  { id: 'RING-18', title: 'The final check says what there is', roles: BOTH },
  { id: 'RING-19', title: 'An impossible request index is refused', roles: BACK },
  { id: 'RING-20', title: 'Never more than a ring of requests unanswered', roles: BACK },
  { id: 'RING-21', title: 'No more responses than were asked for', roles: FRONT },
  { id: 'RING-22', title: 'Indices are 32 bits wide', roles: BOTH },
  { id: 'RING-23', title: 'Indices are compared by difference, across 2^32', roles: BOTH },
  { id: 'RING-24', title: 'Nobody sleeps while work waits', roles: BOTH },
  { id: 'RING-25', title: 'A second life begins anew', roles: BOTH },
  { id: 'RING-26', title: 'A message is copied once', roles: BOTH },
] as const satisfies readonly Rule[];

export type RingRule = (typeof RING_RULES)[number]['id'];
