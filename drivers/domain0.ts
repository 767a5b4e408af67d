/**
 * Domain 0: the guest that serves the other domains: xenstored, the console daemon, block back ends.
 * The one idea: commands of the outside wait in a queue and VIRQ_DOM_EXC says "look"; every domain has
 * its own rings and workers, so an event costs the same whether there is one domain or a thousand.
 */
import { bootKernel, type Kernel, Xenstore } from '../guest-kernel/index.ts';
import type { Guest } from '../machine/cpu.ts';
import { EEXIST, EINVAL, ENOENT } from '../protocol/errno.ts';
import { VIRQ_DOM_EXC } from '../protocol/xen.ts';
import { BackingDrive } from './blk-back.ts';
import { IdeController } from './ide.ts';
import { hasRings, type RingKernel } from './ring-kernel.ts';
import { type BlockBackMaker, blkBack, ServedDomain, type Services } from './served-domain.ts';
import { localLink } from './store-link.ts';
import { StoreServer } from './store-server.ts';
import { type DomainRecord, Toolstack } from './toolstack.ts';
import { Worker } from './worker.ts';

/** What becomes of what domain 0 says about others. */
export interface Domain0Outputs {
  /** A domain wrote to its console. */
  readonly onConsole: (domid: number, bytes: Uint8Array) => void;
}

/** What domain 0 serves with. */
export interface Domain0Options extends Domain0Outputs {
  /** Another block back end than its own, e.g. one that tests front ends. */
  readonly blockBack?: BlockBackMaker;
}

type Command =
  | { readonly kind: 'introduce'; readonly record: DomainRecord }
  | { readonly kind: 'release'; readonly domid: number }
  | { readonly kind: 'input'; readonly domid: number; readonly bytes: Uint8Array };

/** Its methods only queue: raise VIRQ_DOM_EXC to domain 0 afterwards. */
export class Domain0 {
  readonly guest: Guest;
  readonly #queue: Command[] = [];

  constructor(options: Domain0Options) {
    this.guest = (cpu, boot) =>
      bootKernel(cpu, boot, (kernel) => serveForever(kernel, options, this.#queue));
  }

  /** Serve this domain from now on. */
  introduce(record: DomainRecord): void {
    this.#queue.push({ kind: 'introduce', record });
  }

  /** Let go of everything of this domain, which is dying or dead. */
  release(domid: number): void {
    this.#queue.push({ kind: 'release', domid });
  }

  /** Type `bytes` to this domain's console. */
  input(domid: number, bytes: Uint8Array): void {
    this.#queue.push({ kind: 'input', domid, bytes });
  }
}

async function serveForever(
  kernel: Kernel,
  options: Domain0Options,
  queue: Command[],
): Promise<void> {
  if (!hasRings(kernel)) throw new Error('domain 0 is a paravirtual kernel');
  const manager = new DomainManager(kernel, options);
  const worker = new Worker(
    async () => {
      for (let next = queue.shift(); next; next = queue.shift()) await manager.obey(next);
    },
    (why) => manager.report(0, why),
  );
  const { events } = kernel;
  events.events(events.bindVirq(VIRQ_DOM_EXC)).subscribe(() => worker.kick());
  worker.kick();
  await new Promise(() => undefined);
}

/** The domains that are served. */
class DomainManager {
  readonly #kernel: Kernel & RingKernel;
  readonly #services: Services;
  readonly #toolstack: Toolstack;
  readonly #domains = new Map<number, ServedDomain>();
  readonly #drives = new Map<number, Promise<BackingDrive>>();
  #controller: IdeController | undefined;

  constructor(kernel: Kernel & RingKernel, options: Domain0Options) {
    this.#kernel = kernel;
    const server = new StoreServer({
      introduce: (domid, gfn, port) => this.#openStore(domid, gfn, port),
      release: (domid) => this.#closeStore(domid),
      introduced: (domid) => this.#domains.has(domid),
    });
    this.#toolstack = new Toolstack(server);
    this.#services = {
      kernel,
      server,
      store: new Xenstore(localLink(server, 0)),
      drive: (n) => this.#drive(n),
      blockBack: options.blockBack ?? blkBack,
      onConsole: options.onConsole,
      log: (line) => kernel.xen?.consoleWrite(line),
      report: (domid, why) => this.report(domid, why),
    };
  }

  async obey(command: Command): Promise<void> {
    const domid = command.kind === 'introduce' ? command.record.domid : command.domid;
    try {
      if (command.kind === 'introduce') await this.#introduce(command.record);
      else if (command.kind === 'release') this.#release(domid);
      else this.#domains.get(domid)?.input(command.bytes);
    } catch (why) {
      this.report(domid, why);
    }
  }

  report(domid: number, why: unknown): void {
    const text = why instanceof Error ? why.message : String(why);
    this.#kernel.earlyWrite(`domain 0: serving domain ${domid}: ${text}\n`);
  }

  async #introduce(record: DomainRecord): Promise<void> {
    if (this.#domains.has(record.domid)) throw new Error('is introduced already');
    const domain = new ServedDomain(this.#services, record);
    this.#domains.set(record.domid, domain);
    try {
      this.#toolstack.introduce(record);
      await domain.open();
    } catch (why) {
      this.#release(record.domid);
      throw why;
    }
  }

  #release(domid: number): void {
    const domain = this.#domains.get(domid);
    if (!domain) return;
    domain.close();
    this.#toolstack.release(domid);
  }

  #openStore(domid: number, gfn: number, port: number): number {
    const domain = this.#domains.get(domid);
    if (!domain) return ENOENT;
    if (domain.record.storeMfn !== gfn || domain.record.storePort !== port) return EINVAL;
    if (domain.storeOpen) return EEXIST;
    domain.openStore();
    return 0;
  }

  #closeStore(domid: number): number {
    return this.#domains.delete(domid) ? 0 : ENOENT;
  }

  #drive(n: number): Promise<BackingDrive> {
    let drive = this.#drives.get(n);
    if (!drive) {
      drive = this.#findDrive(n);
      this.#drives.set(n, drive);
    }
    return drive;
  }

  async #findDrive(n: number): Promise<BackingDrive> {
    const drive = await this.#ide().drive(n);
    if (!drive) throw new Error(`there is no drive ${n}`);
    return new BackingDrive(drive, this.#kernel.frames);
  }

  #ide(): IdeController {
    if (this.#controller) return this.#controller;
    const { events, xen } = this.#kernel;
    xen?.setIopl(1); // port I/O from kernel mode
    this.#controller = new IdeController(this.#kernel, (line) =>
      events.events(events.bindPirq(line)),
    );
    return this.#controller;
  }
}
