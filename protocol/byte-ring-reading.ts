/**
 * A console or xenstore page read by somebody who is neither end: what waits in each byte ring, xenstore's
 * messages among it, and what cannot be. Nothing in a page makes it throw.
 * @source xen/io/console.h, xen/io/xs_wire.h
 */
import type { ByteRingPlace } from './byte-ring.ts';
import { CONSOLE_IN, CONSOLE_OUT } from './console-ring.ts';
import { namesOf } from './constant-names.ts';
import type { Finding, Level } from './ring-findings.ts';
import * as wire from './xs-wire.ts';

export type ByteRingProtocol = 'console' | 'xenstore';

/** One xenstore message, as far as it has arrived. */
export interface MessageReading {
  readonly type: string;
  readonly reqId: number;
  readonly txId: number;
  readonly len: number;
  readonly arrived: number; // bytes of the payload
  readonly payload: string; // escaped, cut
}

export interface ByteRingReading {
  readonly name: string;
  readonly size: number;
  readonly cons: number;
  readonly prod: number;
  readonly waiting: number; // bytes; more than `size` only where an index cannot be
  readonly preview: string; // of the oldest, escaped
  readonly messages: readonly MessageReading[];
}

export interface BytePageReading {
  readonly kind: 'bytes';
  readonly protocol: ByteRingProtocol;
  readonly rings: readonly ByteRingReading[];
  /** The words after the rings of a xenstore page, by name. */
  readonly state: Readonly<Record<string, string>>;
  readonly findings: readonly Finding[];
}

const PLACES: Readonly<Record<ByteRingProtocol, readonly ByteRingPlace[]>> = {
  console: [CONSOLE_IN, CONSOLE_OUT],
  xenstore: [wire.XENSTORE_REQ, wire.XENSTORE_RSP],
};
const PAGE_WORDS = 1024;
const PREVIEW = 64;
const TYPES = namesOf(wire, 'XS_', ['XS_TYPE_COUNT', 'XS_INVALID']);
const CONNECTIONS = new Map([
  [wire.XENSTORE_CONNECTED, 'XENSTORE_CONNECTED'],
  [wire.XENSTORE_RECONNECT, 'XENSTORE_RECONNECT'],
]);
const ERRORS = namesOf(wire, 'XENSTORE_ERROR_');
const FEATURES = namesOf(wire, 'XENSTORE_SERVER_FEATURE_');

/**
 * `preview` is how many of the oldest bytes are shown, 64 by default.
 * @throws RangeError when `words` are fewer than a page.
 */
export function readBytePage(
  words: Uint32Array,
  protocol: ByteRingProtocol,
  preview = PREVIEW,
): BytePageReading {
  if (words.length < PAGE_WORDS) {
    throw new RangeError(`${protocol} page: ${words.byteLength} bytes instead of 4096`);
  }
  const findings: Finding[] = [];
  const rings = PLACES[protocol].map((place) =>
    readRing(words, place, preview, protocol === 'xenstore', findings),
  );
  const state = protocol === 'xenstore' ? xenstoreState(words, findings) : {};
  return { kind: 'bytes', protocol, rings, state, findings };
}

function readRing(
  words: Uint32Array,
  place: ByteRingPlace,
  preview: number,
  messages: boolean,
  findings: Finding[],
): ByteRingReading {
  const { name, size } = place;
  const [cons, prod] = [words[place.cons >>> 2]!, words[place.prod >>> 2]!];
  const waiting = (prod - cons) >>> 0;
  const say = (level: Level, text: string) => findings.push({ level, text: `${name}: ${text}` });
  if (waiting > size) {
    const ahead = (cons - prod) >>> 0;
    if (ahead <= waiting) say('impossible', `cons ${cons} is ahead of prod ${prod}`);
    else say('impossible', `${waiting} bytes wait in ${size}`);
    return { name, size, cons, prod, waiting, preview: '', messages: [] };
  }
  if (cons > prod) say('note', `cons ${cons} and prod ${prod} lie on either side of 2^32`);
  const bytes = waitingBytes(words, place, cons, waiting);
  return {
    ...{ name, size, cons, prod, waiting, preview: escaped(bytes, preview) },
    messages: messages ? messagesIn(bytes, cons === 0, preview, say) : [],
  };
}

function waitingBytes(
  words: Uint32Array,
  { data, size }: ByteRingPlace,
  cons: number,
  count: number,
): Uint8Array {
  const ring = new Uint8Array(words.buffer, words.byteOffset + data, size);
  return Uint8Array.from({ length: count }, (_, i) => ring[(cons + i) & (size - 1)]!);
}

type Say = (level: Level, text: string) => void;

/** The messages in `bytes`. Only if `whole` is it certain that the first byte begins one. */
function messagesIn(bytes: Uint8Array, whole: boolean, preview: number, say: Say) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const messages: MessageReading[] = [];
  const { size } = wire.XsdSockmsg;
  let at = 0;
  while (at + size <= bytes.length) {
    const { type, reqId, txId, len } = wire.XsdSockmsg.get(view, at);
    const name = TYPES.get(type);
    const arrived = Math.min(len, bytes.length - at - size);
    const payload = escaped(bytes.subarray(at + size, at + size + arrived), preview);
    messages.push({ type: name ?? `type ${type}`, reqId, txId, len, arrived, payload });
    if (name === undefined) {
      const sure = whole || messages.length > 1;
      const text = `type ${type} does not exist${sure ? '' : ', or cons is within a message'}`;
      say(sure ? 'impossible' : 'suspect', text);
      return messages;
    }
    if (len > wire.XENSTORE_PAYLOAD_MAX) {
      say('impossible', `${name} announces ${len} bytes, more than ${wire.XENSTORE_PAYLOAD_MAX}`);
      return messages;
    }
    at += size + len;
  }
  return messages;
}

function xenstoreState(words: Uint32Array, findings: Finding[]): Record<string, string> {
  const { offset } = wire.XenstoreDomainInterface;
  const features = words[offset.serverFeatures >>> 2]!;
  const connection = words[offset.connection >>> 2]!;
  const error = words[offset.error >>> 2]!;
  const known = [...FEATURES].filter(([bit]) => (features & bit) !== 0).map(([, name]) => name);
  const unknown = [...FEATURES.keys()].reduce((left, bit) => left & ~bit, features) >>> 0;
  const say = (level: Level, text: string) => findings.push({ level, text });
  if (unknown !== 0) say('suspect', `server_features ${features} has a bit that has no name`);
  if (!CONNECTIONS.has(connection)) say('impossible', `connection ${connection} is no state`);
  if (!ERRORS.has(error)) say('impossible', `error ${error} does not exist`);
  return {
    server_features: known.join(' | ') || String(features),
    connection: CONNECTIONS.get(connection) ?? String(connection),
    error: ERRORS.get(error) ?? String(error),
  };
}

const ESCAPES: Readonly<Record<number, string>> = {
  ...{ 0: '\\0', 9: '\\t', 10: '\\n', 13: '\\r' },
  92: '\\\\',
};

/** Printable text, whatever is not as an escape; dots after the first `most` bytes if there are more. */
function escaped(bytes: Uint8Array, most: number): string {
  let text = '';
  for (const byte of bytes.subarray(0, Math.max(0, most))) {
    const plain = byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : undefined;
    text += ESCAPES[byte] ?? plain ?? `\\x${byte.toString(16).padStart(2, '0')}`;
  }
  return bytes.length > most ? `${text}...` : text;
}
