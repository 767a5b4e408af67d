/**
 * A front end that judges: it speaks blkif by hand, so that it can do each step in any order, or wrongly.
 * The one idea: it keeps its own books (ids, pages, how many answers are due) and takes nothing on trust, and every
 * wait ends in virtual time.
 * @source xen/io/blkif.h; xen/io/xenbus.h
 */
import type { Kernel, Xenstore } from '../../guest-kernel/index.ts';
import {
  BLKIF_OP_READ,
  BLKIF_OP_WRITE,
  BLKIF_REQUEST_WORDS,
  BLKIF_RESPONSE_WORDS,
  BLKIF_RING,
  type BlkifRequestFields,
  blkifRequestFields,
  blkifResponseStatus,
  setBlkifRequestWords,
} from '../../protocol/blkif.ts';
import { FrontRing, initSharedRing, type RingMemory } from '../../protocol/ring.ts';
import { Domid, type Gref, type Port } from '../../protocol/units.ts';
import { ringNodes } from '../blk-ring.ts';
import type { RingKernel } from '../ring-kernel.ts';
import { type Bench, must, PATIENCE, US } from './bench.ts';

const PAGE = 4096;
const BACK = Domid(0);

/** A page that was granted to the back end. */
export interface Page {
  readonly pfn: number;
  readonly va: number;
  readonly gref: Gref;
}

export interface Answer {
  readonly words: Uint32Array;
  readonly idLo: number;
  readonly idHi: number;
  readonly operation: number;
  readonly status: number;
}

/** A ring of ours, and how to reach it. */
export interface Line {
  readonly ring: FrontRing;
  readonly memory: RingMemory;
  readonly pfn: number;
  readonly frames: readonly number[]; // machine frames
  readonly grefs: readonly Gref[];
  readonly port: Port;
}

export type Request = Partial<BlkifRequestFields> & { pages?: readonly Page[] };

export class FrontJudge {
  readonly k: Kernel & RingKernel;
  readonly store: Xenstore;
  readonly bench: Bench;
  readonly own: string;
  readonly back: string;
  readonly handle: number;
  readonly domid: number;
  /** Events that the back end sent to the present line. */
  events = 0;
  #line: Line | undefined;
  #lastId = 0;

  constructor(k: Kernel & RingKernel, bench: Bench, domid: number, handle: number) {
    this.k = k;
    this.store = k.xenstore!;
    this.bench = bench;
    this.domid = domid;
    this.handle = handle;
    this.own = `device/vbd/${handle}`;
    this.back = `/local/domain/0/backend/vbd/${domid}/${handle}`;
  }

  get line(): Line {
    if (!this.#line) throw new Error('the judge has no ring');
    return this.#line;
  }

  sleep(ns: number): Promise<void> {
    return this.k.time.sleep(ns);
  }

  // The handshake.

  async backState(): Promise<number> {
    return Number((await this.store.tryRead(`${this.back}/state`)) ?? 0);
  }

  /** Waits until the back end is in one of `states`. @returns which, or undefined if that takes too long */
  async reaches(states: readonly number[], ns = PATIENCE): Promise<number | undefined> {
    const end = this.k.time.nanos() + ns;
    for (let pause = 50 * US; ; pause = Math.min(pause * 2, 2000 * US)) {
      const state = await this.backState();
      if (states.includes(state)) return state;
      if (this.k.time.nanos() >= end) return undefined;
      await this.sleep(pause);
    }
  }

  async awaits(state: number, what: string): Promise<void> {
    const found = await this.reaches([state]);
    must(found !== undefined, `${what}, and the back end stays in state ${await this.backState()}`);
  }

  async offered(key: string): Promise<number> {
    return Number((await this.store.tryRead(`${this.back}/${key}`)) ?? 0);
  }

  /** Sets the state and with it `nodes`, all at once. */
  async publish(
    state: number,
    nodes: Readonly<Record<string, string | number>> = {},
  ): Promise<void> {
    await this.store.transaction(async (transaction) => {
      for (const [key, value] of Object.entries(nodes)) {
        await transaction.write(`${this.own}/${key}`, value);
      }
      await transaction.write(`${this.own}/state`, state);
    });
  }

  /** A new ring of 2^`order` pages, empty. */
  makeLine(order = 0): Line {
    const { frames, grants, events, cpu } = this.k;
    const pages = 1 << order;
    const pfn = frames.allocMany(pages);
    const va = this.k.virt(pfn);
    cpu.fillBytes(va, pages * PAGE, 0);
    const memory = this.k.sharedPage(va);
    initSharedRing(memory);
    const all = Array.from({ length: pages }, (_, i) => pfn + i);
    const port = events.allocUnbound(BACK);
    this.#line = {
      ring: new FrontRing(memory, BLKIF_RING, pages * PAGE),
      memory,
      pfn,
      frames: all.map((one) => this.k.machineFrame(one)),
      grefs: all.map((one) => grants.grant(BACK, one, false)),
      port,
    };
    this.events = 0;
    events.events(port).subscribe(() => {
      this.events++;
    });
    return this.#line;
  }

  /** What a front end publishes of its ring. */
  nodes(line = this.line): Record<string, string | number> {
    return { ...ringNodes(line.grefs), 'event-channel': line.port, protocol: 'x86_64-abi' };
  }

