/**
 * Checks of a back end against a front end that lies, changes its mind, storms, stands still or leaves.
 * The one idea: whatever the front end does costs itself at most; the back end, the disk and the neighbours go on.
 * @source xen/io/blkif.h; XSA-155, XSA-332, XSA-350, XSA-365
 */
import { BLKIF_OP_READ, BLKIF_OP_WRITE } from '../../protocol/blkif.ts';
import { giveWay } from '../ring-kernel.ts';
import { MS, must, same, skip, US } from './bench.ts';
import { type FrontJudge, type Page, wordsOf } from './blk-front-judge.ts';

const filled = (byte: number, sectors = 8): Uint8Array => new Uint8Array(sectors * 512).fill(byte);

export async function rights(f: FrontJudge): Promise<void> {
  await f.connect();
  const page = f.page(0x77, true);
  const request = f.request(BLKIF_OP_READ, 0, { pages: [page] });
  await f.refused(request, 'a read into a page that may only be read');
  must(same(f.bytes(page), filled(0x77)), 'a page that may only be read was written');
  const write = f.request(BLKIF_OP_WRITE, 72, { pages: [page] });
  const { status } = await f.ask(write, 'a write from a page that may only be read');
  must(status === 0, `a write from a page that may only be read fails with status ${status}`);
}

export async function badGrants(f: FrontJudge): Promise<void> {
  await f.connect();
  must((await f.write(72, 0x12)).status === 0, 'an honest write fails');
  const [ended, good] = [f.page(0x13), f.page(0x14)];
  f.k.grants.end(ended.gref);
  for (const gref of [ended.gref, 0xffffffff, 500]) {
    for (const operation of [BLKIF_OP_READ, BLKIF_OP_WRITE]) {
      const request = f.request(operation, 72, { pages: [good, good] });
      request.gref[1] = gref;
      await f.refused(request, `grant reference ${gref}`);
    }
  }
  must(
    same(await f.read(72), filled(0x12)),
    'a write of which one page was not granted reached the disk',
  );
}

/** The slot of `request`, rewritten to another one before the nth access to it. */
async function rewritten(
  f: FrontJudge,
  nth: number,
  pages: readonly [Page, Page],
): Promise<boolean> {
  const { bench, line } = f;
  const [good, other] = pages;
  const first = f.request(BLKIF_OP_WRITE, 80, { pages: [good] });
  // Every field is another one, and none is what may be served.
  const second = f.request(77, 88, { pages: [other], handle: 9, nrSegments: 255 });
  const slot = 64 + (line.memory.get32(0) & 31) * 112;
  const words = wordsOf(second);
  let accesses = 0;
  const stop = bench.onAccess(line.frames, (_frame, offset, length, write) => {
    if (write || offset + length <= slot || offset >= slot + 112) return;
    if (accesses++ !== nth) return;
    words.forEach((word, i) => {
      bench.poke(line.frames[0]!, slot + i * 4, word);
    });
  });
  f.send(first);
  const answers = await f.answers(1);
  stop();
  const [answer] = answers;
  must(answer, 'a request that changed meanwhile was not answered');
  const asFirst = answer.idLo === first.idLo && answer.operation === first.operation;
  const asSecond = answer.idLo === second.idLo && answer.operation === second.operation;
  const mixed = `a request that changed before access ${nth + 1} of its slot`;
  must(asFirst || asSecond, `${mixed} was answered as a mixture of both`);
  const expected = asFirst && answer.status === 0 ? 0x21 : 0x20;
  must(!asSecond || answer.status < 0, `${mixed} was done with fields that were never together`);
  must(!asFirst || answer.status === 0, `${mixed} was refused for what it said later`);
  must(same(await f.read(80), filled(expected)), `${mixed} did to the disk what it did not answer`);
  must(same(await f.read(88), filled(0x20)), `${mixed} reached sectors of the other request`);
  return accesses > nth;
}

