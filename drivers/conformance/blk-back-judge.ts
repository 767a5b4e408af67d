/**
 * A back end that judges, in the driver domain: it speaks blkif by hand, keeps a disk in its own memory, and has the
 * subject do things by the commands of subject.ts.
 * The one idea: it takes requests only when a check asks for them, so that it decides what is answered, when, in which
 * order and how; and every wait ends in virtual time.
 * @source xen/io/blkif.h; xen/io/xenbus.h
 */
import type { GrantArea, Kernel, Xenstore } from '../../guest-kernel/index.ts';
import {
  BLKIF_OP_FLUSH_DISKCACHE,
  BLKIF_OP_READ,
  BLKIF_OP_WRITE,
  BLKIF_REQUEST_WORDS,
  BLKIF_RESPONSE_WORDS,
  BLKIF_RING,
  BLKIF_RSP_ERROR,
  BLKIF_RSP_OKAY,
  type BlkifRequestFields,
  blkifRequestFields,
  getBlkifRequestWords,
  setBlkifResponseWords,
} from '../../protocol/blkif.ts';
import { BackRing, type RingMemory, RingOverflow } from '../../protocol/ring.ts';
import { type Domid, Gref, Port } from '../../protocol/units.ts';
import type { RingKernel } from '../ring-kernel.ts';
import type { BlockBackMaker, BlockPlace } from '../served-domain.ts';
import { type Bench, Finding, must, PATIENCE, pattern, US } from './bench.ts';

const PAGE = 4096;
export const SECTORS = 1024;
export const FEATURES = { 'feature-flush-cache': 1 };
const PROPERTIES = { sectors: SECTORS, 'sector-size': 512, info: 0 };

type Nodes = Readonly<Record<string, string | number>>;

/** The subject's ring, mapped. */
export interface Joined {
  readonly ring: BackRing;
  readonly memory: RingMemory;
  readonly area: GrantArea;
  readonly port: Port;
  readonly pages: number;
}

/** Makes back ends that judge: `check` is called with each. */
export function backJudge(bench: () => Bench, check: (judge: BackJudge) => void): BlockBackMaker {
  let first = true;
  return (place) => ({
    open: async () => {
      if (first) check(new BackJudge(place, bench())); // the subject's other disks stay shut
      first = false;
    },
    stop: () => undefined,
  });
}

export class BackJudge {
  readonly k: Kernel & RingKernel;
  readonly store: Xenstore;
  readonly bench: Bench;
  readonly domid: Domid;
  readonly handle: number;
  /** The disk, and every request that was taken. */
  readonly bytes: Uint8Array;
  readonly seen: BlkifRequestFields[] = [];
  readonly #front: string;
  readonly #back: string;
  readonly #home: string;
  #joined: Joined | undefined;
  #commands = 0;

  constructor({ kernel, store, front, back, disk }: BlockPlace, bench: Bench) {
    this.k = kernel;
    this.store = store;
    this.bench = bench;
    this.domid = disk.domid;
    this.handle = disk.handle;
    this.bytes = pattern(bench.below(2 ** 31), SECTORS);
    this.#front = front;
    this.#back = back;
    this.#home = `/local/domain/${disk.domid}/data/conformance`;
  }

