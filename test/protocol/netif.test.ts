import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BLKIF_RING } from '../../protocol/blkif.ts';
import * as netif from '../../protocol/netif.ts';
import {
  type NetifTake,
  netifRxPacket,
  netifTxPacket,
  setNetifTxResponseWords,
} from '../../protocol/netif-packet.ts';
import {
  ArrayRingMemory,
  BackRing,
  FrontRing,
  initSharedRing,
  ringSize,
} from '../../protocol/ring.ts';
import { compileC } from '../support/c-program.ts';
import { hasHeader, hasTool, itNeeds } from '../support/tools.ts';

const MORE = netif.NETTXF_more_data;
const EXTRA = netif.NETTXF_extra_info;
const GSO = netif.XEN_NETIF_EXTRA_TYPE_GSO;

/** A tx request by its fields, 3 words. */
const tx = (id: number, size: number, flags = 0, offset = 0): number[] => [
  1000 + id,
  offset | (flags << 16),
  id | (size << 16),
];
/** One request more than every back end takes. */
const NINETEEN = Array.from({ length: 19 }, (_, i) =>
  tx(i, i === 0 ? 1100 : 60, i < 18 ? MORE : 0),
);
/** An rx response, 2 words. */
const rx = (id: number, status: number, flags = 0, offset = 0): number[] => [
  id | (offset << 16),
  flags | (status << 16),
];
/** An extra info of `type`; `more` of them follow. */
const extra = (type: number, more = false): number[] => [type | (more ? 0x100 : 0), 0];

/** Slots one by one, and how many were taken. */
const slots = (...list: readonly number[][]): NetifTake & { taken: () => number } => {
  let next = 0;
  const take = (into: Uint32Array): boolean => {
    const slot = list[next];
    if (!slot) return false;
    next++;
    into.fill(0);
    into.set(slot.slice(0, into.length));
    return true;
  };
  return Object.assign(take, { taken: () => next });
};

describe('netif rings', () => {
  it('have 256 slots in a page', () => {
    expect(ringSize(netif.NETIF_TX_RING, 4096)).toBe(256);
    expect(ringSize(netif.NETIF_RX_RING, 4096)).toBe(256);
  });

  const available = hasTool('gcc') && hasHeader('xen/io/netif.h');
  itNeeds('gcc and libxen-dev', available, 'have as many slots as __CONST_RING_SIZE says', () => {
    const rings = [
      ['blkif', BLKIF_RING],
      ['netif_tx', netif.NETIF_TX_RING],
      ['netif_rx', netif.NETIF_RX_RING],
    ] as const;
    const pages = [1, 2, 4, 8, 16];
    const sizes = rings.flatMap(([name]) =>
      pages.map((count) => `printf("%u ", (unsigned)__CONST_RING_SIZE(${name}, ${count} * 4096));`),
    );
    const program = compileC(`
      #include <stddef.h>
      #include <stdint.h>
      #include <stdio.h>
      #include <string.h>
      #define __XEN_INTERFACE_VERSION__ 0x00040e00
      #include <xen/xen.h>
      #include <xen/io/blkif.h>
      #include <xen/io/netif.h>
      int main(void) { ${sizes.join('\n')} return 0; }`);
    const said = program.run().trim().split(' ').map(Number);
    program.dispose();
    expect(said).toEqual(
      rings.flatMap(([, layout]) => pages.map((n) => ringSize(layout, n * 4096))),
    );
  });
});

