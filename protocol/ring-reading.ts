/**
 * A request/response ring read from its page alone, by somebody who is neither end: indices, thresholds,
 * slots, messages, and what about them cannot be. Facts only; ring-picture.ts draws them.
 * Nothing in a page makes it throw.
 * @source xen/io/ring.h
 */
import { BLKIF_RING } from './blkif.ts';
import { NETIF_RX_RING, NETIF_TX_RING, XEN_NETIF_NR_SLOTS_MIN } from './netif.ts';
import { type NetifRefusal, type NetifTake, netifRxPacket, netifTxPacket } from './netif-packet.ts';
import type { RingLayout } from './ring.ts';
import * as entries from './ring-entries.ts';
import { type Finding, headerFindings, isInitialised } from './ring-findings.ts';
import {
  HEADER,
  type RingIndices,
  type RingPrivate,
  readRingIndices,
  requestsEnd,
  type SlotState,
  slotStates,
} from './ring-indices.ts';

export type SlotRingProtocol = 'blkif' | 'netif-tx' | 'netif-rx';

export interface RingReadingOptions {
  /** Private indices, where the caller knows them. */
  readonly known?: RingPrivate;
  /** How many answers are decoded, the newest, when `known` does not say which still wait; 8 by default. */
  readonly answers?: number;
}

/** A slot with the message in it; `index` is free-running. */
export interface RingEntry extends entries.RingMessage {
  readonly index: number;
  readonly slot: number;
  readonly state: SlotState;
}

export interface SlotRingReading extends RingIndices {
  readonly kind: 'slots';
  readonly protocol: SlotRingProtocol;
  readonly bytes: number;
  readonly initialised: boolean;
  readonly states: string; // one character for each slot, by place
  readonly requests: readonly RingEntry[]; // not yet answered, oldest first
  readonly answers: readonly RingEntry[]; // the newest last
  readonly findings: readonly Finding[];
}

interface Protocol {
  readonly layout: RingLayout;
  readonly requests: () => entries.MessageDecoder;
  readonly answers: () => entries.MessageDecoder;
}

const PROTOCOLS: Readonly<Record<SlotRingProtocol, Protocol>> = {
  blkif: {
    layout: BLKIF_RING,
    requests: () => entries.blkifRequest,
    answers: () => entries.blkifResponse,
  },
  'netif-tx': {
    layout: NETIF_TX_RING,
    requests: entries.netifTxRequests,
    answers: () => entries.netifTxResponse,
  },
  'netif-rx': {
    layout: NETIF_RX_RING,
    requests: () => entries.netifRxRequest,
    answers: entries.netifRxResponses,
  },
};

const ANSWERS = 8;

/** @throws RangeError when not even one slot fits in `words`. */
export function readSlotRing(
  words: Uint32Array,
  protocol: SlotRingProtocol,
  options: RingReadingOptions = {},
): SlotRingReading {
  const { layout, requests: decodeRequests, answers: decodeAnswers } = PROTOCOLS[protocol];
  const ring = readRingIndices(words, layout, options.known);
  const page: Page = { words, layout, ring, states: slotStates(ring) };
  const [begin, end] = [ring.known.rspProdPvt ?? ring.rspProd, requestsEnd(ring)];
  const requests = entriesOf(page, begin, end, 'Qtq', decodeRequests());
  const all = entriesOf(page, end - ring.size, begin, 'Aa', decodeAnswers());
  const exact = ring.known.rspCons !== undefined;
  const answers = exact ? all : all.slice(Math.max(0, all.length - (options.answers ?? ANSWERS)));

  // What is only staged may not be written yet.
  const published = requests.filter(({ state }) => state !== 'q');
  const pushed = answers.filter(({ state }) => state !== 'a');
  const packets = protocol === 'netif-tx' ? packetsOf(page, published, netifTxPacket) : [];
  const arrived = protocol === 'netif-rx' && exact ? packetsOf(page, pushed, netifRxPacket) : [];
  // The oldest request left may lie within a packet, unless the back end has answered none at all.
  const unsure = begin === 0 ? 0 : (packets[0]?.count ?? 0);
  const findings = [
    ...headerFindings(words, ring),
    ...published.flatMap((entry, i) => wrongMessage('request', entry, i >= unsure)),
    ...packets.flatMap((packet) => wrongPacket(packet, packet.first >= unsure)),
    ...pushed.flatMap((entry) => wrongMessage('answer', entry, exact)),
    ...arrived.flatMap((packet) => wrongPacket(packet, true)),
  ];
  const states = page.states.join('');
  const head = { kind: 'slots', protocol, bytes: words.byteLength } as const;
  const initialised = isInitialised(words);
  return { ...head, ...ring, initialised, states, requests, answers, findings };
}

