/**
 * The back end of a virtual disk: takes blkif requests from a ring and moves sectors between a drive
 * and pages that the front end granted.
 * The one idea: a request is hostile; it is copied, every field is checked, then it is served with
 * grant copies, so that no page of the front end but the ring is ever mapped; and each one is answered.
 * @source xen/io/blkif.h
 */
import type { CopySegment, Grants, Kernel } from '../guest-kernel/index.ts';
import {
  BLKIF_KEYS,
  BLKIF_MAX_SEGMENTS_PER_REQUEST,
  BLKIF_OP_FLUSH_DISKCACHE,
  BLKIF_OP_READ,
  BLKIF_OP_WRITE,
  BLKIF_REQUEST_WORDS,
  BLKIF_RESPONSE_WORDS,
  BLKIF_RING,
  BLKIF_RSP_EOPNOTSUPP,
  BLKIF_RSP_ERROR,
  BLKIF_RSP_OKAY,
  type BlkifRequestFields,
  blkifRequestFields,
  getBlkifRequestWords,
  setBlkifResponseWords,
  VDISK_READONLY,
  XEN_IO_PROTO_ABI_X86_64,
} from '../protocol/blkif.ts';
import { GNTST_general_error } from '../protocol/grant-table.ts';
import { BackRing } from '../protocol/ring.ts';
import { type Domid, Gref, Port } from '../protocol/units.ts';
import { numberOf, publishedRing, ringOffer } from './blk-ring.ts';
import { DiskError, type Drive, Lock, type Piece, SECTOR } from './disk.ts';
import { giveWay, type RingKernel } from './ring-kernel.ts';
import { Worker } from './worker.ts';
import type { XenbusDriver, XenbusNodes, XenbusPeer } from './xenbus.ts';

const PAGE = 4096;
const SECTORS_PER_PAGE = PAGE / SECTOR;

/** A drive with buffer frames, shared by all back ends on it: its cost does not grow with their number. */
export class BackingDrive {
  readonly drive: Drive;
  readonly pages: readonly number[];
  readonly #turn = new Lock();

  constructor(drive: Drive, frames: Kernel['frames']) {
    this.drive = drive;
    this.pages = Array.from({ length: BLKIF_MAX_SEGMENTS_PER_REQUEST }, () => frames.alloc());
  }

  /** Runs `body` while nobody else uses the buffer; requests of different rings take turns. */
  use<T>(body: () => Promise<T>): Promise<T> {
    return this.#turn.run(body);
  }
}

/** One disk as one domain may use it. */
export interface ServedDisk {
  readonly backing: BackingDrive;
  readonly handle: number; // the virtual device number
  readonly readOnly: boolean;
  readonly domid: Domid;
}

/** What is done; the rest is answered as Linux's back end answers it. */
const KNOWN: readonly number[] = [BLKIF_OP_READ, BLKIF_OP_WRITE, BLKIF_OP_FLUSH_DISKCACHE];

/** Does what `request` asks. @returns BLKIF_RSP_*, for every request whatever */
export async function serve(
  request: BlkifRequestFields,
  disk: ServedDisk,
  grants: Pick<Grants, 'copy'>,
): Promise<number> {
  const { operation } = request;
  try {
    if (!KNOWN.includes(operation)) return BLKIF_RSP_EOPNOTSUPP;
    if (operation === BLKIF_OP_FLUSH_DISKCACHE) {
      if (request.nrSegments !== 0) return BLKIF_RSP_ERROR;
      await disk.backing.use(() => disk.backing.drive.flush());
      return BLKIF_RSP_OKAY;
    }
    if (!acceptable(request, disk)) return BLKIF_RSP_ERROR;
    return await disk.backing.use(() => move(request, disk, grants));
  } catch (error) {
    if (error instanceof DiskError) return BLKIF_RSP_ERROR;
    throw error;
  }
}

function acceptable(request: BlkifRequestFields, disk: ServedDisk): boolean {
  const { operation, nrSegments, sectorNumber, firstSect, lastSect } = request;
  if (operation === BLKIF_OP_WRITE && disk.readOnly) return false;
  if (request.handle !== disk.handle) return false;
  if (nrSegments === 0 || nrSegments > BLKIF_MAX_SEGMENTS_PER_REQUEST) return false;
  let count = 0;
  for (let i = 0; i < nrSegments; i++) {
    if (lastSect[i]! >= SECTORS_PER_PAGE || firstSect[i]! > lastSect[i]!) return false;
    count += lastSect[i]! - firstSect[i]! + 1;
  }
  return sectorNumber + count <= disk.backing.drive.sectors;
}