describe('netif_tx_request', () => {
  it('is one packet of one slot', () => {
    const take = slots(tx(7, 60, netif.NETTXF_csum_blank, 100), tx(8, 1));
    expect(netifTxPacket(take)).toEqual({
      size: 60,
      flags: netif.NETTXF_csum_blank,
      fragments: [{ gref: 1007, offset: 100, size: 60 }],
      extras: [],
      slots: [{ id: 7, extra: false }],
    });
    expect(take.taken()).toBe(1);
  });

  it('is nothing on an empty ring', () => {
    expect(netifTxPacket(slots())).toBeUndefined();
  });

  it('gives the size of the packet first, so the first fragment is what the others leave', () => {
    const take = slots(tx(1, 5000, MORE), tx(2, 4000, MORE), tx(3, 900), tx(4, 60));
    expect(netifTxPacket(take)).toMatchObject({
      size: 5000,
      fragments: [{ size: 100 }, { size: 4000 }, { size: 900 }],
    });
    expect(take.taken()).toBe(3);
  });

  it('is followed by its extra info, then by its further fragments', () => {
    const gso = [GSO | 0x100 | (1448 << 16), netif.XEN_NETIF_GSO_TYPE_TCPV4];
    const hash = [netif.XEN_NETIF_EXTRA_TYPE_HASH | (3 << 16) | (1 << 24), 0x04030201];
    const take = slots(tx(1, 5000, MORE | EXTRA), gso, hash, tx(2, 4096));
    const packet = netifTxPacket(take);
    expect(packet).toMatchObject({
      size: 5000,
      fragments: [{ size: 904 }, { size: 4096 }],
      extras: [
        { type: GSO, flags: 1, u: { gso: { size: 1448, type: 1, features: 0 } } },
        { u: { hash: { type: 3, algorithm: 1, value: Uint8Array.of(1, 2, 3, 4) } } },
      ],
    });
    const ids = [1, 0, 0, 2].map((id, i) => ({ id, extra: i === 1 || i === 2 }));
    expect(packet!.slots).toEqual(ids);
  });

  it('is followed by extra info only where the first one says so', () => {
    const take = slots(tx(1, 200, MORE), tx(2, 100, EXTRA), tx(3, 60));
    expect(netifTxPacket(take)).toMatchObject({ fragments: [{ size: 100 }, { size: 100 }] });
    expect(take.taken()).toBe(2);
  });

  it('may fill its pages to the last byte, and 18 of them', () => {
    const many = Array.from({ length: 17 }, (_, i) => tx(i, 3000, i < 16 ? MORE : 0, 1096));
    const take = slots(tx(99, 51_100, MORE, 3996), ...many);
    expect(netifTxPacket(take)).toMatchObject({ size: 51_100, fragments: { length: 18 } });
  });

  it.each([
    ['cut-short', 'in its extra info', [tx(1, 60, EXTRA)], 1],
    ['cut-short', 'after an extra info with more', [tx(1, 60, EXTRA), extra(GSO, true)], 2],
    ['cut-short', 'before a fragment', [tx(1, 60, MORE), tx(2, 10, MORE)], 2],
    ['bad-extra-type', 'of none', [tx(1, 60, EXTRA), extra(0), tx(2, 60)], 2],
    ['bad-extra-type', 'of the maximum', [tx(1, 60, EXTRA), extra(5), tx(2, 60)], 2],
    ['fragment-too-large', 'at once', [tx(1, 60, MORE), tx(2, 61), tx(3, 60)], 2],
    ['fragment-too-large', 'together', [tx(1, 60, MORE), tx(2, 40, MORE), tx(3, 21), tx(4, 60)], 3],
    ['crosses-page', 'with its only slot', [tx(1, 97, 0, 4000), tx(2, 60)], 1],
    ['crosses-page', 'with its first fragment', [tx(1, 197, MORE, 4000), tx(2, 100)], 2],
    ['crosses-page', 'with a later one', [tx(1, 200, MORE), tx(2, 97, 0, 4000)], 2],
    ['too-many-slots', 'with 19 requests', [...NINETEEN, tx(19, 60)], 19],
  ])('is refused as %s %s, its whole chain taken', (refused, _case, list, taken) => {
    const take = slots(...list);
    expect(netifTxPacket(take)).toMatchObject({ refused, slots: { length: taken } });
    expect(take.taken()).toBe(taken);
  });

  it('may take more slots where the ends agreed on more', () => {
    expect(netifTxPacket(slots(...NINETEEN), 19)).toMatchObject({ size: 1100 });
  });
});

