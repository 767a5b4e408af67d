/**
 * A guest whose block front end is judged. Whatever obeys the same commands can be put in its place. It
 * watches `data/conformance/command`: `N VERB ...`, N counting up; it does that with its first disk, several at once
 * if told so, and writes `data/conformance/result/N`: `ok`, with the number below, or `error TEXT`.
 *   open: ok SECTORS    read SECTOR COUNT: ok DIGEST    write SECTOR COUNT SEED: ok    flush, close, stop: ok
 * DIGEST is FNV-1a (32 bits, hexadecimal) of the bytes; SEED makes the bytes as `pattern` in bench.ts does.
 */
import type { Xenstore } from '../../guest-kernel/index.ts';
import type { Guest } from '../../machine/cpu.ts';
import { Domid } from '../../protocol/units.ts';
import { XenbusStateConnected } from '../../protocol/xenbus.ts';
import { BlkFront } from '../blk-front.ts';
import type { Disk } from '../disk.ts';
import { defineKernel } from '../kernel.ts';
import { hasRings, type RingKernel } from '../ring-kernel.ts';
import { Worker } from '../worker.ts';
import { Xenbus } from '../xenbus.ts';
import { digest, pattern } from './bench.ts';

const COMMAND = 'data/conformance/command';
const RESULT = 'data/conformance/result';

/** Where a front end is to be made. */
export interface FrontPlace {
  readonly kernel: RingKernel;
  readonly store: Xenstore;
  readonly name: string;
  readonly handle: number;
  readonly backend: Domid;
  /** The two ends' directories. */
  readonly own: string;
  readonly peer: string;
}

/** A front end under test: opened and closed any number of times. */
export interface FrontEnd {
  readonly disk: Disk;
  open(): Promise<void>;
  close(): Promise<void>;
}

export type FrontMaker = (place: FrontPlace) => FrontEnd;

/** The library's own front end. */
export const blkFront: FrontMaker = ({ kernel, store, name, handle, backend, own, peer }) => {
  const disk = new BlkFront(kernel, name, handle, backend, (why) => bus.fail(why));
  const bus = new Xenbus(store, 'front', own, peer, disk);
  return {
    disk,
    open: async () => {
      await bus.open();
      await bus.until(XenbusStateConnected);
    },
    close: () => bus.close(),
  };
};

/** The guest with the front end that `make` makes. */
export function subjectGuest(make: FrontMaker = blkFront): Guest {
  return defineKernel(async (k) => {
    const store = k.xenstore;
    if (!store || !hasRings(k)) throw new Error('the subject is a paravirtual kernel');
    // Memory that was used before, as any kernel has it: what it held must not reach the back end.
    const used = k.frames.allocMany(64);
    for (let i = 0; i < 64; i++) k.frames.free(used + i);
    k.cpu.fillBytes(k.virt(used), 128 * 4096, 0x5a); // the last 64 are still free, and behind them

    const handle = Math.min(...(await store.directory('device/vbd')).map(Number));
    const own = `device/vbd/${handle}`;
    const backend = Domid(Number(await store.read(`${own}/backend-id`)));
    const peer = await store.read(`${own}/backend`);
    const front = make({ kernel: k, store, name: 'xvda', handle, backend, own, peer });
    await obey(store, front);
  });
}

/** Does what it is told until it is told to stop. */
function obey(store: Xenstore, front: FrontEnd): Promise<void> {
  return new Promise((stop, panic) => {
    let last = 0;
    const look = async (): Promise<void> => {
      const [number = '', ...words] = ((await store.tryRead(COMMAND)) ?? '').split(' ');
      if (!(Number(number) > last)) return;
      last = Number(number);
      void act(front, words).then(async (result) => {
        await store.write(`${RESULT}/${number}`, result);
        if (words[0] === 'stop') stop();
      }, panic);
    };
    const worker = new Worker(look, panic);
    store.watch(COMMAND).subscribe(() => worker.kick());
  });
}

async function act(front: FrontEnd, [verb, ...words]: readonly string[]): Promise<string> {
  const [sector = 0, count = 0, seed = 0] = words.map(Number);
  try {
    switch (verb) {
      case 'open':
        await front.open();
        return `ok ${front.disk.sectors}`;
      case 'read':
        return `ok ${digest(await front.disk.read(sector, count))}`;
      case 'write':
        await front.disk.write(sector, pattern(seed, count));
        return 'ok';
      case 'flush':
        await front.disk.flush();
        return 'ok';
      case 'close':
        await front.close();
        return 'ok';
      case 'stop':
        return 'ok';
      default:
        return `error there is no command ${verb}`;
    }
  } catch (error) {
    return `error ${error instanceof Error ? error.message : String(error)}`;
  }
}
