/**
 * Checks of a front end that are about single requests: what it asks for, and what it makes of the answers.
 * @source xen/io/blkif.h, "REQUEST CODES" and the structs after it
 */
import {
  BLKIF_OP_FLUSH_DISKCACHE,
  BLKIF_OP_READ,
  BLKIF_OP_WRITE,
  type BlkifRequestFields,
} from '../../protocol/blkif.ts';
import { Gref } from '../../protocol/units.ts';
import { digest, MS, must, pattern, same, skip, warn } from './bench.ts';
import { type BackJudge, SECTORS } from './blk-back-judge.ts';

const transfers = ({ seen }: BackJudge): BlkifRequestFields[] =>
  seen.filter(({ operation }) => operation === BLKIF_OP_READ || operation === BLKIF_OP_WRITE);

const digestOf = (b: BackJudge, sector: number, count: number): string =>
  digest(b.bytes.subarray(sector * 512, (sector + count) * 512));

/** Reads and writes of all sizes. */
async function traffic(b: BackJudge): Promise<void> {
  await b.connect();
  for (const [i, count] of [1, 7, 8, 9, 87, 88, 89, 200].entries()) {
    for (const text of [`write ${i * 3} ${count} ${i}`, `read ${i * 2} ${count}`]) {
      const result = await b.whileServing(b.result(await b.command(text)));
      must(result !== undefined, `‘${text}’ did not come to an end`);
    }
  }
  must(transfers(b).length >= 16, 'it reads and writes without requests');
}

export async function notOffered(b: BackJudge): Promise<void> {
  await b.withdraw('feature-flush-cache');
  await b.connect({});
  await b.served('write 0 16 1');
  const flush = await b.command('flush');
  await b.whileServing(b.result(flush));
  await b.served('read 0 16');
  for (const { operation } of b.seen) {
    must(
      operation === BLKIF_OP_READ || operation === BLKIF_OP_WRITE,
      `it asks for operation ${operation}, which is not offered`,
    );
  }
}

export async function tellsNothing(b: BackJudge): Promise<void> {
  await b.connect();
  const known = new Set<string>([digest(new Uint8Array(512))]);
  for (let at = 0; at < b.bytes.length; at += 512)
    known.add(digest(b.bytes.subarray(at, at + 512)));
  const check = (request: BlkifRequestFields, skipped: boolean): void => {
    for (let i = 0; i < request.nrSegments; i++) {
      const bytes = b.page(request.gref[i]!);
      must(bytes, 'it names a page that it does not grant');
      for (let sector = 0; sector < 8; sector++) {
        if (skipped && sector >= request.firstSect[i]! && sector <= request.lastSect[i]!) continue;
        const part = bytes.subarray(sector * 512, (sector + 1) * 512);
        must(known.has(digest(part)), `a granted page holds something old in sector ${sector}`);
      }
    }
  };
  for (const text of ['write 0 3 1', 'read 8 4', 'write 16 1 2']) {
    const command = await b.command(text);
    const request = await b.next();
    must(request, `told to ‘${text}’, it asks for nothing`);
    check(request, request.operation === BLKIF_OP_WRITE);
    b.serve(request);
    for (let at = 0; at < 32 * 512; at += 512) known.add(digest(b.bytes.subarray(at, at + 512)));
    await b.whileServing(b.succeeds(command, text));
  }
}

export async function slots(b: BackJudge): Promise<void> {
  await b.connect();
  const { memory, ring } = b.joined;
  const commands: number[] = [];
  for (let i = 0; i < 3; i++) commands.push(await b.command(`read ${i} ${SECTORS - i}`));
  await b.sleep(5 * MS);
  const published = memory.get32(0);
  must(published > 0, 'told to read, it asks for nothing');
  must(published <= ring.size, `its ring of ${ring.size} slots holds ${published} requests`);
  for (const [i, command] of commands.entries()) {
    const read = await b.whileServing(b.succeeds(command, `read ${i}`));
    must(
      read === digestOf(b, i, SECTORS - i),
      'with many requests at once, it reads something else',
    );
  }
}

export async function ids(b: BackJudge): Promise<void> {
  await b.connect();
  const command = await b.command(`read 0 ${SECTORS}`);
  const requests = await b.gather(64);
  must(requests.length > 0, 'told to read, it asks for nothing');
  if (requests.length === 1) skip('it never has more than one request under way');
  const distinct = new Set(requests.map(({ idLo, idHi }) => `${idHi}:${idLo}`));
  must(distinct.size === requests.length, 'two requests that are under way have the same id');
  for (const request of requests) b.serve(request);
  await b.whileServing(b.succeeds(command, 'read'));
}

export async function anyOrder(b: BackJudge): Promise<void> {
  await b.connect();
  const command = await b.command(`read 0 ${SECTORS}`);
  const requests = await b.gather(64);
  if (requests.length === 1) skip('it never has more than one request under way');
  for (const request of requests.reverse()) b.serve(request);
  const read = await b.whileServing(b.succeeds(command, 'read'));
  must(read === digestOf(b, 0, SECTORS), 'answered in another order, it reads something else');
}

