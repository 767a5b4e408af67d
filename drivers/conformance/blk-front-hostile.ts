/**
 * Checks of a front end against a back end that lies, storms, keeps what it was lent, stands still or says nothing.
 * The one idea: a driver domain that is not trusted may withhold the disk, and nothing more.
 * @source xen/io/blkif.h; XSA-391, XSA-396, XSA-403
 */
import { Gref } from '../../protocol/units.ts';
import { giveWay } from '../ring-kernel.ts';
import { digest, MS, must, skip, US } from './bench.ts';
import { type BackJudge, FEATURES, SECTORS } from './blk-back-judge.ts';
import { mappable } from './blk-front-handshake.ts';

const digestOf = (b: BackJudge, sector: number, count: number): string =>
  digest(b.bytes.subarray(sector * 512, (sector + count) * 512));

export async function copiesOnce(b: BackJudge): Promise<void> {
  let accesses = 1;
  for (let nth = 1; nth < 6 && accesses >= nth; nth++) {
    await b.connect();
    const read = await b.command('read 0 8');
    const write = await b.command('write 8 8 1');
    const requests = await b.gather(2);
    if (requests.length < 2) skip('it never has more than one request under way');
    const [first, second] = requests;
    const { area, ring } = b.joined;
    // The answer to the read turns into one to the write before an access: as whichever it is taken, its
    // operation is that of a read, so it never answers the write.
    const frame = b.bench.frameAt(area.va);
    const slot = 64;
    accesses = 0;
    const stop = b.bench.onAccess([frame], (_frame, offset, length, writes) => {
      if (writes || offset + length <= slot || offset >= slot + 16) return;
      if (accesses++ === nth) b.bench.poke(frame, slot, second!.idLo);
    });
    b.answer(first!, 0);
    await b.sleep(3 * MS);
    stop();
    must(
      (await b.result(write, 0)) === undefined,
      `a response that changed before access ${nth + 1} of its slot answered another request`,
    );
    must(ring.size > 0 && (await b.frontState()) === 4, 'a response that changed made it leave');
    await b.close();
    must((await b.result(read)) !== undefined, 'closed, and a request is still under way');
    must((await b.result(write)) !== undefined, 'closed, and a request is still under way');
  }
  if (accesses === 0) skip('its accesses to the ring cannot be seen');
}

export async function impossible(b: BackJudge): Promise<void> {
  for (const ahead of [2, 33, 1000, 0x80000000, -1]) {
    await b.connect();
    must((await b.served('read 0 8')) === digestOf(b, 0, 8), 'it reads something else');
    const read = await b.command('read 8 8');
    must(await b.next(), 'told to read, it asks for nothing');
    const { memory, port } = b.joined;
    memory.set32(8, memory.get32(8) + ahead);
    b.k.events.send(port);
    await b.fails(read, `read, with a producer ${ahead} ahead`);
    must(
      (await b.reaches([5, 6])) !== undefined,
      `the producer is ${ahead} ahead, and it stays connected`,
    );
    b.leave();
    await b.publish(6);
    await b.awaits(6, 'the back end is closed');
  }
  await b.connect();
  must((await b.served('read 0 8')) === digestOf(b, 0, 8), 'after a lie, it cannot be used again');
}

const EVENTS = 100;

export async function eventStorm(b: BackJudge): Promise<void> {
  await b.connect();
  await b.served('read 0 8');
  const cycles = b.bench.cycles();
  for (let i = 0; i < EVENTS; i++) {
    b.k.events.send(b.joined.port);
    await giveWay(b.k);
  }
  const each = Math.round((b.bench.cycles() - cycles) / EVENTS);
  must(each < 20_000, `an event without work costs it ${each} cycles`);
  must((await b.served('read 8 8')) === digestOf(b, 8, 8), 'after the storm, it reads wrong');
}

export async function closesInside(b: BackJudge): Promise<void> {
  await b.connect();
  const read = await b.command(`read 0 ${SECTORS}`);
  const requests = await b.gather(64);
  must(requests.length > 0, 'told to read, it asks for nothing');
  const close = await b.command('close');
  must((await b.reaches([5, 6])) !== undefined, 'told to close in mid-request, it does not');
  b.leave();
  await b.publish(6);
  await b.awaits(6, 'the back end is closed');
  await b.succeeds(close, 'close');
  await b.fails(read, 'read, when the disk was closed');
  for (const { gref, nrSegments } of requests) {
    for (const one of gref.slice(0, nrSegments)) {
      must(!mappable(b, one), 'it is closed, and a page of a request is still granted');
    }
  }
  await b.connect();
  must((await b.served('read 0 8')) === digestOf(b, 0, 8), 'open again, it reads something else');
}

