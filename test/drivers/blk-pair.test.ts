import { beforeEach, describe, expect, it } from 'vitest';
import { BackingDrive, BlkBack } from '../../drivers/blk-back.ts';
import { BlkFront } from '../../drivers/blk-front.ts';
import { DiskError, xvdHandle } from '../../drivers/disk.ts';
import { Xenbus } from '../../drivers/xenbus.ts';
import {
  BLKIF_REQUEST_WORDS,
  BLKIF_RESPONSE_WORDS,
  BLKIF_RING,
  BLKIF_RSP_EOPNOTSUPP,
  blkifRequestFields,
  blkifResponseStatus,
  getBlkifRequestWords,
  setBlkifRequestWords,
  setBlkifResponseWords,
} from '../../protocol/blkif.ts';
import { BackRing, FrontRing, initSharedRing, type RingMemory } from '../../protocol/ring.ts';
import { Gref, Port } from '../../protocol/units.ts';
import { type FakeDomain, FakeHost, settled } from './fake-domains.ts';
import { FakeDrive } from './fake-drive.ts';

const HANDLE = xvdHandle('xvda');
const FRONT = `/local/domain/1/device/vbd/${HANDLE}`;
const BACK = `/local/domain/0/backend/vbd/1/${HANDLE}`;

let dom0: FakeDomain;
let guest: FakeDomain;
let drive: FakeDrive;
let backBus: Xenbus;
let front: BlkFront;
let frontBus: Xenbus;

beforeEach(async () => {
  const host = new FakeHost();
  dom0 = host.domain(0);
  guest = host.domain(1);
  drive = new FakeDrive(dom0, 1000);
  await dom0.store.mkdir(FRONT);
  await dom0.store.setPerms(FRONT, ['n1', 'r0']);
  await dom0.store.mkdir(BACK);
  await dom0.store.setPerms(BACK, ['n0', 'r1']);
  makeBack(false);
  front = new BlkFront(guest.kernel, 'xvda', HANDLE, dom0.id, (why) => frontBus.fail(why));
  frontBus = new Xenbus(guest.store, 'front', `device/vbd/${HANDLE}`, BACK, front);
});

function makeBack(readOnly: boolean): void {
  const backing = new BackingDrive(drive, dom0.kernel.frames);
  const served = { backing, handle: HANDLE, readOnly, domid: guest.id };
  const back = new BlkBack(dom0.kernel, served, (why) => backBus.fail(why));
  backBus = new Xenbus(dom0.store, 'back', BACK, FRONT, back);
}

async function connect(): Promise<void> {
  await backBus.open();
  await frontBus.open();
  await frontBus.until(4);
}

/** For large arrays, which `toEqual` compares slowly. */
const same = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0;

