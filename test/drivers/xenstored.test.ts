import { Subject } from 'rxjs';
import { beforeEach, describe, expect, it } from 'vitest';
import { localLink } from '../../drivers/store-link.ts';
import { StoreServer } from '../../drivers/store-server.ts';
import { StoreRing } from '../../drivers/xenstored.ts';
import { RingLink, Xenstore } from '../../guest-kernel/index.ts';
import { ByteProducer } from '../../protocol/byte-ring.ts';
import { ArrayRingMemory } from '../../protocol/ring.ts';
import {
  encodeMessage,
  packStrings,
  XENSTORE_REQ,
  XENSTORE_RSP,
  XenstoreDomainInterface,
  XS_READ,
} from '../../protocol/xs-wire.ts';
import { settled } from './fake-domains.ts';

const { offset } = XenstoreDomainInterface;

describe('xenstore_domain_interface', () => {
  let memory: ArrayRingMemory;
  let server: StoreServer;
  let ring: StoreRing;
  let toGuest: Subject<void>;
  let store: Xenstore;
  let admin: Xenstore;

  beforeEach(async () => {
    server = new StoreServer({ introduce: () => 0, release: () => 0, introduced: () => true });
    admin = new Xenstore(localLink(server, 0));
    await admin.mkdir('/local/domain/1');
    await admin.setPerms('/local/domain/1', ['n1']);
    memory = new ArrayRingMemory(new Uint32Array(1024));
    toGuest = new Subject();
    ring = new StoreRing(server, 1, memory, () => toGuest.next());
    store = new Xenstore(new RingLink(memory, toGuest, () => ring.kick()));
  });

  it('offers reconnection and an error field', () => {
    expect(memory.get32(offset.serverFeatures)).toBe(3);
  });

  it('carries requests and replies larger than the ring', async () => {
    const long = 'v'.repeat(2000);
    await store.write('x', long);
    expect(await store.read('x')).toBe(long);
    await Promise.all(Array.from({ length: 100 }, (_, i) => store.write(`n${i}`, i)));
    expect(await store.directory('/local/domain/1')).toHaveLength(101);
  });

  it('carries watch events', async () => {
    const seen: string[] = [];
    store.watch('x').subscribe((path) => seen.push(path));
    await settled();
    await admin.write('/local/domain/1/x/y', 1);
    await settled();
    expect(seen).toEqual(['x', 'x/y']);
  });

  it('takes no more requests while the guest does not read', async () => {
    memory = new ArrayRingMemory(new Uint32Array(1024));
    ring = new StoreRing(server, 1, memory, () => undefined);
    const requests = new ByteProducer(memory, XENSTORE_REQ);
    const payload = packStrings('x');
    const read = encodeMessage({ type: XS_READ, reqId: 1, txId: 0, payload });
    let taken = 0;
    for (let i = 0; i < 2000; i++) {
      taken += requests.write(read);
      ring.kick();
      await Promise.resolve().then(() => undefined);
    }
    expect(memory.get32(XENSTORE_RSP.prod)).toBe(1024);
    expect(taken).toBeLessThan(4096);
    expect(requests.room).toBe(0);
  });

  it.each([
    ['RINGIDX', 2, () => memory.set32(XENSTORE_REQ.prod, 5000)],
    [
      'RINGIDX',
      2,
      () => {
        memory.set32(XENSTORE_RSP.cons, 5000);
        void store.read('x').catch(() => undefined);
      },
    ],
    [
      'PROTO',
      3,
      () => {
        memory.words[3] = 4097;
        memory.set32(XENSTORE_REQ.prod, 16);
      },
    ],
  ])('cuts a guest off that breaks the rules: XENSTORE_ERROR_%s', async (_name, code, lie) => {
    await admin.write('/local/domain/1/x', 1);
    lie();
    ring.kick();
    await settled();
    expect(memory.get32(offset.error)).toBe(code);
    expect(await admin.read('/local/domain/1/x')).toBe('1');
    ring.kick();
    await settled();
    expect(memory.get32(offset.error)).toBe(code);
  });

  it('begins anew with a guest that reconnects; its watches are gone', async () => {
    const seen: string[] = [];
    store.watch('x').subscribe((path) => seen.push(path));
    await settled();
    toGuest = new Subject(); // the old kernel is gone
    memory.set32(XENSTORE_REQ.prod, 0x12345678);
    ring.kick();
    await settled();
    memory.set32(offset.connection, 1);
    ring.kick();
    await settled();
    expect(memory.get32(offset.connection)).toBe(0);
    expect(memory.get32(offset.error)).toBe(0);
    const again = new Xenstore(new RingLink(memory, toGuest, () => ring.kick()));
    await again.write('x', 5);
    expect(await admin.read('/local/domain/1/x')).toBe('5');
    expect(seen).toEqual(['x']);
  });

  it('forgets watches and transactions when it closes', async () => {
    store.watch('x').subscribe();
    await settled();
    ring.close();
    await admin.write('/local/domain/1/x', 1);
    const before = memory.get32(XENSTORE_RSP.prod);
    await settled();
    expect(memory.get32(XENSTORE_RSP.prod)).toBe(before);
  });
});
