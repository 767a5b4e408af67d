/**
 * Two domains without a hypervisor: frames in arrays, event channels and grants by the book, one store.
 * Enough to run both ends of a split driver, and to misbehave on purpose.
 */
import { type Observable, Subject } from 'rxjs';
import type { RingKernel } from '../../drivers/ring-kernel.ts';
import { localLink } from '../../drivers/store-link.ts';
import { StoreServer } from '../../drivers/store-server.ts';
import {
  type CopyEnd,
  type GrantArea,
  type GrantMapping,
  Xenstore,
} from '../../guest-kernel/index.ts';
import { ArrayRingMemory } from '../../protocol/ring.ts';
import { Domid, Gref, Port } from '../../protocol/units.ts';

interface Grant {
  readonly domid: number;
  readonly frame: number;
  readonly readonly: boolean;
  mapped: number;
}

/** Lets every promise that can settle do so. */
export const settled = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 0));

export class FakeHost {
  readonly server = new StoreServer({
    introduce: () => 0,
    release: () => 0,
    introduced: () => true,
  });
  readonly domains = new Map<number, FakeDomain>();

  domain(domid: number): FakeDomain {
    const domain = new FakeDomain(this, domid);
    this.domains.set(domid, domain);
    return domain;
  }
}

export class FakeDomain {
  readonly host: FakeHost;
  readonly domid: number;
  readonly store: Xenstore;
  readonly frames = new Map<number, Uint8Array>();
  readonly grants = new Map<number, Grant>();
  readonly ports = new Map<
    number,
    { peer: FakeDomain | undefined; remote: number; in: Subject<void> }
  >();
  sent = 0;
  #next = 8;

  constructor(host: FakeHost, domid: number) {
    this.host = host;
    this.domid = domid;
    this.store = new Xenstore(localLink(host.server, domid));
  }

  get mapped(): number {
    let count = 0;
    for (const { grants } of this.host.domains.values()) {
      for (const grant of grants.values()) count += grant.mapped;
    }
    return count;
  }

  page(pfn: number): Uint8Array {
    const page = this.frames.get(pfn);
    if (!page) throw new Error(`domain ${this.domid} has no frame ${pfn}`);
    return page;
  }

  #at(va: number): Uint8Array {
    return this.page(Math.floor(va / 4096)).subarray(va % 4096);
  }

  #end(end: CopyEnd, write: boolean): Uint8Array | undefined {
    if ('pfn' in end) return this.page(end.pfn).subarray(end.offset);
    const owner = this.host.domains.get(end.domid);
    const grant = owner?.grants.get(end.gref);
    if (!owner || grant?.domid !== this.domid || (write && grant.readonly)) return undefined;
    return owner.page(grant.frame).subarray(end.offset);
  }

  readonly kernel: RingKernel = {
    cpu: {
      loadBytes: (va: number, into: Uint8Array) => into.set(this.#at(va).subarray(0, into.length)),
      storeBytes: (va: number, from: Uint8Array) => this.#at(va).set(from),
      fillBytes: (va: number, length: number, value: number) =>
        new Uint8Array(this.#at(va).buffer).fill(value, 0, length),
    } as unknown as RingKernel['cpu'],
    frames: {
      alloc: () => {
        const pfn = this.#next++;
        this.frames.set(pfn, new Uint8Array(4096));
        return pfn;
      },
      allocMany: (count) => {
        const pages = new ArrayBuffer(count * 4096);
        const first = this.#next;
        this.#next += count;
        for (let i = 0; i < count; i++) {
          this.frames.set(first + i, new Uint8Array(pages, i * 4096, 4096));
        }
        return first;
      },
      free: (pfn) => this.frames.delete(pfn),
      available: 1000,
    },
    virt: (pfn) => pfn * 4096,
    sharedPage: (va) => new ArrayRingMemory(new Uint32Array(this.#at(va).buffer)),
    events: {
      events: (port): Observable<void> => this.ports.get(port)!.in,
      allocUnbound: () => this.#port(undefined, 0),
      bindInterdomain: (remote, remotePort) => {
        const peer = this.host.domains.get(remote);
        const theirs = peer?.ports.get(remotePort);
        if (!peer || !theirs || theirs.peer) throw new Error('EVTCHNOP_bind_interdomain: -EINVAL');
        const port = this.#port(peer, remotePort);
        theirs.peer = this;
        theirs.remote = port;
        return port;
      },
      bindVirq: () => this.#port(undefined, 0),
      bindIpi: () => this.#port(undefined, 0),
      bindPirq: () => this.#port(undefined, 0),
      send: (port) => {
        this.sent++;
        const { peer, remote } = this.ports.get(port)!;
        peer?.ports.get(remote)?.in.next();
      },
      mask: () => undefined,
      unmask: () => undefined,
      close: (port) => {
        const { peer, remote } = this.ports.get(port)!;
        this.ports.delete(port);
        const theirs = peer?.ports.get(remote);
        if (theirs) theirs.peer = undefined;
      },
    },
    grants: {
      grant: (domid, frame, readonly) => {
        const gref = this.#next++;
        this.grants.set(gref, { domid, frame, readonly, mapped: 0 });
        return Gref(gref);
      },
      end: (gref) => {
        if (this.grants.get(gref)!.mapped > 0) return false;
        return this.grants.delete(gref);
      },
      map: (domid, gref) => this.#map(domid, gref),
      // The granter's pages are of one buffer, so that the first leads to all of them.
      mapMany: (domid, grefs): GrantArea => {
        const areas: GrantMapping[] = [];
        const unmap = (): void => areas.forEach((area) => void area.unmap());
        try {
          for (const gref of grefs) areas.push(this.#map(domid, gref));
        } catch (error) {
          unmap();
          throw error;
        }
        return { va: areas[0]!.va, unmap };
      },
      copy: (segments) =>
        segments.map(({ from, to, length }) => {
          const source = this.#end(from, false);
          const target = this.#end(to, true);
          if (!source || !target) return -3;
          target.set(source.subarray(0, length));
          return 0;
        }),
    },
  };

  #map(domid: Domid, gref: Gref): GrantMapping {
    const owner = this.host.domains.get(domid);
    const grant = owner?.grants.get(gref);
    if (!owner || grant?.domid !== this.domid) throw new Error('GNTST_bad_gntref');
    grant.mapped++;
    const pfn = this.#next++;
    this.frames.set(pfn, owner.page(grant.frame));
    const unmap = (): void => {
      if (this.frames.delete(pfn)) grant.mapped--;
    };
    return { va: pfn * 4096, handle: pfn, unmap };
  }

  #port(peer: FakeDomain | undefined, remote: number): Port {
    const port = Port(this.#next++);
    this.ports.set(port, { peer, remote, in: new Subject() });
    return port;
  }

  get id(): Domid {
    return Domid(this.domid);
  }
}
