/** For each rule a back end that breaks it, and as far as it can no other. */

import { numberOf } from '../../../drivers/blk-ring.ts';
import type { BlkRule } from '../../../drivers/conformance/blk-rules.ts';
import type { BlockBackMaker } from '../../../drivers/served-domain.ts';
import type { Worker } from '../../../drivers/worker.ts';
import type { XenbusNodes, XenbusPeer } from '../../../drivers/xenbus.ts';
import type { GrantArea, Kernel, Xenstore } from '../../../guest-kernel/index.ts';
import { BLKIF_RING } from '../../../protocol/blkif.ts';
import { BackRing, type RingMemory } from '../../../protocol/ring.ts';
import { Gref } from '../../../protocol/units.ts';
import { backOf, type Link, type Request, SmallBack, spoiled } from './small-back.ts';

/** Publishes part of what belongs to a state a little later. */
const stateFirst = (store: Xenstore, k: Kernel): Xenstore =>
  spoiled(store, {
    transaction: async (body) => {
      const late: [string, string | number][] = [];
      const result = await store.transaction((t) =>
        body(
          new Proxy(t, {
            get: (target, key) => {
              if (key !== 'write') return Reflect.get(target, key).bind(target);
              return async (path: string, value: string | number) => {
                if (path.endsWith('/sector-size')) late.push([path, value]);
                else await target.write(path, value);
              };
            },
          }),
        ),
      );
      await k.time.sleep(100_000);
      for (const [path, value] of late) await store.write(path, value);
      return result;
    },
  });

/** Sees Initialised only after it has seen an earlier state since it was closed. */
const needsFirstState = (store: Xenstore): Xenstore => {
  let fresh = true;
  return spoiled(store, {
    tryRead: async (path) => {
      const text = await store.tryRead(path);
      if (!path.endsWith('/state') || !path.includes('/device/vbd/')) return text;
      if (text === '5' || text === '6') fresh = false;
      if (text === '1' || text === '2') fresh = true;
      return text === '3' && !fresh ? '6' : text;
    },
  });
};

class NoProtocol extends SmallBack {
  override async agree(): Promise<void> {}
}

class DoesAnything extends SmallBack {
  override other({ operation }: Request): number {
    return [2, 5, 6].includes(operation) && !this.disk.readOnly ? 0 : -2;
  }
}

class OnePage extends SmallBack {
  override ring(memory: RingMemory): BackRing {
    return new BackRing(memory, BLKIF_RING, 4096);
  }
}

class AnyLength extends SmallBack {
  override async grefs(front: XenbusPeer): Promise<Gref[]> {
    const order = Math.min(Number((await front.read('ring-page-order')) ?? 0), 3);
    const keys =
      order === 0 ? ['ring-ref'] : Array.from({ length: 1 << order }, (_, i) => `ring-ref${i}`);
    const grefs: Gref[] = [];
    for (const key of keys) grefs.push(Gref(numberOf(key, await front.read(key))));
    return grefs;
  }
}

class KeepsRefused extends SmallBack {
  override refused(_area: GrantArea): void {}
}

/** Takes a ring that is quite full for a lie. */
class NeverFull extends SmallBack {
  override ring(memory: RingMemory, pages: number): BackRing {
    let taken = 0;
    const doubted: RingMemory = {
      get32: (at) => {
        const value = memory.get32(at);
        return at === 0 && value - taken === 32 * pages ? taken - 1 : value;
      },
      set32: (at, value) => memory.set32(at, value),
      read: (at, into) => {
        taken++;
        memory.read(at, into);
      },
      write: (at, from) => memory.write(at, from),
    };
    return new BackRing(doubted, BLKIF_RING, pages * 4096);
  }
}

class HalfIds extends SmallBack {
  override respond(link: Link, request: Request, status: number): void {
    super.respond(link, { ...request, idHi: 0, idLo: request.idLo }, status);
  }
}

