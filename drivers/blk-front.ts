/**
 * The front end of a virtual disk: a Disk whose sectors come over a blkif ring.
 * The one idea: every request has an id of its own and pages granted for it alone; a response counts
 * only if its id is waited for, and a page that the back end will not give back is never used again.
 * @source xen/io/blkif.h
 */
import {
  BLKIF_KEYS,
  BLKIF_MAX_SEGMENTS_PER_REQUEST,
  BLKIF_OP_FLUSH_DISKCACHE,
  BLKIF_OP_READ,
  BLKIF_OP_WRITE,
  BLKIF_REQUEST_WORDS,
  BLKIF_RESPONSE_WORDS,
  BLKIF_RING,
  BLKIF_RSP_OKAY,
  blkifRequestFields,
  blkifResponseStatus,
  setBlkifRequestWords,
  VDISK_READONLY,
  XEN_IO_PROTO_ABI_X86_64,
} from '../protocol/blkif.ts';
import { FrontRing, initSharedRing } from '../protocol/ring.ts';
import type { Domid, Gref, Port } from '../protocol/units.ts';
import { ringNodes, ringOrder } from './blk-ring.ts';
import { checkRange, checkWrite, type Disk, DiskError, SECTOR } from './disk.ts';
import type { RingKernel } from './ring-kernel.ts';
import { Worker } from './worker.ts';
import type { XenbusDriver, XenbusNodes, XenbusPeer } from './xenbus.ts';

const PAGE = 4096;
const REQUEST_BYTES = BLKIF_MAX_SEGMENTS_PER_REQUEST * PAGE;
const IN_FLIGHT = 8; // requests at once: enough to keep a drive busy, and no more buffer frames than that

interface Connection {
  readonly ring: FrontRing;
  readonly frame: number; // the first of the ring's
  readonly grefs: readonly Gref[];
  readonly port: Port;
}

interface Waiting {
  readonly operation: number;
  readonly settle: (status: number | undefined) => void; // undefined: the connection is gone
}

export class BlkFront implements Disk, XenbusDriver {
  readonly name: string;
  sectors = 0;
  readOnly = false;
  readonly #kernel: RingKernel;
  readonly #backend: Domid;
  readonly #handle: number;
  readonly #fail: (why: unknown) => void;
  readonly #maxRingOrder: number;
  readonly #waiting = new Map<number, Waiting>();
  readonly #queue: (() => void)[] = [];
  readonly #frames: number[] = []; // for data; what they hold, the back end has seen
  readonly #rings: number[][] = []; // first frames of rings of other connections, by their pages
  readonly #pusher: Worker;
  #connection: Connection | undefined;
  #canFlush = false;
  #lastId = 0;
  #inFlight = 0;

  /**
   * The device `handle`, served by `backend`; `fail` is called if the back end breaks the protocol. The ring has
   * 2^`maxRingOrder` pages, or fewer if the back end does not offer so many.
   */
  constructor(
    kernel: RingKernel,
    name: string,
    handle: number,
    backend: Domid,
    fail: (why: unknown) => void,
    maxRingOrder = 1,
  ) {
    this.#kernel = kernel;
    this.name = name;
    this.#handle = handle;
    this.#backend = backend;
    this.#fail = fail;
    this.#maxRingOrder = maxRingOrder;
    this.#pusher = new Worker(() => this.#push(), fail);
  }

