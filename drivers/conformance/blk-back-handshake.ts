/**
 * Checks of a back end that are about meeting and parting: states, nodes, features, rings of several pages, closing
 * and connecting again.
 * @source xen/io/blkif.h "STATE DIAGRAMS", "Backend XenBus Nodes"
 */
import { BLKIF_OP_READ } from '../../protocol/blkif.ts';
import { type Held, must, PATIENCE, skip } from './bench.ts';
import type { FrontJudge } from './blk-front-judge.ts';

const CLOSED = [5, 6];

export async function publishes(f: FrontJudge): Promise<void> {
  const { back, store } = f;
  await f.awaits(2, 'the front end is new');
  f.makeLine();
  // Watched, not polled: what the state says must be true in the very moment in which it can be seen.
  const seen: Promise<(string | undefined)[]> = new Promise((resolve) => {
    const watch = store.watch(`${back}/state`).subscribe(() => {
      void store.transaction(async (t) => {
        if ((await t.tryRead(`${back}/state`)) !== '4') return;
        watch.unsubscribe();
        const keys = ['sectors', 'sector-size', 'info'];
        const values: (string | undefined)[] = [];
        for (const key of keys) values.push(await t.tryRead(`${back}/${key}`));
        resolve(values);
      });
    });
  });
  await f.publish(3, f.nodes());
  await f.awaits(4, 'the front end has published its ring');
  const [sectors, size, info] = await seen;
  must(
    /^[1-9]\d*$/.test(sectors ?? ''),
    'it is connected and has not said how many sectors it has',
  );
  must(size !== undefined, 'it is connected and has not said how long a sector is');
  must(size === '512', `its sector-size is ${size}, which a front end need not understand`);
  must(/^\d+$/.test(info ?? ''), 'it is connected and has published no info');
}

export async function anyOrder(f: FrontJudge): Promise<void> {
  // Without waiting for InitWait: everything has its default then.
  f.makeLine();
  await f.publish(3, f.nodes());
  await f.awaits(4, 'the front end was Initialised before it looked');
  await f.publish(4);
  await f.works('connected without waiting');
  await f.close();
  must(f.dropLine(), 'the back end is closed and keeps the ring mapped');
  // From Closed at once to Initialised, its first state never seen.
  f.makeLine();
  await f.publish(3, f.nodes());
  await f.awaits(4, 'the front end came again and skipped its first state');
  await f.publish(4);
  await f.works('connected again');
}

export async function protocol(f: FrontJudge): Promise<void> {
  await f.awaits(2, 'the front end is new');
  f.makeLine();
  await f.publish(3, { ...f.nodes(), protocol: 'vax-abi' });
  const state = await f.reaches([4, ...CLOSED]);
  must(state !== 4, 'it connected to a ring whose layout it cannot know');
  must(state !== undefined, 'it neither took nor refused a layout that it cannot know');
  await again(f);
  // No node means the layout that is native, and that is what this judge speaks.
  f.makeLine();
  await f.store.remove(`${f.own}/protocol`).catch(() => undefined);
  const { protocol: _, ...nodes } = f.nodes();
  await f.publish(3, nodes);
  await f.awaits(4, 'the front end names no layout');
  await f.publish(4);
  await f.works('with no protocol node');
}

/** After a refusal: closed, and new again. */
async function again(f: FrontJudge): Promise<void> {
  await f.publish(6);
  await f.reaches([6]);
  f.dropLine();
  await f.publish(1);
  await f.awaits(2, 'the front end is new again');
}

/** The highest order that it offers, by both schemes. */
async function offer(f: FrontJudge): Promise<number> {
  await f.awaits(2, 'the front end is new');
  const order = await f.offered('max-ring-page-order');
  const pages = (await f.offered('max-ring-pages')) || 1;
  must((pages & (pages - 1)) === 0, `max-ring-pages is ${pages}, no power of two`);
  must(
    order === 0 || pages === 1 || pages === 1 << order,
    `max-ring-page-order says ${order} and max-ring-pages ${pages}`,
  );
  return Math.max(order, Math.log2(pages));
}

