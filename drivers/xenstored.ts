/**
 * The ring end of the store: one xenstore_domain_interface page of one domain, served.
 * The one idea: requests are taken only while replies go out, so a domain that does not read is not
 * served either; one that lies about its indices or lengths is told why in its page and cut off.
 * @source xen/io/xs_wire.h
 */
import { ByteConsumer, ByteProducer } from '../protocol/byte-ring.ts';
import { type RingMemory, RingOverflow } from '../protocol/ring.ts';
import {
  encodeMessage,
  MessageReader,
  XENSTORE_CONNECTED,
  XENSTORE_ERROR_COMM,
  XENSTORE_ERROR_NONE,
  XENSTORE_ERROR_PROTO,
  XENSTORE_ERROR_RINGIDX,
  XENSTORE_RECONNECT,
  XENSTORE_REQ,
  XENSTORE_RSP,
  XENSTORE_SERVER_FEATURE_ERROR,
  XENSTORE_SERVER_FEATURE_RECONNECTION,
  XenstoreDomainInterface,
  XsWireError,
} from '../protocol/xs-wire.ts';
import { StoreClient } from './store-client.ts';
import type { StoreServer } from './store-server.ts';
import { Worker } from './worker.ts';

const { offset } = XenstoreDomainInterface;
const BACKLOG = 16; // messages that may wait for room before requests are left in the ring
const FEATURES = XENSTORE_SERVER_FEATURE_RECONNECTION | XENSTORE_SERVER_FEATURE_ERROR;

export class StoreRing {
  readonly #server: StoreServer;
  readonly #memory: RingMemory;
  readonly #notify: () => void;
  readonly #client: StoreClient;
  readonly #worker: Worker;
  readonly #chunk = new Uint8Array(256);
  #requests: ByteConsumer;
  #replies: ByteProducer;
  #reader = new MessageReader();
  #unsent: Uint8Array = new Uint8Array(0);
  #cut = false; // by its own fault, until it reconnects
  #closed = false;

  /** Serves `domid`, whose page is `memory`; `notify` sends it an event. */
  constructor(server: StoreServer, domid: number, memory: RingMemory, notify: () => void) {
    this.#server = server;
    this.#memory = memory;
    this.#notify = notify;
    this.#client = new StoreClient(domid, () => this.kick());
    this.#worker = new Worker(
      () => this.#service(),
      (error) => this.#cutOff(error),
    );
    this.#requests = new ByteConsumer(memory, XENSTORE_REQ);
    this.#replies = new ByteProducer(memory, XENSTORE_RSP);
    memory.set32(offset.serverFeatures, FEATURES);
  }

  /** Asks for service: something came, or there is room, or there is news for the domain. */
  kick(): void {
    this.#worker.kick();
  }

  /** Ends the connection: its watches and transactions go. */
  close(): void {
    this.#closed = true;
    this.#server.reset(this.#client);
  }

  #service(): void {
    if (this.#closed) return;
    if (this.#memory.get32(offset.connection) === XENSTORE_RECONNECT) this.#reconnect();
    if (!this.#cut && this.#move()) this.#notify();
  }

  /** Replies out, then requests in, until neither moves. True if the domain must hear of it. */
  #move(): boolean {
    let moved = this.#send();
    while (this.#client.waiting < BACKLOG) {
      const count = this.#requests.read(this.#chunk);
      if (count === 0) break;
      moved = true;
      for (const message of this.#reader.feed(this.#chunk.subarray(0, count))) {
        this.#server.request(this.#client, message);
      }
      this.#send();
    }
    return moved;
  }

  #send(): boolean {
    let moved = false;
    for (;;) {
      if (this.#unsent.length === 0) {
        const message = this.#client.take();
        if (!message) return moved;
        this.#unsent = encodeMessage(message);
      }
      const count = this.#replies.write(this.#unsent);
      if (count === 0) return moved;
      moved = true;
      this.#unsent = this.#unsent.subarray(count);
    }
  }

  #reconnect(): void {
    this.#server.reset(this.#client);
    for (const index of [offset.reqCons, offset.reqProd, offset.rspCons, offset.rspProd]) {
      this.#memory.set32(index, 0);
    }
    this.#requests = new ByteConsumer(this.#memory, XENSTORE_REQ);
    this.#replies = new ByteProducer(this.#memory, XENSTORE_RSP);
    this.#reader = new MessageReader();
    this.#unsent = new Uint8Array(0);
    this.#cut = false;
    this.#memory.set32(offset.error, XENSTORE_ERROR_NONE);
    this.#memory.set32(offset.connection, XENSTORE_CONNECTED);
    this.#notify();
  }

  #cutOff(error: unknown): void {
    this.#cut = true;
    this.#server.reset(this.#client);
    let code = XENSTORE_ERROR_COMM;
    if (error instanceof RingOverflow) code = XENSTORE_ERROR_RINGIDX;
    if (error instanceof XsWireError) code = XENSTORE_ERROR_PROTO;
    this.#memory.set32(offset.error, code);
    this.#notify();
  }
}
