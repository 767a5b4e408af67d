/** A small block back end of many steps, each of which a test can replace by a wrong one. */
import type { ServedDisk } from '../../../drivers/blk-back.ts';
import { numberOf, publishedRing, ringOffer } from '../../../drivers/blk-ring.ts';
import { DiskError, type Piece } from '../../../drivers/disk.ts';
import { giveWay, type RingKernel } from '../../../drivers/ring-kernel.ts';
import type { BlockBackMaker } from '../../../drivers/served-domain.ts';
import { Worker } from '../../../drivers/worker.ts';
import {
  Xenbus,
  type XenbusDriver,
  type XenbusNodes,
  type XenbusPeer,
} from '../../../drivers/xenbus.ts';
import type { CopySegment, GrantArea, Kernel, Xenstore } from '../../../guest-kernel/index.ts';
import {
  BLKIF_REQUEST_WORDS,
  BLKIF_RESPONSE_WORDS,
  BLKIF_RING,
  type BlkifRequestFields,
  blkifRequestFields,
  getBlkifRequestWords,
  setBlkifResponseWords,
} from '../../../protocol/blkif.ts';
import { BackRing, type RingMemory } from '../../../protocol/ring.ts';
import { Gref, Port } from '../../../protocol/units.ts';

export type Request = BlkifRequestFields;
type Test = (request: Request) => boolean;

export interface Link {
  readonly ring: BackRing;
  readonly memory: RingMemory;
  readonly area: GrantArea;
  readonly port: Port;
  live: boolean;
}

export class SmallBack implements XenbusDriver {
  readonly k: Kernel & RingKernel;
  readonly disk: ServedDisk;
  readonly fail: (why: unknown) => void;
  link: Link | undefined;
  worker: Worker | undefined;

  constructor(k: Kernel & RingKernel, disk: ServedDisk, fail: (why: unknown) => void) {
    this.k = k;
    this.disk = disk;
    this.fail = fail;
  }

  async prepare(): Promise<XenbusNodes> {
    return { 'feature-flush-cache': '1', ...ringOffer() };
  }

  async connect(front: XenbusPeer): Promise<XenbusNodes> {
    await this.agree(front);
    const grefs = await this.grefs(front);
    const remote = Port(numberOf('event-channel', await front.read('event-channel')));
    this.join(grefs, remote);
    return this.properties();
  }

  async agree(front: XenbusPeer): Promise<void> {
    const protocol = (await front.read('protocol')) ?? 'x86_64-abi';
    if (protocol !== 'x86_64-abi') throw new Error(`not ${protocol}`);
  }

  grefs(front: XenbusPeer): Promise<Gref[]> {
    return publishedRing(front);
  }

  properties(): XenbusNodes {
    const { sectors } = this.disk.backing.drive;
    const info = this.disk.readOnly ? '4' : '0';
    return { sectors: `${sectors}`, 'sector-size': '512', info };
  }

  join(grefs: readonly Gref[], remote: Port): void {
    const area = this.k.grants.mapMany(this.disk.domid, grefs);
    let port: Port;
    try {
      port = this.k.events.bindInterdomain(this.disk.domid, remote);
    } catch (error) {
      this.refused(area);
      throw error;
    }
    const memory = this.k.sharedPage(area.va);
    const link = { ring: this.ring(memory, grefs.length), memory, area, port, live: true };
    this.link = link;
    const worker = new Worker(() => this.drain(link), this.fail);
    this.worker = worker;
    this.k.events.events(port).subscribe(() => this.woken(worker, link));
    worker.kick();
  }

  refused(area: GrantArea): void {
    area.unmap();
  }

  ring(memory: RingMemory, pages: number): BackRing {
    return new BackRing(memory, BLKIF_RING, pages * 4096);
  }

  woken(worker: Worker, _link: Link): void {
    worker.kick();
  }

  disconnect(): void {
    const { link } = this;
    this.link = undefined;
    if (link) this.release(link);
  }

  release(link: Link): void {
    link.live = false;
    this.k.events.close(link.port);
    link.area.unmap();
  }

  async drain(link: Link): Promise<void> {
    const words = new Uint32Array(BLKIF_REQUEST_WORDS);
    let served = 0;
    do {
      while (link.live && link.ring.request(words)) {
        await this.one(link, words);
        if (++served % 32 === 0) await this.rest();
      }
    } while (link.live && link.ring.finalCheck());
  }

  rest(): Promise<void> {
    return giveWay(this.k);
  }