  /** The whole handshake, as it should be. */
  async connect(order = 0): Promise<void> {
    await this.awaits(2, 'the front end is new');
    this.makeLine(order);
    await this.publish(3, this.nodes());
    await this.awaits(4, 'the front end has published its ring');
    await this.publish(4);
  }

  /** The orderly end, up to our own Closed. */
  async close(): Promise<void> {
    await this.publish(5);
    const state = await this.reaches([5, 6]);
    must(state !== undefined, 'the front end is closing, and the back end does not follow');
    await this.publish(6);
    await this.awaits(6, 'the front end is closed');
  }

  /** Withdraws the ring's grants. @returns whether all could be, i.e. none is mapped any more */
  dropLine(): boolean {
    const { grefs, port } = this.line;
    this.k.events.close(port);
    return grefs.map((gref) => this.k.grants.end(gref)).every((ended) => ended);
  }

  // Requests.

  /** A new granted page, filled with `byte`. */
  page(byte = 0, readonly = false): Page {
    const pfn = this.k.frames.alloc();
    const va = this.k.virt(pfn);
    this.k.cpu.fillBytes(va, PAGE, byte);
    return { pfn, va, gref: this.k.grants.grant(BACK, pfn, readonly) };
  }

  bytes(page: Page, from = 0, length = PAGE): Uint8Array {
    const bytes = new Uint8Array(length);
    this.k.cpu.loadBytes(page.va + from, bytes);
    return bytes;
  }

  /** A request with an id of its own, whole pages unless `change` says else. */
  request(operation: number, sector: number, change: Request = {}): BlkifRequestFields {
    const { pages = [], ...rest } = change;
    const fields = blkifRequestFields();
    fields.operation = operation;
    fields.handle = this.handle;
    fields.nrSegments = pages.length;
    fields.idLo = ++this.#lastId;
    fields.sectorNumber = sector;
    fields.lastSect.fill(7);
    pages.forEach(({ gref }, i) => {
      fields.gref[i] = gref;
    });
    return Object.assign(fields, rest);
  }

  /** Puts requests into the ring, whatever they say, and sends an event. */
  send(...requests: readonly BlkifRequestFields[]): void {
    for (const request of requests) this.line.ring.request(wordsOf(request));
    this.line.ring.push();
    this.kick();
  }

  kick(): void {
    this.k.events.send(this.line.port);
  }

  /** The responses that come within `ns`, `count` at most. */
  async answers(count: number, ns = PATIENCE): Promise<Answer[]> {
    const end = this.k.time.nanos() + ns;
    const answers: Answer[] = [];
    for (let pause = 20 * US; ; pause = Math.min(pause * 2, 1000 * US)) {
      const words = new Uint32Array(BLKIF_RESPONSE_WORDS);
      while (answers.length < count && this.line.ring.response(words))
        answers.push(answerOf(words));
      if (answers.length === count || this.k.time.nanos() >= end) return answers;
      await this.sleep(pause);
    }
  }

  /** Sends one request and returns its response. */
  async ask(request: BlkifRequestFields, what: string): Promise<Answer> {
    this.send(request);
    const [answer] = await this.answers(1);
    must(answer, `${what}: the request was not answered`);
    return answer;
  }

  /** The request must fail, with any error. */
  async refused(request: BlkifRequestFields, what: string): Promise<void> {
    const { status } = await this.ask(request, what);
    must(status < 0, `${what}: it was answered with status ${status}`);
  }

  /** An honest read succeeds, after `what`. */
  async works(what: string): Promise<void> {
    const page = this.page(0xee);
    const { status } = await this.ask(this.request(BLKIF_OP_READ, 0, { pages: [page] }), what);
    must(status === 0, `${what}: afterwards an honest read fails with status ${status}`);
    this.k.grants.end(page.gref);
  }

  /** Writes one page of `byte`s at `sector`. */
  async write(sector: number, byte: number): Promise<Answer> {
    const page = this.page(byte, true);
    const answer = await this.ask(
      this.request(BLKIF_OP_WRITE, sector, { pages: [page] }),
      `a write at sector ${sector}`,
    );
    this.k.grants.end(page.gref);
    return answer;
  }

  async read(sector: number, sectors = 8): Promise<Uint8Array> {
    const page = this.page(0xee);
    const request = this.request(BLKIF_OP_READ, sector, { pages: [page] });
    request.lastSect[0] = sectors - 1;
    const { status } = await this.ask(request, `a read at sector ${sector}`);
    must(status === 0, `an honest read at sector ${sector} fails with status ${status}`);
    const bytes = this.bytes(page, 0, sectors * 512);
    this.k.grants.end(page.gref);
    return bytes;
  }
}

/** A request as slot words, also one that no encoder would make. */
export function wordsOf(request: BlkifRequestFields): Uint32Array {
  const words = new Uint32Array(BLKIF_REQUEST_WORDS);
  setBlkifRequestWords(words, { ...request, nrSegments: Math.min(11, request.nrSegments) });
  words[0] = request.operation | (request.nrSegments << 8) | (request.handle << 16);
  return words;
}

function answerOf(words: Uint32Array): Answer {
  return {
    words: words.slice(),
    idLo: words[0]!,
    idHi: words[1]!,
    operation: words[2]! & 0xff,
    status: blkifResponseStatus(words),
  };
}
