import { beforeEach, describe, expect, it } from 'vitest';
import { nextState, Xenbus, type XenbusDriver } from '../../drivers/xenbus.ts';
import type { Xenstore } from '../../guest-kernel/index.ts';
import { xenbusStateName } from '../../protocol/xenbus.ts';
import { type FakeDomain, FakeHost, settled } from './fake-domains.ts';

const FRONT = '/dev/front';
const BACK = '/dev/back';

describe('nextState', () => {
  // own state, then what follows for the peer's states 0 to 6
  it.each([
    [1, [2, 2, 2, 2, 2, 5, 6]],
    [2, [2, 2, 2, 4, 4, 5, 6]],
    [4, [6, 2, 2, 4, 4, 5, 6]],
    [5, [6, 2, 2, 5, 5, 5, 6]],
    [6, [6, 2, 2, 2, 6, 6, 6]],
  ])('of a back end in state %i', (own, row) => {
    expect(row.map((_, peer) => nextState('back', own, peer))).toEqual(row);
  });

  it.each([
    [1, [1, 1, 3, 3, 1, 1, 1]],
    [3, [6, 3, 3, 3, 4, 6, 6]],
    [4, [6, 4, 3, 3, 4, 6, 6]],
    [5, [6, 5, 5, 5, 5, 6, 6]],
    [6, [6, 6, 6, 6, 6, 6, 6]],
  ])('of a front end in state %i', (own, row) => {
    expect(row.map((_, peer) => nextState('front', own, peer))).toEqual(row);
  });

  it('stays for a peer that reconfigures', () => {
    expect(nextState('back', 4, 7)).toBe(4);
    expect(nextState('front', 4, 8)).toBe(4);
  });
});

class Recorder implements XenbusDriver {
  readonly log: string[] = [];
  failing: string | undefined;
  readonly #key: string;

  constructor(key: string) {
    this.#key = key;
  }

