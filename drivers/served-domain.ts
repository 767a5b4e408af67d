/**
 * Everything that domain 0 keeps open for one domain: its store ring, its console ring, its disks.
 * The one idea: the domain's pages are reached by grants alone and each is released exactly once, so
 * that `close` leaves nothing mapped and no port bound, in whatever state the domain died.
 */
import type { Xenstore } from '../guest-kernel/index.ts';
import { GNTTAB_RESERVED_CONSOLE, GNTTAB_RESERVED_XENSTORE } from '../protocol/grant-table.ts';
import type { RingMemory } from '../protocol/ring.ts';
import { Domid, Gref, Port } from '../protocol/units.ts';
import { type BackingDrive, BlkBack } from './blk-back.ts';
import { ConsoleBack } from './console-back.ts';
import { ConsoleLog } from './console-log.ts';
import { xvdHandle } from './disk.ts';
import type { RingKernel } from './ring-kernel.ts';
import type { StoreServer } from './store-server.ts';
import { type DomainDisk, type DomainRecord, vbdPaths } from './toolstack.ts';
import { Worker } from './worker.ts';
import { Xenbus } from './xenbus.ts';
import { StoreRing } from './xenstored.ts';

/** What the services of all domains share. */
export interface Services {
  readonly kernel: RingKernel;
  readonly server: StoreServer;
  readonly store: Xenstore; // domain 0's own connection
  readonly drive: (n: number) => Promise<BackingDrive>;
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
    const { kernel, store, drive } = this.#services;
    const { front, back } = vbdPaths(this.record.domid, disk);
    const backing = await drive(disk.drive);
    const served = {
      backing,
      handle: xvdHandle(disk.name),
      readOnly: disk.readOnly,
      domid: this.#domid,
    };
    const driver = new BlkBack(kernel, served, (why) => bus.fail(why));
    const bus = new Xenbus(store, 'back', back, front, driver);
    this.#undo.push(() => bus.stop());
    await bus.open();
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