export async function segments(b: BackJudge): Promise<void> {
  await traffic(b);
  for (const { nrSegments, firstSect, lastSect } of transfers(b)) {
    for (let i = 0; i < Math.min(nrSegments, 11); i++) {
      const [first, last] = [firstSect[i]!, lastSect[i]!];
      must(first <= last && last < 8, `it names sectors ${first} to ${last} of a page`);
    }
  }
}

export async function howMany(b: BackJudge): Promise<void> {
  await traffic(b);
  for (const { nrSegments } of transfers(b)) {
    must(nrSegments >= 1 && nrSegments <= 11, `it asks for ${nrSegments} segments`);
  }
}

export async function onTheDisk(b: BackJudge): Promise<void> {
  await b.connect();
  for (const text of [`read ${SECTORS - 1} 2`, `write ${SECTORS} 1 1`, `read ${SECTORS + 90} 8`]) {
    await b.whileServing(b.fails(await b.command(text), text));
  }
  for (const { sectorNumber, nrSegments, firstSect, lastSect } of transfers(b)) {
    let end = sectorNumber;
    for (let i = 0; i < nrSegments; i++) end += lastSect[i]! - firstSect[i]! + 1;
    must(end <= SECTORS, `it asks for sectors up to ${end} of ${SECTORS}`);
  }
  const last = await b.served(`read ${SECTORS - 1} 1`);
  must(last === digestOf(b, SECTORS - 1, 1), 'it reads something else for the last sector');
}

export async function handles(b: BackJudge): Promise<void> {
  await traffic(b);
  for (const { handle } of transfers(b)) {
    must(handle === b.handle, `it asks for device ${handle}, and this one is ${b.handle}`);
  }
}

export async function readOnly(b: BackJudge): Promise<void> {
  await b.connect({}, { info: 4 });
  const write = await b.command('write 0 8 1');
  await b.whileServing(b.fails(write, 'write to a read-only disk'));
  must(
    b.seen.every(({ operation }) => operation !== BLKIF_OP_WRITE),
    'the disk is read-only, and it asks to write to it',
  );
  must((await b.served('read 0 8')) === digestOf(b, 0, 8), 'it cannot read a read-only disk');
}

export async function flushes(b: BackJudge): Promise<void> {
  await b.connect();
  await b.served('write 0 8 1');
  const command = await b.command('flush');
  const request = await b.next();
  must(request, 'told to flush, it asks for nothing');
  must(
    request.operation === BLKIF_OP_FLUSH_DISKCACHE,
    `told to flush, it asks for operation ${request.operation}`,
  );
  must(request.nrSegments === 0, `it asks for a flush of ${request.nrSegments} segments`);
  await b.sleep(5 * MS);
  must((await b.result(command, 0)) === undefined, 'it does not wait for the end of its flush');
  b.serve(request);
  await b.succeeds(command, 'flush');
}

export async function rights(b: BackJudge): Promise<void> {
  await b.connect();
  for (const [text, operation] of [
    ['write 0 8 1', BLKIF_OP_WRITE],
    ['read 0 8', BLKIF_OP_READ],
  ] as const) {
    const command = await b.command(text);
    const request = await b.next();
    must(request?.operation === operation, `told to ‘${text}’, it asks for something else`);
    let writable = true;
    try {
      b.k.grants.map(b.domid, Gref(request.gref[0]!)).unmap();
    } catch {
      writable = false;
    }
    b.serve(request);
    await b.whileServing(b.succeeds(command, text));
    if (operation === BLKIF_OP_WRITE && writable)
      warn('the back end may change what it is to write');
  }
}

export async function failures(b: BackJudge): Promise<void> {
  await b.connect();
  for (const status of [-1, -2, -77, 1]) {
    for (const text of ['read 0 8', 'write 0 8 1', 'flush']) {
      const command = await b.command(text);
      const request = await b.next();
      if (!request && text === 'flush') continue; // that it flushes at all is another rule
      must(request, `told to ‘${text}’, it asks for nothing`);
      b.answer(request, status);
      const result = await b.whileServing(b.result(command));
      must(result !== undefined, `‘${text}’, answered with status ${status}, comes to no end`);
      const given = text === 'flush' && status === -2; // that it cannot be flushed is no failure
      must(given || result.startsWith('error'), `‘${text}’ succeeds with status ${status}`);
    }
  }
  must(
    (await b.served('read 0 8')) === digestOf(b, 0, 8),
    'after failures, it reads something else',
  );
}

export async function data(b: BackJudge): Promise<void> {
  await b.connect();
  for (let round = 0; round < 8; round++) {
    const sector = b.bench.below(SECTORS - 200);
    const count = 1 + b.bench.below(200);
    const before = b.bytes.slice();
    await b.served(`write ${sector} ${count} ${round}`);
    before.set(pattern(round, count), sector * 512);
    must(same(b.bytes, before), `‘write ${sector} ${count}’ put something else on the disk`);
    const from = b.bench.below(SECTORS - 300);
    const read = await b.served(`read ${from} 300`);
    must(read === digestOf(b, from, 300), `‘read ${from} 300’ read something else`);
  }
}
