import { describe, expect, it } from 'vitest';
import {
  NETIF_RSP_NULL,
  NETIF_RX_RING,
  NETIF_TX_RING,
  NETTXF_csum_blank,
  NETTXF_extra_info,
  NETTXF_more_data,
} from '../../protocol/netif.ts';
import { ringPicture } from '../../protocol/ring-picture.ts';
import { blkifPage, levelled, netifPage, netTx } from './ring-pages.ts';

describe('what cannot be in a blkif slot', () => {
  const WRITE = 1;
  it.each([
    ['no segments', [0, WRITE], 'no segment'],
    ['twelve segments', [0, WRITE | (12 << 8)], 'more than 11 segments'],
    ['an operation', [0, 4 | (1 << 8)], 'there is no such operation'],
    ['a sector', [7, 8 << 8], "segment 8:0-8 is not within a page's 8 sectors"],
    ['a segment backwards', [7, 3 | (2 << 8)], "segment 8:3-2 is not within a page's 8 sectors"],
    [
      'an indirect discard',
      [0, 6 | (5 << 8) | (1 << 16)],
      'only a read or a write can be indirect',
    ],
    ['too many segments', [0, 6 | (1 << 8) | (4097 << 16)], 'more than 4096 segments'],
    ['no indirect segment', [0, 6 | (1 << 8)], 'no segment'],
  ])('%s', (_case, [at, value], wrong) => {
    const { words } = blkifPage(2, 0);
    words[16 + at!] = value!;
    const found = [`impossible: request 0 in slot 0: ${wrong}`];
    expect(levelled(words, 'blkif')).toEqual(found);
  });

  it.each([
    [
      'a flush',
      [0, 3],
      'BLKIF_OP_FLUSH_DISKCACHE id=100 handle=0 nr_segments=0 sector_number=2048',
    ],
    [
      'a discard',
      [0, 5 | (1 << 8)],
      'BLKIF_OP_DISCARD id=100 handle=0 sector_number=2048 nr_sectors=7696581394440 flag=1',
    ],
    [
      'an indirect read',
      [0, 6 | (513 << 16)],
      'BLKIF_OP_INDIRECT indirect_op=BLKIF_OP_READ id=100 handle=8 nr_segments=513 sector_number=2048 indirect_grefs=1792,0',
    ],
  ])('but not %s', (_case, [at, value], text) => {
    const { words } = blkifPage(1, 0);
    words[16 + at!] = value!;
    expect(ringPicture(words, 'blkif')).toContain(`  0 in slot 0  Q ${text}\n`);
    expect(levelled(words, 'blkif')).toEqual([]);
  });

  it('shows every bit of a 64-bit id', () => {
    const { words } = blkifPage(1, 0);
    words.set([0xfffffffe, 0xffffffff], 18);
    expect(ringPicture(words, 'blkif')).toContain(' id=18446744073709551614 ');
  });

  it('answers with a status that does not exist: sure only where it is known to wait', () => {
    const { words } = blkifPage(2, 1);
    words[18] = 7 << 16;
    const wrong = 'answer 0 in slot 0: there is no such status';
    expect(levelled(words, 'blkif')).toEqual([`suspect: ${wrong}`]);
    expect(levelled(words, 'blkif', { known: { rspCons: 0 } })).toEqual([`impossible: ${wrong}`]);
  });
});

