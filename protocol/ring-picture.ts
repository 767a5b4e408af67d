/**
 * A ring in the hand: a page of shared memory as text, for whoever debugs an end of it.
 * What a page cannot tell is not guessed: private indices may be given, and what is impossible is said.
 * @source xen/io/ring.h, xen/io/console.h, xen/io/xs_wire.h
 */
import {
  type BytePageReading,
  type ByteRingProtocol,
  type ByteRingReading,
  type MessageReading,
  readBytePage,
} from './byte-ring-reading.ts';
import type { Finding } from './ring-findings.ts';
import { mustNotify, type SlotState, thresholdAhead } from './ring-indices.ts';
import {
  type RingEntry,
  type RingReadingOptions,
  readSlotRing,
  type SlotRingProtocol,
  type SlotRingReading,
} from './ring-reading.ts';
import { PAGE_SIZE } from './units.ts';

export { ringLine, ringLineHeader } from './ring-line.ts';

export type PictureProtocol = SlotRingProtocol | ByteRingProtocol;

/** Every protocol that can be drawn; those of byte rings have a page of exactly 4096 bytes. */
export const PICTURE_PROTOCOLS: readonly PictureProtocol[] = [
  'blkif',
  'netif-tx',
  'netif-rx',
  'console',
  'xenstore',
];

export interface PictureOptions extends RingReadingOptions {
  /** How many waiting bytes of a byte ring, and of a xenstore payload, are shown; 64 by default. */
  readonly preview?: number;
}

export type PageReading = SlotRingReading | BytePageReading;

/** What a page says, before it is drawn. @throws RangeError when `words` are too few to hold the ring. */
export function readRingPage(
  words: Uint32Array,
  protocol: PictureProtocol,
  options: PictureOptions = {},
): PageReading {
  if (protocol === 'console' || protocol === 'xenstore') {
    return readBytePage(words, protocol, options.preview);
  }
  return readSlotRing(words, protocol, options);
}

/** Draws a page, in lines without a last newline. @throws RangeError as `readRingPage`. */
export function ringPicture(
  words: Uint32Array,
  protocol: PictureProtocol,
  options: PictureOptions = {},
): string {
  return drawRingPage(readRingPage(words, protocol, options));
}

export function drawRingPage(reading: PageReading): string {
  const lines = reading.kind === 'slots' ? slotRingLines(reading) : bytePageLines(reading);
  return [...lines, ...findingLines(reading.findings)].join('\n');
}

function findingLines(findings: readonly Finding[]): string[] {
  const lines = findings.map(({ level, text }) => `${level}: ${text}`);
  const wrong = findings.some(({ level }) => level !== 'note');
  return wrong ? lines : [...lines, 'nothing impossible'];
}

function slotRingLines(reading: SlotRingReading): string[] {
  const { protocol, bytes, size, reqProd, reqEvent, rspProd, rspEvent, outstanding, initialised } =
    reading;
  const room =
    bytes % PAGE_SIZE === 0
      ? `${bytes / PAGE_SIZE} page${bytes > PAGE_SIZE ? 's' : ''}`
      : `${bytes} bytes`;
  const pair = (name: string, value: number) => `${name} ${String(value).padStart(10)}`;
  return [
    `${protocol} ring: ${size} slots in ${room}, mask 0x${(size - 1).toString(16)}`,
    `  ${pair('req_prod', reqProd)}   ${pair('req_event', reqEvent)}`,
    `  ${pair('rsp_prod', rspProd)}   ${pair('rsp_event', rspEvent)}`,
    ...knownLine(reading),
    `  ${outstanding} of ${size} outstanding`,
    ...(initialised ? notifyLines(reading) : []),
    ...slotRows(reading),
    ...entryLines('requests, oldest first:', reading.requests),
    ...entryLines('answers, newest last:', reading.answers),
  ];
}

function knownLine({ known }: SlotRingReading): string[] {
  const names = {
    req_cons: known.reqCons,
    rsp_prod_pvt: known.rspProdPvt,
    rsp_cons: known.rspCons,
    req_prod_pvt: known.reqProdPvt,
  };
  const given = Object.entries(names).filter(([, value]) => value !== undefined);
  if (given.length === 0) return [];
  return [`  private: ${given.map(([name, value]) => `${name} ${value}`).join(', ')}`];
}