interface Page {
  readonly words: Uint32Array;
  readonly layout: RingLayout;
  readonly ring: RingIndices;
  readonly states: readonly SlotState[];
}

/** The messages from index `from` up to `to` in slots of the `wanted` states. */
function entriesOf(
  page: Page,
  from: number,
  to: number,
  wanted: string,
  decode: entries.MessageDecoder,
): RingEntry[] {
  const { ring, states } = page;
  const found: RingEntry[] = [];
  if (states[0] === '?') return found;
  const count = (to - from) >>> 0;
  for (let i = 0; i < count; i++) {
    const index = (from + i) >>> 0;
    const slot = index % ring.size;
    const state = states[slot]!;
    if (!wanted.includes(state)) continue;
    found.push({ index, slot, state, ...decode(slotWords(page, slot)) });
  }
  return found;
}

function slotWords({ words, layout }: Page, slot: number): Uint32Array {
  const length = Math.max(layout.requestSize, layout.responseSize) / 4;
  return words.subarray(HEADER.words + slot * length, HEADER.words + (slot + 1) * length);
}

interface Packet {
  readonly first: number; // its place among the entries
  readonly count: number;
  readonly entry: RingEntry;
  readonly refused: NetifRefusal | undefined;
}

function packetsOf(
  page: Page,
  list: readonly RingEntry[],
  packetOf: (take: NetifTake) => { readonly refused?: NetifRefusal | undefined } | undefined,
): Packet[] {
  const packets: Packet[] = [];
  let next = 0;
  const take = (into: Uint32Array): boolean => {
    const entry = list[next];
    if (entry) into.set(slotWords(page, entry.slot).subarray(0, into.length));
    next += entry ? 1 : 0;
    return entry !== undefined;
  };
  for (;;) {
    const first = next;
    const packet = packetOf(take);
    if (!packet) return packets;
    const { refused } = packet;
    packets.push({ first, count: next - first, entry: list[first]!, refused });
  }
}

function wrongMessage(what: string, entry: RingEntry, sure: boolean): Finding[] {
  const { index, slot, wrong } = entry;
  if (wrong === undefined) return [];
  return [
    { level: sure ? 'impossible' : 'suspect', text: `${what} ${index} in slot ${slot}: ${wrong}` },
  ];
}

const REFUSALS: Readonly<Record<Exclude<NetifRefusal, 'failed'>, string>> = {
  'cut-short': 'the ring ends in the middle of it',
  'bad-extra-type': 'an extra info of a type that does not exist',
  'too-many-slots': `more than ${XEN_NETIF_NR_SLOTS_MIN} slots`,
  'fragment-too-large': 'a fragment larger than what is left of the packet',
  'crosses-page': 'a fragment that does not end in its page',
};

/** A packet that is refused. One that is cut short may be published in two steps, which few back ends bear. */
function wrongPacket({ refused, entry, count }: Packet, sure: boolean): Finding[] {
  if (refused === undefined || refused === 'failed') return [];
  const level = sure && refused !== 'cut-short' ? 'impossible' : 'suspect';
  const where = `packet of ${count} from slot ${entry.slot}`;
  return [{ level, text: `${where}: ${REFUSALS[refused]}` }];
}