describe('blkfront and blkback', () => {
  it('move a disk from one to the other, in requests of at most eleven pages', async () => {
    await connect();
    expect(front.sectors).toBe(1000);
    expect(same(await front.read(0, 1000), drive.bytes)).toBe(true);
    expect(drive.log).toHaveLength(Math.ceil(1000 / 88));
  });

  it('write what was written, and nothing beside it', async () => {
    await connect();
    const before = drive.bytes.slice();
    const bytes = Uint8Array.from({ length: 512 * 100 }, (_, i) => i * 7);
    await front.write(3, bytes);
    before.set(bytes, 3 * 512);
    expect(same(drive.bytes, before)).toBe(true);
    await front.flush();
    expect(drive.log.at(-1)).toBe('flush');
  });

  it('notify once for requests that are made together', async () => {
    await connect();
    guest.sent = 0;
    await Promise.all([front.read(0, 8), front.read(8, 8), front.read(16, 8)]);
    expect(guest.sent).toBe(1);
  });

  it('refuse what is not on the disk before it goes out', async () => {
    await connect();
    await expect(front.read(999, 2)).rejects.toThrow(RangeError);
    await expect(front.read(-1, 1)).rejects.toThrow(RangeError);
    await expect(front.write(0, new Uint8Array(100))).rejects.toThrow(RangeError);
    expect(drive.log).toEqual([]);
  });

  it('say that a disk is read-only', async () => {
    makeBack(true);
    await connect();
    expect(front.readOnly).toBe(true);
    await expect(front.write(0, new Uint8Array(512))).rejects.toThrow('read-only');
  });

  it('pass a failure of the drive on as a DiskError, and go on', async () => {
    await connect();
    drive.failing = true;
    await expect(front.read(5, 1)).rejects.toThrow(DiskError);
    drive.failing = false;
    expect(await front.read(5, 1)).toEqual(drive.bytes.subarray(2560, 3072));
  });

  it('leave no grant and no mapping behind after a close, and connect again', async () => {
    await connect();
    await front.read(0, 100);
    await frontBus.close();
    await settled();
    expect(guest.mapped).toBe(0);
    expect(guest.grants.size).toBe(0);
    expect(dom0.ports.size + guest.ports.size).toBe(0);
    await expect(front.read(0, 1)).rejects.toThrow('not connected');
    await frontBus.open();
    await frontBus.until(4);
    expect(await front.read(0, 1)).toEqual(drive.bytes.subarray(0, 512));
  });

  it.each([
    [0, 1],
    [1, 2],
    [2, 4],
    [5, 4],
  ])('have a ring as long as both can: order %i asked for, %i pages', async (order, pages) => {
    front = new BlkFront(guest.kernel, 'xvda', HANDLE, dom0.id, (why) => frontBus.fail(why), order);
    frontBus = new Xenbus(guest.store, 'front', `device/vbd/${HANDLE}`, BACK, front);
    await connect();
    expect(guest.mapped).toBe(pages);
    expect(await guest.store.tryRead(`${FRONT}/num-ring-pages`)).toBe(
      pages > 1 ? `${pages}` : undefined,
    );
    expect((await guest.store.tryRead(`${FRONT}/ring-ref`)) === undefined).toBe(pages > 1);
    for (let i = 0; i < 20; i++) expect(same(await front.read(0, 1000), drive.bytes)).toBe(true);
    await frontBus.close();
    await settled();
    expect([guest.mapped, guest.grants.size]).toEqual([0, 0]);
  });

  it('use the frames of the ring again when they connect again', async () => {
    await connect();
    const before = guest.frames.size;
    for (let i = 0; i < 3; i++) {
      await frontBus.close();
      await settled();
      await frontBus.open();
      await frontBus.until(4);
    }
    expect(guest.frames.size).toBe(before);
  });

  it('leave nothing mapped when the front end vanishes in the middle of a request', async () => {
    await connect();
    let release = (): void => undefined;
    drive.hold = new Promise((resolve) => {
      release = resolve;
    });
    const reading = front.read(0, 8).catch((error: unknown) => error);
    await settled();
    expect(drive.log).toEqual(['read 0']);
    const shared = [...guest.grants.values()].find((grant) => grant.mapped > 0)!.frame;
    const ring = guest.page(shared);
    const before = ring.slice();
    backBus.stop();
    guest.host.domains.delete(1);
    expect(guest.mapped).toBe(0);
    expect(dom0.ports.size).toBe(0);
    release();
    await settled();
    expect(ring).toEqual(before); // no answer goes to a page that is not ours any more
    frontBus.stop();
    expect(await reading).toBeInstanceOf(DiskError);
  });
});

describe('blkback, against a front end that lies', () => {
  let memory: RingMemory;
  let gref: Gref;
  let port: Port;

  beforeEach(async () => {
    const frame = guest.kernel.frames.alloc();
    memory = guest.kernel.sharedPage(guest.kernel.virt(frame));
    initSharedRing(memory);
    gref = guest.kernel.grants.grant(dom0.id, frame, false);
    port = guest.kernel.events.allocUnbound(dom0.id);
    await guest.store.write(`${FRONT}/ring-ref`, gref);
    await guest.store.write(`${FRONT}/event-channel`, port);
    await guest.store.write(`${FRONT}/protocol`, 'x86_64-abi');
    await guest.store.write(`${FRONT}/state`, 3);
  });

  it('serves requests that were queued before it connected', async () => {
    const ring = new FrontRing(memory, BLKIF_RING);
    const words = new Uint32Array(BLKIF_REQUEST_WORDS);
    setBlkifRequestWords(words, { ...blkifRequestFields(), operation: 77, idLo: 5, idHi: 6 });
    ring.request(words);
    ring.push();
    await backBus.open();
    await backBus.until(4);
    await settled();
    const response = new Uint32Array(BLKIF_RESPONSE_WORDS);
    expect(ring.response(response)).toBe(true);
    expect([response[0], response[1], response[2]! & 0xff]).toEqual([5, 6, 77]);
    expect(blkifResponseStatus(response)).toBe(BLKIF_RSP_EOPNOTSUPP);
  });

  it('answers every one of 32 bad requests', async () => {
    await backBus.open();
    await backBus.until(4);
    const ring = new FrontRing(memory, BLKIF_RING);
    for (let i = 0; i < 32; i++) {
      const words = new Uint32Array(BLKIF_REQUEST_WORDS).fill(0xffffffff);
      words[2] = i;
      ring.request(words);
    }
    if (ring.push()) guest.kernel.events.send(port);
    await settled();
    expect(ring.unconsumed).toBe(32);
  });

  it.each([33, 1000, 0xffffffff])('disconnects a ring whose producer says %i', async (producer) => {
    await backBus.open();
    await backBus.until(4);
    await guest.store.write(`${FRONT}/state`, 4);
    memory.set32(0, producer);
    guest.kernel.events.send(port);
    await settled();
    expect(guest.mapped).toBe(0);
    expect(backBus.state).toBe(5);
    expect(await guest.store.read(`${BACK}/error`)).toContain('impossible');
  });

  it.each([
    ['ring-ref', '99999'],
    ['ring-ref', 'x'],
    ['ring-ref', ''],
    ['ring-page-order', '3'],
    ['ring-page-order', '31'],
    ['ring-page-order', 'x'],
    ['ring-page-order', '1'],
    ['num-ring-pages', '0'],
    ['num-ring-pages', '3'],
    ['num-ring-pages', '8'],
    ['event-channel', '99999'],
    ['event-channel', '-1'],
    ['protocol', 'x86_32-abi'],
  ])('refuses %s = %j and leaves nothing mapped', async (key, value) => {
    await guest.store.write(`${FRONT}/${key}`, value);
    await backBus.open();
    await backBus.until(5);
    expect(await guest.store.tryRead(`${BACK}/error`)).not.toBe('');
    expect(guest.mapped).toBe(0);
  });
});

