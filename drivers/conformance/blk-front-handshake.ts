/**
 * Checks of a front end that are about meeting and parting: states, nodes, rings of several pages, closing and
 * connecting again, by itself or because the back end does.
 * @source xen/io/blkif.h "STATE DIAGRAMS", "Frontend XenBus Nodes"
 */
import { Gref } from '../../protocol/units.ts';
import { digest, MS, must, skip } from './bench.ts';
import { type BackJudge, FEATURES, SECTORS } from './blk-back-judge.ts';

export async function publishes(b: BackJudge): Promise<void> {
  // Watched, not polled: what the state says must be true in the very moment in which it can be seen.
  const seen: Promise<string[]> = new Promise((resolve) => {
    const watch = b.store.watch(`${b.frontPath}/state`).subscribe(() => {
      void b.store.transaction(async (t) => {
        if ((await t.tryRead(`${b.frontPath}/state`)) !== '3') return;
        watch.unsubscribe();
        resolve(await t.directory(b.frontPath));
      });
    });
  });
  await b.publish(2, FEATURES);
  const open = await b.command('open');
  await b.awaits(3, 'the back end has published its features');
  const keys = await seen;
  must(
    keys.includes('ring-ref') || keys.includes('ring-ref0'),
    'it is Initialised and has not said where its ring is',
  );
  must(keys.includes('event-channel'), 'it is Initialised and has published no event channel');
  await b.sleep(10 * MS);
  must((await b.frontState()) === 3, 'it did not wait until the back end is connected');
  must((await b.result(open, 0)) === undefined, 'it opened before the back end is connected');
  await b.join();
  await b.publish(4, { sectors: SECTORS, 'sector-size': 512, info: 0 });
  await b.awaits(4, 'the back end is connected');
  must((await b.succeeds(open, 'open')) === `${SECTORS}`, 'it takes the disk for another size');
}

export async function anyOrder(b: BackJudge): Promise<void> {
  const open = await b.command('open');
  await b.sleep(5 * MS);
  must((await b.result(open, 0)) === undefined, 'it opened, and there is no back end yet');
  // A back end that skips InitWait: everything has its default then.
  await b.publish(3);
  await b.awaits(3, 'the back end was Initialised at once');
  await b.join();
  await b.publish(4, { sectors: SECTORS, 'sector-size': 512, info: 0 });
  await b.awaits(4, 'the back end is connected');
  await b.succeeds(open, 'open');
  must(
    (await b.served('read 0 8')) === digest(b.bytes.subarray(0, 4096)),
    'after a handshake without InitWait it reads something else',
  );
}

export async function protocol(b: BackJudge): Promise<void> {
  await b.connect();
  const protocol = await b.key('protocol');
  must(
    protocol === undefined || protocol === 'x86_64-abi',
    `it says that its ring has the layout ${protocol}`,
  );
  await b.served('read 0 8');
}

export async function longRings(b: BackJudge): Promise<void> {
  let longest = 1;
  for (const order of [2, 1, 0]) {
    const offer = { 'max-ring-page-order': order, 'max-ring-pages': 1 << order };
    if (order === 0) for (const key of Object.keys(offer)) await b.withdraw(key);
    await b.connect({ ...FEATURES, ...(order === 0 ? {} : offer) });
    const { pages, ring } = b.joined;
    longest = Math.max(longest, pages);
    must(pages <= 1 << order, `it made a ring of ${pages} pages; the back end takes ${1 << order}`);
    const count = await b.key('num-ring-pages');
    if (pages > 1) {
      must(
        count === undefined || count === `${pages}`,
        `ring-page-order says ${pages} pages, and num-ring-pages ${count}`,
      );
      const single = await b.key('ring-ref');
      must(single === undefined, 'a ring of several pages has a node ring-ref besides');
    }
    // More than once round the ring.
    const expected = digest(b.bytes);
    const before = b.seen.length;
    while (b.seen.length - before < ring.size + 5) {
      const had = b.seen.length;
      must(
        (await b.served(`read 0 ${SECTORS}`)) === expected,
        `with ${pages} pages it reads wrong`,
      );
      must(b.seen.length > had, 'it reads without a request');
    }
    await b.close();
  }
  if (longest === 1) skip('it does not use a ring of more than one page');
}

export async function ringIsZero(b: BackJudge): Promise<void> {
  await b.connect({ ...FEATURES, 'max-ring-page-order': 2, 'max-ring-pages': 4 });
  const { memory, pages } = b.joined;
  if (memory.get32(0) !== 0) skip('it has put requests into its ring already');
  for (let offset = 0; offset < pages * 4096; offset += 4) {
    const threshold = offset === 4 || offset === 12;
    must(
      memory.get32(offset) === (threshold ? 1 : 0),
      `its ring was granted with something old at byte ${offset}`,
    );
  }
}

export async function reconnects(b: BackJudge): Promise<void> {
  for (let round = 1; round <= 3; round++) {
    await b.connect();
    const read = await b.served(`read ${round} 16`);
    const expected = digest(b.bytes.subarray(round * 512, (round + 16) * 512));
    must(read === expected, `connection ${round}: it reads something else`);
    await b.close();
  }
}

export async function givesBack(b: BackJudge): Promise<void> {
  for (let round = 0; round < 2; round++) {
    await b.connect();
    await b.served('read 0 200');
    await b.served('write 0 100 7');
    await b.close();
    // Grants that name a reserved entry are the console's and the store's.
    const grefs = new Set(b.seen.flatMap(({ gref, nrSegments }) => [...gref.slice(0, nrSegments)]));
    for (const gref of grefs) {
      must(!mappable(b, gref), `it is closed, and page ${gref} is still granted`);
    }
    for (const key of ['ring-ref', 'ring-ref0', 'ring-ref1']) {
      const gref = await b.key(key);
      must(
        gref === undefined || !mappable(b, Number(gref)),
        'it is closed, and its ring is granted',
      );
    }
  }
}

/** Whether the subject grants `gref` to the driver domain. */
export function mappable(b: BackJudge, gref: number): boolean {
  try {
    b.k.grants.map(b.domid, Gref(gref), true).unmap();
    return true;
  } catch {
    return false;
  }
}

export async function follows(b: BackJudge): Promise<void> {
  await b.connect();
  const read = await b.command('read 0 8');
  must(await b.next(), 'told to read, it asks for nothing');
  // The back end goes, in the middle of a request.
  b.leave();
  await b.publish(5);
  must(
    (await b.reaches([5, 6])) !== undefined,
    'the back end is closing, and the front end stays open',
  );
  await b.publish(6);
  await b.awaits(6, 'the back end is closed');
  await b.fails(read, 'read 0 8');
  const later = await b.command('read 8 8');
  await b.fails(later, 'read 8 8');
  await b.connect();
  must(
    (await b.served('read 0 8')) === digest(b.bytes.subarray(0, 4096)),
    'it reads something else',
  );
}
