/** The xenstore client over a ring page, against a scripted server. */
import { Subject } from 'rxjs';
import { describe, expect, it } from 'vitest';
import { RingLink, Xenstore, XenstoreError } from '../../guest-kernel/index.ts';
import { ByteConsumer, ByteProducer } from '../../protocol/byte-ring.ts';
import { EACCES, EIO, ENOENT } from '../../protocol/errno.ts';
import { ArrayRingMemory, RingOverflow } from '../../protocol/ring.ts';
import * as xs from '../../protocol/xs-wire.ts';

type Reply = [type: number, payload: Uint8Array];

/**
 * A server at the other end of the page: `serve` answers a request, or undefined for no answer yet.
 */
class Server {
  readonly memory = new ArrayRingMemory(new Uint32Array(1024));
  readonly events = new Subject<void>();
  readonly requests: xs.XsMessage[] = [];
  readonly #in = new ByteConsumer(this.memory, xs.XENSTORE_REQ);
  readonly #out = new ByteProducer(this.memory, xs.XENSTORE_RSP);
  readonly #reader = new xs.MessageReader();
  readonly #serve: (message: xs.XsMessage) => Reply | undefined;
  #queue: Uint8Array[] = [];
  #scheduled = false;

  constructor(serve: (message: xs.XsMessage) => Reply | undefined) {
    this.#serve = serve;
  }

  connect(): Xenstore {
    return new Xenstore(new RingLink(this.memory, this.events, () => this.#notified()));
  }

  send(message: xs.XsMessage): void {
    this.#queue.push(xs.encodeMessage(message));
    this.#notified();
  }

  fire(path: string, token: string): void {
    const payload = xs.packStrings(path, token);
    this.send({ type: xs.XS_WATCH_EVENT, reqId: 0, txId: 0, payload });
  }

  #notified(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    queueMicrotask(() => {
      this.#scheduled = false;
      this.#work();
    });
  }

  #work(): void {
    const piece = new Uint8Array(300);
    const count = this.#in.read(piece);
    for (const message of this.#reader.feed(piece.subarray(0, count))) {
      this.requests.push(message);
      const reply = this.#serve(message);
      if (reply)
        this.#queue.push(xs.encodeMessage({ ...message, type: reply[0], payload: reply[1] }));
    }
    let wrote = 0;
    while (this.#queue.length > 0) {
      const first = this.#queue[0]!;
      const done = this.#out.write(first);
      wrote += done;
      if (done < first.length) {
        this.#queue[0] = first.subarray(done);
        break;
      }
      this.#queue.shift();
    }
    if (count > 0 || wrote > 0) {
      this.events.next();
      this.#notified();
    }
  }
}

const text = (value: string): Uint8Array => new TextEncoder().encode(value);
const error = (name: string): Reply => [xs.XS_ERROR, xs.packStrings(name)];