async function move(
  request: BlkifRequestFields,
  disk: ServedDisk,
  grants: Pick<Grants, 'copy'>,
): Promise<number> {
  const { drive, pages } = disk.backing;
  const write = request.operation === BLKIF_OP_WRITE;
  const pieces: Piece[] = [];
  const copies: CopySegment[] = [];
  for (let i = 0; i < request.nrSegments; i++) {
    const offset = request.firstSect[i]! * SECTOR;
    const length = (request.lastSect[i]! + 1) * SECTOR - offset;
    const ours = { pfn: pages[i]!, offset };
    const theirs = { gref: Gref(request.gref[i]!), domid: disk.domid, offset };
    pieces.push({ ...ours, length });
    copies.push(write ? { from: theirs, to: ours, length } : { from: ours, to: theirs, length });
  }
  const copied = () => grants.copy(copies).every((status) => status === 0);

  if (write && !copied()) return BLKIF_RSP_ERROR;
  await drive.transfer(write, request.sectorNumber, pieces);
  return write || copied() ? BLKIF_RSP_OKAY : BLKIF_RSP_ERROR;
}

interface Connection {
  readonly ring: BackRing;
  readonly port: Port;
  readonly close: () => void;
}

/** The plumbing: ring pages, event channel and the loop that empties the ring. */
export class BlkBack implements XenbusDriver {
  readonly #kernel: RingKernel;
  readonly #disk: ServedDisk;
  readonly #fail: (why: unknown) => void;
  #connection: Connection | undefined;

  /** `fail` is called if the front end breaks the protocol. */
  constructor(kernel: RingKernel, disk: ServedDisk, fail: (why: unknown) => void) {
    this.#kernel = kernel;
    this.#disk = disk;
    this.#fail = fail;
  }

  async prepare(): Promise<XenbusNodes> {
    return { [BLKIF_KEYS.featureFlushCache]: '1', ...ringOffer() };
  }

  async connect(front: XenbusPeer): Promise<XenbusNodes> {
    const protocol = await front.read(BLKIF_KEYS.protocol);
    if (protocol !== undefined && protocol !== XEN_IO_PROTO_ABI_X86_64) {
      throw new Error(`protocol ${protocol} is not ${XEN_IO_PROTO_ABI_X86_64}`);
    }
    const grefs = await publishedRing(front);
    const remote = Port(
      numberOf(BLKIF_KEYS.eventChannel, await front.read(BLKIF_KEYS.eventChannel)),
    );
    this.#join(grefs, remote);
    return {
      [BLKIF_KEYS.sectors]: `${this.#disk.backing.drive.sectors}`,
      [BLKIF_KEYS.sectorSize]: `${SECTOR}`,
      [BLKIF_KEYS.info]: `${this.#disk.readOnly ? VDISK_READONLY : 0}`,
    };
  }

  disconnect(): void {
    this.#connection?.close();
    this.#connection = undefined;
  }

  #join(grefs: readonly Gref[], remote: Port): void {
    const { grants, events } = this.#kernel;
    const area = grants.mapMany(this.#disk.domid, grefs);
    let port: Port;
    try {
      port = events.bindInterdomain(this.#disk.domid, remote);
    } catch (error) {
      area.unmap();
      throw error;
    }
    const close = (): void => {
      events.close(port);
      area.unmap();
    };
    const ring = new BackRing(this.#kernel.sharedPage(area.va), BLKIF_RING, grefs.length * PAGE);
    const connection = { ring, port, close };
    this.#connection = connection;
    const worker = new Worker(() => this.#drain(connection), this.#fail);
    events.events(port).subscribe(() => worker.kick());
    worker.kick(); // a front end may queue requests before we are connected
  }

  /** Answers whatever is in the ring, until it is empty or the connection is gone. */
  async #drain(connection: Connection): Promise<void> {
    const { ring, port } = connection;
    const words = new Uint32Array(BLKIF_REQUEST_WORDS);
    const response = new Uint32Array(BLKIF_RESPONSE_WORDS);
    const request = blkifRequestFields();
    const live = () => this.#connection === connection;
    const grants = whileLive(this.#kernel.grants, live);
    let served = 0;
    do {
      while (live() && ring.request(words)) {
        getBlkifRequestWords(words, request);
        const status = await serve(request, this.#disk, grants);
        if (!live()) return;
        setBlkifResponseWords(response, request, status);
        ring.respond(response);
        if (ring.push()) this.#kernel.events.send(port);
        // A front end that never stops asking must not keep the processor from everyone else.
        if (++served % ring.size === 0) await giveWay(this.#kernel);
      }
    } while (live() && ring.finalCheck());
  }
}

/**
 * Copies nothing once the connection is gone: the front end is free then to grant the same references
 * for other pages, and a request that is still with the drive must not reach those.
 */
function whileLive(grants: Pick<Grants, 'copy'>, live: () => boolean): Pick<Grants, 'copy'> {
  return {
    copy: (segments) => (live() ? grants.copy(segments) : segments.map(() => GNTST_general_error)),
  };
}