  async prepare() {
    this.log.push('prepare');
    return { [this.#key]: 'prepared' };
  }

  async connect(peer: { read(key: string): Promise<string | undefined> }) {
    if (this.failing) throw new Error(this.failing);
    const other = this.#key === 'ring-ref' ? 'feature' : 'ring-ref';
    this.log.push(`connect with ${await peer.read(other)}`);
    return { size: '5' };
  }

  disconnect() {
    if (this.log.at(-1)?.startsWith('connect')) this.log.push('disconnect');
  }
}

describe('Xenbus', () => {
  let dom0: FakeDomain;
  let front: Recorder;
  let back: Recorder;
  let frontBus: Xenbus;
  let backBus: Xenbus;
  let states: string[];
  let store: Xenstore;

  beforeEach(async () => {
    const host = new FakeHost();
    dom0 = host.domain(0);
    store = dom0.store;
    await store.write(`${FRONT}/state`, 1);
    await store.write(`${BACK}/state`, 1);
    front = new Recorder('ring-ref');
    back = new Recorder('feature');
    frontBus = new Xenbus(store, 'front', FRONT, BACK, front);
    backBus = new Xenbus(store, 'back', BACK, FRONT, back);
    states = [];
    for (const path of [FRONT, BACK]) {
      store.watch(`${path}/state`).subscribe(() => {
        const end = path === FRONT ? 'front' : 'back';
        void store.tryRead(`${path}/state`).then((state) => states.push(`${end} ${state}`));
      });
    }
  });

  const both = () => [xenbusStateName(frontBus.state), xenbusStateName(backBus.state)];

  it.each([
    ['the front end first', () => [frontBus, backBus]],
    ['the back end first', () => [backBus, frontBus]],
  ])('connects, %s', async (_name, order) => {
    for (const bus of order()) {
      await bus.open();
      await settled();
    }
    await frontBus.until(4);
    expect(both()).toEqual(['Connected', 'Connected']);
    expect(front.log).toEqual(['prepare', 'connect with prepared']);
    expect(back.log).toEqual(['prepare', 'connect with prepared']);
    expect(await store.read(`${BACK}/size`)).toBe('5');
  });

  it('connects when the front end was ready long before the back end began', async () => {
    await store.write(`${FRONT}/ring-ref`, 'old');
    await store.write(`${FRONT}/state`, 3);
    await backBus.open();
    await backBus.until(4);
    expect(back.log).toEqual(['prepare', 'connect with old']);
  });

  async function connect(): Promise<void> {
    await backBus.open();
    await frontBus.open();
    await frontBus.until(4);
  }

  it('closes from the front: the back end goes first, then the front end lets go', async () => {
    await connect();
    await frontBus.close();
    await settled();
    expect(both()).toEqual(['Closed', 'Closed']);
    expect(states.slice(-4)).toEqual(['front 5', 'back 5', 'front 6', 'back 6']);
    expect(front.log.at(-1)).toBe('disconnect');
    expect(back.log.at(-1)).toBe('disconnect');
  });

  it('opens again after a close', async () => {
    await connect();
    await frontBus.close();
    await frontBus.open();
    await frontBus.until(4);
    expect(both()).toEqual(['Connected', 'Connected']);
    expect(back.log.filter((line) => line.startsWith('connect'))).toHaveLength(2);
  });

  it.each([1, 2, 3])('closes in state %i too, and opens again', async (when) => {
    if (when > 1) await backBus.open();
    if (when > 2) await settled();
    await frontBus.open();
    const closing = frontBus.close();
    await backBus.open();
    await closing;
    await frontBus.open();
    await frontBus.until(4);
    expect(both()).toEqual(['Connected', 'Connected']);
  });

  it('hands over from one kernel to the next: 6, back end 6, then 1, back end 2', async () => {
    await backBus.open();
    await store.write(`${FRONT}/ring-ref`, 'grub');
    await store.write(`${FRONT}/state`, 3);
    await backBus.until(4);
    await store.write(`${FRONT}/state`, 6);
    await backBus.until(6);
    expect(back.log.at(-1)).toBe('disconnect');
    await store.write(`${FRONT}/ring-ref`, '');
    await store.write(`${FRONT}/state`, 1);
    await backBus.until(2);
    await frontBus.open();
    await frontBus.until(4);
    expect(back.log.at(-1)).toBe('connect with prepared');
  });

  it('starts over with a front end that began again without closing', async () => {
    await connect();
    const again = new Xenbus(store, 'front', FRONT, BACK, new Recorder('ring-ref'));
    frontBus.stop();
    await again.open();
    await again.until(4);
    expect(back.log.slice(-3)).toEqual(['disconnect', 'prepare', 'connect with prepared']);
  });

  it('closes when the other end vanishes', async () => {
    await connect();
    await store.remove(FRONT);
    await backBus.until(6);
    expect(back.log.at(-1)).toBe('disconnect');
  });

  it('closes the front end when the back end closes', async () => {
    await connect();
    await store.write(`${BACK}/state`, 5);
    await frontBus.until(6);
    expect(front.log.at(-1)).toBe('disconnect');
  });

  it('says in the error node why it could not connect, and can try again with a new ring', async () => {
    back.failing = 'ring-ref is no ring';
    await backBus.open();
    await frontBus.open();
    await expect(frontBus.until(4)).rejects.toThrow('closed');
    await settled();
    expect(await store.read(`${BACK}/error`)).toBe('ring-ref is no ring');
    expect(xenbusStateName(backBus.state)).toBe('Closed');
    back.failing = undefined;
    await frontBus.open();
    await frontBus.until(4);
  });

  it('does not reconnect by itself to a front end that broke the protocol', async () => {
    await backBus.open();
    await store.write(`${FRONT}/state`, 3);
    await backBus.until(4);
    await store.write(`${FRONT}/state`, 4);
    backBus.fail(new Error('it lies'));
    await backBus.until(5);
    await settled();
    expect(backBus.state).toBe(5);
    expect(back.log.filter((line) => line.startsWith('connect'))).toHaveLength(1);
  });

  it('stops at once, whatever was going on', async () => {
    void backBus.open();
    backBus.stop();
    await settled();
    expect(back.log).toEqual([]);
    await connect();
    backBus.stop();
    expect(back.log.at(-1)).toBe('disconnect');
    await store.write(`${FRONT}/state`, 1);
    await settled();
    expect(await store.read(`${BACK}/state`)).toBe('4');
  });
});
