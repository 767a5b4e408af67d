/** A small block front end of many steps, each of which a test can replace by a wrong one. */
import { ringNodes, ringOrder } from '../../../drivers/blk-ring.ts';
import { type FrontMaker, subjectGuest } from '../../../drivers/conformance/subject.ts';
import { checkRange, checkWrite, type Disk, DiskError } from '../../../drivers/disk.ts';
import type { RingKernel } from '../../../drivers/ring-kernel.ts';
import { Worker } from '../../../drivers/worker.ts';
import {
  Xenbus,
  type XenbusDriver,
  type XenbusNodes,
  type XenbusPeer,
} from '../../../drivers/xenbus.ts';
import type { Xenstore } from '../../../guest-kernel/index.ts';
import type { Guest } from '../../../machine/cpu.ts';
import {
  BLKIF_REQUEST_WORDS,
  BLKIF_RESPONSE_WORDS,
  BLKIF_RING,
  type BlkifRequestFields,
  blkifRequestFields,
  blkifResponseStatus,
  setBlkifRequestWords,
} from '../../../protocol/blkif.ts';
import { FrontRing, initSharedRing, type RingMemory } from '../../../protocol/ring.ts';
import type { Domid, Gref, Port } from '../../../protocol/units.ts';

export type Request = BlkifRequestFields;
type Kernel = Parameters<FrontMaker>[0]['kernel'];

export interface Link {
  readonly ring: FrontRing;
  readonly memory: RingMemory;
  readonly pfn: number;
  readonly grefs: readonly Gref[];
  readonly port: Port;
  live: boolean;
}

export interface Waiting {
  readonly request: Request;
  readonly settle: (status: number | undefined) => void;
}

const PAGES = 11;

export class SmallFront implements Disk, XenbusDriver {
  readonly name = 'xvda';
  readonly k: RingKernel;
  readonly handle: number;
  readonly backend: Domid;
  readonly fail: (why: unknown) => void;
  readonly waiting = new Map<number, Waiting>();
  readonly spare: number[] = [];
  readonly queue: (() => void)[] = [];
  sectors = 0;
  readOnly = false;
  canFlush = false;
  link: Link | undefined;
  lastId = 0;

  constructor(k: Kernel, handle: number, backend: Domid, fail: (why: unknown) => void) {
    this.k = k;
    this.handle = handle;
    this.backend = backend;
    this.fail = fail;
  }

  order(back: XenbusPeer): Promise<number> {
    return ringOrder(back, 1);
  }

  async prepare(back: XenbusPeer): Promise<XenbusNodes> {
    const pages = 1 << (await this.order(back));
    const pfn = this.k.frames.allocMany(pages);
    const va = this.k.virt(pfn);
    this.blankRing(va, pages * 4096);
    const memory = this.k.sharedPage(va);
    initSharedRing(memory);
    const grefs = Array.from({ length: pages }, (_, i) =>
      this.k.grants.grant(this.backend, pfn + i, false),
    );
    const port = this.k.events.allocUnbound(this.backend);
    const ring = this.ring(memory, pages);
    const link = { ring, memory, pfn, grefs, port, live: true };
    this.link = link;
    const worker = new Worker(() => this.take(link), this.fail);
    this.k.events.events(port).subscribe(() => this.woken(worker, link));
    return this.nodes(grefs, port);
  }

  blankRing(va: number, bytes: number): void {
    this.k.cpu.fillBytes(va, bytes, 0);
  }

  ring(memory: RingMemory, pages: number): FrontRing {
    return new FrontRing(memory, BLKIF_RING, pages * 4096);
  }

  nodes(grefs: readonly Gref[], port: Port): XenbusNodes {
    return { ...ringNodes(grefs, true), 'event-channel': `${port}`, protocol: 'x86_64-abi' };
  }

  woken(worker: Worker, _link: Link): void {
    worker.kick();
  }

  async connect(back: XenbusPeer): Promise<XenbusNodes> {
    this.sectors = Number(await back.read('sectors'));
    this.readOnly = (Number(await back.read('info')) & 4) !== 0;
    this.canFlush = (await back.read('feature-flush-cache')) === '1';
    return {};
  }

  disconnect(): void {
    const { link } = this;
    this.link = undefined;
    if (link) this.release(link);
    this.abandon();
  }

  /** What is under way comes to nothing. */
  abandon(): void {
    for (const { settle } of [...this.waiting.values()]) settle(undefined);
    for (const go of this.queue.splice(0)) go();
  }

  release(link: Link): void {
    link.live = false;
    this.k.events.close(link.port);
    for (const gref of link.grefs) this.k.grants.end(gref);
  }

  async read(sector: number, count: number): Promise<Uint8Array> {
    this.checkRead(sector, count);
    const bytes = new Uint8Array(count * 512);
    await this.parts(0, sector, bytes);
    return bytes;
  }

  checkRead(sector: number, count: number): void {
    checkRange(this, sector, count);
  }

  async write(sector: number, bytes: Uint8Array): Promise<void> {
    this.checkWrite(sector, bytes);
    await this.parts(1, sector, bytes);
  }