export async function copiesOnce(f: FrontJudge): Promise<void> {
  await f.connect();
  const pages = [f.page(0x21), f.page(0x22)] as const;
  let tried = 0;
  for (let nth = 0; nth < 8; nth++) {
    for (const sector of [80, 88]) {
      must((await f.write(sector, 0x20)).status === 0, 'an honest write fails');
    }
    if (!(await rewritten(f, nth, pages))) break;
    tried++;
  }
  // And while the request is with the drive: what was read long ago must not be read again.
  for (const wait of [20 * US, 60 * US, 200 * US]) {
    for (const sector of [80, 88]) await f.write(sector, 0x20);
    const request = f.request(BLKIF_OP_WRITE, 80, { pages: [pages[0]] });
    const slot = 64 + (f.line.memory.get32(0) & 31) * 112;
    f.send(request);
    await f.sleep(wait);
    const answered = f.line.memory.get32(8) === f.line.memory.get32(0);
    if (!answered) f.line.memory.write(slot, wordsOf(f.request(77, 88, { idHi: 5, handle: 9 })));
    const [answer] = await f.answers(1);
    must(answer, 'a request that changed while it was served was not answered');
    if (answered) break;
    const first = answer.idLo === request.idLo && answer.idHi === 0 && answer.operation === 1;
    const later = answer.idHi === 5 && answer.operation === 77 && answer.status < 0;
    must(first || later, 'a request that changed while it was served was answered as a mixture');
    tried++;
  }
  if (tried === 0) skip('its accesses to the ring cannot be seen, and it is too quick to be met');
}

export async function impossible(f: FrontJudge): Promise<void> {
  for (const ahead of [33, 1000, 0x80000000, -1]) {
    const { mappings } = f.bench.held();
    await f.connect();
    await f.works('before the lie');
    const answered = f.line.memory.get32(8);
    const page = f.page(0x41);
    const write = wordsOf(f.request(BLKIF_OP_WRITE, 96, { pages: [page] }));
    for (let slot = 0; slot < 32; slot++) f.line.memory.write(64 + slot * 112, write);
    const before = f.bench.stored(0, 96, 8);
    f.line.memory.set32(0, f.line.memory.get32(0) + ahead);
    f.kick();
    const state = await f.reaches([5, 6]);
    must(state !== undefined, `the producer is ${ahead} ahead, and it stays connected`);
    must(f.line.memory.get32(8) === answered, `the producer is ${ahead} ahead, and it was served`);
    must(
      same(f.bench.stored(0, 96, 8), before),
      `the producer is ${ahead} ahead, and it was served`,
    );
    must(f.bench.held().mappings === mappings, 'it gave up the ring and keeps it mapped');
    await f.publish(6);
    await f.awaits(6, 'the front end is closed');
    must(f.dropLine(), 'it gave up the ring and keeps it mapped');
    await f.publish(1);
  }
}

const ASKED = 3000;

export async function requestStorm(f: FrontJudge): Promise<void> {
  await f.connect();
  const rounds = f.bench.neighbour();
  await f.sleep(5 * MS);
  const before = rounds();
  must(before > 0, 'a neighbour is not served at all');
  // Whenever the back end looks for more, there is more: it never sees an empty ring. And a response to id 77 is, as
  // a request, operation 77 once more.
  const { memory, frames } = f.line;
  const bad = wordsOf(f.request(77, 0, { idLo: 77 }));
  for (let slot = 0; slot < 32; slot++) memory.write(64 + slot * 112, bad);
  let [asked, meanwhile] = [0, before];
  const stop = f.bench.onAccess(frames, (frame, offset, _length, write) => {
    if (offset !== 0 || write || asked++ > ASKED) return;
    f.bench.poke(frame, 0, f.bench.peek(frame, 8) + 31);
    meanwhile = rounds();
  });
  f.kick();
  await f.sleep(1 * MS);
  if (asked === 0) skip('its accesses to the ring cannot be seen');
  while (asked <= ASKED && meanwhile < before + 2) await f.sleep(1 * MS);
  stop();
  must(meanwhile > before, 'while one front end never stops asking, no other domain is served');
}

