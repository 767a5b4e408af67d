/**
 * Xenstore messages over the shared ring page: what does not fit waits in a queue until the server
 * has read; every change is followed by an event.
 * @source xen/io/xs_wire.h:120
 */
import type { Observable } from 'rxjs';
import { ByteConsumer, ByteProducer } from '../protocol/byte-ring.ts';
import { type RingMemory, RingOverflow } from '../protocol/ring.ts';
import {
  encodeMessage,
  MessageReader,
  XENSTORE_REQ,
  XENSTORE_RING_SIZE,
  XENSTORE_RSP,
  type XsMessage,
  XsWireError,
} from '../protocol/xs-wire.ts';
import type { StoreLink } from './xenstore.ts';

export class RingLink implements StoreLink {
  readonly #requests: ByteProducer;
  readonly #responses: ByteConsumer;
  readonly #reader = new MessageReader();
  readonly #notify: () => void;
  readonly #piece = new Uint8Array(XENSTORE_RING_SIZE);
  #unsent: Uint8Array[] = [];
  #looking = false;
  #handler: (message: XsMessage) => void = () => {};
  #lost: (why: Error) => void = () => {};
  /** Why nothing can come or go any more: the other end keeps to no protocol. */
  #broken: Error | undefined;

  /** @param notify sends the event that tells the server to look. */
  constructor(memory: RingMemory, events: Observable<void>, notify: () => void) {
    this.#requests = new ByteProducer(memory, XENSTORE_REQ);
    this.#responses = new ByteConsumer(memory, XENSTORE_RSP);
    this.#notify = notify;
    events.subscribe(() => this.#lookSoon());
  }

  send(message: XsMessage): void {
    if (this.#broken) throw this.#broken;
    this.#unsent.push(encodeMessage(message));
    if (this.#flush()) this.#notify();
  }

  receive(handler: (message: XsMessage) => void, lost: (why: Error) => void): void {
    this.#handler = handler;
    this.#lost = lost;
  }

  /** Not in the upcall: it may have interrupted a send half-way through the ring. */
  #lookSoon(): void {
    if (this.#looking) return;
    this.#looking = true;
    void Promise.resolve().then(() => {
      this.#looking = false;
      this.#lookOrLose();
    });
  }

  #lookOrLose(): void {
    if (this.#broken) return;
    try {
      this.#look();
    } catch (error) {
      if (!(error instanceof RingOverflow || error instanceof XsWireError)) throw error;
      this.#broken = error;
      this.#lost(error);
    }
  }

  #look(): void {
    let moved = this.#flush();
    for (;;) {
      const count = this.#responses.read(this.#piece);
      if (count === 0) break;
      moved = true;
      for (const message of this.#reader.feed(this.#piece.subarray(0, count))) {
        this.#handler(message);
      }
    }
    if (moved) this.#notify();
  }

  /** @returns whether anything was written. */
  #flush(): boolean {
    let wrote = false;
    while (this.#unsent.length > 0) {
      const first = this.#unsent[0]!;
      const count = this.#requests.write(first);
      if (count > 0) wrote = true;
      if (count < first.length) {
        this.#unsent[0] = first.subarray(count);
        break;
      }
      this.#unsent.shift();
    }
    return wrote;
  }
}
