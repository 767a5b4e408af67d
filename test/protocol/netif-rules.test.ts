/** Rules of docs/rings.md about network rings that no other test is about. */
import { spawnSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import * as netif from '../../protocol/netif.ts';
import {
  type NetifTake,
  netifRxPacket,
  netifTxPacket,
  setNetifTxResponseWords,
} from '../../protocol/netif-packet.ts';
import { ArrayRingMemory, BackRing, FrontRing, initSharedRing } from '../../protocol/ring.ts';
import { hasHeader, hasTool, itNeeds } from '../support/tools.ts';

const { NETTXF_more_data: MORE, NETTXF_extra_info: EXTRA } = netif;
const { XEN_NETIF_EXTRA_TYPE_GSO: GSO, XEN_NETIF_EXTRA_FLAG_MORE: AND_MORE } = netif;

const tx = (id: number, size: number, flags = 0, offset = 0): number[] => [
  1000 + id,
  offset | (flags << 16),
  id | (size << 16),
];
const rx = (id: number, status: number, flags = 0, offset = 0): number[] => [
  id | (offset << 16),
  flags | (status << 16),
];
const extra = (type: number, flags: number): number[] => [type | (flags << 8), 0];

const takeFrom = (...list: number[][]): NetifTake => {
  return (into) => {
    const slot = list.shift();
    if (slot) into.set(slot.slice(0, into.length));
    return slot !== undefined;
  };
};

const twoEnds = (layout: typeof netif.NETIF_TX_RING) => {
  const words = new Uint32Array(1024);
  const memory = new ArrayRingMemory(words);
  initSharedRing(memory);
  return { words, front: new FrontRing(memory, layout), back: new BackRing(memory, layout) };
};

describe('NETIF_KEYS', () => {
  const available = hasTool('gcc') && hasHeader('xen/io/netif.h');
  itNeeds('gcc and libxen-dev', available, 'are names that netif.h has', () => {
    const input = '#include <stdint.h>\n#include <xen/xen.h>\n#include <xen/io/netif.h>\n';
    const kept = ['-E', '-C', '-x', 'c', '-']; // with its comments, which is where the keys are
    const header = spawnSync('gcc', kept, { input, encoding: 'utf8' }).stdout;
    expect(header).toContain('Guest transmit');
    const unknown = Object.values(netif.NETIF_KEYS).filter(
      (key) => !new RegExp(`["'/]${key}(?!-?\\w)`).test(header),
    );
    expect(unknown).toEqual([]);
  });
});

describe('netif_extra_info', () => {
  it('has flags of its own, which say nothing about fragments', () => {
    const others = 0xff & ~AND_MORE;
    const list = [tx(1, 100, EXTRA), extra(GSO, others), tx(2, 60, MORE | EXTRA)];
    const take = takeFrom(...list, extra(GSO, 0), tx(3, 20));
    expect(netifTxPacket(take)).toMatchObject({ size: 100, extras: { length: 1 } });
    expect(netifTxPacket(take)).toMatchObject({ fragments: [{ size: 40 }, { size: 20 }] });
    expect(netifTxPacket(take)).toBeUndefined();
  });

  it('is as long in a tx slot as in an rx slot', () => {
    expect(netif.NetifExtraInfo.size).toBe(netif.NetifRxResponse.size);
    expect(netif.NetifExtraInfo.size).toBeLessThan(netif.NetifTxRequest.size);
    const gso = [GSO | (1448 << 16), netif.XEN_NETIF_GSO_TYPE_TCPV6 | (5 << 16)];
    const wanted = [expect.objectContaining({ type: GSO })];
    const sent = netifTxPacket(takeFrom(tx(1, 60, EXTRA), [...gso, 0xffffffff]))!;
    const received = netifRxPacket(takeFrom(rx(1, 60, EXTRA), gso))!;
    expect([sent, received]).toMatchObject([{ extras: wanted }, { extras: wanted }]);
    expect('extras' in sent && sent.extras).toEqual('extras' in received && received.extras);
  });

  it('does not count among the 18 slots', () => {
    const fragments = Array.from({ length: 17 }, (_, i) => tx(i + 2, 10, i < 16 ? MORE : 0));
    const infos = [extra(GSO, AND_MORE), extra(netif.XEN_NETIF_EXTRA_TYPE_HASH, 0)];
    const packet = netifTxPacket(takeFrom(tx(1, 180, MORE | EXTRA), ...infos, ...fragments));
    expect(packet).toMatchObject({ size: 180, fragments: { length: 18 }, slots: { length: 20 } });
  });
});

describe('a refused tx packet', () => {
  it('is answered slot by slot, and the next packet is served', () => {
    const { front, back } = twoEnds(netif.NETIF_TX_RING);
    const bad = [tx(11, 100, MORE | EXTRA), [...extra(GSO, 0), 0], tx(12, 200)];
    for (const request of [...bad, tx(13, 60)]) front.request(Uint32Array.from(request));
    front.push();
    const words = new Uint32Array(netif.NETIF_TX_RESPONSE_WORDS);
    const packet = netifTxPacket((into) => back.request(into))!;
    expect(packet.refused).toBe('fragment-too-large');
    for (const slot of packet.slots) {
      setNetifTxResponseWords(words, slot, netif.NETIF_RSP_ERROR);
      back.respond(words);
    }
    back.push();
    const got: unknown[] = [];
    while (front.response(words)) {
      const { id, status } = netif.NetifTxResponse.get(new DataView(words.buffer));
      got.push(status === netif.NETIF_RSP_NULL ? 'null' : [id, status]);
    }
    expect(got).toEqual([[11, netif.NETIF_RSP_ERROR], 'null', [12, netif.NETIF_RSP_ERROR]]);
    expect(netifTxPacket((into) => back.request(into))).toMatchObject({ size: 60 });
  });
});

describe('the checksum flags', () => {
  it('have their places changed between the directions, and are those of the first slot', () => {
    const blankTx = netif.NETTXF_csum_blank;
    const blankRx = netif.NETRXF_csum_blank;
    expect([blankTx, netif.NETTXF_data_validated]).toEqual([netif.NETRXF_data_validated, blankRx]);
    const sent = netifTxPacket(takeFrom(tx(1, 60, blankTx | MORE), tx(2, 20, blankRx)));
    expect(sent).toMatchObject({ flags: blankTx | MORE });
    const received = netifRxPacket(takeFrom(rx(1, 60, blankRx | MORE), rx(2, 20, blankTx)));
    expect(received).toMatchObject({ flags: blankRx | MORE });
  });
});

describe('an rx ring', () => {
  const post = (front: FrontRing, ...ids: number[]): void => {
    for (const id of ids) front.request(Uint32Array.of(id, 900 + id));
    front.push();
  };

  it('carries no more responses than buffers were posted', () => {
    const { front, back } = twoEnds(netif.NETIF_RX_RING);
    const words = new Uint32Array(netif.NETIF_RX_RESPONSE_WORDS);
    post(front, 1, 2);
    const sent = [rx(1, 4096, MORE), rx(2, 4096, MORE), rx(3, 100)];
    const answer = (): void => {
      back.request(words);
      back.respond(Uint32Array.from(sent.shift()!));
    };
    answer();
    answer();
    expect(back.request(words)).toBe(false);
    expect(answer).toThrow(RangeError);
  });

  it('has each response in the slot of its request, so that a slot without an id names a page', () => {
    const { words, front, back } = twoEnds(netif.NETIF_RX_RING);
    post(front, 41, 42, 43);
    const posted = [41, 42, 43];
    const sent = [rx(41, 4096, MORE | EXTRA), extra(GSO, 0), rx(43, 904)];
    const request = new Uint32Array(netif.NETIF_RX_REQUEST_WORDS);
    for (const response of sent) {
      back.request(request);
      back.respond(Uint32Array.from(response));
    }
    back.push();
    for (const [i, response] of sent.entries()) {
      expect([...words.subarray(16 + i * 2, 18 + i * 2)]).toEqual(response);
    }
    const packet = netifRxPacket((into) => front.response(into))!;
    const pages = packet.slots.map(({ id, extra: none }, i) => [posted[i], none ? 'extra' : id]);
    expect(pages).toEqual([
      [41, 41],
      [42, 'extra'],
      [43, 43],
    ]);
  });
});
