/**
 * The page of a byte ring as the kit sees it: what lies where, and what every byte of it ought to be. The one idea: a
 * byte is known by its index, and where none is published stands junk, other for each index, so that a byte
 * that was read too early or too late tells so by itself.
 * @source xen/io/console.h, xen/io/xs_wire.h
 */
import type { ByteRingPlace } from '../byte-ring.ts';
import { CONSOLE_IN, CONSOLE_OUT } from '../console-ring.ts';
import { XENSTORE_REQ, XENSTORE_RSP, XenstoreDomainInterface } from '../xs-wire.ts';
import type { Role } from './peer.ts';

export type ByteProtocolName = 'console' | 'xenstore';

export const PAGE_BYTES = 4096;

/** One direction. */
export interface Stream extends ByteRingPlace {
  readonly label: string; // as in the header's names: out_prod
}

export interface BytePage {
  readonly name: ByteProtocolName;
  readonly toBack: Stream;
  readonly toFront: Stream;
  /** Words that are neither bytes nor indices, by name: byte offsets. */
  readonly words: Readonly<Record<string, number>>;
}

const { offset } = XenstoreDomainInterface;

export const BYTE_PAGES: Readonly<Record<ByteProtocolName, BytePage>> = {
  console: {
    name: 'console',
    toBack: { ...CONSOLE_OUT, label: 'out' },
    toFront: { ...CONSOLE_IN, label: 'in' },
    words: {},
  },
  xenstore: {
    name: 'xenstore',
    toBack: { ...XENSTORE_REQ, label: 'req' },
    toFront: { ...XENSTORE_RSP, label: 'rsp' },
    words: {
      server_features: offset.serverFeatures,
      connection: offset.connection,
      error: offset.error,
    },
  },
};

/** The direction that an end writes, and the one that it reads. */
export function streamsOf(page: BytePage, role: Role): { out: Stream; in: Stream } {
  const { toBack, toFront } = page;
  return role === 'front' ? { out: toBack, in: toFront } : { out: toFront, in: toBack };
}

/** The byte with that index. */
export function byteOf({ data }: Stream, index: number): number {
  const mixed = Math.imul((index ^ (index >>> 15)) + data + 1, 0x9e3779b1);
  return Math.imul(mixed ^ (mixed >>> 15), 0x85ebca6b) >>> 24;
}

/** What stands in its place while it is not published: never the byte. */
export function junkOf(stream: Stream, index: number): number {
  return byteOf(stream, index) ^ 0xff;
}

/** Where the byte with that index stands, as an offset in the page. */
export function placeOf({ data, size }: Stream, index: number): number {
  return data + (index & (size - 1));
}

/** Fills one direction: `waiting` bytes before `produced`, junk elsewhere; and its indices. */
export function fillStream(
  page: Uint32Array,
  stream: Stream,
  produced: number,
  waiting: number,
): void {
  const bytes = new Uint8Array(page.buffer, page.byteOffset, page.byteLength);
  bytes.set(areaOf(stream, produced, waiting), stream.data);
  page[stream.prod >>> 2] = produced;
  page[stream.cons >>> 2] = produced - waiting;
}

/** Most runs begin as the one before did. */
const lastAreas = new WeakMap<Stream, { produced: number; waiting: number; area: Uint8Array }>();

function areaOf(stream: Stream, produced: number, waiting: number): Uint8Array {
  const last = lastAreas.get(stream);
  if (last?.produced === produced && last.waiting === waiting) return last.area;
  const { data, size } = stream;
  const area = new Uint8Array(size);
  for (let i = 0; i < size; i++) {
    const index = produced - waiting + i;
    area[placeOf(stream, index) - data] =
      i < waiting ? byteOf(stream, index) : junkOf(stream, index);
  }
  lastAreas.set(stream, { produced, waiting, area });
  return area;
}

/** What lies at an offset, in words. */
export function nameOf(page: BytePage, at: number): string {
  for (const { label, data, size, prod, cons } of [page.toBack, page.toFront]) {
    if (at >= data && at < data + size) return `byte ${at - data} of ${label}`;
    if (at >= prod && at < prod + 4) return `${label}_prod`;
    if (at >= cons && at < cons + 4) return `${label}_cons`;
  }
  for (const [name, word] of Object.entries(page.words)) {
    if (at >= word && at < word + 4) return name;
  }
  return `byte ${at} of the page, which has no meaning`;
}

const WIDTH = 10; // of the largest u32
const SHOWN = 8; // bytes

/** What stands above the lines of `byteLine`. */
export function byteLineHeader({ toBack, toFront }: BytePage): string {
  const columns = [toBack, toFront].flatMap(({ label }) => [`${label}_cons`, `${label}_prod`]);
  return [...columns.map((name) => name.padStart(WIDTH)), ' waiting'].join(' ');
}

/** A page in one line: the four indices, then what waits in each direction, the oldest bytes first. */
export function byteLine(words: Uint32Array, { toBack, toFront }: BytePage): string {
  const streams = [toBack, toFront];
  const columns = streams.flatMap(({ cons, prod }) => [words[cons >>> 2]!, words[prod >>> 2]!]);
  const waiting = streams.map((stream) => waitingText(words, stream));
  return [
    ...columns.map((value) => String(value).padStart(WIDTH)),
    ` ${waiting.join('  ')}`.trimEnd(),
  ].join(' ');
}

function waitingText(words: Uint32Array, stream: Stream): string {
  const cons = words[stream.cons >>> 2]!;
  const count = (words[stream.prod >>> 2]! - cons) >>> 0;
  if (count === 0) return `${stream.label} -`;
  if (count > stream.size) return `${stream.label} ?`;
  const bytes = new Uint8Array(words.buffer, words.byteOffset, words.byteLength);
  const shown = Array.from({ length: Math.min(count, SHOWN) }, (_, i) =>
    bytes[placeOf(stream, cons + i)]!.toString(16).padStart(2, '0'),
  );
  return `${stream.label} ${count}: ${shown.join(' ')}${count > SHOWN ? ' …' : ''}`;
}