  get joined(): Joined {
    if (!this.#joined) throw new Error('the judge has no ring');
    return this.#joined;
  }

  sleep(ns: number): Promise<void> {
    return this.k.time.sleep(ns);
  }

  // Commands.

  /** Has the subject begin something. @returns its number */
  async command(text: string): Promise<number> {
    this.#commands++;
    await this.store.write(`${this.#home}/command`, `${this.#commands} ${text}`);
    // The subject looks at the newest command only: give it time to.
    await this.sleep(300 * US);
    return this.#commands;
  }

  /** What the subject says of command `n`, or undefined if it says nothing within `ns`. */
  async result(n: number, ns = PATIENCE): Promise<string | undefined> {
    const path = `${this.#home}/result/${n}`;
    return this.#until(ns, () => this.store.tryRead(path));
  }

  /** The subject must do `text`, and say so. @returns what it says after `ok` */
  async does(text: string): Promise<string> {
    return this.succeeds(await this.command(text), text);
  }

  async succeeds(n: number, text: string): Promise<string> {
    const result = await this.result(n);
    must(result !== undefined, `‘${text}’ did not come to an end`);
    must(/^ok\b/.test(result), `‘${text}’: ${result}`);
    return result.slice(3);
  }

  async fails(n: number, text: string): Promise<void> {
    const result = await this.result(n);
    must(result !== undefined, `‘${text}’ did not come to an end`);
    must(result.startsWith('error'), `‘${text}’ succeeded, and could not have`);
  }

  // The handshake.

  async publish(state: number, nodes: Nodes = {}): Promise<void> {
    await this.store.transaction(async (transaction) => {
      for (const [key, value] of Object.entries(nodes)) {
        await transaction.write(`${this.#back}/${key}`, value);
      }
      await transaction.write(`${this.#back}/state`, state);
    });
  }

  async withdraw(key: string): Promise<void> {
    await this.store.remove(`${this.#back}/${key}`).catch(() => undefined);
  }

  /** A node of the front end. */
  key(key: string): Promise<string | undefined> {
    return this.store.tryRead(`${this.#front}/${key}`);
  }

  get frontPath(): string {
    return this.#front;
  }

  async frontState(): Promise<number> {
    return Number((await this.key('state')) ?? 0);
  }

  async reaches(states: readonly number[], ns = PATIENCE): Promise<number | undefined> {
    return this.#until(ns, async () => {
      const state = await this.frontState();
      return states.includes(state) ? state : undefined;
    });
  }

  async awaits(state: number, what: string): Promise<void> {
    const found = await this.reaches([state]);
    must(
      found !== undefined,
      `${what}, and the front end stays in state ${await this.frontState()}`,
    );
  }

  async number(key: string): Promise<number> {
    const text = await this.key(key);
    must(text !== undefined && /^\d{1,10}$/.test(text), `the front end’s ${key} is no number`);
    return Number(text);
  }

  /** Maps the ring that the front end published. */
  async join(): Promise<Joined> {
    const order =
      (await this.key('ring-page-order')) === undefined ? 0 : await this.number('ring-page-order');
    const pages = 1 << order;
    must(pages <= 16, `its ring has ${pages} pages`);
    const grefs: Gref[] = [];
    for (let i = 0; i < pages; i++) {
      grefs.push(Gref(await this.number(pages === 1 ? 'ring-ref' : `ring-ref${i}`)));
    }
    const remote = Port(await this.number('event-channel'));
    const area = published('ring', () => this.k.grants.mapMany(this.domid, grefs));
    const port = published('event channel', () =>
      this.k.events.bindInterdomain(this.domid, remote),
    );
    const memory = this.k.sharedPage(area.va);
    const ring = new BackRing(memory, BLKIF_RING, pages * PAGE);
    this.#joined = { ring, memory, area, port, pages };
    return this.#joined;
  }

  /** Lets go of the ring. */
  leave(): void {
    if (!this.#joined) return;
    this.k.events.close(this.#joined.port);
    this.#joined.area.unmap();
    this.#joined = undefined;
  }

  /** The whole handshake, as it should be, with the subject told to open. */
  async connect(features: Nodes = FEATURES, properties: Nodes = {}): Promise<void> {
    await this.publish(2, features);
    const open = await this.command('open');
    await this.awaits(3, 'the back end has published its features');
    await this.join();
    await this.publish(4, { ...PROPERTIES, ...properties });
    await this.awaits(4, 'the back end is connected');
    await this.succeeds(open, 'open');
  }

  /** The subject is told to close, and does. */
  async close(): Promise<void> {
    const close = await this.command('close');
    must((await this.reaches([5, 6])) !== undefined, 'told to close, the front end does not');
    this.leave();
    await this.publish(6);
    await this.awaits(6, 'the back end is closed');
    await this.succeeds(close, 'close');
  }

  // Requests.

  /** The next request, if one comes within `ns`. */
  async next(ns = PATIENCE): Promise<BlkifRequestFields | undefined> {
    return this.#until(ns, async () => this.#take());
  }

  /** Requests that come until there are `count`, or nothing more comes for a while. */
  async gather(count: number): Promise<BlkifRequestFields[]> {
    const requests: BlkifRequestFields[] = [];
    while (requests.length < count) {
      const request = await this.next(requests.length === 0 ? PATIENCE : 5000 * US);
      if (!request) break;
      requests.push(request);
    }
    return requests;
  }

  #take(): BlkifRequestFields | undefined {
    const words = new Uint32Array(BLKIF_REQUEST_WORDS);
    const { ring } = this.joined;
    try {
      if (!ring.request(words) && !(ring.finalCheck() && ring.request(words))) return undefined;
    } catch (error) {
      if (!(error instanceof RingOverflow)) throw error;
      throw new Finding('fail', `it published more requests than the ring has slots: ${ring.size}`);
    }
    const request = blkifRequestFields();
    getBlkifRequestWords(words, request);
    this.seen.push(request);
    return request;
  }

  answer(request: Pick<BlkifRequestFields, 'idLo' | 'idHi' | 'operation'>, status: number): void {
    const words = new Uint32Array(BLKIF_RESPONSE_WORDS);
    setBlkifResponseWords(words, request, status);
    const { ring, port } = this.joined;
    ring.respond(words);
    ring.push();
    this.k.events.send(port);
  }

  /** Does what the request asks, and answers. */
  serve(request: BlkifRequestFields): void {
    this.answer(request, this.#perform(request) ? BLKIF_RSP_OKAY : BLKIF_RSP_ERROR);
  }

  /** Serves for as long as `during` takes. */
  async whileServing<T>(during: Promise<T>): Promise<T> {
    let over = false;
    const end = during.finally(() => {
      over = true;
    });
    end.catch(() => undefined);
    while (!over) {
      for (let one = this.#take(); one; one = this.#take()) this.serve(one);
      await this.sleep(100 * US);
    }
    return end;
  }

  /** The subject must do `text`, while its requests are served. */
  served(text: string): Promise<string> {
    return this.whileServing(this.does(text));
  }

  /** The bytes of a segment's page. */
  page(gref: number): Uint8Array | undefined {
    const pfn = this.k.frames.alloc();
    const from = { gref: Gref(gref), domid: this.domid, offset: 0 };
    const [status] = this.k.grants.copy([{ from, to: { pfn, offset: 0 }, length: PAGE }]);
    const bytes = new Uint8Array(PAGE);
    this.k.cpu.loadBytes(this.k.virt(pfn), bytes);
    this.k.frames.free(pfn);
    return status === 0 ? bytes : undefined;
  }

  #perform(request: BlkifRequestFields): boolean {
    const { operation, nrSegments, sectorNumber, gref, firstSect, lastSect } = request;
    if (operation === BLKIF_OP_FLUSH_DISKCACHE) return true;
    const write = operation === BLKIF_OP_WRITE;
    if ((!write && operation !== BLKIF_OP_READ) || nrSegments < 1 || nrSegments > 11) return false;
    let at = sectorNumber * 512;
    for (let i = 0; i < nrSegments; i++) {
      const [offset, end] = [firstSect[i]! * 512, (lastSect[i]! + 1) * 512];
      const place = this.bytes.subarray(at, at + end - offset);
      if (offset >= end || end > PAGE || place.length !== end - offset) return false;
      if (!this.#move(write, gref[i]!, offset, place)) return false;
      at += place.length;
    }
    return true;
  }

  #move(write: boolean, gref: number, offset: number, place: Uint8Array): boolean {
    const { cpu, frames, grants } = this.k;
    const pfn = frames.alloc();
    const va = this.k.virt(pfn);
    const theirs = { gref: Gref(gref), domid: this.domid, offset };
    const ours = { pfn, offset: 0 };
    if (!write) cpu.storeBytes(va, place);
    const ends = write ? { from: theirs, to: ours } : { from: ours, to: theirs };
    const [status] = grants.copy([{ ...ends, length: place.length }]);
    if (write && status === 0) cpu.loadBytes(va, place);
    frames.free(pfn);
    return status === 0;
  }

  /** What `look` finds within `ns`, looking ever more seldom. */
  async #until<T>(ns: number, look: () => Promise<T | undefined>): Promise<T | undefined> {
    const end = this.k.time.nanos() + ns;
    for (let pause = 50 * US; ; pause = Math.min(pause * 2, 1000 * US)) {
      const found = await look();
      if (found !== undefined) return found;
      if (this.k.time.nanos() >= end) return undefined;
      await this.sleep(pause);
    }
  }
}

/** What the subject published must be there to `take`. */
function published<T>(what: string, take: () => T): T {
  try {
    return take();
  } catch (error) {
    const why = error instanceof Error ? error.message : error;
    throw new Finding('fail', `the ${what} that it published cannot be used: ${why}`);
  }
}
