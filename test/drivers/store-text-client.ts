/** A store client as a transcript writes it: words in, words out; NUL is written as `|`. */
import { expect } from 'vitest';
import { StoreClient } from '../../drivers/store-client.ts';
import type { StoreDomains } from '../../drivers/store-requests.ts';
import { DEFAULT_QUOTA, StoreServer } from '../../drivers/store-server.ts';
import { fromLatin1, latin1 } from '../../drivers/store-text.ts';
import * as xs from '../../protocol/xs-wire.ts';

const TYPES: Readonly<Record<string, number>> = {
  DIRECTORY: xs.XS_DIRECTORY,
  READ: xs.XS_READ,
  GET_PERMS: xs.XS_GET_PERMS,
  WATCH: xs.XS_WATCH,
  UNWATCH: xs.XS_UNWATCH,
  START: xs.XS_TRANSACTION_START,
  END: xs.XS_TRANSACTION_END,
  INTRODUCE: xs.XS_INTRODUCE,
  RELEASE: xs.XS_RELEASE,
  GET_DOMAIN_PATH: xs.XS_GET_DOMAIN_PATH,
  WRITE: xs.XS_WRITE,
  MKDIR: xs.XS_MKDIR,
  RM: xs.XS_RM,
  SET_PERMS: xs.XS_SET_PERMS,
  IS_DOMAIN_INTRODUCED: xs.XS_IS_DOMAIN_INTRODUCED,
  RESET_WATCHES: xs.XS_RESET_WATCHES,
  DIRECTORY_PART: xs.XS_DIRECTORY_PART,
  CONTROL: xs.XS_CONTROL,
};

/** Who asks (domain), in which transaction, what (`|` = NUL), and what comes back. */
export type Line = readonly [who: number, tx: number, operation: string, expected: string];

export class StoreTest {
  readonly introduced = new Set<number>();
  readonly server: StoreServer;
  readonly #kept = new Map<StoreClient, string[]>();
  readonly #clients = new Map<number, StoreClient>();

  constructor(quota = DEFAULT_QUOTA) {
    const domains: StoreDomains = {
      introduce: (domid) => {
        this.introduced.add(domid);
        return 0;
      },
      release: (domid) => (this.introduced.delete(domid) ? 0 : 2),
      introduced: (domid) => this.introduced.has(domid),
    };
    this.server = new StoreServer(domains, quota);
  }

  client(domid: number): StoreClient {
    const client = this.#clients.get(domid) ?? new StoreClient(domid, () => undefined);
    this.#clients.set(domid, client);
    return client;
  }

  /** The reply's payload, `!ERRNO` for an error; watch events stay queued. */
  ask(who: number, tx: number, operation: string): string {
    const [name, ...rest] = operation.split(' ');
    const type = TYPES[name!] ?? Number(name);
    const payload = latin1(rest.join(' ').replaceAll('|', '\0'));
    const client = this.client(who);
    const before = this.#drain(client);
    this.server.request(client, { type, reqId: 77, txId: tx, payload });
    const reply = client.take()!;
    this.#kept.set(client, before);
    const text = fromLatin1(reply.payload).replaceAll('\0', '|');
    return reply.type === xs.XS_ERROR ? `!${text.slice(0, -1)}` : text;
  }

  /** The watch events that wait for a domain, `path token`. */
  events(who: number): string[] {
    return this.#drain(this.client(who));
  }

  #drain(client: StoreClient): string[] {
    const events = this.#kept.get(client) ?? [];
    this.#kept.delete(client);
    for (let next = client.take(); next; next = client.take()) {
      events.push(fromLatin1(next.payload).split('\0').slice(0, 2).join(' '));
    }
    return events;
  }
}

/** Runs a transcript and expects every reply. */
export function play(lines: readonly Line[], quota = DEFAULT_QUOTA): StoreTest {
  const store = new StoreTest(quota);
  for (const [who, tx, operation, expected] of lines) {
    expect(store.ask(who, tx, operation), `domain ${who}: ${operation}`).toBe(expected);
  }
  return store;
}

/** Domain 1 with a home that it may read and a `data` directory of its own. */
export const HOME: readonly Line[] = [
  [0, 0, 'MKDIR /local/domain/1|', 'OK|'],
  [0, 0, 'SET_PERMS /local/domain/1|n0|r1|', 'OK|'],
  [0, 0, 'MKDIR /local/domain/1/data|', 'OK|'],
  [0, 0, 'SET_PERMS /local/domain/1/data|n1|', 'OK|'],
];