class Forgets extends SmallBack {
  #bad = 0;
  override respond(link: Link, request: Request, status: number): void {
    const bad = request.operation < 2 && request.nrSegments === 0;
    if (bad && ++this.#bad % 3 === 0) return;
    super.respond(link, request, status);
  }
}

class Tells extends SmallBack {
  override put(link: Link, words: Uint32Array): void {
    const more = words.slice();
    more[3] = 0xdeadbeef;
    super.put(link, more);
  }
}

const without = (name: 'mayWrite' | 'isOurs' | 'hasGoodSegments' | 'onDisk') =>
  class extends SmallBack {
    override tests() {
      return super.tests().filter((test) => test !== this[name]);
    }
  };

/** Takes what it can of a segment that leaves its page. */
class Clips extends without('hasGoodSegments') {
  override async transfer(request: Request, link: Link): Promise<number> {
    for (let i = 0; i < request.nrSegments; i++) {
      request.lastSect[i] = Math.min(7, request.lastSect[i]!);
      request.firstSect[i] = Math.min(request.firstSect[i]!, request.lastSect[i]!);
    }
    return super.transfer(request, link);
  }
}

class AnyCount extends SmallBack {
  override tests() {
    return super.tests().filter((test) => test !== this.hasSegments);
  }
  override async transfer(request: Request, link: Link): Promise<number> {
    request.nrSegments = Math.min(11, request.nrSegments);
    return request.nrSegments === 0 ? 0 : super.transfer(request, link);
  }
  override count(request: Request): number {
    return super.count({ ...request, nrSegments: Math.min(11, request.nrSegments) });
  }
}

/** Begins again at the first sector where the disk ends. */
class Wraps extends without('onDisk') {
  override async transfer(request: Request, link: Link): Promise<number> {
    const { sectors } = this.disk.backing.drive;
    const sectorNumber = Math.min(request.sectorNumber, sectors - this.count(request));
    return super.transfer({ ...request, sectorNumber }, link);
  }
}

class Agrees extends SmallBack {
  override respond(link: Link, request: Request, status: number): void {
    super.respond(link, request, request.operation === 255 ? 0 : status);
  }
}

class NoFlush extends SmallBack {
  override async flush(): Promise<void> {}
}

class LooseBarrier extends SmallBack {
  override async prepare(): Promise<XenbusNodes> {
    return { ...(await super.prepare()), 'feature-barrier': '1' };
  }
  override other(request: Request): number | Promise<number> {
    if (request.operation !== 2 || this.disk.readOnly) return super.other(request);
    return this.transfer({ ...request, operation: 1 }, this.link!);
  }
}

class DiscardsAnything extends SmallBack {
  override async prepare(): Promise<XenbusNodes> {
    return { ...(await super.prepare()), 'feature-discard': '1' };
  }
  override other({ operation }: Request): number {
    return operation === 5 && !this.disk.readOnly ? 0 : -2;
  }
}

class OnlyOffersIndirect extends SmallBack {
  override async prepare(): Promise<XenbusNodes> {
    return { ...(await super.prepare()), 'feature-max-indirect-segments': '32' };
  }
}

class CopyLies extends SmallBack {
  override copied(statuses: readonly number[]): boolean {
    return statuses.length === 1 || super.copied(statuses);
  }
}

class DiesOfGrants extends SmallBack {
  override copied(statuses: readonly number[]): boolean {
    if (statuses.some((status) => status === -3)) throw new Error('a bad grant'); // GNTST_bad_gntref
    return super.copied(statuses);
  }
}

/** Reads the operation and the number of segments in the ring, then all of it again. */
class ReadsTwice extends SmallBack {
  #index = 0;
  override join(...args: Parameters<SmallBack['join']>): void {
    this.#index = 0;
    super.join(...args);
  }
  override async one(link: Link, words: Uint32Array): Promise<void> {
    const slot = 64 + (this.#index++ & (link.ring.size - 1)) * 112;
    const id = link.memory.get32(slot + 8);
    await super.one(
      link,
      words.map((word, i) => (i === 2 ? id : word)),
    );
  }
}

/** Believes whatever the index says. */
class Believes extends SmallBack {
  override ring(memory: RingMemory, pages: number): BackRing {
    let cons = 0;
    const size = 32 * pages;
    const believed: RingMemory = {
      get32: (at) => {
        const value = memory.get32(at);
        return at === 0 && (value - cons) >>> 0 > size ? cons + size : value;
      },
      set32: (at, value) => memory.set32(at, value),
      read: (at, into) => {
        cons++;
        memory.read(at, into);
      },
      write: (at, from) => memory.write(at, from),
    };
    return new BackRing(believed, BLKIF_RING, pages * 4096);
  }
}

class NeverRests extends SmallBack {
  override async rest(): Promise<void> {}
}

class LaboursAtEvents extends SmallBack {
  override woken(worker: Worker, link: Link): void {
    for (let at = 0; at < 25_000; at++) link.memory.get32((at * 4) & 4095);
    worker.kick();
  }
}

/** Lets go of the ring only when the last request is done, whatever it said meanwhile. */
class LateUnmap extends SmallBack {
  #busy = 0;
  override async one(link: Link, words: Uint32Array): Promise<void> {
    this.#busy++;
    await super.one(link, words);
    this.#busy--;
  }
  override release(link: Link): void {
    if (this.#busy === 0) {
      super.release(link);
      return;
    }
    link.live = false;
    void this.k.time.sleep(20_000_000).then(() => super.release(link));
  }
}

/** Copies for a request whose connection is gone. */
class CopiesAfterwards extends SmallBack {
  override stillThere(): boolean {
    return true;
  }
}

/** Does not see a front end begin again without a close. */
const closesOnly = (store: Xenstore): Xenstore => {
  let last: string | undefined;
  return spoiled(store, {
    tryRead: async (path) => {
      const text = await store.tryRead(path);
      if (!path.endsWith('/state') || !path.includes('/device/vbd/')) return text;
      if (text !== '1' || last !== '4') last = text;
      return last;
    },
  });
};

class Polls extends SmallBack {
  override join(...args: Parameters<SmallBack['join']>): void {
    super.join(...args);
    const { link } = this;
    const look = (): void => {
      if (!link?.live) return;
      this.worker?.kick();
      this.k.time.at(this.k.time.nanos() + 100_000, look);
    };
    look();
  }
}

class Impatient extends SmallBack {
  override respond(link: Link, request: Request, status: number): void {
    super.respond(link, request, status);
    const taken = link.memory.get32(12);
    this.k.time.at(this.k.time.nanos() + 30_000_000, () => {
      if (link.live && link.memory.get32(12) === taken) this.fail('the front end does not listen');
    });
  }
}

class WrongPlace extends SmallBack {
  override async transfer(request: Request, link: Link): Promise<number> {
    const last = request.nrSegments - 1;
    if (last > 0)
      request.firstSect[last]! ^= request.firstSect[last] === request.lastSect[last]! ? 0 : 1;
    return request.firstSect[last]! > request.lastSect[last]! ? -1 : super.transfer(request, link);
  }
}

class LeaksPorts extends SmallBack {
  override release(link: Link): void {
    link.live = false;
    this.k.events.mask(link.port);
    link.area.unmap();
  }
}

/** Does not see that the front end's nodes are gone. */
const blind = (store: Xenstore): Xenstore =>
  spoiled(store, {
    tryRead: async (path) =>
      (await store.tryRead(path)) ??
      (path.endsWith('/state') && path.includes('/device/') ? '4' : undefined),
  });

export const BACK_MUTANTS: readonly (readonly [BlkRule, string, BlockBackMaker])[] = [
  ['BLK-01', 'publishes the state before the sector size', backOf(SmallBack, stateFirst)],
  ['BLK-02', 'wants to see the first state after a close', backOf(SmallBack, needsFirstState)],
  ['BLK-03', 'takes any layout for its own', backOf(NoProtocol)],
  ['BLK-04', 'says done to what it does not offer', backOf(DoesAnything)],
  ['BLK-05', 'uses one page of a long ring', backOf(OnePage)],
  ['BLK-06', 'takes rings longer than it offers', backOf(AnyLength)],
  ['BLK-07', 'keeps the ring of a front end that it refused', backOf(KeepsRefused)],
  ['BLK-10', 'leaves one slot of the ring empty', backOf(NeverFull)],
  ['BLK-11', 'echoes half of the id', backOf(HalfIds)],
  ['BLK-13', 'forgets a request', backOf(Forgets)],
  ['BLK-14', 'leaves memory of its own in the response', backOf(Tells)],
  ['BLK-15', 'clips segments that leave their page', backOf(Clips)],
  ['BLK-16', 'takes any number of segments', backOf(AnyCount)],
  ['BLK-17', 'moves a transfer back onto the disk', backOf(Wraps)],
  ['BLK-18', 'serves any device', backOf(without('isOurs'))],
  ['BLK-19', 'writes to a read-only disk', backOf(without('mayWrite'))],
  ['BLK-20', 'says done to operation 255', backOf(Agrees)],
  ['BLK-21', 'does not flush', backOf(NoFlush)],
  ['BLK-22', 'does a barrier as a plain write', backOf(LooseBarrier)],
  ['BLK-23', 'discards beyond the disk', backOf(DiscardsAnything)],
  ['BLK-24', 'offers indirect segments and has none', backOf(OnlyOffersIndirect)],
  ['BLK-25', 'says done when a page could not be written', backOf(CopyLies)],
  ['BLK-26', 'gives up at a bad grant', backOf(DiesOfGrants)],
  ['BLK-27', 'reads the id again', backOf(ReadsTwice)],
  ['BLK-28', 'serves as many as an impossible index says', backOf(Believes)],
  ['BLK-29', 'never lets others run', backOf(NeverRests)],
  ['BLK-30', 'labours at each event', backOf(LaboursAtEvents)],
  ['BLK-31', 'copies for a connection that is gone', backOf(CopiesAfterwards)],
  ['BLK-31', 'unmaps after it is closed', backOf(LateUnmap)],
  ['BLK-32', 'wants a close before a new beginning', backOf(SmallBack, closesOnly)],
  ['BLK-33', 'polls its ring', backOf(Polls)],
  ['BLK-34', 'leaves a front end that does not listen', backOf(Impatient)],
  ['BLK-38', 'begins the last segment a sector off', backOf(WrongPlace)],
  ['BLK-39', 'keeps the event channel', backOf(LeaksPorts)],
  ['BLK-40', 'does not see a front end vanish', backOf(SmallBack, blind)],
];
