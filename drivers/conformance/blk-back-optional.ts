/**
 * Checks of a back end that are about what it need not have: flush, barrier, discard, indirect segments. Where one is
 * not offered, the check is skipped.
 * @source xen/io/blkif.h, "Features", "REQUEST CODES"
 */
import {
  BLKIF_OP_DISCARD,
  BLKIF_OP_FLUSH_DISKCACHE,
  BLKIF_OP_INDIRECT,
  BLKIF_OP_WRITE,
  BLKIF_OP_WRITE_BARRIER,
  BlkifRequestDiscard,
  BlkifRequestIndirect,
  BlkifRequestSegment,
} from '../../protocol/blkif.ts';
import { Gref } from '../../protocol/units.ts';
import { must, pattern, same, skip } from './bench.ts';
import type { FrontJudge } from './blk-front-judge.ts';

const filled = (byte: number): Uint8Array => new Uint8Array(8 * 512).fill(byte);

/** Sends a slot that is no plain request. @returns the status of its answer */
async function raw(f: FrontJudge, slot: Uint8Array<ArrayBuffer>, what: string): Promise<number> {
  f.line.ring.request(new Uint32Array(slot.buffer));
  f.line.ring.push();
  f.kick();
  const [answer] = await f.answers(1);
  must(answer, `${what} was not answered`);
  return answer.status;
}

export async function flushes(f: FrontJudge): Promise<void> {
  await f.connect();
  if ((await f.offered('feature-flush-cache')) !== 1) skip('it does not offer a flush');
  for (let round = 1; round <= 3; round++) {
    must((await f.write(24, round)).status === 0, 'an honest write fails');
    const flush = f.request(BLKIF_OP_FLUSH_DISKCACHE, 0, { nrSegments: 0 });
    const { status } = await f.ask(flush, 'a flush');
    if (status === -2) skip('it takes no flush after all');
    must(status === 0, `a flush fails with status ${status}`);
    must(
      same(f.bench.durable(0, 24, 8), filled(round)),
      'a flush was answered, and what was written before it would not survive a power failure',
    );
  }
}

export async function barriers(f: FrontJudge): Promise<void> {
  await f.connect();
  if ((await f.offered('feature-barrier')) !== 1) skip('it does not offer a barrier');
  const pages = [1, 2].map((byte) => f.page(byte));
  const write = f.request(BLKIF_OP_WRITE, 32, { pages: [pages[0]!] });
  const barrier = f.request(BLKIF_OP_WRITE_BARRIER, 40, { pages: [pages[1]!] });
  f.send(write, barrier);
  const answers = await f.answers(2);
  const answer = answers.find(({ idLo }) => idLo === barrier.idLo);
  must(answer, 'a barrier was not answered');
  if (answer.status === -2) skip('it takes no barrier after all');
  must(answer.status === 0, `a barrier fails with status ${answer.status}`);
  must(answers[0]!.idLo === write.idLo, 'a barrier was answered before the write that it follows');
  must(same(f.bench.durable(0, 32, 8), filled(1)), 'a write before a barrier is not durable');
  must(same(f.bench.durable(0, 40, 8), filled(2)), 'the write of a barrier is not durable');
}

export async function discards(f: FrontJudge): Promise<void> {
  await f.connect();
  if ((await f.offered('feature-discard')) !== 1) skip('it does not offer a discard');
  const sectors = await f.offered('sectors');
  must((await f.write(48, 0x31)).status === 0, 'an honest write fails');
  const discard = async (sectorNumber: number, nrSectors: number): Promise<number> => {
    const bytes = new Uint8Array(112);
    const fields = { operation: BLKIF_OP_DISCARD, flag: 0, handle: f.handle, id: 9n };
    BlkifRequestDiscard.set(new DataView(bytes.buffer), 0, { ...fields, sectorNumber, nrSectors });
    return raw(f, bytes, 'a discard');
  };
  for (const [sector, count] of [
    [sectors, 1],
    [sectors - 1, 2],
    [0, 2 ** 60],
    [2 ** 60, 2 ** 60],
  ] as const) {
    const status = await discard(sector, count);
    must(
      status < 0,
      `a discard of ${count} sectors at ${sector} of ${sectors} was answered as done`,
    );
  }
  const status = await discard(56, 8);
  must(
    status === 0 || status === -2,
    `a discard that lies on the disk fails with status ${status}`,
  );
  must(same(await f.read(48), filled(0x31)), 'a discard has changed sectors beside its own');
}

export async function indirects(f: FrontJudge): Promise<void> {
  await f.connect();
  const max = await f.offered('feature-max-indirect-segments');
  if (max === 0) skip('it does not offer indirect segments');
  const bytes = pattern(f.bench.below(1000), 12);
  const pages = Array.from({ length: 12 }, (_, i) => {
    const page = f.page();
    f.k.cpu.storeBytes(page.va, bytes.subarray(i * 512, (i + 1) * 512));
    return page;
  });
  const list = f.page();
  const listBytes = new Uint8Array(12 * BlkifRequestSegment.size);
  pages.forEach(({ gref }, i) => {
    const segment = { gref, firstSect: 0, lastSect: 0 };
    BlkifRequestSegment.set(new DataView(listBytes.buffer), i * BlkifRequestSegment.size, segment);
  });
  f.k.cpu.storeBytes(list.va, listBytes);
  const indirect = async (nrSegments: number): Promise<number> => {
    const slot = new Uint8Array(112);
    const indirectGrefs = Array.from({ length: 8 }, (_, i) => (i === 0 ? list.gref : Gref(0)));
    const fields = { operation: BLKIF_OP_INDIRECT, indirectOp: BLKIF_OP_WRITE, id: 10n };
    const where = { sectorNumber: 64, handle: f.handle, indirectGrefs };
    BlkifRequestIndirect.set(new DataView(slot.buffer), 0, { ...fields, nrSegments, ...where });
    return raw(f, slot, 'an indirect request');
  };
  must((await indirect(max + 1)) < 0, `it offers ${max} indirect segments and takes ${max + 1}`);
  if (max < 12) skip(`it offers ${max} indirect segments, no more than a direct request has`);
  const status = await indirect(12);
  must(status === 0, `an indirect write of 12 segments fails with status ${status}`);
  must(same(await f.read(64), bytes.subarray(0, 4096)), 'an indirect write wrote something else');
}
