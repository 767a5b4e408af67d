/**
 * The xenstore protocol: 16-byte headers, payloads of at most 4096 bytes, over the two byte rings of
 * xenstore_domain_interface. A peer that announces more than the limit is disconnected.
 * @source xen/io/xs_wire.h
 */
import type { ByteRingPlace } from './byte-ring.ts';
import * as errno from './errno.ts';
import { bytes, struct, type TypeOf, u32 } from './layout.ts';

export const XS_CONTROL = 0;
export const XS_DIRECTORY = 1;
export const XS_READ = 2;
export const XS_GET_PERMS = 3;
export const XS_WATCH = 4;
export const XS_UNWATCH = 5;
export const XS_TRANSACTION_START = 6;
export const XS_TRANSACTION_END = 7;
export const XS_INTRODUCE = 8;
export const XS_RELEASE = 9;
export const XS_GET_DOMAIN_PATH = 10;
export const XS_WRITE = 11;
export const XS_MKDIR = 12;
export const XS_RM = 13;
export const XS_SET_PERMS = 14;
export const XS_WATCH_EVENT = 15;
export const XS_ERROR = 16;
export const XS_IS_DOMAIN_INTRODUCED = 17;
export const XS_RESUME = 18;
export const XS_SET_TARGET = 19;
export const XS_RESET_WATCHES = 21;
export const XS_DIRECTORY_PART = 22;
export const XS_TYPE_COUNT = 23;
export const XS_INVALID = 0xffff;

export const XENSTORE_RING_SIZE = 1024;
export const XENSTORE_PAYLOAD_MAX = 4096;
export const XENSTORE_ABS_PATH_MAX = 3072;
export const XENSTORE_REL_PATH_MAX = 2048;

export const XENSTORE_SERVER_FEATURE_RECONNECTION = 1;
export const XENSTORE_SERVER_FEATURE_ERROR = 2;
export const XENSTORE_CONNECTED = 0;
export const XENSTORE_RECONNECT = 1;
export const XENSTORE_ERROR_NONE = 0;
export const XENSTORE_ERROR_COMM = 1;
export const XENSTORE_ERROR_RINGIDX = 2;
export const XENSTORE_ERROR_PROTO = 3;

/** The errors that an XS_ERROR payload may name, with their numbers. @source xs_wire.h:57 */
export const XSD_ERRORS: Readonly<Record<string, number>> = {
  EINVAL: errno.EINVAL,
  EACCES: errno.EACCES,
  EEXIST: errno.EEXIST,
  EISDIR: errno.EISDIR,
  ENOENT: errno.ENOENT,
  ENOMEM: errno.ENOMEM,
  ENOSPC: errno.ENOSPC,
  EIO: errno.EIO,
  ENOTEMPTY: errno.ENOTEMPTY,
  ENOSYS: errno.ENOSYS,
  EROFS: errno.EROFS,
  EBUSY: errno.EBUSY,
  EAGAIN: errno.EAGAIN,
  EISCONN: errno.EISCONN,
  E2BIG: errno.E2BIG,
  EPERM: errno.EPERM,
};

export const XsdSockmsg = struct('xsd_sockmsg', {
  type: u32, // XS_*
  reqId: u32, // the client's own, echoed
  txId: u32, // transaction, 0 for none
  len: u32, // bytes of payload
});
export type XsdSockmsg = TypeOf<typeof XsdSockmsg>;

export const XenstoreDomainInterface = struct('xenstore_domain_interface', {
  req: bytes(XENSTORE_RING_SIZE),
  rsp: bytes(XENSTORE_RING_SIZE),
  reqCons: u32,
  reqProd: u32,
  rspCons: u32,
  rspProd: u32,
  serverFeatures: u32, // XENSTORE_SERVER_FEATURE_*
  connection: u32, // XENSTORE_CONNECTED or _RECONNECT
  error: u32, // XENSTORE_ERROR_*
});
export type XenstoreDomainInterface = TypeOf<typeof XenstoreDomainInterface>;

const { offset } = XenstoreDomainInterface;

/** From the guest to the server. */
export const XENSTORE_REQ: ByteRingPlace = {
  name: 'xenstore request',
  data: offset.req,
  size: XENSTORE_RING_SIZE,
  cons: offset.reqCons,
  prod: offset.reqProd,
};

/** From the server to the guest: replies and watch events. */
export const XENSTORE_RSP: ByteRingPlace = {
  name: 'xenstore response',
  data: offset.rsp,
  size: XENSTORE_RING_SIZE,
  cons: offset.rspCons,
  prod: offset.rspProd,
};

/** One message; the payload is a private copy. */
export interface XsMessage {
  readonly type: number;
  readonly reqId: number;
  readonly txId: number;
  readonly payload: Uint8Array;
}

/** A header that announces more than XENSTORE_PAYLOAD_MAX: the stream cannot be followed further. */
export class XsWireError extends Error {
  readonly type: number;
  readonly length: number;

  constructor(type: number, length: number) {
    super(`xenstore message type ${type} announces ${length} bytes`);
    this.name = 'XsWireError';
    this.type = type;
    this.length = length;
  }
}

/** Header and payload as they go over the ring. RangeError if the payload is too long. */
export function encodeMessage(message: XsMessage): Uint8Array {
  const { type, reqId, txId, payload } = message;
  if (payload.length > XENSTORE_PAYLOAD_MAX) {
    throw new RangeError(`payload of ${payload.length} bytes, at most ${XENSTORE_PAYLOAD_MAX}`);
  }
  const encoded = new Uint8Array(XsdSockmsg.size + payload.length);
  const header = { type, reqId, txId, len: payload.length };
  XsdSockmsg.set(new DataView(encoded.buffer), 0, header);
  encoded.set(payload, XsdSockmsg.size);
  return encoded;
}

/** Cuts a stream of bytes, in whatever pieces it arrives, into messages. */
export class MessageReader {
  readonly #buffer = new Uint8Array(XsdSockmsg.size + XENSTORE_PAYLOAD_MAX);
  readonly #view = new DataView(this.#buffer.buffer);
  #held = 0;

  /** The messages that `bytes` completes, in order. XsWireError if one cannot be true. */
  feed(bytes: Uint8Array): XsMessage[] {
    const messages: XsMessage[] = [];
    let at = 0;
    while (at < bytes.length) {
      const piece = bytes.subarray(at, at + this.#wanted() - this.#held);
      this.#buffer.set(piece, this.#held);
      this.#held += piece.length;
      at += piece.length;
      if (this.#held < this.#wanted()) continue; // a header that just ended may want a payload
      messages.push(this.#take());
    }
    return messages;
  }

  #wanted(): number {
    if (this.#held < XsdSockmsg.size) return XsdSockmsg.size;
    const { type, len } = XsdSockmsg.get(this.#view);
    if (len > XENSTORE_PAYLOAD_MAX) throw new XsWireError(type, len);
    return XsdSockmsg.size + len;
  }

  #take(): XsMessage {
    const { type, reqId, txId } = XsdSockmsg.get(this.#view);
    const payload = this.#buffer.slice(XsdSockmsg.size, this.#held);
    this.#held = 0;
    return { type, reqId, txId, payload };
  }
}

/** A payload of NUL-terminated strings. */
export function packStrings(...strings: readonly string[]): Uint8Array {
  return new TextEncoder().encode(strings.map((text) => `${text}\0`).join(''));
}

/** The strings of a payload; a last one without its NUL counts. */
export function unpackStrings(payload: Uint8Array): string[] {
  const strings = new TextDecoder().decode(payload).split('\0');
  if (strings.at(-1) === '') strings.pop();
  return strings;
}
