/**
 * How the two ends of a split driver meet, part and meet again through xenstore; the same for both.
 * The one idea: a pure function says which state an end enters next, given both ends' states; entering
 * a state does its work. So it does not matter who comes first, or what was missed in between.
 * @source xen/io/xenbus.h; xen/io/blkif.h "STATE DIAGRAMS"
 */
import type { Subscription } from 'rxjs';
import type { Xenstore } from '../guest-kernel/index.ts';
import {
  XenbusStateClosed,
  XenbusStateClosing,
  XenbusStateConnected,
  XenbusStateInitialised,
  XenbusStateInitialising,
  XenbusStateInitWait,
  XenbusStateUnknown,
} from '../protocol/xenbus.ts';
import { Worker } from './worker.ts';

export type XenbusRole = 'front' | 'back';

/** Keys and values below one end's directory. */
export type XenbusNodes = Readonly<Record<string, string>>;

/** The other end's directory. */
export interface XenbusPeer {
  /** The value of a key, or undefined. */
  read(key: string): Promise<string | undefined>;
}

/** What a driver does when its end enters a state; whatever it throws ends the connection. */
export interface XenbusDriver {
  /** Makes ready and returns what to publish: a back end's features, a front end's ring. */
  prepare(peer: XenbusPeer): Promise<XenbusNodes>;
  /** Joins the ring; the other end has published its part. Returns what to publish. */
  connect(peer: XenbusPeer): Promise<XenbusNodes>;
  /** Undoes both; called in any state, also twice. */
  disconnect(): void;
}

/** The state that an end enters next; its own state if there is nothing to do. */
export function nextState(role: XenbusRole, own: number, peer: number): number {
  return role === 'back' ? nextOfBack(own, peer) : nextOfFront(own, peer);
}

function nextOfBack(own: number, front: number): number {
  switch (front) {
    case XenbusStateUnknown: // not there yet, or gone
      if (own === XenbusStateInitialising) return XenbusStateInitWait;
      return own === XenbusStateInitWait ? own : XenbusStateClosed;
    case XenbusStateInitialising: // new, or come again
    case XenbusStateInitWait:
      return XenbusStateInitWait;
    case XenbusStateInitialised:
      if (own === XenbusStateInitWait) return XenbusStateConnected;
      // Closed: it came again so fast that its first state was missed. Closing: we refused this ring.
      return own === XenbusStateInitialising || own === XenbusStateClosed
        ? XenbusStateInitWait
        : own;
    case XenbusStateConnected:
      if (own === XenbusStateInitialising) return XenbusStateInitWait;
      return own === XenbusStateInitWait ? XenbusStateConnected : own;
    case XenbusStateClosing:
      return own === XenbusStateClosed ? own : XenbusStateClosing;
    case XenbusStateClosed:
      return XenbusStateClosed;
    default:
      return own;
  }
}

function nextOfFront(own: number, back: number): number {
  const open = own === XenbusStateInitialised || own === XenbusStateConnected;
  switch (back) {
    case XenbusStateUnknown:
      return open || own === XenbusStateClosing ? XenbusStateClosed : own;
    case XenbusStateInitWait:
    case XenbusStateInitialised:
      if (own === XenbusStateInitialising) return XenbusStateInitialised;
      return own === XenbusStateConnected ? XenbusStateInitialised : own; // it began again
    case XenbusStateConnected:
      return own === XenbusStateInitialised ? XenbusStateConnected : own;
    case XenbusStateClosing:
    case XenbusStateClosed:
      return open || own === XenbusStateClosing ? XenbusStateClosed : own;
    default:
      return own;
  }
}

/** One end of one device. */
export class Xenbus {
  readonly #store: Xenstore;
  readonly #role: XenbusRole;
  readonly #own: string;
  readonly #peer: string;
  readonly #driver: XenbusDriver;
  readonly #worker: Worker;
  readonly #waiting: { state: number; resolve: () => void; reject: (why: Error) => void }[] = [];
  #state = XenbusStateInitialising;
  #watch: Subscription | undefined;
  #closing = false;
  #stopped = false;
  #failure: string | undefined;

