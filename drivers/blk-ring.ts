/**
 * How the two ends of a virtual disk agree on the length of their ring, through xenstore.
 * The one idea: two old schemes say the same in different words (an order, a number of pages), so each
 * end writes both and believes either, but never two that disagree.
 * @source xen/io/blkif.h, "Request Transport Parameters", notes 1 to 3 and 6
 */
import { BLKIF_KEYS } from '../protocol/blkif.ts';
import { Gref } from '../protocol/units.ts';
import type { XenbusNodes, XenbusPeer } from './xenbus.ts';

/** The longest ring that our back end takes, as a power of two of pages. */
const MAX_RING_ORDER = 2;

/** A number that the other end wrote. @throws Error for anything else */
export function numberOf(key: string, text: string | undefined): number {
  if (text === undefined || !/^\d{1,10}$/.test(text)) throw new Error(`${key} is not a number`);
  return Number(text);
}

/** What a back end publishes of it. */
export function ringOffer(): XenbusNodes {
  return {
    [BLKIF_KEYS.maxRingPageOrder]: `${MAX_RING_ORDER}`,
    [BLKIF_KEYS.maxRingPages]: `${1 << MAX_RING_ORDER}`,
  };
}

/** The order of the longest ring that `back` offers and `limit` allows; 0 where it offers none. */
export async function ringOrder(back: XenbusPeer, limit: number): Promise<number> {
  if (limit === 0) return 0;
  const offered = async (key: string): Promise<number> => {
    const text = await back.read(key);
    return text !== undefined && /^\d{1,10}$/.test(text) ? Number(text) : 0;
  };
  const order = await offered(BLKIF_KEYS.maxRingPageOrder);
  const pages = order > 0 ? 0 : await offered(BLKIF_KEYS.maxRingPages);
  return Math.min(limit, Math.max(order, pages > 0 ? Math.floor(Math.log2(pages)) : 0));
}

/**
 * What a front end publishes of a ring that it granted. `explicit` says the length of a single page too: it may have
 * been another one in an earlier connection, whose nodes are still there.
 */
export function ringNodes(grefs: readonly Gref[], explicit = false): XenbusNodes {
  const single = { [BLKIF_KEYS.ringRef]: `${grefs[0]}` };
  if (grefs.length === 1 && !explicit) return single;
  const nodes: Record<string, string> = {
    [BLKIF_KEYS.ringPageOrder]: `${Math.log2(grefs.length)}`,
    [BLKIF_KEYS.numRingPages]: `${grefs.length}`,
  };
  if (grefs.length === 1) return { ...nodes, ...single };
  grefs.forEach((gref, i) => {
    nodes[`${BLKIF_KEYS.ringRef}${i}`] = `${gref}`;
  });
  return nodes;
}

/** The grants of the ring that `front` published. @throws Error if they make no sense, or too long a ring */
export async function publishedRing(front: XenbusPeer): Promise<Gref[]> {
  const pages = await pagesOf(front);
  const { ringRef } = BLKIF_KEYS;
  const keys = pages === 1 ? [ringRef] : Array.from({ length: pages }, (_, i) => `${ringRef}${i}`);
  const grefs: Gref[] = [];
  for (const key of keys) grefs.push(Gref(numberOf(key, await front.read(key))));
  return grefs;
}

async function pagesOf(front: XenbusPeer): Promise<number> {
  const { ringPageOrder, numRingPages } = BLKIF_KEYS;
  const order = await front.read(ringPageOrder);
  const count = await front.read(numRingPages);
  if (order !== undefined && numberOf(ringPageOrder, order) > MAX_RING_ORDER) {
    throw new Error(`${ringPageOrder} ${order} is more than ${MAX_RING_ORDER}`);
  }
  const pages = order === undefined ? numberOf(numRingPages, count ?? '1') : 1 << Number(order);
  if (count !== undefined && numberOf(numRingPages, count) !== pages) {
    throw new Error(`${numRingPages} ${count} is not the ${pages} of ${ringPageOrder}`);
  }
  if (pages < 1 || pages > 1 << MAX_RING_ORDER || (pages & (pages - 1)) !== 0) {
    throw new Error(`a ring of ${pages} pages is not one that was offered`);
  }
  return pages;
}