  async one(link: Link, words: Uint32Array): Promise<void> {
    const request = blkifRequestFields();
    getBlkifRequestWords(words, request);
    const status = await this.perform(request, link);
    if (link.live) this.respond(link, request, status);
  }

  respond(link: Link, request: Request, status: number): void {
    const words = new Uint32Array(BLKIF_RESPONSE_WORDS);
    setBlkifResponseWords(words, request, status);
    this.put(link, words);
  }

  put(link: Link, words: Uint32Array): void {
    link.ring.respond(words);
    if (link.ring.push()) this.k.events.send(link.port);
  }

  async perform(request: Request, link: Link): Promise<number> {
    const { operation } = request;
    if (operation === 3) {
      await this.flush();
      return 0;
    }
    if (operation > 1) return this.other(request);
    for (const test of this.tests()) if (!test(request)) return -1;
    try {
      return await this.transfer(request, link);
    } catch (error) {
      if (error instanceof DiskError) return -1;
      throw error;
    }
  }

  other(_request: Request): number | Promise<number> {
    return -2;
  }

  flush(): Promise<void> {
    return this.disk.backing.use(() => this.disk.backing.drive.flush());
  }

  /** What a transfer must be; a test takes one out. */
  tests(): Test[] {
    return [this.mayWrite, this.isOurs, this.hasSegments, this.hasGoodSegments, this.onDisk];
  }

  readonly mayWrite: Test = ({ operation }) => operation === 0 || !this.disk.readOnly;
  readonly isOurs: Test = ({ handle }) => handle === this.disk.handle;
  readonly hasSegments: Test = ({ nrSegments }) => nrSegments > 0 && nrSegments <= 11;
  readonly hasGoodSegments: Test = ({ nrSegments, firstSect, lastSect }) =>
    Array.from(firstSect.subarray(0, nrSegments)).every(
      (first, i) => first <= lastSect[i]! && lastSect[i]! < 8,
    );
  readonly onDisk: Test = (request) =>
    request.sectorNumber + this.count(request) <= this.disk.backing.drive.sectors;

  count({ nrSegments, firstSect, lastSect }: Request): number {
    let count = 0;
    for (let i = 0; i < nrSegments; i++) count += lastSect[i]! - firstSect[i]! + 1;
    return count;
  }

  async transfer(request: Request, link: Link): Promise<number> {
    const { backing, domid } = this.disk;
    return backing.use(async () => {
      const pieces: Piece[] = [];
      const copies: CopySegment[] = [];
      for (let i = 0; i < request.nrSegments; i++) {
        const offset = request.firstSect[i]! * 512;
        const length = (request.lastSect[i]! + 1) * 512 - offset;
        const ours = { pfn: backing.pages[i]!, offset };
        const theirs = { gref: Gref(request.gref[i]!), domid, offset };
        pieces.push({ ...ours, length });
        const ends =
          request.operation === 1 ? { from: theirs, to: ours } : { from: ours, to: theirs };
        copies.push({ ...ends, length });
      }
      const write = request.operation === 1;
      const copied = () => this.copied(this.k.grants.copy(copies));
      if (write && !copied()) return -1;
      await backing.drive.transfer(write, request.sectorNumber, pieces);
      if (!this.stillThere(link)) return -1;
      return write || copied() ? 0 : -1;
    });
  }

  copied(statuses: readonly number[]): boolean {
    return statuses.every((status) => status === 0);
  }

  stillThere(link: Link): boolean {
    return link.live;
  }
}

export type BackClass = new (...args: ConstructorParameters<typeof SmallBack>) => SmallBack;

/** Back ends of that class; `store` may spoil what they read and write in xenstore. */
export const backOf =
  (
    made: BackClass,
    store: (store: Xenstore, k: Kernel) => Xenstore = (same) => same,
  ): BlockBackMaker =>
  (place) => {
    let bus: Xenbus | undefined;
    return {
      open: async () => {
        const disk = { ...place.disk, backing: await place.drive() };
        const driver = new made(place.kernel, disk, (why) => bus?.fail(why));
        bus = new Xenbus(store(place.store, place.kernel), 'back', place.back, place.front, driver);
        await bus.open();
      },
      stop: () => bus?.stop(),
    };
  };

/** A store of which some methods are others. */
export const spoiled = (store: Xenstore, methods: Partial<Xenstore>): Xenstore =>
  new Proxy(store, {
    get: (target, key) => {
      const method = methods[key as keyof Xenstore] ?? Reflect.get(target, key);
      return typeof method === 'function' ? method.bind(target) : method;
    },
  });