const EVENTS = 100;

/** Events that mean nothing, each of which finds the back end at rest. */
async function storm(f: FrontJudge): Promise<void> {
  for (let i = 0; i < EVENTS; i++) {
    f.kick();
    await giveWay(f.k);
  }
}

export async function eventStorm(f: FrontJudge): Promise<void> {
  await f.connect();
  await f.works('before the storm');
  const cycles = f.bench.cycles();
  await storm(f);
  const each = Math.round((f.bench.cycles() - cycles) / EVENTS);
  must(each < 20_000, `an event without work costs it ${each} cycles`);
  const rounds = f.bench.neighbour();
  await f.sleep(5 * MS);
  const before = rounds();
  while (rounds() === before && f.k.time.nanos() < 2000 * MS) await storm(f);
  must(rounds() > before, 'while events without work come, no neighbour is served');
  await f.works('after the storm');
}

export async function closesInside(f: FrontJudge): Promise<void> {
  const { mappings } = f.bench.held();
  for (const wait of [0, 20 * US, 60 * US, 150 * US]) {
    await f.connect();
    const pages = Array.from({ length: 11 }, () => f.page(0x51));
    const read = () => f.request(BLKIF_OP_READ, 0, { pages });
    f.send(read(), read(), read(), read());
    if (wait > 0) await f.sleep(wait);
    await f.publish(5);
    const state = await f.reaches([5, 6]);
    must(state !== undefined, 'the front end is closing in mid-request, and it does not follow');
    await f.publish(6);
    await f.awaits(6, 'the front end is closed');
    const held = f.bench.held().mappings - mappings;
    must(held === 0, `it is Closed and has ${held} pages mapped`);
    must(f.dropLine(), 'it is Closed and has the ring mapped');
    for (const { gref } of pages) must(f.k.grants.end(gref), 'it is Closed and has a page mapped');
    // The same references, for other pages now: a request that was under way must not reach them.
    const later = pages.map(() => f.page(0x52));
    const answered = f.line.memory.get32(8);
    await f.sleep(10 * MS);
    must(f.line.memory.get32(8) === answered, 'it answered a request after it was Closed');
    for (const page of later) {
      must(
        same(f.bytes(page), filled(0x52)),
        'it was Closed, and wrote to a page granted afterwards',
      );
      must(f.k.grants.end(page.gref), 'it was Closed, and maps a page granted afterwards');
    }
    await f.publish(1);
  }
}

const IDLE = 50 * MS;

/** Its cycles in a while in which nothing happens. */
async function idle(f: FrontJudge, what: string): Promise<void> {
  await f.sleep(5 * MS);
  const before = f.bench.cycles();
  await f.sleep(IDLE);
  const spent = f.bench.cycles() - before;
  must(spent < 200_000, `${what}, and it spends ${spent} cycles in ${IDLE / MS} ms`);
}

export async function silence(f: FrontJudge): Promise<void> {
  await f.awaits(2, 'the front end is new');
  await idle(f, 'the front end does not come');
  must((await f.backState()) === 2, 'the front end takes its time, and it did not wait for it');
  await f.connect();
  await idle(f, 'the front end asks for nothing');
  await f.works('after a silence');
  await f.close();
}

export async function standsStill(f: FrontJudge): Promise<void> {
  await f.connect();
  const page = f.page(0xee);
  const requests = Array.from({ length: 31 }, (_, i) =>
    f.request(BLKIF_OP_READ, i, { pages: [page], lastSect: new Uint8Array(11) }),
  );
  f.send(...requests);
  f.bench.stopGuest(60 * MS);
  await giveWay(f.k);
  must((await f.backState()) === 4, 'the front end stood still for a while, and it left');
  const answers = await f.answers(31);
  must(answers.length === 31, `after standing still, ${answers.length} of 31 answers are there`);
  must(
    answers.every(({ status }) => status === 0),
    'a front end that stands still finds its requests failed',
  );
  await f.works('after standing still');
}