const IDLE = 50 * MS;

async function idle(b: BackJudge, what: string): Promise<void> {
  await b.sleep(5 * MS);
  const before = b.bench.cycles();
  await b.sleep(IDLE);
  const spent = b.bench.cycles() - before;
  must(spent < 200_000, `${what}, and it spends ${spent} cycles in ${IDLE / MS} ms`);
}

export async function silence(b: BackJudge): Promise<void> {
  const open = await b.command('open');
  await idle(b, 'the back end does not come');
  must((await b.result(open, 0)) === undefined, 'the back end takes its time, and it gave up');
  await b.publish(2, FEATURES);
  await b.awaits(3, 'the back end came late');
  await idle(b, 'the back end does not connect');
  await b.join();
  await b.publish(4, { sectors: SECTORS, 'sector-size': 512, info: 0 });
  await b.succeeds(open, 'open');
  const read = await b.command('read 0 8');
  const request = await b.next();
  must(request, 'told to read, it asks for nothing');
  await idle(b, 'the back end does not answer');
  b.serve(request);
  must((await b.succeeds(read, 'read')) === digestOf(b, 0, 8), 'it reads something else');
}

export async function standsStill(b: BackJudge): Promise<void> {
  await b.connect();
  // The subject stands still while it is answered.
  const read = await b.command(`read 0 ${SECTORS}`);
  const requests = await b.gather(64);
  b.bench.stopGuest(40 * MS);
  await b.sleep(1 * MS);
  for (const request of requests) b.serve(request);
  await b.sleep(20 * MS);
  const first = await b.whileServing(b.succeeds(read, 'read, standing still'));
  must(first === digestOf(b, 0, SECTORS), 'after it stood still, it reads something else');
  // The back end stands still, for longer than any disk takes.
  const late = await b.command('read 8 8');
  const request = await b.next();
  must(request, 'told to read, it asks for nothing');
  await b.sleep(1000 * MS);
  must((await b.result(late, 0)) === undefined, 'the back end stood still, and it did not wait');
  b.serve(request);
  must((await b.succeeds(late, 'read')) === digestOf(b, 8, 8), 'it reads something else');
}

export async function strayResponses(b: BackJudge): Promise<void> {
  await b.connect();
  const commands: number[] = [];
  for (let i = 0; i < 5; i++) commands.push(await b.command(`read ${i * 8} 8`));
  const requests = await b.gather(5);
  if (requests.length < 5) skip('it never has five requests under way');
  const [request] = requests;
  b.answer({ ...request!, idLo: (request!.idLo ^ 0x40000000) >>> 0 }, 0);
  b.answer({ ...request!, idHi: request!.idHi ^ 1 }, 0);
  b.answer({ ...request!, operation: request!.operation ^ 1 }, 0);
  b.answer({ ...request!, operation: 77 }, 0);
  await b.sleep(3 * MS);
  for (const command of commands) {
    const result = await b.result(command, 10 * US);
    must(result === undefined, 'a response to nothing ended a request');
  }
  must((await b.frontState()) === 4, 'a response to nothing made it leave');
  b.serve(request!);
  must(
    (await b.succeeds(commands[0]!, 'read')) === digestOf(b, 0, 8),
    'after responses to nothing, it reads something else',
  );
}

export async function keptPages(b: BackJudge): Promise<void> {
  await b.connect();
  const read = await b.command('read 0 8');
  const request = await b.next();
  must(request, 'told to read, it asks for nothing');
  const kept = b.k.grants.map(b.domid, Gref(request.gref[0]!));
  const frame = b.bench.frameAt(kept.va);
  b.serve(request);
  await b.succeeds(read, 'read');
  for (let i = 0; i < 4; i++) {
    const text = i % 2 === 0 ? 'write 0 88 1' : 'read 0 88';
    const command = await b.command(text);
    const later = await b.next();
    must(later, `told to ‘${text}’, it asks for nothing`);
    for (const gref of later.gref.slice(0, later.nrSegments)) {
      const mapping = b.k.grants.map(b.domid, Gref(gref), true);
      const again = b.bench.frameAt(mapping.va) === frame;
      mapping.unmap();
      must(!again, 'a page that the back end keeps mapped is used for another request');
    }
    b.serve(later);
    await b.whileServing(b.succeeds(command, text));
  }
  kept.unmap();
}
