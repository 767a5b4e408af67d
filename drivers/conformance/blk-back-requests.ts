/**
 * Checks of a back end that are about single requests: what is served, what is refused, and what an answer says.
 * @source xen/io/blkif.h, "REQUEST CODES" and the structs after it
 */
import {
  BLKIF_OP_DISCARD,
  BLKIF_OP_FLUSH_DISKCACHE,
  BLKIF_OP_INDIRECT,
  BLKIF_OP_READ,
  BLKIF_OP_WRITE,
  BLKIF_OP_WRITE_BARRIER,
} from '../../protocol/blkif.ts';
import { MS, must, pattern, same, warn } from './bench.ts';
import { FrontJudge } from './blk-front-judge.ts';

const NEXT_DISK = 16; // from the handle of one disk to that of the next
const filled = (byte: number, sectors = 8): Uint8Array => new Uint8Array(sectors * 512).fill(byte);

export async function notOffered(f: FrontJudge): Promise<void> {
  await f.connect();
  must((await f.write(8, 0x11)).status === 0, 'an honest write fails');
  const page = f.page(0x99);
  const others: readonly [string, number][] = [
    ['feature-barrier', BLKIF_OP_WRITE_BARRIER],
    ['feature-discard', BLKIF_OP_DISCARD],
    ['feature-max-indirect-segments', BLKIF_OP_INDIRECT],
  ];
  for (const [key, operation] of others) {
    if ((await f.offered(key)) > 0) continue;
    const { status } = await f.ask(
      f.request(operation, 8, { pages: [page] }),
      `operation ${operation}`,
    );
    must(
      status < 0,
      `operation ${operation} is not offered, and was answered with status ${status}`,
    );
  }
  must(same(await f.read(8), filled(0x11)), 'an operation that is not offered changed the disk');
}

export async function slots(f: FrontJudge): Promise<void> {
  await f.connect();
  const page = f.page(0xee);
  must(f.line.ring.size === 32, 'a page has 32 slots');
  for (let round = 0; round < 3; round++) {
    const requests = Array.from({ length: 32 }, (_, i) =>
      f.request(BLKIF_OP_READ, i, { pages: [page], lastSect: new Uint8Array(11) }),
    );
    f.send(...requests);
    const answers = await f.answers(32);
    must(answers.length === 32, `of a full ring, ${answers.length} requests were answered`);
    const ids = new Set(answers.map(({ idLo }) => idLo));
    must(
      requests.every(({ idLo }) => ids.has(idLo)),
      'of a full ring, some requests were answered under another id',
    );
  }
}

export async function echoes(f: FrontJudge): Promise<void> {
  await f.connect();
  const page = f.page(0xee);
  const ids: readonly [number, number][] = [
    [0, 0],
    [0xffffffff, 0xffffffff],
    [0, 0x80000000],
    [1, 0xdeadbeef],
    [0x12345678, 0],
  ];
  for (const [idLo, idHi] of ids) {
    for (const operation of [BLKIF_OP_READ, BLKIF_OP_FLUSH_DISKCACHE, 77]) {
      const pages = operation === BLKIF_OP_READ ? [page] : [];
      const request = f.request(operation, 0, { pages, idLo, idHi });
      const answer = await f.ask(request, `operation ${operation}`);
      must(
        answer.idLo === idLo && answer.idHi === idHi,
        `id ${idHi}:${idLo} came back as ${answer.idHi}:${answer.idLo}`,
      );
      must(
        answer.operation === operation,
        `operation ${operation} came back as ${answer.operation}`,
      );
    }
  }
}

