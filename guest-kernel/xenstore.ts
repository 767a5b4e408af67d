/**
 * A xenstore client: requests and their replies matched by id, watches as Observables, transactions
 * that are tried again when they conflict. What carries the messages is a StoreLink: the ring page,
 * or a loop inside domain 0.
 * @source xen/io/xs_wire.h
 */
import type { Observable } from 'rxjs';
import { EAGAIN, EIO, ENOENT, errnoName } from '../protocol/errno.ts';
import type { Domid } from '../protocol/units.ts';
import * as xs from '../protocol/xs-wire.ts';
import { Signal } from './signal.ts';

/** Carries whole messages to a xenstore server and back. */
export interface StoreLink {
  /** Messages go out in the order of these calls. */
  send(message: xs.XsMessage): void;
  /**
   * `handler` is called for every message that arrives, perhaps in interrupt context; `lost` when
   * none can arrive any more.
   */
  receive(handler: (message: xs.XsMessage) => void, lost: (why: Error) => void): void;
}

export class XenstoreError extends Error {
  override readonly name = 'XenstoreError';
  readonly path: string;
  readonly errno: number;

  constructor(path: string, errno: number) {
    super(`xenstore ${path}: ${errnoName(errno)}`);
    this.path = path;
    this.errno = errno;
  }
}

interface Waiter {
  readonly path: string;
  resolve(payload: Uint8Array): void;
  reject(error: Error): void;
}

const NONE = 0;
const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** Sends requests and hands out replies and watch events. */
class Exchange {
  readonly #link: StoreLink;
  readonly #waiting = new Map<number, Waiter>();
  readonly #watches = new Map<string, Signal<string>>();
  #nextId = 1;
  #nextToken = 1;

  constructor(link: StoreLink) {
    this.#link = link;
    link.receive(
      (message) => this.#arrived(message),
      (why) => this.#lost(why),
    );
  }

  request(type: number, txId: number, path: string, payload: Uint8Array): Promise<Uint8Array> {
    const reqId = this.#nextId;
    this.#nextId = (this.#nextId + 1) >>> 0;
    return new Promise((resolve, reject) => {
      this.#waiting.set(reqId, { path, resolve, reject });
      this.#link.send({ type, reqId, txId, payload });
    });
  }

  watch(path: string): Signal<string> {
    const token = `w${this.#nextToken++}`;
    const signal: Signal<string> = new Signal<string>({
      first: () => {
        this.#watches.set(token, signal);
        // A watch that cannot be set never fires; its path is the caller's own mistake, seen at the
        // first read.
        this.request(xs.XS_WATCH, NONE, path, xs.packStrings(path, token)).catch(() => {});
      },
      last: () => {
        this.#watches.delete(token);
        this.request(xs.XS_UNWATCH, NONE, path, xs.packStrings(path, token)).catch(() => {});
      },
    });
    return signal;
  }

  /** No reply will come. */
  #lost(why: Error): void {
    const waiting = [...this.#waiting.values()];
    this.#waiting.clear();
    for (const { reject } of waiting) reject(why);
  }

  #arrived({ type, reqId, payload }: xs.XsMessage): void {
    if (type === xs.XS_WATCH_EVENT) {
      const [path, token] = xs.unpackStrings(payload);
      if (path !== undefined && token !== undefined) this.#watches.get(token)?.emit(path);
      return;
    }
    const waiter = this.#waiting.get(reqId);
    if (!waiter) return;
    this.#waiting.delete(reqId);
    if (type === xs.XS_ERROR) {
      const name = xs.unpackStrings(payload)[0] ?? '';
      waiter.reject(new XenstoreError(waiter.path, xs.XSD_ERRORS[name] ?? EIO));
    } else {
      waiter.resolve(payload);
    }
  }
}

/**
 * Paths relative to the domain's own directory unless they begin with `/`. Every method rejects
 * with XenstoreError, or with RingOverflow or XsWireError once the connection is lost.
 */
export class XenstoreTransaction {
  protected readonly exchange: Exchange;
  readonly id: number;

  constructor(exchange: Exchange, id: number) {
    this.exchange = exchange;
    this.id = id;
  }

  async read(path: string): Promise<string> {
    return decoder.decode(await this.request(xs.XS_READ, path));
  }

  /** undefined where there is no such node. */
  async tryRead(path: string): Promise<string | undefined> {
    try {
      return await this.read(path);
    } catch (error) {
      if (error instanceof XenstoreError && error.errno === ENOENT) return undefined;
      throw error;
    }
  }

  async write(path: string, value: string | number): Promise<void> {
    const head = xs.packStrings(path);
    const tail = encoder.encode(String(value));
    const payload = new Uint8Array(head.length + tail.length);
    payload.set(head);
    payload.set(tail, head.length);
    await this.exchange.request(xs.XS_WRITE, this.id, path, payload);
  }

  async mkdir(path: string): Promise<void> {
    await this.request(xs.XS_MKDIR, path);
  }

  async remove(path: string): Promise<void> {
    await this.request(xs.XS_RM, path);
  }

  async directory(path: string): Promise<string[]> {
    return xs.unpackStrings(await this.request(xs.XS_DIRECTORY, path));
  }

  /** As xenstore writes them: `n5` the owner and everyone else's rights, then `r3`, `w3`, `b3`. */
  async getPerms(path: string): Promise<string[]> {
    return xs.unpackStrings(await this.request(xs.XS_GET_PERMS, path));
  }

  async setPerms(path: string, perms: readonly string[]): Promise<void> {
    await this.request(xs.XS_SET_PERMS, path, ...perms);
  }

  protected request(type: number, path: string, ...more: string[]): Promise<Uint8Array> {
    return this.exchange.request(type, this.id, path, xs.packStrings(path, ...more));
  }
}

export class Xenstore extends XenstoreTransaction {
  constructor(link: StoreLink) {
    super(new Exchange(link), NONE);
  }

  /**
   * Emits the path that changed, at or below `path`; once right after subscribing, with `path`
   * itself.
   */
  watch(path: string): Observable<string> {
    return this.exchange.watch(path);
  }

  /**
   * Runs `body` in a transaction, again from the start while its end conflicts; an error in it
   * aborts.
   */
  async transaction<T>(body: (store: XenstoreTransaction) => Promise<T>): Promise<T> {
    for (;;) {
      const reply = await this.request(xs.XS_TRANSACTION_START, '');
      const id = Number(xs.unpackStrings(reply)[0]);
      const result = await this.#attempt(id, body);
      if (result) return result.value;
    }
  }

  async #attempt<T>(
    id: number,
    body: (store: XenstoreTransaction) => Promise<T>,
  ): Promise<{ value: T } | undefined> {
    let value: T;
    try {
      value = await body(new XenstoreTransaction(this.exchange, id));
    } catch (error) {
      await this.#end(id, 'F');
      throw error;
    }
    try {
      await this.#end(id, 'T');
      return { value };
    } catch (error) {
      if (error instanceof XenstoreError && error.errno === EAGAIN) return undefined;
      throw error;
    }
  }

  #end(id: number, how: 'T' | 'F'): Promise<Uint8Array> {
    return this.exchange.request(
      xs.XS_TRANSACTION_END,
      id,
      `transaction ${id}`,
      xs.packStrings(how),
    );
  }

  /** /local/domain/N. */
  async domainPath(domid: Domid): Promise<string> {
    const payload = xs.packStrings(String(domid));
    const reply = await this.exchange.request(xs.XS_GET_DOMAIN_PATH, NONE, String(domid), payload);
    return xs.unpackStrings(reply)[0] ?? '';
  }
}
