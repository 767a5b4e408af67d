import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BLKIF_RING } from '../../protocol/blkif.ts';
import { NETIF_TX_RING } from '../../protocol/netif.ts';
import { ArrayRingMemory, BackRing, FrontRing, initSharedRing } from '../../protocol/ring.ts';
import { ringLine, ringLineHeader } from '../../protocol/ring-picture.ts';
import { blkifPage, netifPage, netTx } from './ring-pages.ts';

describe('a ring in one line', () => {
  it('stands under its header, whatever the indices are', () => {
    const { words, front } = blkifPage(5, 3);
    front.request(new Uint32Array(28));
    const known = { reqCons: 4, rspCons: 1, reqProdPvt: 6 };
    const wrapped = blkifPage(5, 3, 2 ** 32 - 4).words;
    const lying = Uint32Array.from(words).fill(40, 0, 1);
    expect([
      ringLineHeader(),
      ringLine(words, BLKIF_RING),
      ringLine(words, BLKIF_RING, known),
      ringLine(words, BLKIF_RING, { ...known, rspProdPvt: 4 }),
      ringLine(wrapped, BLKIF_RING, { reqCons: -1, rspCons: -4 }),
      ringLine(lying, BLKIF_RING, { reqCons: 4 }),
    ]).toEqual([
      '  req_prod   rsp_prod  req_event  rsp_event   req_cons   rsp_cons  slots',
      '         5          3          1          1          -          -  AAAQQ...........................',
      '         5          3          1          1          4          1  .AAtQq..........................',
      '         5          3          1          1          4          1  .AAaQq..........................',
      '         1 4294967295 4294967293 4294967293 4294967295 4294967292  Q...........................AAAQ',
      '        40          3          1          1          4          -  ????????????????????????????????',
    ]);
  });

  it('counts the slots of a large ring, and takes a small one', () => {
    const { words } = netifPage(NETIF_TX_RING, netTx(1, 60), netTx(2, 60), netTx(3, 60));
    const known = { reqCons: 1, rspCons: 0 };
    expect(ringLine(words, NETIF_TX_RING, known)).toMatch(/ 1t 2Q$/);
    expect(ringLine(words.subarray(0, 16 + 4 * 3), NETIF_TX_RING, known)).toMatch(/ tQQ\.$/);
    expect(ringLine(words, NETIF_TX_RING, { reqCons: 9 })).toMatch(/ \?$/);
  });
});

describe('the states of slots', () => {
  it('are what the two ends made of them, across 2^32', () => {
    const bytes = (16 + 8 * 28) * 4; // eight slots
    const ops = fc.array(fc.constantFrom('q', 'P', 't', 'a', 'p', 'g'), { maxLength: 120 });
    fc.assert(
      fc.property(ops, fc.nat(40), (list, back) => {
        const start = (-back + 20) >>> 0;
        const words = new Uint32Array(bytes / 4);
        const memory = new ArrayRingMemory(words);
        initSharedRing(memory);
        words.set([start, start + 1, start, start + 1]);
        const front = FrontRing.attach(memory, BLKIF_RING, start, bytes);
        const end = BackRing.attach(memory, BLKIF_RING, start, bytes);
        const states = Array<string>(8).fill('.');
        const known = { reqProdPvt: start, reqCons: start, rspProdPvt: start, rspCons: start };
        const turn = (index: keyof typeof known, state: string): void => {
          states[known[index]++ & 7] = state;
        };
        const all = (from: string, to: string): void => {
          for (const [i, state] of states.entries()) if (state === from) states[i] = to;
        };
        for (const op of list) {
          if (op === 'q' && !front.full) {
            front.request(new Uint32Array(28));
            turn('reqProdPvt', 'q');
          } else if (op === 'a' && end.unanswered > 0) {
            end.respond(new Uint32Array(4));
            turn('rspProdPvt', 'a');
          } else if (op === 't' && end.request(new Uint32Array(28))) turn('reqCons', 't');
          else if (op === 'g' && front.response(new Uint32Array(4))) turn('rspCons', '.');
          else if (op === 'P') {
            front.push();
            all('q', 'Q');
          } else if (op === 'p') {
            end.push();
            all('a', 'A');
          }
          expect(ringLine(words, BLKIF_RING, known).slice(-8)).toBe(states.join(''));
        }
      }),
    );
  });
});