describe('netif_tx_response', () => {
  it('answers every slot of a chain, an extra info with NETIF_RSP_NULL', () => {
    const memory = new ArrayRingMemory(new Uint32Array(1024));
    initSharedRing(memory);
    const front = new FrontRing(memory, netif.NETIF_TX_RING);
    const back = new BackRing(memory, netif.NETIF_TX_RING);
    const sent = [tx(11, 300, MORE | EXTRA), [...extra(GSO), 0], tx(12, 200), tx(13, 60)];
    for (const request of sent) front.request(Uint32Array.from(request));
    front.push();

    const words = new Uint32Array(netif.NETIF_TX_RESPONSE_WORDS);
    const packet = netifTxPacket((into) => back.request(into))!;
    for (const slot of packet.slots) {
      setNetifTxResponseWords(words, slot, netif.NETIF_RSP_DROPPED);
      back.respond(words);
    }
    back.push();

    const got = [];
    while (front.response(words)) got.push(netif.NetifTxResponse.get(new DataView(words.buffer)));
    expect(got).toEqual([
      { id: 11, status: netif.NETIF_RSP_DROPPED },
      { id: 0, status: netif.NETIF_RSP_NULL },
      { id: 12, status: netif.NETIF_RSP_DROPPED },
    ]);
    expect(netifTxPacket((into) => back.request(into))).toMatchObject({ size: 60 });
  });
});

describe('netif_rx_response', () => {
  it('gives the size of each fragment, and the packet is their sum', () => {
    const gso = [GSO | (1448 << 16), 1];
    const take = slots(rx(1, 4096, MORE | EXTRA), gso, rx(2, 904, 0, 64), rx(3, 60));
    expect(netifRxPacket(take)).toEqual({
      size: 5000,
      flags: MORE | EXTRA,
      fragments: [
        { id: 1, offset: 0, size: 4096 },
        { id: 2, offset: 64, size: 904 },
      ],
      extras: [expect.objectContaining({ type: GSO })],
      slots: [
        { id: 1, extra: false },
        { id: 0, extra: true },
        { id: 2, extra: false },
      ],
    });
    expect(netifRxPacket(take)).toMatchObject({ size: 60 });
    expect(netifRxPacket(take)).toBeUndefined();
  });

  it.each([
    ['failed', [rx(1, netif.NETIF_RSP_ERROR), rx(2, 60)], 1],
    ['failed', [rx(1, 60, MORE), rx(2, netif.NETIF_RSP_DROPPED), rx(3, 60)], 2],
    ['crosses-page', [rx(1, 97, 0, 4000)], 1],
    ['cut-short', [rx(1, 60, MORE)], 1],
    ['cut-short', [rx(1, 60, EXTRA)], 1],
    ['bad-extra-type', [rx(1, 60, EXTRA), extra(9), rx(2, 60)], 2],
    [
      'too-many-slots',
      [...Array.from({ length: 18 }, (_, i) => rx(i, 60, MORE)), rx(18, 1), rx(19, 60)],
      19,
    ],
  ])('is refused as %s', (refused, list, taken) => {
    const take = slots(...list);
    expect(netifRxPacket(take)).toMatchObject({ refused, slots: { length: taken } });
    expect(take.taken()).toBe(taken);
  });
});

describe.each([
  ['a tx chain', netifTxPacket],
  ['an rx chain', netifRxPacket],
] as const)('%s of any bytes', (_name, packetOf) => {
  it('never throws, and what it accepts lies in its pages', () => {
    const word = fc.oneof(
      fc.nat(0xffffffff),
      fc.nat(0xff).map((n) => n << 16),
      fc.nat(0xf),
    );
    const list = fc.array(fc.array(word, { minLength: 3, maxLength: 3 }), { maxLength: 40 });
    fc.assert(
      fc.property(list, (all) => {
        const take = slots(...all);
        const packet = packetOf(take);
        expect(packet === undefined).toBe(all.length === 0);
        if (!packet) return;
        expect(packet.slots.length).toBe(take.taken());
        if (packet.refused) return;
        expect(packet.fragments.length).toBeLessThanOrEqual(18);
        let sum = 0;
        for (const { offset, size } of packet.fragments) {
          expect(size).toBeGreaterThanOrEqual(0);
          expect(offset + size).toBeLessThanOrEqual(4096);
          sum += size;
        }
        expect(sum).toBe(packet.size);
      }),
    );
  });
});
