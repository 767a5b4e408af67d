/**
 * The nodes that a toolstack puts into xenstore around a domain's life.
 * The one idea: each directory gets its permissions before its contents, which inherit them; what the
 * domain may write belongs to the domain, everything else to domain 0.
 * @source docs/misc/xenstore-paths; xen/io/blkif.h
 */
import {
  XS_ERROR,
  XS_INTRODUCE,
  XS_MKDIR,
  XS_RELEASE,
  XS_RM,
  XS_SET_PERMS,
  XS_WRITE,
} from '../protocol/xs-wire.ts';
import { xvdHandle } from './disk.ts';
import { StoreClient } from './store-client.ts';
import type { StoreServer } from './store-server.ts';
import { fromLatin1, latin1 } from './store-text.ts';

/** A virtual disk of a domain: the physical drive at position `drive` (0 to 3). */
export interface DomainDisk {
  readonly name: string; // 'xvda' to 'xvdp'
  readonly drive: number;
  readonly readOnly: boolean;
}

/** What domain 0 must know of a domain to serve it. */
export interface DomainRecord {
  readonly domid: number;
  readonly name: string;
  readonly memoryBytes: number;
  readonly vcpus: number;
  readonly storeMfn: number;
  readonly storePort: number;
  readonly consoleMfn: number;
  readonly consolePort: number;
  readonly disks: readonly DomainDisk[];
}

/** Where the two ends of a virtual disk keep their nodes. */
export function vbdPaths(domid: number, disk: DomainDisk): { front: string; back: string } {
  const handle = xvdHandle(disk.name);
  return {
    front: `/local/domain/${domid}/device/vbd/${handle}`,
    back: `/local/domain/0/backend/vbd/${domid}/${handle}`,
  };
}

const OWN = ['data', 'drivers', 'feature', 'attr', 'error']; // directories of the domain itself
const CONTROL = ['shutdown', 'feature-poweroff', 'feature-reboot', 'feature-suspend', 'sysrq'];

export class Toolstack {
  readonly #server: StoreServer;
  readonly #client = new StoreClient(0, () => undefined);

  constructor(server: StoreServer) {
    this.#server = server;
  }

  /** Makes the domain known: its nodes, those of its disks, and @introduceDomain. */
  introduce(domain: DomainRecord): void {
    const { domid } = domain;
    const home = `/local/domain/${domid}`;
    this.#makeHome(home, domain);
    for (const disk of domain.disks) this.#makeDisk(domid, disk);
    this.#ask(XS_INTRODUCE, `${domid}`, `${domain.storeMfn}`, `${domain.storePort}`);
  }

  /** Removes everything that `introduce` and the domain made, and fires @releaseDomain. */
  release(domid: number): void {
    this.#ask(XS_RELEASE, `${domid}`);
    for (const path of [
      `/local/domain/${domid}`,
      `/local/domain/0/backend/vbd/${domid}`,
      `/vm/${domid}`,
    ]) {
      this.#attempt(XS_RM, path);
    }
    this.#server.forgetDomain(domid);
  }

  #makeHome(home: string, domain: DomainRecord): void {
    const { domid, name, vcpus } = domain;
    const kilobytes = Math.floor(domain.memoryBytes / 1024);
    this.#directory(`/vm/${domid}`, 'n0', `r${domid}`);
    this.#write(`/vm/${domid}/name`, name);
    this.#directory(home, 'n0', `r${domid}`);
    for (const own of OWN) this.#directory(`${home}/${own}`, `n${domid}`);
    this.#directory(`${home}/device`, 'n0', `r${domid}`);
    this.#all(home, {
      domid,
      name,
      vm: `/vm/${domid}`,
      'memory/static-max': kilobytes,
      'memory/target': kilobytes,
      'memory/videoram': 0,
      'store/port': domain.storePort,
      'store/ring-ref': domain.storeMfn,
      'console/ring-ref': domain.consoleMfn,
      'console/port': domain.consolePort,
      'console/limit': 1048576,
      'console/type': 'xenconsoled',
      'console/output': 'pty',
      'console/tty': '',
      'control/platform-feature-multiprocessor-suspend': 1,
      'control/platform-feature-xs_reset_watches': 1,
    });
    for (const key of CONTROL) this.#directory(`${home}/control/${key}`, `n${domid}`);
    for (let n = 0; n < vcpus; n++) this.#write(`${home}/cpu/${n}/availability`, 'online');
  }

  #makeDisk(domid: number, disk: DomainDisk): void {
    const { front, back } = vbdPaths(domid, disk);
    const handle = xvdHandle(disk.name);
    this.#directory(back, 'n0', `r${domid}`);
    this.#all(back, {
      frontend: front,
      'frontend-id': domid,
      params: `drive ${disk.drive}`,
      dev: disk.name,
      mode: disk.readOnly ? 'r' : 'w',
      'device-type': 'disk',
      removable: 0,
      bootable: 1,
      online: 1,
      state: 1,
    });
    this.#directory(front, `n${domid}`, 'r0');
    this.#all(front, {
      backend: back,
      'backend-id': 0,
      'virtual-device': handle,
      'device-type': 'disk',
      state: 1,
    });
  }

  #all(directory: string, values: Readonly<Record<string, string | number>>): void {
    for (const [key, value] of Object.entries(values)) this.#write(`${directory}/${key}`, value);
  }

  #directory(path: string, ...permissions: readonly string[]): void {
    this.#ask(XS_MKDIR, path);
    this.#ask(XS_SET_PERMS, path, ...permissions);
  }

  #write(path: string, value: string | number): void {
    this.#send(XS_WRITE, path, latin1(`${path}\0${value}`));
  }

  #ask(type: number, ...strings: readonly string[]): void {
    this.#send(type, strings[0]!, latin1(strings.map((text) => `${text}\0`).join('')));
  }

  #attempt(type: number, path: string): boolean {
    return this.#request(type, latin1(`${path}\0`)) === undefined;
  }

  #send(type: number, what: string, payload: Uint8Array): void {
    const error = this.#request(type, payload);
    if (error !== undefined) throw new Error(`xenstore ${what}: ${error}`);
  }

  /** The error's name, or undefined. */
  #request(type: number, payload: Uint8Array): string | undefined {
    this.#server.request(this.#client, { type, reqId: 0, txId: 0, payload });
    const reply = this.#client.take()!;
    return reply.type === XS_ERROR ? fromLatin1(reply.payload.subarray(0, -1)) : undefined;
  }
}