describe('Xenstore', () => {
  it('reads, writes and lists', async () => {
    const nodes = new Map([['name', 'alice']]);
    const server = new Server(({ type, payload }) => {
      const [path = '', value = ''] = new TextDecoder().decode(payload).split('\0');
      if (type === xs.XS_WRITE) nodes.set(path, value);
      if (type === xs.XS_READ) {
        const found = nodes.get(path);
        return found === undefined ? error('ENOENT') : [type, text(found)];
      }
      if (type === xs.XS_DIRECTORY) return [type, xs.packStrings(...nodes.keys())];
      return [type, text('OK\0')];
    });
    const store = server.connect();
    expect(await store.read('name')).toBe('alice');
    await store.write('port', 12);
    expect(await store.read('port')).toBe('12');
    expect(await store.directory('')).toEqual(['name', 'port']);
    expect(await store.tryRead('nothing')).toBeUndefined();
    await expect(store.read('nothing')).rejects.toEqual(new XenstoreError('nothing', ENOENT));
  });

  it.each([
    ['EACCES', EACCES],
    ['a name that no header has', EIO],
  ])('rejects with %s', async (name, errno) => {
    const store = new Server(() => error(name)).connect();
    await expect(store.mkdir('x')).rejects.toMatchObject({ errno, path: 'x' });
    await expect(store.tryRead('x')).rejects.toBeInstanceOf(XenstoreError);
  });

  it('rejects whatever waits, and all that comes, once the other end ruined the ring', async () => {
    const server = new Server(() => undefined);
    const store = server.connect();
    const reading = store.read('a');
    server.memory.set32(xs.XENSTORE_RSP.prod, 5000);
    server.events.next();
    await expect(reading).rejects.toBeInstanceOf(RingOverflow);
    server.memory.set32(xs.XENSTORE_RSP.prod, 0);
    await expect(store.read('b')).rejects.toBeInstanceOf(RingOverflow);
  });

  it('moves messages longer than the ring, in order', async () => {
    const server = new Server(({ type, payload }) => [type, payload]);
    const store = server.connect();
    const paths = ['a', 'b', 'c'].map((c) => c.repeat(4000));
    const replies = await Promise.all(paths.map((path) => store.read(path)));
    expect(replies).toEqual(paths.map((path) => `${path}\0`));
  });

  it('matches replies to requests by id, whatever their order', async () => {
    const held: xs.XsMessage[] = [];
    const server = new Server((message) => {
      held.push(message);
      if (held.length === 2) {
        for (const { reqId, txId, type, payload } of held.reverse()) {
          server.send({ type, reqId, txId, payload });
        }
      }
      return undefined;
    });
    const store = server.connect();
    expect(await Promise.all([store.read('a'), store.read('b')])).toEqual(['a\0', 'b\0']);
  });

  it('emits watch events to the watch with that token', async () => {
    const server = new Server(({ type, payload }) => {
      const [path, token] = xs.unpackStrings(payload);
      if (type === xs.XS_WATCH) server.fire(path!, token!);
      return [type, text('OK\0')];
    });
    const store = server.connect();
    const seen: string[] = [];
    const a = store.watch('device').subscribe((path) => seen.push(`a ${path}`));
    store.watch('control').subscribe((path) => seen.push(`b ${path}`));
    await store.read('x');
    const tokens = server.requests
      .filter(({ type }) => type === xs.XS_WATCH)
      .map(({ payload }) => xs.unpackStrings(payload)[1]!);
    server.fire('device/vbd', tokens[0]!);
    server.fire('elsewhere', 'nobody');
    await store.read('x');
    a.unsubscribe();
    await store.read('x');
    server.fire('device/vbd', tokens[0]!);
    await store.read('x');
    expect(seen).toEqual(['a device', 'b control', 'a device/vbd']);
    expect(server.requests.some(({ type }) => type === xs.XS_UNWATCH)).toBe(true);
  });

  describe('transaction', () => {
    const transactional = (ends: string[]) => {
      let id = 0;
      const server = new Server(({ type }) => {
        if (type === xs.XS_TRANSACTION_START) return [type, xs.packStrings(String(++id))];
        if (type === xs.XS_TRANSACTION_END) {
          const end = ends.shift() ?? 'OK';
          return end === 'OK' ? [type, text('OK\0')] : error(end);
        }
        return [type, text('OK\0')];
      });
      return server;
    };

    it('is tried again while it conflicts', async () => {
      const server = transactional(['EAGAIN', 'EAGAIN']);
      let runs = 0;
      const result = await server.connect().transaction(async (t) => {
        runs++;
        await t.write('a', runs);
        return runs;
      });
      expect(result).toBe(3);
      const writes = server.requests.filter(({ type }) => type === xs.XS_WRITE);
      expect(writes.map(({ txId }) => txId)).toEqual([1, 2, 3]);
    });

    it('is aborted by an error in it', async () => {
      const server = transactional([]);
      const attempt = server.connect().transaction(async () => {
        throw new Error('changed my mind');
      });
      await expect(attempt).rejects.toThrow('changed my mind');
      expect(xs.unpackStrings(server.requests.at(-1)!.payload)).toEqual(['F']);
    });

    it('hands out an error of its end that is no conflict', async () => {
      const server = transactional(['EIO']);
      const attempt = server.connect().transaction(async () => {});
      await expect(attempt).rejects.toMatchObject({ errno: EIO });
    });
  });
});