  /** `own` and `peer` are the two ends' directories. */
  constructor(store: Xenstore, role: XenbusRole, own: string, peer: string, driver: XenbusDriver) {
    this.#store = store;
    this.#role = role;
    this.#own = own;
    this.#peer = peer;
    this.#driver = driver;
    this.#worker = new Worker(
      () => this.#follow(),
      (error) => this.fail(error),
    );
  }

  /** This end's state, XenbusState*. */
  get state(): number {
    return this.#state;
  }

  /** Begins, or begins again after a close. */
  async open(): Promise<void> {
    if (this.#watch && this.#state !== XenbusStateClosed) return;
    this.#closing = false;
    this.#stopped = false;
    this.#state = XenbusStateInitialising;
    await this.#store.write(`${this.#own}/state`, `${this.#state}`);
    if (this.#stopped) return;
    this.#watch ??= this.#store.watch(`${this.#peer}/state`).subscribe(() => this.#worker.kick());
    this.#worker.kick();
  }

  /** Resolves when this end is in `state`. @throws Error if it closes instead */
  until(state: number): Promise<void> {
    if (this.#state === state) return Promise.resolve();
    return new Promise((resolve, reject) => this.#waiting.push({ state, resolve, reject }));
  }

  /** A front end's orderly end: lets the back end go first, so that nothing stays mapped. */
  close(): Promise<void> {
    this.#closing = true;
    this.#worker.kick();
    return this.until(XenbusStateClosed);
  }

  /** Ends the connection because of `why`, which the `error` node will say. */
  fail(why: unknown): void {
    this.#failure = why instanceof Error ? why.message : String(why);
    this.#worker.kick();
  }

  /** Stops at once and leaves the store as it is, e.g. because the device is being removed. */
  stop(): void {
    this.#stopped = true;
    this.#watch?.unsubscribe();
    this.#watch = undefined;
    this.#driver.disconnect();
    this.#reached(XenbusStateClosed);
  }

  async #follow(): Promise<void> {
    while (this.#watch) {
      const failure = this.#failure;
      this.#failure = undefined;
      if (failure !== undefined) await this.#give(failure);
      const peer = await readNumber(this.#store, `${this.#peer}/state`);
      const next = this.#next(peer);
      if (next === this.#state || !this.#watch) return;
      try {
        await this.#enter(next);
      } catch (error) {
        this.fail(error);
      }
    }
  }

  #next(peer: number): number {
    const closing = this.#closing && this.#state < XenbusStateClosing;
    return closing ? XenbusStateClosing : nextState(this.#role, this.#state, peer);
  }

  async #give(error: string): Promise<void> {
    this.#driver.disconnect();
    this.#reached(XenbusStateClosing); // even if the store does not take it
    await this.#publish({ error }, XenbusStateClosing).catch(() => undefined);
  }

  async #enter(state: number): Promise<void> {
    const peer = { read: (key: string) => this.#store.tryRead(`${this.#peer}/${key}`) };
    let nodes: XenbusNodes = {};
    if (state === XenbusStateInitWait || state === XenbusStateInitialised) {
      this.#driver.disconnect();
      nodes = await this.#driver.prepare(peer);
    } else if (state === XenbusStateConnected) {
      nodes = await this.#driver.connect(peer);
    } else if (state === XenbusStateClosed || this.#role === 'back') {
      this.#driver.disconnect();
    }
    if (this.#watch) await this.#publish(nodes, state);
    else this.#driver.disconnect(); // stopped meanwhile
  }

  /** All keys and the state at once, so that nobody sees a state without what belongs to it. */
  async #publish(nodes: XenbusNodes, state: number): Promise<void> {
    const entries = [...Object.entries(nodes), ['state', `${state}`] as const];
    if (entries.length === 1) await this.#store.write(`${this.#own}/state`, `${state}`);
    else {
      await this.#store.transaction(async (transaction) => {
        for (const [key, value] of entries) await transaction.write(`${this.#own}/${key}`, value);
      });
    }
    this.#reached(state);
  }

  #reached(state: number): void {
    this.#state = state;
    const over = state === XenbusStateClosed || state === XenbusStateClosing;
    for (const waiter of this.#waiting.splice(0)) {
      if (waiter.state === state) waiter.resolve();
      else if (over && waiter.state !== XenbusStateClosed)
        waiter.reject(new Error(`${this.#own} closed`));
      else this.#waiting.push(waiter);
    }
  }
}

async function readNumber(store: Xenstore, path: string): Promise<number> {
  const text = (await store.tryRead(path)) ?? '';
  return /^\d$/.test(text) ? Number(text) : XenbusStateUnknown;
}
