/** The ring of protocol/ring.ts as a peer of the kit. */
import { type EndObject, objectPeer } from '../../protocol/conformance/object-peer.ts';
import type { Peer } from '../../protocol/conformance/peer.ts';
import type { RingProtocol } from '../../protocol/conformance/ring-protocols.ts';
import { BackRing, FrontRing, initSharedRing } from '../../protocol/ring.ts';

const ENOSPC = 28;
const RSP_PROD = 8;

export function ourRing({ layout }: RingProtocol): Peer {
  const front = (): EndObject => {
    let ring: FrontRing;
    return {
      init: (memory, bytes) => {
        initSharedRing(memory);
        ring = new FrontRing(memory, layout, bytes);
        return ring.size;
      },
      attach: (memory, bytes, index) => {
        ring = FrontRing.attach(memory, layout, index, bytes);
        return ring.size;
      },
      request: (message) => {
        if (ring.full) return -ENOSPC;
        ring.request(message);
        return 0;
      },
      push: () => Number(ring.push()),
      response: (message) => Number(ring.response(message)),
      finalCheck: () => Number(ring.finalCheck()),
    };
  };
  const back = (): EndObject => {
    let ring: BackRing;
    return {
      init: (memory, bytes) => {
        ring = BackRing.attach(memory, layout, memory.get32(RSP_PROD), bytes);
        return ring.size;
      },
      request: (message) => Number(ring.request(message)),
      response: (message) => {
        ring.respond(message);
        return 0;
      },
      push: () => Number(ring.push()),
      finalCheck: () => Number(ring.finalCheck()),
    };
  };
  return objectPeer(
    { front, back },
    { request: layout.requestSize, response: layout.responseSize },
  );
}
