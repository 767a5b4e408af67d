/**
 * The block protocol: requests name granted pages and sectors of 512 bytes, responses come in any
 * order. Structs describe the wire; the `...Words` functions work on ring slots without BigInt and
 * keep the 64-bit id as two halves, because the back end must echo all of it.
 * @source xen/io/blkif.h
 */
import { array, i16, struct, type TypeOf, u8, u16, u64, u64n } from './layout.ts';
import type { RingLayout } from './ring.ts';
import { Gref } from './units.ts';

export const BLKIF_OP_READ = 0;
export const BLKIF_OP_WRITE = 1;
export const BLKIF_OP_WRITE_BARRIER = 2;
export const BLKIF_OP_FLUSH_DISKCACHE = 3;
export const BLKIF_OP_DISCARD = 5;
export const BLKIF_OP_INDIRECT = 6;

export const BLKIF_MAX_SEGMENTS_PER_REQUEST = 11;
export const BLKIF_MAX_INDIRECT_PAGES_PER_REQUEST = 8;
export const BLKIF_DISCARD_SECURE = 1;

export const BLKIF_RSP_OKAY = 0;
export const BLKIF_RSP_ERROR = -1;
export const BLKIF_RSP_EOPNOTSUPP = -2;

export const VDISK_CDROM = 0x1;
export const VDISK_REMOVABLE = 0x2;
export const VDISK_READONLY = 0x4;

export const BlkifRequestSegment = struct('blkif_request_segment', {
  gref: Gref,
  firstSect: u8, // of the page's eight, both inclusive
  lastSect: u8,
});
export type BlkifRequestSegment = TypeOf<typeof BlkifRequestSegment>;

export const BlkifRequest = struct('blkif_request', {
  operation: u8, // BLKIF_OP_*
  nrSegments: u8,
  handle: u16,
  id: u64, // the front end's own, echoed
  sectorNumber: u64n,
  seg: array(BlkifRequestSegment, BLKIF_MAX_SEGMENTS_PER_REQUEST),
});
export type BlkifRequest = TypeOf<typeof BlkifRequest>;

export const BlkifRequestDiscard = struct('blkif_request_discard', {
  operation: u8,
  flag: u8, // BLKIF_DISCARD_*
  handle: u16,
  id: u64,
  sectorNumber: u64n,
  nrSectors: u64n,
});
export type BlkifRequestDiscard = TypeOf<typeof BlkifRequestDiscard>;

export const BlkifRequestIndirect = struct('blkif_request_indirect', {
  operation: u8, // BLKIF_OP_INDIRECT
  indirectOp: u8, // BLKIF_OP_READ or BLKIF_OP_WRITE
  nrSegments: u16,
  id: u64,
  sectorNumber: u64n,
  handle: u16,
  indirectGrefs: array(Gref, BLKIF_MAX_INDIRECT_PAGES_PER_REQUEST), // pages full of segments
});
export type BlkifRequestIndirect = TypeOf<typeof BlkifRequestIndirect>;

export const BlkifResponse = struct('blkif_response', {
  id: u64,
  operation: u8,
  status: i16, // BLKIF_RSP_*
});
export type BlkifResponse = TypeOf<typeof BlkifResponse>;

/** 32 slots in a page. */
export const BLKIF_RING: RingLayout = {
  name: 'blkif',
  requestSize: BlkifRequest.size,
  responseSize: BlkifResponse.size,
};

/** Keys under the device's xenstore directories. @source blkif.h, "Backend/Frontend XenBus Nodes" */
export const BLKIF_KEYS = {
  // written by the front end
  ringRef: 'ring-ref', // of a ring of several pages: ring-ref0, ring-ref1, ...
  ringPageOrder: 'ring-page-order',
  numRingPages: 'num-ring-pages', // the same, as others called it; not to be used alone
  eventChannel: 'event-channel',
  protocol: 'protocol',
  // written by the back end
  sectors: 'sectors',
  sectorSize: 'sector-size',
  physicalSectorSize: 'physical-sector-size',
  info: 'info',
  maxRingPageOrder: 'max-ring-page-order',
  maxRingPages: 'max-ring-pages',
  featureBarrier: 'feature-barrier',
  featureFlushCache: 'feature-flush-cache',
  featureDiscard: 'feature-discard',
  featureMaxIndirectSegments: 'feature-max-indirect-segments',
} as const;