export async function once(f: FrontJudge): Promise<void> {
  await f.connect();
  const page = f.page(0xee);
  const wrong = { handle: f.handle + 1 };
  const requests = Array.from({ length: 20 }, (_, i) =>
    f.request(BLKIF_OP_READ, i, { pages: [page], ...(i % 5 === 4 ? { nrSegments: 0 } : {}) }),
  );
  requests.push(f.request(BLKIF_OP_READ, 0, { pages: [page], ...wrong }));
  f.send(...requests);
  const answers = await f.answers(requests.length);
  must(answers.length === requests.length, `${answers.length} of ${requests.length} were answered`);
  await f.sleep(10 * MS);
  const extra = (f.line.memory.get32(8) - requests.length) >>> 0; // rsp_prod
  must(extra === 0, `${requests.length} requests brought ${extra} responses too many`);
  const ids = new Set(answers.map(({ idLo }) => idLo));
  must(ids.size === requests.length, 'one request was answered twice, and another not at all');
}

export async function onlyTheAnswer(f: FrontJudge): Promise<void> {
  await f.connect();
  const page = f.page(0xee);
  // Byte 9 and bytes 12 to 15 are nobody's: zero, or what the front end had in the slot, its id.
  const id = 0x5a5a5a5a;
  const request = f.request(BLKIF_OP_READ, 0, { pages: [page], idLo: id, idHi: id });
  const { words } = await f.ask(request, 'a read');
  const padding = (words[2]! >>> 8) & 0xff;
  const end = words[3]!;
  must(padding === 0 || padding === 0x5a, 'the padding of the response holds other bytes');
  must(end === 0 || end === id, 'the end of the response holds other bytes');
}

export async function segments(f: FrontJudge): Promise<void> {
  await f.connect();
  must((await f.write(16, 0x22)).status === 0, 'an honest write fails');
  for (const [first, last] of [
    [0, 8],
    [3, 2],
    [0, 255],
    [8, 8],
    [255, 0],
  ] as const) {
    for (const operation of [BLKIF_OP_READ, BLKIF_OP_WRITE]) {
      const page = f.page(0x77);
      const request = f.request(operation, 16, { pages: [page, page] });
      request.firstSect[1] = first;
      request.lastSect[1] = last;
      await f.refused(request, `a segment of sectors ${first} to ${last}`);
      must(same(f.bytes(page), filled(0x77)), `sectors ${first} to ${last}: refused, and yet read`);
      f.k.grants.end(page.gref);
    }
  }
  must(same(await f.read(16), filled(0x22)), 'a refused write has reached the disk');
}

export async function howMany(f: FrontJudge): Promise<void> {
  await f.connect();
  const pages = Array.from({ length: 11 }, () => f.page(0x33));
  for (const operation of [BLKIF_OP_READ, BLKIF_OP_WRITE]) {
    for (const nrSegments of [0, 12, 255]) {
      const request = f.request(operation, 0, { pages, nrSegments });
      await f.refused(request, `a transfer of ${nrSegments} segments`);
    }
  }
  const change = { pages, lastSect: new Uint8Array(11) };
  const { status } = await f.ask(f.request(BLKIF_OP_READ, 0, change), 'a read of 11 segments');
  must(status === 0, `a read of 11 segments fails with status ${status}`);
}

export async function onTheDisk(f: FrontJudge): Promise<void> {
  await f.connect();
  const sectors = await f.offered('sectors');
  const last = filled(0x44, 1);
  must((await f.write(sectors - 8, 0x44)).status === 0, 'a write to the last sectors fails');
  for (const sector of [sectors, sectors - 7, sectors + 1, 2 ** 32, 2 ** 52, 2 ** 63]) {
    for (const operation of [BLKIF_OP_READ, BLKIF_OP_WRITE]) {
      const page = f.page(0x55);
      await f.refused(
        f.request(operation, sector, { pages: [page] }),
        `sector ${sector} of ${sectors}`,
      );
      must(same(f.bytes(page), filled(0x55)), `sector ${sector}: refused, and yet read`);
      f.k.grants.end(page.gref);
    }
  }
  must(same(await f.read(sectors - 1, 1), last), 'a refused write has reached the disk');
}

