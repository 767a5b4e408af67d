/**
 * The network protocol: the guest transmits on one ring and posts empty pages on another to receive.
 * One packet is a chain of slots, and an extra info slot lies where a request or response would, so a
 * slot can only be read in order: netif-packet.ts does that.
 * @source xen/io/netif.h
 */
import { array, bytes, i16, struct, type TypeOf, u8, u16, union } from './layout.ts';
import type { RingLayout } from './ring.ts';
import { Gref } from './units.ts';

/** Slots that a packet may take whatever the other end is; extra info is not counted. */
export const XEN_NETIF_NR_SLOTS_MIN = 18;
export const XEN_NETIF_MAX_TX_SIZE = 0xffff;

// netif_tx_request.flags. @source netif.h:957
export const NETTXF_csum_blank = 1;
export const NETTXF_data_validated = 2;
export const NETTXF_more_data = 4;
export const NETTXF_extra_info = 8;

// netif_rx_response.flags. @source netif.h:1040
export const NETRXF_data_validated = 1;
export const NETRXF_csum_blank = 2;
export const NETRXF_more_data = 4;
export const NETRXF_extra_info = 8;
export const NETRXF_gso_prefix = 16;

// A tx response's status; in an rx response only the negative ones, for a size stands there otherwise.
export const NETIF_RSP_DROPPED = -2;
export const NETIF_RSP_ERROR = -1;
export const NETIF_RSP_OKAY = 0;
export const NETIF_RSP_NULL = 1; // in the slot of an extra info, which has no id to answer

export const XEN_NETIF_EXTRA_TYPE_NONE = 0;
export const XEN_NETIF_EXTRA_TYPE_GSO = 1;
export const XEN_NETIF_EXTRA_TYPE_MCAST_ADD = 2;
export const XEN_NETIF_EXTRA_TYPE_MCAST_DEL = 3;
export const XEN_NETIF_EXTRA_TYPE_HASH = 4;
export const XEN_NETIF_EXTRA_TYPE_MAX = 5;
export const XEN_NETIF_EXTRA_FLAG_MORE = 1;

export const XEN_NETIF_GSO_TYPE_NONE = 0;
export const XEN_NETIF_GSO_TYPE_TCPV4 = 1;
export const XEN_NETIF_GSO_TYPE_TCPV6 = 2;

export const NetifTxRequest = struct('netif_tx_request', {
  gref: Gref,
  offset: u16,
  flags: u16, // NETTXF_*
  id: u16, // the front end's own, echoed
  size: u16, // of the whole packet in its first request, of the fragment in the others
});
export type NetifTxRequest = TypeOf<typeof NetifTxRequest>;

export const NetifTxResponse = struct('netif_tx_response', {
  id: u16,
  status: i16, // NETIF_RSP_*
});
export type NetifTxResponse = TypeOf<typeof NetifTxResponse>;

export const NetifRxRequest = struct('netif_rx_request', {
  id: u16,
  pad: u16,
  gref: Gref, // a page to fill
});
export type NetifRxRequest = TypeOf<typeof NetifRxRequest>;

/** Front ends ignore the id and go by the slot, so an answer must lie where its request lay. */
export const NetifRxResponse = struct('netif_rx_response', {
  id: u16,
  offset: u16,
  flags: u16, // NETRXF_*
  status: i16, // bytes of this fragment, or NETIF_RSP_*
});
export type NetifRxResponse = TypeOf<typeof NetifRxResponse>;

export const NetifExtraInfo = struct('netif_extra_info', {
  type: u8, // XEN_NETIF_EXTRA_TYPE_*
  flags: u8, // XEN_NETIF_EXTRA_FLAG_MORE: another one follows
  u: union('u', {
    gso: struct('gso', { size: u16, type: u8, pad: u8, features: u16 }),
    mcast: struct('mcast', { addr: bytes(6) }),
    hash: struct('hash', { type: u8, algorithm: u8, value: bytes(4) }),
    pad: array(u16, 3),
  }),
});
export type NetifExtraInfo = TypeOf<typeof NetifExtraInfo>;

/** 256 slots in a page. */
export const NETIF_TX_RING: RingLayout = {
  name: 'netif tx',
  requestSize: NetifTxRequest.size,
  responseSize: NetifTxResponse.size,
};

/** 256 slots in a page. */
export const NETIF_RX_RING: RingLayout = {
  name: 'netif rx',
  requestSize: NetifRxRequest.size,
  responseSize: NetifRxResponse.size,
};

/** Words of each message; an extra info takes the first two of a slot. */
export const NETIF_TX_REQUEST_WORDS = NetifTxRequest.size / 4;
export const NETIF_TX_RESPONSE_WORDS = NetifTxResponse.size / 4;
export const NETIF_RX_REQUEST_WORDS = NetifRxRequest.size / 4;
export const NETIF_RX_RESPONSE_WORDS = NetifRxResponse.size / 4;
export const NETIF_EXTRA_INFO_WORDS = NetifExtraInfo.size / 4;

/** Keys under the device's xenstore directories. @source netif.h, the comments before the structs */
export const NETIF_KEYS = {
  // written by the front end; with several queues the first five lie under queue-N
  txRingRef: 'tx-ring-ref',
  rxRingRef: 'rx-ring-ref',
  eventChannel: 'event-channel', // or one for each ring:
  eventChannelTx: 'event-channel-tx',
  eventChannelRx: 'event-channel-rx',
  multiQueueNumQueues: 'multi-queue-num-queues',
  featureRxNotify: 'feature-rx-notify',
  requestMulticastControl: 'request-multicast-control',
  // written by the back end
  featureSplitEventChannels: 'feature-split-event-channels',
  multiQueueMaxQueues: 'multi-queue-max-queues',
  featureMulticastControl: 'feature-multicast-control',
  featureDynamicMulticastControl: 'feature-dynamic-multicast-control',
  carrier: 'carrier',
  // written by either, about what it can take
  featureNoCsumOffload: 'feature-no-csum-offload',
  featureIpv6CsumOffload: 'feature-ipv6-csum-offload',
  featureGsoTcpv4: 'feature-gso-tcpv4',
  featureGsoTcpv6: 'feature-gso-tcpv6',
  // written by the tool stack
  mtu: 'mtu',
  trusted: 'trusted',
} as const;
