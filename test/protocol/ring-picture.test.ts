import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BLKIF_RING } from '../../protocol/blkif.ts';
import { PICTURE_PROTOCOLS, readRingPage, ringPicture } from '../../protocol/ring-picture.ts';
import { blkifPage, levelled, lines, slotPage } from './ring-pages.ts';

describe('the picture of a blkif ring', () => {
  it('shows indices, thresholds, slots and messages of a page alone', () => {
    const { words, back } = blkifPage(5, 3);
    for (const into = new Uint32Array(28); back.request(into); );
    back.finalCheck();
    expect(ringPicture(words, 'blkif')).toBe(
      lines(
        'blkif ring: 32 slots in 1 page, mask 0x1f',
        '  req_prod          5   req_event          6',
        '  rsp_prod          3   rsp_event          1',
        '  2 of 32 outstanding',
        '  the back end wants to be told when req_prod reaches 6: the next push notifies',
        '  the front end asked to be told when rsp_prod reached 1: ' +
          'a notification is owed, on its way or heard, and no push notifies now',
        '      0  AAAQQ...........................',
        '            p P',
        '  . not used yet; Q request; A answer, taken or not; p rsp_prod; P req_prod',
        'requests, oldest first:',
        '  3 in slot 3  Q BLKIF_OP_WRITE id=103 handle=51712 nr_segments=1 sector_number=2072 seg=11:0-7',
        '  4 in slot 4  Q BLKIF_OP_READ id=104 handle=51712 nr_segments=1 sector_number=2080 seg=12:0-7',
        'answers, newest last:',
        '  0 in slot 0  A response id=100 operation=BLKIF_OP_READ status=BLKIF_RSP_OKAY',
        '  1 in slot 1  A response id=101 operation=BLKIF_OP_WRITE status=BLKIF_RSP_ERROR',
        '  2 in slot 2  A response id=102 operation=BLKIF_OP_READ status=BLKIF_RSP_EOPNOTSUPP',
        'nothing impossible',
      ),
    );
  });

  it('shows what is taken and staged where the private indices are given', () => {
    const { words, front } = blkifPage(5, 3);
    front.request(new Uint32Array(28));
    words[1] = 6;
    const known = { reqCons: 4, rspCons: 2, reqProdPvt: 6, rspProdPvt: 3 };
    expect(ringPicture(words, 'blkif', { known })).toBe(
      lines(
        'blkif ring: 32 slots in 1 page, mask 0x1f',
        '  req_prod          5   req_event          6',
        '  rsp_prod          3   rsp_event          1',
        '  private: req_cons 4, rsp_prod_pvt 3, rsp_cons 2, req_prod_pvt 6',
        '  2 of 32 outstanding',
        '  the back end wants to be told when req_prod reaches 6: the next push notifies' +
          '; pushing the 1 staged notifies',
        '  the front end asked to be told when rsp_prod reached 1: ' +
          'a notification is owed, on its way or heard, and no push notifies now',
        '      0  ..AtQq..........................',
        '            p P',
        '  . free; q staged request; Q request; t taken by the back end; A answer; p rsp_prod; P req_prod',
        'requests, oldest first:',
        '  3 in slot 3  t BLKIF_OP_WRITE id=103 handle=51712 nr_segments=1 sector_number=2072 seg=11:0-7',
        '  4 in slot 4  Q BLKIF_OP_READ id=104 handle=51712 nr_segments=1 sector_number=2080 seg=12:0-7',
        '  5 in slot 5  q BLKIF_OP_READ id=0 handle=0 nr_segments=0 sector_number=0',
        'answers, newest last:',
        '  2 in slot 2  A response id=102 operation=BLKIF_OP_READ status=BLKIF_RSP_EOPNOTSUPP',
        'nothing impossible', // what is staged is not judged
      ),
    );
  });

  it('shows a page that was never initialised', () => {
    expect(ringPicture(new Uint32Array(1024), 'blkif')).toBe(
      lines(
        'blkif ring: 32 slots in 1 page, mask 0x1f',
        '  req_prod          0   req_event          0',
        '  rsp_prod          0   rsp_event          0',
        '  0 of 32 outstanding',
        '      0  ................................',
        '         =',
        '  . not used yet; = both producers',
        'impossible: the header is all zero, but SHARED_RING_INIT sets both events to 1',
      ),
    );
  });

  it('shows indices that contradict each other, and no slots', () => {
    const { words } = blkifPage(5, 3);
    words[0] = 36;
    expect(ringPicture(words, 'blkif')).toBe(
      lines(
        'blkif ring: 32 slots in 1 page, mask 0x1f',
        '  req_prod         36   req_event          1',
        '  rsp_prod          3   rsp_event          1',
        '  33 of 32 outstanding',
        '  the back end asked to be told when req_prod reached 1: ' +
          'a notification is owed, on its way or heard, and no push notifies now',
        '  the front end asked to be told when rsp_prod reached 1: ' +
          'a notification is owed, on its way or heard, and no push notifies now',
        '  no slot has a state that could be told',
        'impossible: 33 requests are outstanding in 32 slots',
      ),
    );
  });

  it('counts across 2^32 and says so', () => {
    const { words } = blkifPage(5, 3, 2 ** 32 - 4);
    const reading = readRingPage(words, 'blkif');
    expect(reading).toMatchObject({
      outstanding: 2,
      states: `Q${'A'.repeat(30)}Q`,
      requests: [
        { index: 2 ** 32 - 1, slot: 31 },
        { index: 0, slot: 0 },
      ],
      answers: { length: 8 },
    });
    const note = 'note: rsp_prod 4294967295 and req_prod 1 lie on either side of 2^32';
    expect(levelled(words, 'blkif')).toEqual([note]);
    expect(levelled(blkifPage(2, 1, 2 ** 32 - 4).words, 'blkif')).toEqual([
      'note: req_prod 4294967294 is 2 before 2^32',
    ]);
  });

  it('takes a ring of several pages', () => {
    const { words, front } = slotPage(BLKIF_RING, 0, 4);
    expect(front.size).toBe(128);
    front.request(new Uint32Array(28));
    front.push();
    const picture = ringPicture(words, 'blkif');
    expect(picture).toContain('blkif ring: 128 slots in 4 pages, mask 0x7f');
    expect(picture).toContain(`\n     64  ${'.'.repeat(64)}\n`);
  });

  it('is a RangeError of a page without room for one slot', () => {
    expect(() => ringPicture(new Uint32Array(43), 'blkif')).toThrow(RangeError);
    expect(() => ringPicture(new Uint32Array(1023), 'console')).toThrow(RangeError);
  });
});

