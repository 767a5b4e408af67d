/**
 * One client of the store: its identity, its watches and transactions, and what it has not read yet.
 * The one idea: unread watch events are bounded, because past a limit each watch gets only one more,
 * which stands for all that follow.
 * @source docs/misc/xenstore.txt (WATCH: an event says "look again")
 */
import { XS_WATCH_EVENT, type XsMessage } from '../protocol/xs-wire.ts';
import { latin1 } from './store-text.ts';
import type { Asker, StoreTransaction } from './store-tree.ts';
import type { Watch, WatchOwner } from './store-watches.ts';

const LONG_QUEUE = 256; // unread events

export class StoreClient implements WatchOwner {
  readonly who: Asker;
  readonly home: string; // where its relative paths start
  readonly watches = new Map<string, Watch>();
  readonly transactions = new Map<number, StoreTransaction>();
  readonly #wake: () => void;
  #out: { message: XsMessage; watch?: Watch }[] = [];
  #events = 0;
  #lastTransaction = 0;

  /** `wake` is called whenever there is something more to take. */
  constructor(domid: number, wake: () => void) {
    this.who = { domid, privileged: domid === 0 };
    this.home = `/local/domain/${domid}`;
    this.#wake = wake;
  }

  /** How many messages wait to be taken. */
  get waiting(): number {
    return this.#out.length;
  }

  /** The next message for this client, which is thereby taken. */
  take(): XsMessage | undefined {
    const entry = this.#out.shift();
    if (entry?.watch) {
      this.#events--;
      entry.watch.summed = false;
    }
    return entry?.message;
  }

  reply(message: XsMessage): void {
    this.#out.push({ message });
    this.#wake();
  }

  event(watch: Watch, path: string): void {
    if (watch.summed) return;
    watch.summed = this.#events >= LONG_QUEUE;
    const payload = latin1(`${watch.summed ? watch.given : path}\0${watch.token}\0`);
    this.#events++;
    this.#out.push({ message: { type: XS_WATCH_EVENT, reqId: 0, txId: 0, payload }, watch });
    this.#wake();
  }

  /** An id that no open transaction of this client has; never 0. */
  newTransactionId(): number {
    do this.#lastTransaction = (this.#lastTransaction + 1) >>> 0;
    while (this.#lastTransaction === 0 || this.transactions.has(this.#lastTransaction));
    return this.#lastTransaction;
  }

  /** Drops everything that is not a watch. */
  forget(): void {
    this.transactions.clear();
    this.#out = [];
    this.#events = 0;
  }
}