function notifyLines({ reqProd, reqEvent, rspProd, rspEvent, known }: SlotRingReading): string[] {
  const [requests, answers] = [known.reqProdPvt ?? reqProd, known.rspProdPvt ?? rspProd];
  return [
    `  the back end ${wish('req_prod', reqProd, reqEvent)}${staged(reqEvent, reqProd, requests)}`,
    `  the front end ${wish('rsp_prod', rspProd, rspEvent)}${staged(rspEvent, rspProd, answers)}`,
  ];
}

function wish(name: string, producer: number, event: number): string {
  const ahead = thresholdAhead(producer, event);
  if (ahead <= 0) {
    return `asked to be told when ${name} reached ${event}: a notification is owed, on its way or heard, and no push notifies now`;
  }
  const when = ahead === 1 ? 'the next push notifies' : `${ahead} more must be pushed to notify`;
  return `wants to be told when ${name} reaches ${event}: ${when}`;
}

function staged(event: number, published: number, end: number): string {
  const count = (end - published) >>> 0;
  if (count === 0) return '';
  return `; pushing the ${count} staged ${mustNotify(event, published, end) ? 'notifies' : 'need not'}`;
}

/** Slots in rows of at most 64, and under a row where the producers point. */
function slotRows({ states, size, reqProd, rspProd, known }: SlotRingReading): string[] {
  if (states.startsWith('?')) return ['  no slot has a state that could be told'];
  const width = Math.min(size, 64);
  const [request, answer] = [reqProd % size, rspProd % size];
  const lines: string[] = [];
  for (let start = 0; start < size; start += width) {
    lines.push(`  ${String(start).padStart(5)}  ${states.slice(start, start + width)}`);
    const marks = Array.from({ length: width }, (_, i) => {
      const at = start + i;
      return at === request ? (at === answer ? '=' : 'P') : at === answer ? 'p' : ' ';
    });
    if (marks.some((mark) => mark !== ' ')) lines.push(`         ${marks.join('')}`.trimEnd());
  }
  const meanings = (Object.keys(MEANINGS) as SlotState[]).filter((state) => states.includes(state));
  const legend = meanings.map(
    (state) => `${state} ${MEANINGS[state](known.rspCons !== undefined)}`,
  );
  const pointers = request === answer ? '= both producers' : 'p rsp_prod; P req_prod';
  return [...lines, `  ${[...legend, pointers].join('; ')}`];
}

const MEANINGS: Readonly<Record<SlotState, (exact: boolean) => string>> = {
  '.': (exact) => (exact ? 'free' : 'not used yet'),
  q: () => 'staged request',
  Q: () => 'request',
  t: () => 'taken by the back end',
  a: () => 'staged answer',
  A: (exact) => (exact ? 'answer' : 'answer, taken or not'),
  '?': () => 'contradictory',
};

function entryLines(heading: string, entries: readonly RingEntry[]): string[] {
  if (entries.length === 0) return [];
  const lines = entries.map(({ index, slot, state, what, fields }) => {
    const words = Object.entries(fields).map(([name, value]) => `${name}=${value}`);
    return `  ${index} in slot ${slot}  ${[state, what, ...words].join(' ')}`;
  });
  return [heading, ...lines];
}

function bytePageLines({ protocol, rings, state }: BytePageReading): string[] {
  const words = Object.entries(state).map(([name, value]) => `  ${name} ${value}`);
  return [`${protocol} page`, ...rings.flatMap(byteRingLines), ...words];
}

function byteRingLines({ name, size, cons, prod, waiting, ...ring }: ByteRingReading): string[] {
  const head = `  ${name}: cons ${cons}, prod ${prod}, ${waiting} of ${size} bytes wait`;
  if (ring.messages.length > 0) return [head, ...ring.messages.map(messageLine)];
  return waiting > 0 && waiting <= size ? [head, `    "${ring.preview}"`] : [head];
}

function messageLine({ type, reqId, txId, len, arrived, payload }: MessageReading): string {
  const missing = arrived < len ? ` (${arrived} of ${len} bytes are here)` : '';
  return `    ${type} req_id=${reqId} tx_id=${txId} len=${len} "${payload}"${missing}`;
}