export async function handles(f: FrontJudge): Promise<void> {
  await f.connect();
  const page = f.page(0x66);
  for (const handle of [0, f.handle + NEXT_DISK, 0xffff]) {
    const request = f.request(BLKIF_OP_READ, 0, { pages: [page], handle });
    const { status } = await f.ask(request, `handle ${handle}`);
    if (status >= 0) warn(`it serves a request for device ${handle}, which is not this one`);
  }
}

export async function readOnly(f: FrontJudge): Promise<void> {
  const other = new FrontJudge(f.k, f.bench, f.domid, f.handle + NEXT_DISK);
  await other.connect();
  const before = f.bench.stored(1, 0, 8);
  must(
    ((await other.offered('info')) & 4) !== 0,
    'the disk is read-only, and info does not say so',
  );
  must((await other.write(0, 0x88)).status < 0, 'a write to a read-only disk was answered as done');
  const page = other.page(0x88);
  for (const operation of [BLKIF_OP_WRITE_BARRIER, BLKIF_OP_DISCARD]) {
    const request = other.request(operation, 0, { pages: [page] });
    const { status } = await other.ask(request, `operation ${operation}`);
    must(status < 0, `operation ${operation} on a read-only disk was answered as done`);
  }
  must(same(f.bench.stored(1, 0, 8), before), 'a read-only disk has changed');
  must(same(await other.read(0), before), 'a read-only disk cannot be read any more');
}

export async function unknown(f: FrontJudge): Promise<void> {
  await f.connect();
  for (const operation of [4, 7, 77, 255]) {
    await f.refused(f.request(operation, 0), `operation ${operation}`);
  }
  await f.works('after operations that do not exist');
}

export async function data(f: FrontJudge): Promise<void> {
  await f.connect();
  const sectors = await f.offered('sectors');
  const disk = f.bench.stored(0, 0, sectors);
  const pages = Array.from({ length: 11 }, () => f.page(0xee));
  for (let round = 0; round < 12; round++) {
    // Segments of any part of any page, in any order of pages.
    const count = 1 + f.bench.below(11);
    const request = f.request(round % 2 === 0 ? BLKIF_OP_WRITE : BLKIF_OP_READ, 0, {
      pages: pages.slice(0, count),
    });
    let total = 0;
    for (let i = 0; i < count; i++) {
      request.firstSect[i] = f.bench.below(8);
      request.lastSect[i] = request.firstSect[i]! + f.bench.below(8 - request.firstSect[i]!);
      total += request.lastSect[i]! - request.firstSect[i]! + 1;
    }
    request.sectorNumber = f.bench.below(sectors - total);
    const bytes = pattern(f.bench.below(2 ** 31), 8 * count);
    pages.slice(0, count).forEach(({ va }, i) => {
      f.k.cpu.storeBytes(va, bytes.subarray(i * 4096, (i + 1) * 4096));
    });
    const { status } = await f.ask(request, 'a transfer');
    must(status === 0, `an honest transfer fails with status ${status}`);
    let at = request.sectorNumber * 512;
    for (let i = 0; i < count; i++) {
      const from = request.firstSect[i]! * 512;
      const part = bytes.subarray(i * 4096 + from, i * 4096 + (request.lastSect[i]! + 1) * 512);
      const place = disk.subarray(at, at + part.length);
      if (request.operation === BLKIF_OP_WRITE) place.set(part);
      else part.set(place);
      at += part.length;
    }
    const what = `${count} segments at sector ${request.sectorNumber}`;
    for (let i = 0; i < count; i++) {
      const expected = bytes.subarray(i * 4096, (i + 1) * 4096);
      must(same(f.bytes(pages[i]!), expected), `${what}: a page has not what it should have`);
    }
  }
  for (let sector = 0; sector + 8 <= sectors; sector += 8) {
    const expected = disk.subarray(sector * 512, (sector + 8) * 512);
    must(
      same(await f.read(sector), expected),
      `sector ${sector}: the disk has not what was written`,
    );
  }
}