/** The value of the `protocol` key for these layouts. @source io/protocols.h */
export const XEN_IO_PROTO_ABI_X86_64 = 'x86_64-abi';

/** Words of a request and of a response in a ring slot. */
export const BLKIF_REQUEST_WORDS = BlkifRequest.size / 4;
export const BLKIF_RESPONSE_WORDS = BlkifResponse.size / 4;

/** A request as drivers use it; reuse one object for each end. */
export interface BlkifRequestFields {
  operation: number;
  nrSegments: number;
  handle: number;
  idLo: number;
  idHi: number;
  sectorNumber: number;
  readonly gref: Uint32Array; // one for each segment, 11 long
  readonly firstSect: Uint8Array;
  readonly lastSect: Uint8Array;
}

/** An all-zero request. */
export function blkifRequestFields(): BlkifRequestFields {
  return {
    operation: 0,
    nrSegments: 0,
    handle: 0,
    idLo: 0,
    idHi: 0,
    sectorNumber: 0,
    gref: new Uint32Array(BLKIF_MAX_SEGMENTS_PER_REQUEST),
    firstSect: new Uint8Array(BLKIF_MAX_SEGMENTS_PER_REQUEST),
    lastSect: new Uint8Array(BLKIF_MAX_SEGMENTS_PER_REQUEST),
  };
}

/** Decodes a slot; of the segments only those that `nrSegments` counts, at most 11. */
export function getBlkifRequestWords(words: Uint32Array, into: BlkifRequestFields): void {
  const head = words[0]!;
  into.operation = head & 0xff;
  into.nrSegments = (head >>> 8) & 0xff;
  into.handle = head >>> 16;
  into.idLo = words[2]!;
  into.idHi = words[3]!;
  into.sectorNumber = words[5]! * 2 ** 32 + words[4]!;
  const count = Math.min(into.nrSegments, BLKIF_MAX_SEGMENTS_PER_REQUEST);
  for (let i = 0; i < count; i++) {
    into.gref[i] = words[6 + 2 * i]!;
    into.firstSect[i] = words[7 + 2 * i]! & 0xff;
    into.lastSect[i] = (words[7 + 2 * i]! >>> 8) & 0xff;
  }
}

/** Encodes a request into a slot. RangeError with more than 11 segments. */
export function setBlkifRequestWords(words: Uint32Array, from: BlkifRequestFields): void {
  const { nrSegments } = from;
  if (nrSegments > BLKIF_MAX_SEGMENTS_PER_REQUEST) {
    throw new RangeError(`nrSegments ${nrSegments} is more than ${BLKIF_MAX_SEGMENTS_PER_REQUEST}`);
  }
  words[0] = from.operation | (nrSegments << 8) | (from.handle << 16);
  words[1] = 0;
  words[2] = from.idLo;
  words[3] = from.idHi;
  words[4] = from.sectorNumber;
  words[5] = Math.floor(from.sectorNumber / 2 ** 32);
  for (let i = 0; i < nrSegments; i++) {
    words[6 + 2 * i] = from.gref[i]!;
    words[7 + 2 * i] = from.firstSect[i]! | (from.lastSect[i]! << 8);
  }
}

/** Encodes the response to `request`, a BLKIF_RSP_*. */
export function setBlkifResponseWords(
  words: Uint32Array,
  request: Pick<BlkifRequestFields, 'idLo' | 'idHi' | 'operation'>,
  status: number,
): void {
  words[0] = request.idLo;
  words[1] = request.idHi;
  words[2] = request.operation | (status << 16);
  words[3] = 0;
}

/** The status in a response slot, signed; its id is words 0 and 1, its operation byte 8. */
export function blkifResponseStatus(words: Uint32Array): number {
  return (words[2]! | 0) >> 16;
}