  async prepare(back: XenbusPeer): Promise<XenbusNodes> {
    const pages = 1 << (await ringOrder(back, this.#maxRingOrder));
    const { frames, grants, events, cpu } = this.#kernel;
    const frame = this.#rings[pages]?.pop() ?? frames.allocMany(pages);
    const va = this.#kernel.virt(frame);
    cpu.fillBytes(va, pages * PAGE, 0);
    const memory = this.#kernel.sharedPage(va);
    initSharedRing(memory);
    const grefs = Array.from({ length: pages }, (_, i) =>
      grants.grant(this.#backend, frame + i, false),
    );
    const port = events.allocUnbound(this.#backend);
    const ring = new FrontRing(memory, BLKIF_RING, pages * PAGE);
    const connection = { ring, frame, grefs, port };
    const reader = new Worker(() => this.#take(connection), this.#fail);
    events.events(port).subscribe(() => reader.kick());
    this.#connection = connection;
    return {
      ...ringNodes(grefs, this.#maxRingOrder > 0),
      [BLKIF_KEYS.eventChannel]: `${port}`,
      [BLKIF_KEYS.protocol]: XEN_IO_PROTO_ABI_X86_64,
    };
  }

  async connect(back: XenbusPeer): Promise<XenbusNodes> {
    const number = async (key: string) => Number((await back.read(key)) ?? 0);
    const size = (await number(BLKIF_KEYS.sectorSize)) || SECTOR;
    this.sectors = ((await number(BLKIF_KEYS.sectors)) * size) / SECTOR;
    if (!Number.isSafeInteger(this.sectors)) throw new Error('the back end gives no size');
    this.readOnly = ((await number(BLKIF_KEYS.info)) & VDISK_READONLY) !== 0;
    this.#canFlush = (await number(BLKIF_KEYS.featureFlushCache)) === 1;
    return {};
  }

  disconnect(): void {
    const connection = this.#connection;
    this.#connection = undefined;
    for (const { settle } of [...this.#waiting.values()]) settle(undefined);
    if (!connection) return;
    this.#kernel.events.close(connection.port);
    this.#reclaim(connection);
  }

  async read(sector: number, count: number): Promise<Uint8Array> {
    checkRange(this, sector, count);
    const bytes = new Uint8Array(count * SECTOR);
    await this.#all(sector, bytes, (at, part) => this.#transfer(BLKIF_OP_READ, at, part));
    return bytes;
  }

  async write(sector: number, bytes: Uint8Array): Promise<void> {
    checkWrite(this, sector, bytes);
    await this.#all(sector, bytes, (at, part) => this.#transfer(BLKIF_OP_WRITE, at, part));
  }

  async flush(): Promise<void> {
    if (this.#canFlush) await this.#turn(() => this.#request(BLKIF_OP_FLUSH_DISKCACHE, 0, [], 0));
  }

  async #all(
    sector: number,
    bytes: Uint8Array,
    move: (at: number, part: Uint8Array) => Promise<void>,
  ): Promise<void> {
    const moves: Promise<void>[] = [];
    for (let at = 0; at < bytes.length; at += REQUEST_BYTES) {
      const part = bytes.subarray(at, Math.min(at + REQUEST_BYTES, bytes.length));
      moves.push(this.#turn(() => move(sector + at / SECTOR, part)));
    }
    await Promise.all(moves);
  }

  /** Runs `body` when fewer than IN_FLIGHT others run. */
  async #turn(body: () => Promise<void>): Promise<void> {
    if (this.#inFlight < IN_FLIGHT) this.#inFlight++;
    else await new Promise<void>((resolve) => this.#queue.push(resolve)); // inherits a place
    try {
      await body();
    } finally {
      const next = this.#queue.shift();
      if (next) next();
      else this.#inFlight--;
    }
  }

  async #transfer(operation: number, sector: number, bytes: Uint8Array): Promise<void> {
    const { cpu, grants } = this.#kernel;
    const write = operation === BLKIF_OP_WRITE;
    const frames: number[] = [];
    const grefs: Gref[] = [];
    for (let at = 0; at < bytes.length; at += PAGE) {
      const frame = this.#frames.pop() ?? this.#newFrame();
      if (write) cpu.storeBytes(this.#kernel.virt(frame), bytes.subarray(at, at + PAGE));
      frames.push(frame);
      grefs.push(grants.grant(this.#backend, frame, write));
    }
    try {
      await this.#request(operation, sector, grefs, bytes.length);
      if (write) return;
      frames.forEach((frame, i) => {
        cpu.loadBytes(this.#kernel.virt(frame), bytes.subarray(i * PAGE, (i + 1) * PAGE));
      });
    } finally {
      frames.forEach((frame, i) => {
        if (grants.end(grefs[i]!)) this.#frames.push(frame);
      });
    }
  }

  /** Sends one request and waits for its response. @throws DiskError */
  async #request(
    operation: number,
    sector: number,
    grefs: readonly Gref[],
    length: number,
  ): Promise<void> {
    const connection = this.#connection;
    if (!connection) throw this.#error(operation, sector, 'the disk is not connected');
    const id = this.#newId();
    const request = blkifRequestFields();
    request.operation = operation;
    request.nrSegments = grefs.length;
    request.handle = this.#handle;
    request.idLo = id;
    request.sectorNumber = sector;
    grefs.forEach((gref, i) => {
      request.gref[i] = gref;
      request.lastSect[i] = Math.min(PAGE, length - i * PAGE) / SECTOR - 1;
    });
    const words = new Uint32Array(BLKIF_REQUEST_WORDS);
    setBlkifRequestWords(words, request);
    const status = await new Promise<number | undefined>((settle) => {
      this.#waiting.set(id, { operation, settle });
      connection.ring.request(words);
      this.#pusher.kick(); // all requests of this moment go with one notification
    });
    this.#waiting.delete(id);
    if (status === undefined) throw this.#error(operation, sector, 'the back end is gone');
    if (status !== BLKIF_RSP_OKAY) throw this.#error(operation, sector, `status ${status}`);
  }

  #push(): void {
    const connection = this.#connection;
    if (connection?.ring.push()) this.#kernel.events.send(connection.port);
  }

  /** Takes the responses; one that answers nothing we asked is ignored. */
  #take(connection: Connection): void {
    const words = new Uint32Array(BLKIF_RESPONSE_WORDS);
    const { ring } = connection;
    do {
      while (this.#connection === connection && ring.response(words)) {
        const waiting = words[1] === 0 ? this.#waiting.get(words[0]!) : undefined;
        if (waiting?.operation !== (words[2]! & 0xff)) continue;
        this.#waiting.delete(words[0]!);
        waiting.settle(blkifResponseStatus(words));
      }
    } while (this.#connection === connection && ring.finalCheck());
  }

  #newId(): number {
    do this.#lastId = (this.#lastId + 1) >>> 0;
    while (this.#waiting.has(this.#lastId));
    return this.#lastId;
  }

  /** A frame that tells the back end nothing: what the kernel had in it before is none of its business. */
  #newFrame(): number {
    const frame = this.#kernel.frames.alloc();
    this.#kernel.cpu.fillBytes(this.#kernel.virt(frame), PAGE, 0);
    return frame;
  }

  /** Keeps the ring's frames for the next connection, if the back end gave all of them back. */
  #reclaim({ grefs, frame }: Connection): void {
    const ended = grefs.map((gref) => this.#kernel.grants.end(gref));
    if (!ended.every((one) => one)) return;
    this.#rings[grefs.length] ??= [];
    this.#rings[grefs.length]!.push(frame);
  }

  #error(operation: number, sector: number, why: string): DiskError {
    const names = ['read', 'write', 'barrier', 'flush'];
    return new DiskError(this.name, names[operation]!, sector, why);
  }
}
