/** For each rule a front end that breaks it, and as far as it can no other. */
import { ringNodes } from '../../../drivers/blk-ring.ts';
import type { BlkRule } from '../../../drivers/conformance/blk-rules.ts';
import type { Worker } from '../../../drivers/worker.ts';
import type { XenbusNodes, XenbusPeer } from '../../../drivers/xenbus.ts';
import type { Xenstore } from '../../../guest-kernel/index.ts';
import type { Guest } from '../../../machine/cpu.ts';
import { BLKIF_RING, blkifResponseStatus } from '../../../protocol/blkif.ts';
import { FrontRing, type RingMemory } from '../../../protocol/ring.ts';
import type { Gref, Port } from '../../../protocol/units.ts';
import { spoiled } from './small-back.ts';
import { frontOf, type Link, type Request, SmallFront, type Waiting } from './small-front.ts';

/** Publishes its state, and only then the nodes that belong to it. */
const stateFirst = (store: Xenstore): Xenstore =>
  spoiled(store, {
    transaction: async (body) => {
      const late: [string, string | number][] = [];
      const result = await store.transaction((t) =>
        body(
          new Proxy(t, {
            get: (target, key) => {
              if (key !== 'write') return Reflect.get(target, key).bind(target);
              return async (path: string, value: string | number) => {
                if (path.endsWith('/state')) await target.write(path, value);
                else late.push([path, value]);
              };
            },
          }),
        ),
      );
      for (const [path, value] of late) await store.write(path, value);
      return result;
    },
  });

/** Waits for InitWait, and for nothing else. */
const onlyInitWait = (store: Xenstore): Xenstore =>
  spoiled(store, {
    tryRead: async (path) => {
      const text = await store.tryRead(path);
      return path.includes('/backend/') && path.endsWith('/state') && text === '3' ? '1' : text;
    },
  });

/** Does not see the back end close. */
const blind = (store: Xenstore): Xenstore =>
  spoiled(store, {
    tryRead: async (path) => {
      const text = await store.tryRead(path);
      const closing = path.includes('/backend/') && path.endsWith('/state') && text === '5';
      return closing ? '4' : text;
    },
  });

class OldLayout extends SmallFront {
  override nodes(grefs: readonly Gref[], port: Port): XenbusNodes {
    return { ...super.nodes(grefs, port), protocol: 'x86_32-abi' };
  }
}

class AlwaysFlushes extends SmallFront {
  override async connect(back: XenbusPeer): Promise<XenbusNodes> {
    const nodes = await super.connect(back);
    this.canFlush = true;
    return nodes;
  }
}

class TooManyPages extends SmallFront {
  override order(): Promise<number> {
    return Promise.resolve(1);
  }
}

/** Says nothing of a single page, so that what it said of several stays true. */
class StaleLength extends SmallFront {
  override nodes(grefs: readonly Gref[], port: Port): XenbusNodes {
    return { ...ringNodes(grefs), 'event-channel': `${port}`, protocol: 'x86_64-abi' };
  }
}

class OldRing extends SmallFront {
  override blankRing(): void {}
}

class OldPages extends SmallFront {
  override blankPage(): void {}
}

/** Overwrites its oldest request when the ring is full. */
class Overfills extends SmallFront {
  override full(): boolean {
    return false;
  }
  override ring(memory: RingMemory, pages: number): FrontRing {
    const twice: RingMemory = {
      get32: (at) => memory.get32(at),
      set32: (at, value) => memory.set32(at, value),
      read: (at, into) => memory.read(wrap(at), into),
      write: (at, from) => memory.write(wrap(at), from),
    };
    const wrap = (at: number): number => 64 + ((at - 64) % (32 * pages * 112));
    return new FrontRing(twice, BLKIF_RING, pages * 8192 + 4096);
  }
}