  checkWrite(sector: number, bytes: Uint8Array): void {
    checkWrite(this, sector, bytes);
  }

  async flush(): Promise<void> {
    if (this.canFlush) await this.ask(this.request(3, 0, []));
  }

  async parts(operation: number, sector: number, bytes: Uint8Array): Promise<void> {
    const parts: Promise<void>[] = [];
    for (let at = 0; at < bytes.length; at += PAGES * 4096) {
      const part = bytes.subarray(at, at + PAGES * 4096);
      parts.push(this.transfer(operation, sector + at / 512, part));
    }
    await Promise.all(parts);
  }

  async transfer(operation: number, sector: number, bytes: Uint8Array): Promise<void> {
    const pfns: number[] = [];
    for (let at = 0; at < bytes.length; at += 4096) {
      const pfn = this.page();
      if (operation === 1) this.k.cpu.storeBytes(this.k.virt(pfn), bytes.subarray(at, at + 4096));
      pfns.push(pfn);
    }
    const grefs = pfns.map((pfn) =>
      this.k.grants.grant(this.backend, pfn, this.readonly(operation)),
    );
    const request = this.request(operation, sector, grefs);
    request.lastSect[grefs.length - 1] = (((bytes.length - 1) >>> 9) & 7) as number;
    try {
      await this.ask(request);
      if (operation === 1) return;
      pfns.forEach((pfn, i) => {
        this.k.cpu.loadBytes(this.k.virt(pfn), bytes.subarray(i * 4096, (i + 1) * 4096));
      });
    } finally {
      pfns.forEach((pfn, i) => {
        this.done(pfn, grefs[i]!);
      });
    }
  }

  page(): number {
    const spare = this.spare.pop();
    if (spare !== undefined) return spare;
    const pfn = this.k.frames.alloc();
    this.blankPage(this.k.virt(pfn));
    return pfn;
  }

  blankPage(va: number): void {
    this.k.cpu.fillBytes(va, 4096, 0);
  }

  readonly(operation: number): boolean {
    return operation === 1;
  }

  done(pfn: number, gref: Gref): void {
    if (this.k.grants.end(gref)) this.spare.push(pfn);
  }

  request(operation: number, sector: number, grefs: readonly Gref[]): Request {
    const request = blkifRequestFields();
    request.operation = operation;
    request.handle = this.handle;
    request.nrSegments = grefs.length;
    request.sectorNumber = sector;
    request.gref.set(grefs);
    request.lastSect.fill(7);
    return request;
  }

  id(): number {
    return ++this.lastId;
  }

  async ask(request: Request): Promise<void> {
    const link = this.link;
    if (!link) throw new DiskError(this.name, 'request', request.sectorNumber, 'not connected');
    while (link.live && this.full(link)) await new Promise<void>((go) => this.queue.push(go));
    if (!link.live) throw new DiskError(this.name, 'request', request.sectorNumber, 'gone');
    request.idLo = this.id();
    const status = await new Promise<number | undefined>((settle) => {
      this.waiting.set(request.idLo, { request, settle });
      this.put(link, request);
    });
    this.waiting.delete(request.idLo);
    this.queue.shift()?.();
    if (status === undefined || !this.good(status)) {
      throw new DiskError(this.name, 'request', request.sectorNumber, `status ${status}`);
    }
  }

  full(link: Link): boolean {
    return link.ring.full;
  }

  put(link: Link, request: Request): void {
    const words = new Uint32Array(BLKIF_REQUEST_WORDS);
    setBlkifRequestWords(words, request);
    link.ring.request(words);
    if (link.ring.push()) this.k.events.send(link.port);
  }

  take(link: Link): void {
    const words = new Uint32Array(BLKIF_RESPONSE_WORDS);
    do {
      while (link.live && link.ring.response(words)) this.answered(link, words);
    } while (link.live && link.ring.finalCheck());
  }

  answered(_link: Link, words: Uint32Array): void {
    this.match(words)?.settle(blkifResponseStatus(words));
  }

  match(words: Uint32Array): Waiting | undefined {
    const waiting = words[1] === 0 ? this.waiting.get(words[0]!) : undefined;
    return waiting?.request.operation === (words[2]! & 0xff) ? waiting : undefined;
  }

  good(status: number): boolean {
    return status === 0;
  }
}

export type FrontClass = new (...args: ConstructorParameters<typeof SmallFront>) => SmallFront;
type Close = (bus: Xenbus) => Promise<void>;

/** A subject with that front end; `store` may spoil what it reads and writes in xenstore. */
export const frontOf = (
  made: FrontClass,
  store: (store: Xenstore) => Xenstore = (same) => same,
  close: Close = (bus) => bus.close(),
): Guest =>
  subjectGuest((place) => {
    const disk = new made(place.kernel, place.handle, place.backend, (why) => bus.fail(why));
    const bus = new Xenbus(store(place.store), 'front', place.own, place.peer, disk);
    return {
      disk,
      open: async () => {
        await bus.open();
        await bus.until(4);
      },
      close: () => close(bus),
    };
  });
