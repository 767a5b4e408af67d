/**
 * xenstored without its rings: requests in, replies and watch events out, for any number of clients.
 * The one idea: a request is answered completely, reply first and then the events it caused, before
 * the next one is looked at, so that only transactions ever see an older tree.
 * @source docs/misc/xenstore.txt
 */
import { ENOENT, ENOSPC, ENOSYS, errnoName } from '../protocol/errno.ts';
import { XS_ERROR, XS_TRANSACTION_END, type XsMessage } from '../protocol/xs-wire.ts';
import type { StoreClient } from './store-client.ts';
import {
  type StoreDomains,
  type StoreQuota,
  type StoreRequest,
  type StoreState,
  storeHandlers,
} from './store-requests.ts';
import { latin1 } from './store-text.ts';
import { type Asker, removeNode, StoreError, StoreTree } from './store-tree.ts';
import { Watches } from './store-watches.ts';

export const DEFAULT_QUOTA: StoreQuota = {
  nodes: 1000,
  watches: 128,
  transactions: 10,
  transactionNodes: 1024,
  valueBytes: 2048,
  permissions: 5,
};

const TOOLSTACK: Asker = { domid: 0, privileged: true };

export class StoreServer {
  readonly #state: StoreState;

  constructor(domains: StoreDomains, quota: StoreQuota = DEFAULT_QUOTA) {
    this.#state = { tree: new StoreTree(), watches: new Watches(), domains, quota };
  }

  /** Answers one request. */
  request(client: StoreClient, message: XsMessage): void {
    const { reqId, txId } = message;
    const request = this.#requestOf(client, message);
    let type = message.type;
    let answer: Uint8Array;
    try {
      if (txId !== 0 && !client.transactions.has(txId)) throw new StoreError(ENOENT);
      answer = this.#answer(type, request);
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      type = XS_ERROR;
      answer = latin1(`${errnoName(error.errno)}\0`);
    }
    client.reply({ type, reqId, txId, payload: answer });
    this.#state.watches.fire(request.changes);
    for (const act of request.later) act();
  }

  /** Drops the client's watches, transactions and unread messages. */
  reset(client: StoreClient): void {
    this.#state.watches.removeAll(client);
    client.forget();
  }

  /** Removes what a dead domain owned, and its name from the permissions of every other node. */
  forgetDomain(domid: number): void {
    const { tree, watches } = this.#state;
    for (const path of tree.naming(domid)) {
      const node = tree.peek(path);
      if (!node) continue; // went with a node above it
      const others = node.permissions.filter((entry) => entry.domid !== domid);
      if (node.permissions[0]!.domid !== domid) tree.permit(path, others);
      else watches.fire(removeNode(tree, TOOLSTACK, path));
    }
  }

  #requestOf(client: StoreClient, { payload, txId }: XsMessage): StoreRequest {
    const view = client.transactions.get(txId) ?? this.#state.tree;
    return { client, payload, txId, view, changes: [], later: [] };
  }

  #answer(type: number, request: StoreRequest): Uint8Array {
    const handler = storeHandlers.get(type);
    if (!handler) throw new StoreError(ENOSYS);
    const { client, txId, changes } = request;
    const transaction = client.transactions.get(txId);
    if (!transaction || type === XS_TRANSACTION_END) return handler(request, this.#state);
    const tooBig = transaction.size >= this.#state.quota.transactionNodes;
    if (tooBig && !client.who.privileged) throw new StoreError(ENOSPC);
    const answer = handler(request, this.#state);
    transaction.changes.push(...changes.splice(0)); // nobody hears of them before the commit
    return answer;
  }
}