/** Always the same id: answers count in order. */
class OneId extends SmallFront {
  readonly inOrder: Waiting[] = [];
  override async ask(request: Request): Promise<void> {
    const link = this.link;
    if (!link) return super.ask(request);
    while (link.live && link.ring.full) await new Promise<void>((go) => this.queue.push(go));
    request.idLo = 1;
    const status = await new Promise<number | undefined>((settle) => {
      this.inOrder.push({ request, settle });
      this.put(link, request);
    });
    this.queue.shift()?.();
    if (status !== 0) throw new Error(`status ${status}`);
  }
  override match(words: Uint32Array): Waiting | undefined {
    const fits = words[0] === 1 && words[1] === 0;
    const next = this.inOrder[0];
    if (!fits || next?.request.operation !== (words[2]! & 0xff)) return undefined;
    return this.inOrder.shift();
  }
  override abandon(): void {
    super.abandon();
    for (const { settle } of this.inOrder.splice(0)) settle(undefined);
  }
}

/** Ids of its own, and yet takes the answers as if they came in order. */
class InOrder extends SmallFront {
  override match(words: Uint32Array): Waiting | undefined {
    const [oldest] = this.waiting.values();
    if (!super.match(words) || !oldest) return undefined;
    this.waiting.delete(oldest.request.idLo);
    return oldest;
  }
}

class WideSegments extends SmallFront {
  override request(operation: number, sector: number, grefs: readonly Gref[]): Request {
    const request = super.request(operation, sector, grefs);
    if (grefs.length === 2 && sector === 9) request.lastSect[0] = 8;
    return request;
  }
}

class EmptyRequest extends SmallFront {
  override async transfer(operation: number, sector: number, bytes: Uint8Array): Promise<void> {
    if (bytes.length === 512 * 7)
      await this.ask(this.request(operation, sector, [])).catch(() => 0);
    await super.transfer(operation, sector, bytes);
  }
}

class NoRange extends SmallFront {
  override checkRead(): void {}
}

class NoHandle extends SmallFront {
  override put(link: Link, request: Request): void {
    super.put(link, { ...request, handle: 0 });
  }
}

class WritesAnyway extends SmallFront {
  override checkWrite(sector: number, bytes: Uint8Array): void {
    this.checkRead(sector, bytes.length / 512);
  }
}

class NoFlush extends SmallFront {
  override async flush(): Promise<void> {}
}

class AllWritable extends SmallFront {
  override readonly(): boolean {
    return false;
  }
}