describe('the picture of a netif ring', () => {
  it('shows packets of several slots, with extra info', () => {
    const { words, back } = netifPage(
      NETIF_TX_RING,
      netTx(7, 60),
      netTx(8, 5000, NETTXF_more_data | NETTXF_extra_info | NETTXF_csum_blank, 100),
      [1 | (1448 << 16), 1, 0],
      netTx(9, 4000),
    );
    back.request(new Uint32Array(3));
    back.respond(Uint32Array.of(7 | (0xffff << 16)));
    back.push();
    const picture = ringPicture(words, 'netif-tx').split('\n');
    expect(picture[0]).toBe('netif-tx ring: 256 slots in 1 page, mask 0xff');
    expect(picture.slice(6, 8)).toEqual([`      0  AQQQ${'.'.repeat(60)}`, '          p  P']);
    expect(picture.slice(-7)).toEqual([
      'requests, oldest first:',
      '  1 in slot 1  Q request id=8 gref=1008 offset=100 size=5000 flags=csum_blank|more_data|extra_info',
      '  2 in slot 2  Q extra info type=XEN_NETIF_EXTRA_TYPE_GSO flags=0',
      '  3 in slot 3  Q request id=9 gref=1009 offset=0 size=4000 flags=0',
      'answers, newest last:',
      '  0 in slot 0  A response id=7 status=NETIF_RSP_ERROR',
      'nothing impossible',
    ]);
  });

  const first = [netTx(1, 60)];
  it.each([
    [
      'a slot that leaves its page',
      [netTx(2, 97, 0, 4000)],
      'a fragment that does not end in its page',
    ],
    [
      'a fragment too large',
      [netTx(2, 60, NETTXF_more_data), netTx(3, 61)],
      'a fragment larger than what is left of the packet',
    ],
    [
      'an extra info of no type',
      [netTx(2, 60, NETTXF_extra_info), [9, 0, 0]],
      'an extra info of a type that does not exist',
    ],
  ])('finds %s', (_case, packet, why) => {
    const text = `packet of ${packet.length} from slot`;
    const { words } = netifPage(NETIF_TX_RING, ...packet, ...first);
    expect(levelled(words, 'netif-tx')).toEqual([`impossible: ${text} 0: ${why}`]);

    const later = netifPage(NETIF_TX_RING, ...first, ...first, ...packet);
    later.back.request(new Uint32Array(3));
    later.back.respond(Uint32Array.of(1));
    later.back.push();
    expect(levelled(later.words, 'netif-tx')).toEqual([`impossible: ${text} 2: ${why}`]);
  });

  it('only suspects the oldest packet once one was answered, and one that is cut short', () => {
    const { words, back } = netifPage(NETIF_TX_RING, ...first, netTx(2, 97, 0, 4000));
    back.request(new Uint32Array(3));
    back.respond(Uint32Array.of(1));
    back.push();
    const page = 'suspect: packet of 1 from slot 1: a fragment that does not end in its page';
    expect(levelled(words, 'netif-tx')).toEqual([page]);
    const short = netifPage(NETIF_TX_RING, netTx(1, 60, NETTXF_more_data));
    expect(levelled(short.words, 'netif-tx')).toEqual([
      'suspect: packet of 1 from slot 0: the ring ends in the middle of it',
    ]);
  });

  it('finds a flag that does not exist', () => {
    const { words } = netifPage(NETIF_TX_RING, netTx(1, 60, 0x41));
    expect(ringPicture(words, 'netif-tx')).toContain(' flags=csum_blank|0x40\n');
    expect(levelled(words, 'netif-tx')).toEqual([
      'impossible: request 0 in slot 0: a flag that does not exist',
    ]);
  });

  it('shows what arrived, extra info among it', () => {
    const { words, back } = netifPage(NETIF_RX_RING, [1, 901], [2, 902], [3, 903], [4, 904]);
    const answers = [
      [1, 8 | 4 | (4000 << 16)],
      [1 | (1448 << 16), 1],
      [3 | (64 << 16), 200 << 16],
    ];
    for (const answer of answers) {
      back.request(new Uint32Array(2));
      back.respond(Uint32Array.from(answer));
    }
    back.push();
    const known = { rspCons: 0 };
    expect(ringPicture(words, 'netif-rx', { known }).split('\n').slice(-7)).toEqual([
      'requests, oldest first:',
      '  3 in slot 3  Q request id=4 gref=904',
      'answers, newest last:',
      '  0 in slot 0  A response id=1 offset=0 flags=more_data|extra_info status=4000',
      '  1 in slot 1  A extra info type=XEN_NETIF_EXTRA_TYPE_GSO flags=0',
      '  2 in slot 2  A response id=3 offset=64 flags=0 status=200',
      'nothing impossible',
    ]);
    words[16 + 5] = 4095 << 16;
    expect(levelled(words, 'netif-rx', { known })).toEqual([
      'impossible: packet of 3 from slot 0: a fragment that does not end in its page',
    ]);
  });

  it('takes a slot for extra info only where the first of the packet announced it', () => {
    const flags = NETTXF_extra_info;
    const { words } = netifPage(
      NETIF_TX_RING,
      ...[netTx(1, 200, NETTXF_more_data), netTx(2, 100, flags), netTx(3, 60)],
    );
    expect(ringPicture(words, 'netif-tx')).toContain(
      '\n  2 in slot 2  Q request id=3 gref=1003 offset=0 size=60 flags=0\n',
    );
  });

  it('shows the answer to an extra info', () => {
    const { words, back } = netifPage(NETIF_TX_RING, netTx(1, 60));
    back.request(new Uint32Array(3));
    back.respond(Uint32Array.of(NETIF_RSP_NULL << 16));
    back.push();
    expect(ringPicture(words, 'netif-tx')).toContain('\n  0 in slot 0  A NETIF_RSP_NULL\n');
  });
});
