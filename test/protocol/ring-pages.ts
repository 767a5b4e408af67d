/** Pages of rings in the state that a test is about, made by the two ends themselves. */
import {
  BLKIF_OP_READ,
  BLKIF_OP_WRITE,
  BLKIF_RING,
  blkifRequestFields,
  setBlkifRequestWords,
  setBlkifResponseWords,
} from '../../protocol/blkif.ts';
import {
  ArrayRingMemory,
  BackRing,
  FrontRing,
  initSharedRing,
  type RingLayout,
} from '../../protocol/ring.ts';
import {
  type PictureOptions,
  type PictureProtocol,
  readRingPage,
} from '../../protocol/ring-picture.ts';

export const slotPage = (layout = BLKIF_RING, index = 0, pages = 1) => {
  const words = new Uint32Array(1024 * pages);
  const memory = new ArrayRingMemory(words);
  initSharedRing(memory);
  words.set([index, index + 1, index, index + 1]);
  const bytes = pages * 4096;
  const front = FrontRing.attach(memory, layout, index, bytes);
  const back = BackRing.attach(memory, layout, index, bytes);
  return { words, memory, front, back };
};

/** A blkif ring: `made` requests pushed, `answered` of them answered, from `index` on. */
export const blkifPage = (made: number, answered: number, index = 0) => {
  const page = slotPage(BLKIF_RING, index);
  const { front, back } = page;
  const [fields, words, answer] = [
    blkifRequestFields(),
    new Uint32Array(28),
    new Uint32Array(4),
  ] as const;
  for (let i = 0; i < made; i++) {
    const operation = i % 2 === 0 ? BLKIF_OP_READ : BLKIF_OP_WRITE;
    Object.assign(fields, { operation, nrSegments: 1, handle: 51712, idLo: 100 + i });
    Object.assign(fields, { sectorNumber: 2048 + 8 * i });
    fields.gref[0] = 8 + i;
    fields.lastSect[0] = 7;
    setBlkifRequestWords(words, fields);
    front.request(words);
  }
  front.push();
  for (let i = 0; i < answered; i++) {
    back.request(words);
    setBlkifResponseWords(answer, { idLo: words[2]!, idHi: words[3]!, operation: i % 2 }, -(i % 3));
    back.respond(answer);
  }
  back.push();
  return page;
};

/** Words in the slots of a fresh netif ring, pushed as requests. */
export const netifPage = (layout: RingLayout, ...requests: readonly number[][]) => {
  const page = slotPage(layout);
  for (const request of requests) page.front.request(Uint32Array.from(request));
  page.front.push();
  return page;
};

export const netTx = (id: number, size: number, flags = 0, offset = 0): number[] => [
  1000 + id,
  offset | (flags << 16),
  id | (size << 16),
];

export const lines = (...text: readonly string[]): string => text.join('\n');

export const levelled = (
  words: Uint32Array,
  protocol: PictureProtocol,
  options: PictureOptions = {},
) => readRingPage(words, protocol, options).findings.map(({ level, text }) => `${level}: ${text}`);