/** Checks a response in the ring, and then takes it from there again. */
class ReadsTwice extends SmallFront {
  #index = 0;
  override prepare(back: XenbusPeer): Promise<XenbusNodes> {
    this.#index = 0;
    return super.prepare(back);
  }
  override answered(link: Link, words: Uint32Array): void {
    const slot = 64 + (this.#index++ & (link.ring.size - 1)) * 112;
    if (!this.match(words)) return;
    const again = link.memory.get32(slot);
    this.waiting.get(again)?.settle(blkifResponseStatus(words));
  }
}

/** Believes whatever the index says, within reason. */
class Believes extends SmallFront {
  override ring(memory: RingMemory, pages: number): FrontRing {
    let pushed = 0;
    const believed: RingMemory = {
      get32: (at) => {
        const value = memory.get32(at);
        return at === 8 && (pushed - value) >>> 0 > 0x1000 ? pushed : value;
      },
      set32: (at, value) => {
        if (at === 0) pushed = value;
        memory.set32(at, value);
      },
      read: (at, into) => memory.read(at, into),
      write: (at, from) => memory.write(at, from),
    };
    return new FrontRing(believed, BLKIF_RING, pages * 4096);
  }
}

class LaboursAtEvents extends SmallFront {
  override woken(worker: Worker, link: Link): void {
    for (let at = 0; at < 25_000; at++) link.memory.get32((at * 4) & 4095);
    worker.kick();
  }
}

class Abandons extends SmallFront {
  override abandon(): void {
    if (this.waiting.size <= 2) super.abandon();
  }
}

class OldIndices extends SmallFront {
  #orderly = 0;
  override release(link: Link): void {
    if (link.grefs.length === 1 && this.waiting.size === 0) this.#orderly++;
    super.release(link);
  }
  override ring(memory: RingMemory, pages: number): FrontRing {
    if (this.#orderly < 2) return super.ring(memory, pages);
    return FrontRing.attach(memory, BLKIF_RING, 40, pages * 4096);
  }
}

class Polls extends SmallFront {
  override put(link: Link, request: Request): void {
    super.put(link, request);
    void this.#look(link);
  }
  async #look(link: Link): Promise<void> {
    const { time } = this.k as unknown as { time: { sleep(ns: number): Promise<void> } };
    while (link.live && this.waiting.size > 0) {
      this.take(link);
      await time.sleep(100_000);
    }
  }
}

class GivesUp extends SmallFront {
  override put(link: Link, request: Request): void {
    const { time } = this.k as unknown as { time: { sleep(ns: number): Promise<void> } };
    super.put(link, request);
    void time.sleep(500_000_000).then(() => this.waiting.get(request.idLo)?.settle(undefined));
  }
}

class AnyOperation extends SmallFront {
  override match(words: Uint32Array): Waiting | undefined {
    return words[1] === 0 ? this.waiting.get(words[0]!) : undefined;
  }
}

class Optimist extends SmallFront {
  override good(): boolean {
    return true;
  }
}

class ReusesKept extends SmallFront {
  override done(pfn: number, gref: Gref): void {
    this.k.grants.end(gref);
    this.spare.push(pfn);
  }
}

class OffByOne extends SmallFront {
  override request(operation: number, sector: number, grefs: readonly Gref[]): Request {
    const odd = operation === 1 && grefs.length > 8 && sector > 0 && sector < 900;
    return super.request(operation, odd ? sector + 1 : sector, grefs);
  }
}

class KeepsGrants extends SmallFront {
  #done = 0;
  override done(pfn: number, gref: Gref): void {
    if (!this.link || ++this.#done % 50 !== 0) super.done(pfn, gref);
  }
}

export const FRONT_MUTANTS: readonly (readonly [BlkRule, string, Guest])[] = [
  ['BLK-01', 'publishes the state before the ring', frontOf(SmallFront, stateFirst)],
  ['BLK-02', 'waits for InitWait alone', frontOf(SmallFront, onlyInitWait)],
  ['BLK-03', 'names another layout', frontOf(OldLayout)],
  ['BLK-04', 'flushes where no flush is offered', frontOf(AlwaysFlushes)],
  ['BLK-05', 'makes a ring longer than offered', frontOf(TooManyPages)],
  ['BLK-05', 'leaves the length of an earlier ring in its nodes', frontOf(StaleLength)],
  ['BLK-08', 'grants a ring with old memory in it', frontOf(OldRing)],
  ['BLK-09', 'grants pages with old memory in them', frontOf(OldPages)],
  ['BLK-10', 'puts in more requests than there are slots', frontOf(Overfills)],
  ['BLK-11', 'gives every request the same id', frontOf(OneId)],
  ['BLK-12', 'takes responses as if they came in order', frontOf(InOrder)],
  ['BLK-15', 'names a ninth sector of a page', frontOf(WideSegments)],
  ['BLK-16', 'sends a transfer without segments', frontOf(EmptyRequest)],
  ['BLK-17', 'reads beyond the end', frontOf(NoRange)],
  ['BLK-18', 'names no device', frontOf(NoHandle)],
  ['BLK-19', 'writes to a read-only disk', frontOf(WritesAnyway)],
  ['BLK-21', 'takes a flush for done', frontOf(NoFlush)],
  ['BLK-25', 'grants everything for writing', frontOf(AllWritable)],
  ['BLK-27', 'reads the id again', frontOf(ReadsTwice)],
  ['BLK-28', 'believes an impossible index', frontOf(Believes)],
  ['BLK-30', 'labours at each event', frontOf(LaboursAtEvents)],
  ['BLK-31', 'forgets what is under way when it closes', frontOf(Abandons)],
  ['BLK-32', 'does not begin its ring anew', frontOf(OldIndices)],
  ['BLK-33', 'polls for its answer', frontOf(Polls)],
  ['BLK-34', 'gives up after half a second', frontOf(GivesUp)],
  ['BLK-35', 'takes a response of another operation', frontOf(AnyOperation)],
  ['BLK-36', 'takes every status for success', frontOf(Optimist)],
  ['BLK-37', 'uses a page again that is still mapped', frontOf(ReusesKept)],
  ['BLK-38', 'writes a sector off', frontOf(OffByOne)],
  ['BLK-39', 'never withdraws some grants', frontOf(KeepsGrants)],
  ['BLK-40', 'does not see the back end close', frontOf(SmallFront, blind)],
];