describe('blkfront, against a back end that lies', () => {
  let ring: BackRing;
  let port: Port;

  beforeEach(async () => {
    await dom0.store.write(`${BACK}/state`, 2);
    await frontBus.open();
    await frontBus.until(3);
    const gref = Gref(Number(await dom0.store.read(`${FRONT}/ring-ref`)));
    const mapping = dom0.kernel.grants.map(guest.id, gref);
    const remote = Port(Number(await dom0.store.read(`${FRONT}/event-channel`)));
    port = dom0.kernel.events.bindInterdomain(guest.id, remote);
    ring = new BackRing(dom0.kernel.sharedPage(mapping.va), BLKIF_RING);
    await dom0.store.write(`${BACK}/sectors`, 64);
    await dom0.store.write(`${BACK}/sector-size`, 512);
    await dom0.store.write(`${BACK}/state`, 4);
    await frontBus.until(4);
  });

  it('ignores an unknown id, a duplicate and a wrong operation, and takes the true response', async () => {
    let done = false;
    const reading = front.read(0, 1).finally(() => {
      done = true;
    });
    const flushing = front.read(8, 1);
    await settled();
    const words = new Uint32Array(BLKIF_REQUEST_WORDS);
    const response = new Uint32Array(BLKIF_RESPONSE_WORDS);
    const first = blkifRequestFields();
    ring.request(words);
    getBlkifRequestWords(words, first);
    ring.request(words);
    setBlkifResponseWords(response, { ...first, idLo: 12345 }, 0);
    ring.respond(response);
    setBlkifResponseWords(response, { ...first, operation: 1 }, 0);
    ring.respond(response);
    ring.push();
    dom0.kernel.events.send(port);
    await settled();
    expect(done).toBe(false);

    const third = front.read(16, 1);
    await settled();
    ring.request(words);
    setBlkifResponseWords(response, first, 0);
    ring.respond(response);
    ring.push();
    dom0.kernel.events.send(port);
    expect(await reading).toHaveLength(512);
    frontBus.stop();
    await expect(flushing).rejects.toThrow(DiskError);
    await expect(third).rejects.toThrow(DiskError);
  });

  it('gives up a ring whose index is impossible: what waits fails, nothing hangs', async () => {
    const reading = front.read(0, 1);
    const failed = expect(reading).rejects.toThrow(DiskError);
    await settled();
    const frame = [...guest.grants.values()].find((grant) => grant.mapped > 0)!.frame;
    new Uint32Array(guest.page(frame).buffer)[2] = 500; // rsp_prod
    dom0.kernel.events.send(port);
    await failed;
    expect(await guest.store.read(`${FRONT}/error`)).toContain('impossible');
  });

  it('never uses a page again that the back end keeps mapped', async () => {
    const reading = front.read(0, 1);
    await settled();
    const words = new Uint32Array(BLKIF_REQUEST_WORDS);
    const request = blkifRequestFields();
    ring.request(words);
    getBlkifRequestWords(words, request);
    dom0.kernel.grants.map(guest.id, Gref(request.gref[0]!));
    const kept = guest.grants.get(request.gref[0]!)!.frame;
    const response = new Uint32Array(BLKIF_RESPONSE_WORDS);
    setBlkifResponseWords(response, request, 0);
    ring.respond(response);
    ring.push();
    dom0.kernel.events.send(port);
    await reading;
    void front.read(0, 8).catch(() => undefined);
    await settled();
    ring.request(words);
    getBlkifRequestWords(words, request);
    expect(guest.grants.get(request.gref[0]!)!.frame).not.toBe(kept);
  });
});
