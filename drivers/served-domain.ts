/**
 * Everything that domain 0 keeps open for one domain: its store ring, its console ring, its disks.
 * The one idea: the domain's pages are reached by grants alone and each is released exactly once, so
 * that `close` leaves nothing mapped and no port bound, in whatever state the domain died.
 */
import type { Kernel, Xenstore } from '../guest-kernel/index.ts';
import { GNTTAB_RESERVED_CONSOLE, GNTTAB_RESERVED_XENSTORE } from '../protocol/grant-table.ts';
import type { RingMemory } from '../protocol/ring.ts';
import { Domid, Gref, Port } from '../protocol/units.ts';
import { type BackingDrive, BlkBack, type ServedDisk } from './blk-back.ts';
import { ConsoleBack } from './console-back.ts';
import { ConsoleLog } from './console-log.ts';
import { xvdHandle } from './disk.ts';
import type { RingKernel } from './ring-kernel.ts';
import type { StoreServer } from './store-server.ts';
import { type DomainDisk, type DomainRecord, vbdPaths } from './toolstack.ts';
import { Worker } from './worker.ts';
import { Xenbus } from './xenbus.ts';
import { StoreRing } from './xenstored.ts';

/** One virtual disk that needs a back end, and what there is to make one. */
export interface BlockPlace {
  readonly kernel: Kernel & RingKernel;
  readonly store: Xenstore; // domain 0's own connection
  /** The two ends' directories. */
  readonly front: string;
  readonly back: string;
  readonly disk: Omit<ServedDisk, 'backing'>;
  /** The drive under it. @throws Error if there is none */
  readonly drive: () => Promise<BackingDrive>;
}

/** A back end that domain 0 runs: opened when its domain comes, stopped when that is released. */
export interface BlockBackEnd {
  open(): Promise<void>;
  stop(): void;
}

/** Makes back ends; another one than `blkBack` puts another driver in its place. */
export type BlockBackMaker = (place: BlockPlace) => BlockBackEnd;

/** The usual back end of a disk. */
export const blkBack: BlockBackMaker = ({ kernel, store, front, back, disk, drive }) => {
  let bus: Xenbus | undefined;
  return {
    open: async () => {
      const fail = (why: unknown): void => bus?.fail(why);
      const driver = new BlkBack(kernel, { ...disk, backing: await drive() }, fail);
      bus = new Xenbus(store, 'back', back, front, driver);
      await bus.open();
    },
    stop: () => bus?.stop(),
  };
};

/** What the services of all domains share. */
export interface Services {
  readonly kernel: Kernel & RingKernel;
  readonly server: StoreServer;
  readonly store: Xenstore; // domain 0's own connection
  readonly drive: (n: number) => Promise<BackingDrive>;
  readonly blockBack: BlockBackMaker;
  readonly onConsole: (domid: number, bytes: Uint8Array) => void;
  /** One line for the hypervisor's console. */
  readonly log: (line: Uint8Array) => void;
  /** Something went wrong with one domain; it is for domain 0's log. */
  readonly report: (domid: number, why: unknown) => void;
}

export class ServedDomain {
  readonly record: DomainRecord;
  readonly #services: Services;
  readonly #domid: Domid;
  readonly #undo: (() => void)[] = [];
  #console: ConsoleBack | undefined;
  #storeOpen = false;

  constructor(services: Services, record: DomainRecord) {
    this.#services = services;
    this.record = record;
    this.#domid = Domid(record.domid);
  }

  /** Opens the console and the disks. */
  async open(): Promise<void> {
    this.#openConsole();
    for (const disk of this.record.disks) {
      // A disk that is not there is no reason to leave the domain without its store.
      await this.#openDisk(disk).catch((why) => this.#services.report(this.record.domid, why));
    }
  }

  get storeOpen(): boolean {
    return this.#storeOpen;
  }

  /** Opens the store ring: the meaning of XS_INTRODUCE. */
  openStore(): void {
    const gref = Gref(GNTTAB_RESERVED_XENSTORE);
    const { memory, notify, onEvent } = this.#ring(gref, Port(this.record.storePort));
    const ring = new StoreRing(this.#services.server, this.record.domid, memory, notify);
    this.#undo.push(() => ring.close());
    onEvent(() => ring.kick());
    this.#storeOpen = true;
    ring.kick();
  }

  input(bytes: Uint8Array): void {
    this.#console?.input(bytes);
  }

  close(): void {
    this.#guarded(() => this.#console?.service()); // its last words
    for (const undo of this.#undo.splice(0).reverse()) this.#guarded(undo);
  }

  #openConsole(): void {
    const { domid } = this.record;
    const gref = Gref(GNTTAB_RESERVED_CONSOLE);
    const { memory, notify, onEvent } = this.#ring(gref, Port(this.record.consolePort));
    const log = new ConsoleLog(domid, (line) => this.#services.log(line));
    const console = new ConsoleBack(memory, notify, (bytes) => {
      log.add(bytes);
      this.#services.onConsole(domid, bytes);
    });
    this.#console = console;
    this.#undo.push(() => {
      this.#console = undefined;
      log.end();
    });
    const worker = new Worker(
      () => console.service(),
      (why) => this.#services.report(domid, why),
    );
    onEvent(() => worker.kick());
    worker.kick();
  }

  async #openDisk(disk: DomainDisk): Promise<void> {
    const { kernel, store, drive, blockBack } = this.#services;
    const end = blockBack({
      kernel,
      store,
      ...vbdPaths(this.record.domid, disk),
      disk: { handle: xvdHandle(disk.name), readOnly: disk.readOnly, domid: this.#domid },
      drive: () => drive(disk.drive),
    });
    this.#undo.push(() => end.stop());
    await end.open();
  }

  /** Maps a page of the domain and binds the port that goes with it. */
  #ring(gref: Gref, remote: Port): RingEnd {
    const { kernel } = this.#services;
    const { grants, events } = kernel;
    const mapping = grants.map(this.#domid, gref);
    this.#undo.push(() => mapping.unmap());
    const port = events.bindInterdomain(this.#domid, remote);
    this.#undo.push(() => events.close(port));
    return {
      memory: kernel.sharedPage(mapping.va),
      notify: () => events.send(port),
      onEvent: (look) => events.events(port).subscribe(look),
    };
  }

  #guarded(act: () => void): void {
    try {
      act();
    } catch (why) {
      this.#services.report(this.record.domid, why);
    }
  }
}

interface RingEnd {
  readonly memory: RingMemory;
  readonly notify: () => void;
  readonly onEvent: (look: () => void) => void;
}
