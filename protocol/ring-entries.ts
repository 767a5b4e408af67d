/**
 * What lies in a ring's slots: each message in Xen's own words, and what about it cannot be.
 * Slots are decoded in order, because in a network ring only the slot before says what the next one is.
 * @source xen/io/blkif.h, xen/io/netif.h
 */
import * as blkif from './blkif.ts';
import { namesOf } from './constant-names.ts';
import * as netif from './netif.ts';

/** One message: what it is, its fields by Xen's names, and why it cannot be. */
export interface RingMessage {
  readonly what: string;
  readonly fields: Readonly<Record<string, number | string>>;
  readonly wrong?: string;
}

/** Decodes the messages of one direction, one after the other. */
export type MessageDecoder = (words: Uint32Array) => RingMessage;

const OPERATIONS = namesOf(blkif, 'BLKIF_OP_');
const BLKIF_STATUS = namesOf(blkif, 'BLKIF_RSP_');
const NETIF_STATUS = namesOf(netif, 'NETIF_RSP_');
const EXTRA_TYPES = namesOf(netif, 'XEN_NETIF_EXTRA_TYPE_', ['XEN_NETIF_EXTRA_TYPE_MAX']);
const TX_FLAGS = namesOf(netif, 'NETTXF_');
const RX_FLAGS = namesOf(netif, 'NETRXF_');

const SECTORS_PER_PAGE = 8;
const SEGMENTS_PER_PAGE = 512;

/** A blkif request of any operation. */
export function blkifRequest(words: Uint32Array): RingMessage {
  const view = new DataView(words.buffer, words.byteOffset, words.byteLength);
  const operation = view.getUint8(0);
  const what = OPERATIONS.get(operation) ?? `operation ${operation}`;
  if (operation === blkif.BLKIF_OP_DISCARD) {
    const { flag, handle, id, sectorNumber, nrSectors } = blkif.BlkifRequestDiscard.get(view);
    const fields = { id: exact(id), handle, sector_number: sectorNumber, nr_sectors: nrSectors };
    return { what, fields: { ...fields, flag } };
  }
  if (operation === blkif.BLKIF_OP_INDIRECT) return indirectRequest(what, view);
  const { id, handle, nrSegments, sectorNumber, seg } = blkif.BlkifRequest.get(view);
  const shown = seg.slice(0, nrSegments);
  const fields = {
    ...{ id: exact(id), handle, nr_segments: nrSegments, sector_number: sectorNumber },
    ...(shown.length > 0 && { seg: shown.map(segmentText).join(',') }),
  };
  if (!OPERATIONS.has(operation)) return { what, fields, wrong: 'there is no such operation' };
  const moves = operation === blkif.BLKIF_OP_READ || operation === blkif.BLKIF_OP_WRITE;
  const most = blkif.BLKIF_MAX_SEGMENTS_PER_REQUEST;
  if (nrSegments > most) return { what, fields, wrong: `more than ${most} segments` };
  if (moves && nrSegments === 0) return { what, fields, wrong: 'no segment' };
  const bad = shown.find((s) => s.firstSect > s.lastSect || s.lastSect >= SECTORS_PER_PAGE);
  if (!bad) return { what, fields };
  return { what, fields, wrong: `segment ${segmentText(bad)} is not within a page's 8 sectors` };
}

function indirectRequest(what: string, view: DataView): RingMessage {
  const request = blkif.BlkifRequestIndirect.get(view);
  const { id, handle, indirectOp, nrSegments, sectorNumber, indirectGrefs } = request;
  const pages = Math.ceil(nrSegments / SEGMENTS_PER_PAGE);
  const grefs = indirectGrefs.slice(0, pages);
  const fields = {
    ...{ indirect_op: OPERATIONS.get(indirectOp) ?? indirectOp, id: exact(id), handle },
    ...{ nr_segments: nrSegments, sector_number: sectorNumber, indirect_grefs: grefs.join(',') },
  };
  if (indirectOp !== blkif.BLKIF_OP_READ && indirectOp !== blkif.BLKIF_OP_WRITE) {
    return { what, fields, wrong: 'only a read or a write can be indirect' };
  }
  const most = blkif.BLKIF_MAX_INDIRECT_PAGES_PER_REQUEST * SEGMENTS_PER_PAGE;
  if (nrSegments > most) return { what, fields, wrong: `more than ${most} segments` };
  return nrSegments > 0 ? { what, fields } : { what, fields, wrong: 'no segment' };
}