describe('what cannot be about a header', () => {
  const PROD = 0;
  const EVENT = 1;
  const RSP = 2;
  const RSP_EVENT = 3;
  it.each([
    ['an answer too many', [[RSP, 6]], 'impossible: rsp_prod 6 is ahead of req_prod 5'],
    ['all answers', [[RSP, 0x80000004]], 'impossible: rsp_prod 2147483652 is ahead of req_prod 5'],
    ['too many requests', [[PROD, 99]], 'impossible: 96 requests are outstanding in 32 slots'],
    ['padding', [[7, 0xab00]], 'impossible: the padding at byte 28 is 0xab00 instead of 0'],
    ['the last padding', [[15, 1]], 'impossible: the padding at byte 60 is 0x1 instead of 0'],
    ['a private word', [[4, 1]], 'note: the private word at byte 16 is 0x1'],
    [
      'a far req_event',
      [[EVENT, 38]],
      'suspect: req_event 38 is 33 ahead of req_prod 5: a whole ring will not notify',
    ],
    ['req_event just within a ring', [[EVENT, 37]], undefined],
    [
      'a far rsp_event',
      [[RSP_EVENT, 1000]],
      'suspect: rsp_event 1000 is 997 ahead of rsp_prod 3: a whole ring will not notify',
    ],
    [
      'a forgotten req_event',
      [[EVENT, 2 ** 32 - 28]],
      'note: req_event 4294967268 is 33 behind req_prod 5: not set for a whole ring',
    ],
    [
      'nobody to be told of the next request',
      [[RSP, 5]],
      'note: every request is answered and req_event has passed: is the back end still awake?',
    ],
  ])('%s', (_case, changes, finding) => {
    const { words } = blkifPage(5, 3);
    for (const [at, value] of changes as [number, number][]) words[at] = value;
    expect(levelled(words, 'blkif')).toEqual(finding === undefined ? [] : [finding]);
  });

  it.each([
    [{ rspCons: 4 }, 'rsp_cons 4 is ahead of rsp_prod 3'],
    [{ reqCons: 6 }, 'req_cons 6 is ahead of req_prod 5'],
    [{ reqCons: 2 }, 'rsp_prod 3 is ahead of req_cons 2'],
    [{ rspProdPvt: 5, reqCons: 4 }, 'rsp_prod_pvt 5 is ahead of req_cons 4'],
    [{ reqProdPvt: 4 }, 'req_prod 5 is ahead of req_prod_pvt 4'],
    [{ rspCons: 0, reqProdPvt: 33 }, 'req_prod_pvt 33 is 33 ahead of rsp_cons 0, in 32 slots'],
    [
      { rspCons: 3 - 2 ** 30, reqProdPvt: 5 + 2 ** 30 },
      'rsp_prod 3 is 1073741824 ahead of rsp_cons 3221225475, in 32 slots',
    ],
  ])('private indices %j', (known, text) => {
    const { words } = blkifPage(5, 3);
    expect(levelled(words, 'blkif', { known })).toEqual([`impossible: ${text}`]);
  });
});