export async function longRings(f: FrontJudge): Promise<void> {
  const max = await offer(f);
  if (max === 0) skip('it does not offer a ring of more than one page');
  for (let order = max; order >= 0; order--) {
    const ring = `a ring of ${1 << order} pages`;
    f.makeLine(order);
    await f.publish(3, f.nodes());
    await f.awaits(4, `the front end has published ${ring}`);
    await f.publish(4);
    // Once round the ring and a bit further, in a batch that fills it.
    const { size } = f.line.ring;
    const page = f.page(0xee);
    const read = () => f.request(BLKIF_OP_READ, 0, { pages: [page] });
    for (const count of [size - 1, 6]) {
      const requests = Array.from({ length: count }, read);
      f.send(...requests);
      const answers = await f.answers(count);
      must(answers.length === count, `${ring}: ${answers.length} of ${count} were answered`);
      const good = answers.filter(
        ({ idLo, status }) => status === 0 && requests.some((one) => one.idLo === idLo),
      );
      must(good.length === count, `${ring}: only ${good.length} of ${count} answers are right`);
    }
    f.k.grants.end(page.gref);
    await f.close();
    must(f.dropLine(), `${ring} stays mapped after the close`);
    for (const key of ['ring-page-order', 'num-ring-pages']) {
      await f.store.remove(`${f.own}/${key}`).catch(() => undefined);
    }
    await f.publish(1);
    await f.awaits(2, 'the front end is new again');
  }
}

export async function tooLong(f: FrontJudge): Promise<void> {
  const max = await offer(f);
  for (const nodes of [
    { 'ring-page-order': max + 1, 'num-ring-pages': 2 << max },
    { 'ring-page-order': 31, 'num-ring-pages': 2 ** 31 },
  ]) {
    f.makeLine(Math.min(max + 1, 4));
    await f.publish(3, { ...f.nodes(), ...nodes });
    const state = await f.reaches([4, ...CLOSED]);
    must(
      state !== 4,
      `it connected to a ring of order ${nodes['ring-page-order']}; it offers ${max}`,
    );
    must(state !== undefined, 'it neither takes nor refuses a ring that is too long');
    await again(f);
  }
}

export async function badNodes(f: FrontJudge): Promise<void> {
  const before = f.bench.held();
  const { mappings } = before;
  await f.awaits(2, 'the front end is new');
  const bad: readonly Readonly<Record<string, string>>[] = [
    { 'ring-ref': '' },
    { 'ring-ref': 'x' },
    { 'ring-ref': '-1' },
    { 'ring-ref': '4000000000' },
    { 'event-channel': '' },
    { 'event-channel': '4000000000' },
    { 'event-channel': '0' },
  ];
  for (const change of bad) {
    f.makeLine();
    await f.publish(3, { ...f.nodes(), ...change });
    const state = await f.reaches([4, ...CLOSED]);
    const what = Object.entries(change)
      .map(([key, value]) => `${key} ‘${value}’`)
      .join();
    must(state !== 4, `it connected in spite of ${what}`);
    must(state !== undefined, `it neither takes nor refuses ${what}`);
    must(f.bench.held().mappings === mappings, `it refused ${what} and keeps a page mapped`);
    await again(f);
  }
  await f.connect();
  await f.works('after nodes that make no sense');
}

export async function reconnects(f: FrontJudge): Promise<void> {
  for (let round = 1; round <= 3; round++) {
    await f.connect();
    await f.works(`connection ${round}`);
    await f.close();
    must(f.dropLine(), `connection ${round}: the ring stays mapped after the close`);
    await f.publish(1);
  }
  // As after a resume: no close, just a new beginning.
  await f.connect();
  await f.publish(1);
  await f.awaits(2, 'the front end began again without a close');
  must(f.dropLine(), 'it began again and keeps the old ring mapped');
  await f.connect();
  await f.works('after beginning again without a close');
}

export async function givesBack(f: FrontJudge): Promise<void> {
  let first: Held | undefined; // what it takes for its very first connection, it may keep
  for (let round = 0; round < 4; round++) {
    await f.connect();
    await f.works('while connected');
    await f.close();
    must(f.dropLine(), 'the ring stays mapped after the close');
    const held = f.bench.held();
    first ??= held;
    const [mappings, ports] = [held.mappings - first.mappings, held.ports - first.ports];
    must(mappings === 0, `with each close it has more mappings: ${mappings} by now`);
    must(ports === 0, `with each close it has more event channels: ${ports} by now`);
    await f.publish(1);
  }
}

export async function follows(f: FrontJudge): Promise<void> {
  // A front end that is gone at once, without Closing.
  await f.connect();
  await f.publish(6);
  await f.awaits(6, 'the front end is Closed at once');
  must(f.dropLine(), 'it is closed and keeps the ring mapped');
  await f.publish(1);
  await f.connect();
  // Its whole directory vanishes, as when the device is removed.
  await f.store.remove(f.own);
  must((await f.reaches([6], PATIENCE)) === 6, 'the front end’s nodes are gone, and it stays open');
  must(f.dropLine(), 'the front end’s nodes are gone, and it keeps the ring mapped');
}
