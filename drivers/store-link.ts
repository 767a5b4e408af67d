/** A store connection without a ring, for clients in the domain that runs the store. */
import type { StoreLink } from '../guest-kernel/index.ts';
import type { XsMessage } from '../protocol/xs-wire.ts';
import { StoreClient } from './store-client.ts';
import type { StoreServer } from './store-server.ts';
import { Worker } from './worker.ts';

/** Connects to `server` as domain `domid`; messages arrive soon after, never during `send`. */
export function localLink(server: StoreServer, domid: number): StoreLink {
  let handler: (message: XsMessage) => void = () => undefined;
  const deliver = (): void => {
    for (let next = client.take(); next; next = client.take()) handler(next);
  };
  const worker = new Worker(deliver, () => worker.kick()); // whatever one message does, the next one comes
  const client = new StoreClient(domid, () => worker.kick());
  return {
    send: (message) => server.request(client, message),
    receive: (newHandler) => {
      handler = newHandler;
    },
  };
}