describe('pages of any bytes', () => {
  const noise = fc.uint8Array({ minLength: 64, maxLength: 4096, size: 'max' });
  const any = fc.array(fc.nat(0xffffffff), { minLength: 11, maxLength: 11 });
  const near = fc
    .tuple(fc.oneof(fc.nat(99), fc.nat(0xffffffff), fc.integer({ min: -99, max: -1 })), any)
    .map(([base, list]) => list.map((value) => base + (value % 40)));

  const givens = fc.oneof(fc.constant(0), fc.nat(15)); // which private indices

  it.each(PICTURE_PROTOCOLS)('make a %s picture of bounded length, never an error', (protocol) => {
    let told = 0;
    fc.assert(
      fc.property(noise, fc.oneof(any, near), fc.boolean(), givens, (bytes, list, tidy, some) => {
        const page = Uint8Array.from({ length: 4096 }, (_, at) => bytes[at % bytes.length]!);
        const words = new Uint32Array(page.buffer);
        const at = protocol === 'console' ? 768 : protocol === 'xenstore' ? 512 : 0;
        words.set(list.slice(0, 7), at);
        if (tidy && at === 0) words.fill(0, 4, 16);
        const [reqCons, rspCons, reqProdPvt, rspProdPvt] = list.slice(7);
        const all = Object.entries({ reqCons, rspCons, reqProdPvt, rspProdPvt });
        const known = Object.fromEntries(all.filter((_, i) => (some >> i) & 1));
        const picture = ringPicture(words, protocol, { known });
        expect(picture.length).toBeLessThan(100_000);
        expect(picture).toMatch(/^[\x20-\x7e\n]+$/);
        const reading = readRingPage(words, protocol, { known });
        expect(JSON.stringify(reading).length).toBeLessThan(200_000);
        if (reading.kind === 'bytes') told += reading.rings.some((ring) => ring.preview) ? 1 : 0;
        else told += reading.requests.length > 0 ? 1 : 0;
      }),
      { numRuns: 250 },
    );
    expect(told).toBeGreaterThan(5); // not only pages whose indices contradict each other
  });
});
