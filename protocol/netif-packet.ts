/**
 * One packet out of a network ring: a first slot, its extra info, further fragments. Nothing in a chain
 * is trusted: what cannot be is refused by name, and the chain is followed to its end all the same, so
 * that every slot taken is known and can be answered.
 * @source xen/io/netif.h, "Guest transmit" and "Guest receive"
 */
import * as netif from './netif.ts';
import { PAGE_SIZE } from './units.ts';

/**
 * Why a chain is no packet. After `cut-short` or `bad-extra-type` nobody knows what the next slot is: a back
 * end does well to give the ring up. `failed` is the back end's own word, an rx status below 0.
 */
export type NetifRefusal =
  | 'cut-short' // the ring ends in the middle
  | 'bad-extra-type'
  | 'too-many-slots'
  | 'fragment-too-large' // for what the first request left of the packet
  | 'crosses-page'
  | 'failed';

/** A slot that was taken. An extra info has no id, and in an rx ring stands for the page posted there. */
export interface NetifSlot {
  readonly id: number;
  readonly extra: boolean;
}

export interface NetifPacket<Fragment> {
  readonly refused?: undefined;
  readonly size: number; // of the whole packet
  readonly flags: number; // of its first slot
  readonly fragments: readonly Fragment[];
  readonly extras: readonly netif.NetifExtraInfo[];
  readonly slots: readonly NetifSlot[]; // all that were taken, in order
}

export interface NetifRefused {
  readonly refused: NetifRefusal;
  readonly slots: readonly NetifSlot[];
}

export interface NetifTxFragment {
  readonly gref: number;
  readonly offset: number;
  readonly size: number;
}

export interface NetifRxFragment {
  readonly id: number;
  readonly offset: number;
  readonly size: number;
}

/** Copies the next slot out, as `BackRing.request` and `FrontRing.response` do; false if there is none. */
export type NetifTake = (into: Uint32Array) => boolean;

/**
 * The next packet that a front end sends, undefined if there is none. `limit` counts requests, not extra
 * info. A packet may be of any size, even none: one that only carries XEN_NETIF_EXTRA_TYPE_MCAST_*.
 */
export function netifTxPacket(
  take: NetifTake,
  limit = netif.XEN_NETIF_NR_SLOTS_MIN,
): NetifPacket<NetifTxFragment> | NetifRefused | undefined {
  const chain = followChain(take, netif.NETIF_TX_REQUEST_WORDS, netif.NetifTxRequest.get);
  if (!chain) return undefined;
  const { parts, extras, slots } = chain;
  const [first, ...others] = parts;
  let refused = chain.refused ?? (parts.length > limit ? 'too-many-slots' : undefined);
  let left = first!.size;
  for (const { size } of others) {
    if (size > left) refused ??= 'fragment-too-large';
    left -= size;
  }
  const fragments = parts.map(({ gref, offset, size }, i) => ({
    ...{ gref, offset, size: i === 0 ? left : size }, // the first gives the packet's size, not its own
  }));
  if (fragments.some(crossesPage)) refused ??= 'crosses-page';
  if (refused) return { refused, slots };
  return { size: first!.size, flags: first!.flags, fragments, extras, slots };
}

/** The next packet that a back end delivered, undefined if there is none. */
export function netifRxPacket(
  take: NetifTake,
  limit = netif.XEN_NETIF_NR_SLOTS_MIN,
): NetifPacket<NetifRxFragment> | NetifRefused | undefined {
  const chain = followChain(take, netif.NETIF_RX_RESPONSE_WORDS, netif.NetifRxResponse.get);
  if (!chain) return undefined;
  const { parts, extras, slots } = chain;
  let refused = chain.refused ?? (parts.length > limit ? 'too-many-slots' : undefined);
  if (parts.some(({ status }) => status < 0)) refused ??= 'failed';
  const fragments = parts.map(({ id, offset, status }) => ({ id, offset, size: status }));
  if (fragments.some(crossesPage)) refused ??= 'crosses-page';
  if (refused) return { refused, slots };
  const size = fragments.reduce((sum, fragment) => sum + fragment.size, 0);
  return { size, flags: parts[0]!.flags, fragments, extras, slots };
}

/** The answer to a slot of a tx ring; an extra info gets NETIF_RSP_NULL whatever the packet's `status`. */
export function setNetifTxResponseWords(words: Uint32Array, slot: NetifSlot, status: number): void {
  const { id, extra } = slot;
  words[0] = id | ((extra ? netif.NETIF_RSP_NULL : status) << 16);
}

/** Whether an extra info of that type exists. */
export function isNetifExtraType(type: number): boolean {
  return type > netif.XEN_NETIF_EXTRA_TYPE_NONE && type < netif.XEN_NETIF_EXTRA_TYPE_MAX;
}

function crossesPage({ offset, size }: { offset: number; size: number }): boolean {
  return offset + size > PAGE_SIZE;
}

interface Chain<Part> {
  readonly parts: readonly Part[];
  readonly extras: readonly netif.NetifExtraInfo[];
  readonly slots: readonly NetifSlot[];
  readonly refused: NetifRefusal | undefined;
}

// Both directions use the same bits, NETTXF_ and NETRXF_, and only the first slot's say that extra info follows.
function followChain<Part extends { readonly id: number; readonly flags: number }>(
  take: NetifTake,
  length: number,
  decode: (view: DataView) => Part,
): Chain<Part> | undefined {
  const words = new Uint32Array(length);
  const view = new DataView(words.buffer);
  if (!take(words)) return undefined;
  let part = decode(view);
  const [parts, slots] = [[part], [{ id: part.id, extra: false }]];
  const extras: netif.NetifExtraInfo[] = [];
  let refused: NetifRefusal | undefined;
  let more = (part.flags & netif.NETTXF_extra_info) !== 0;
  while (more) {
    if (!take(words)) return { parts, extras, slots, refused: refused ?? 'cut-short' };
    const extra = netif.NetifExtraInfo.get(view);
    extras.push(extra);
    slots.push({ id: 0, extra: true });
    if (!isNetifExtraType(extra.type)) refused ??= 'bad-extra-type';
    more = (extra.flags & netif.XEN_NETIF_EXTRA_FLAG_MORE) !== 0;
  }
  while ((part.flags & netif.NETTXF_more_data) !== 0) {
    if (!take(words)) return { parts, extras, slots, refused: refused ?? 'cut-short' };
    part = decode(view);
    parts.push(part);
    slots.push({ id: part.id, extra: false });
  }
  return { parts, extras, slots, refused };
}