export function blkifResponse(words: Uint32Array): RingMessage {
  const { id, operation, status } = blkif.BlkifResponse.get(viewOf(words));
  const fields = { id: exact(id), operation: OPERATIONS.get(operation) ?? operation };
  return withStatus('response', fields, status, BLKIF_STATUS);
}

/** Requests of a tx ring; the first is taken for the beginning of a packet. */
export function netifTxRequests(): MessageDecoder {
  return chainDecoder((view) => {
    const { gref, offset, flags, id, size } = netif.NetifTxRequest.get(view);
    const fields = { id, gref, offset, size, flags: flagText(flags, TX_FLAGS) };
    return { flags, message: withFlags('request', fields, flags, TX_FLAGS) };
  });
}

export function netifTxResponse(words: Uint32Array): RingMessage {
  const { id, status } = netif.NetifTxResponse.get(viewOf(words));
  if (status === netif.NETIF_RSP_NULL) return { what: 'NETIF_RSP_NULL', fields: {} };
  return withStatus('response', { id }, status, NETIF_STATUS);
}

export function netifRxRequest(words: Uint32Array): RingMessage {
  const { id, gref } = netif.NetifRxRequest.get(viewOf(words));
  return { what: 'request', fields: { id, gref } };
}

/** Responses of an rx ring; the first is taken for the beginning of a packet. */
export function netifRxResponses(): MessageDecoder {
  return chainDecoder((view) => {
    const { id, offset, flags, status } = netif.NetifRxResponse.get(view);
    const fields = { id, offset, flags: flagText(flags, RX_FLAGS) };
    if (status < 0) return { flags, message: withStatus('response', fields, status, NETIF_STATUS) };
    const message = withFlags('response', { ...fields, status }, flags, RX_FLAGS);
    return { flags, message };
  });
}

type Chained = (view: DataView) => { readonly flags: number; readonly message: RingMessage };

/** Which slots are extra info: the same bits say so in both directions. */
function chainDecoder(decode: Chained): MessageDecoder {
  let extra = false;
  let fragment = false;
  return (words) => {
    const view = viewOf(words);
    if (extra) {
      const { type, flags } = netif.NetifExtraInfo.get(view);
      extra = (flags & netif.XEN_NETIF_EXTRA_FLAG_MORE) !== 0;
      const fields = { type: EXTRA_TYPES.get(type) ?? type, flags: extra ? 'MORE' : 0 };
      return { what: 'extra info', fields };
    }
    const { flags, message } = decode(view);
    extra = !fragment && (flags & netif.NETTXF_extra_info) !== 0;
    fragment = (flags & netif.NETTXF_more_data) !== 0;
    return message;
  };
}

type Names = ReadonlyMap<number, string>;
type FieldsOf = RingMessage['fields'];

function withStatus(what: string, fields: FieldsOf, status: number, names: Names): RingMessage {
  const name = names.get(status);
  if (name) return { what, fields: { ...fields, status: name } };
  return { what, fields: { ...fields, status }, wrong: 'there is no such status' };
}

function withFlags(what: string, fields: FieldsOf, flags: number, names: Names): RingMessage {
  const rest = [...names.keys()].reduce((left, flag) => left & ~flag, flags);
  return rest === 0 ? { what, fields } : { what, fields, wrong: 'a flag that does not exist' };
}

function flagText(flags: number, names: Names): number | string {
  const set = [...names].filter(([flag]) => (flags & flag) !== 0);
  const rest = set.reduce((left, [flag]) => left & ~flag, flags);
  const words = set.map(([, name]) => name.replace(/^NET[TR]XF_/, ''));
  if (rest !== 0) words.push(`0x${rest.toString(16)}`);
  return words.length > 0 ? words.join('|') : 0;
}

function segmentText(segment: blkif.BlkifRequestSegment): string {
  const { gref, firstSect, lastSect } = segment;
  return `${gref}:${firstSect}-${lastSect}`;
}

/** Every bit of a 64-bit id, as a number where that is exact. */
function exact(id: bigint): number | string {
  return id <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(id) : String(id);
}

function viewOf(words: Uint32Array): DataView {
  return new DataView(words.buffer, words.byteOffset, words.byteLength);
}
