/**
 * What each xenstore request does: one table from message type to handler.
 * The one idea: a handler returns the payload of its reply or throws a StoreError; what must come
 * after the reply (watch events) it leaves in `changes` and `later`.
 * @source docs/misc/xenstore.txt, xen/io/xs_wire.h
 */
import { E2BIG, EACCES, EBUSY, EEXIST, EINVAL, ENOENT, ENOSPC } from '../protocol/errno.ts';
import { DOMID_SELF } from '../protocol/xen.ts';
import {
  XENSTORE_PAYLOAD_MAX,
  XS_DIRECTORY,
  XS_DIRECTORY_PART,
  XS_GET_DOMAIN_PATH,
  XS_GET_PERMS,
  XS_INTRODUCE,
  XS_IS_DOMAIN_INTRODUCED,
  XS_MKDIR,
  XS_READ,
  XS_RELEASE,
  XS_RESET_WATCHES,
  XS_RM,
  XS_SET_PERMS,
  XS_TRANSACTION_END,
  XS_TRANSACTION_START,
  XS_UNWATCH,
  XS_WATCH,
  XS_WRITE,
} from '../protocol/xs-wire.ts';
import type { StoreClient } from './store-client.ts';
import {
  absolute,
  decimal,
  fromLatin1,
  latin1,
  manyStrings,
  permission,
  strings,
  watchable,
} from './store-text.ts';
import {
  type Change,
  makeNode,
  permitNode,
  readNode,
  removeNode,
  StoreError,
  type StoreNode,
  StoreTransaction,
  type StoreTree,
  type StoreView,
  writeNode,
} from './store-tree.ts';
import type { Watches } from './store-watches.ts';

/** What one client may make the store keep. */
export interface StoreQuota {
  readonly nodes: number;
  readonly watches: number;
  readonly transactions: number;
  readonly transactionNodes: number; // looked at or changed by one transaction
  readonly valueBytes: number;
  readonly permissions: number; // per node
}

/** What introducing and releasing a domain means outside the tree; each returns 0 or an errno. */
export interface StoreDomains {
  introduce(domid: number, gfn: number, port: number): number;
  release(domid: number): number;
  introduced(domid: number): boolean;
}

/** What the handlers work on. */
export interface StoreState {
  readonly tree: StoreTree;
  readonly watches: Watches;
  readonly domains: StoreDomains;
  readonly quota: StoreQuota;
}

export interface StoreRequest {
  readonly client: StoreClient;
  readonly payload: Uint8Array;
  readonly txId: number;
  readonly view: StoreView; // the transaction, or else the live tree
  readonly changes: Change[];
  readonly later: (() => void)[];
}

export type StoreHandler = (request: StoreRequest, state: StoreState) => Uint8Array;

const OK = latin1('OK\0');
const CUT = 4000; // bytes of names in one piece of a long directory

export const storeHandlers: ReadonlyMap<number, StoreHandler> = new Map<number, StoreHandler>([
  [XS_READ, (request) => nodeOf(request).value],
  [XS_DIRECTORY, (request) => namesOf(nodeOf(request))],
  [XS_DIRECTORY_PART, directoryPart],
  [XS_GET_PERMS, getPermissions],
  [XS_WRITE, write],
  [XS_MKDIR, mkdir],
  [XS_RM, remove],
  [XS_SET_PERMS, setPermissions],
  [XS_WATCH, watch],
  [XS_UNWATCH, unwatch],
  [XS_RESET_WATCHES, resetWatches],
  [XS_TRANSACTION_START, startTransaction],
  [XS_TRANSACTION_END, endTransaction],
  [XS_GET_DOMAIN_PATH, ({ payload }) => latin1(`/local/domain/${domidOf(payload)}\0`)],
  [XS_IS_DOMAIN_INTRODUCED, isIntroduced],
  [XS_INTRODUCE, introduce],
  [XS_RELEASE, release],
]);

function pathOf({ client, payload }: StoreRequest): string {
  return absolute(client.home, strings(payload, 1)[0]!);
}

function nodeOf(request: StoreRequest): StoreNode {
  return readNode(request.view, request.client.who, pathOf(request));
}

function namesOf(node: StoreNode): Uint8Array {
  const names = latin1([...node.children].map((name) => `${name}\0`).join(''));
  if (names.length > XENSTORE_PAYLOAD_MAX) throw new StoreError(E2BIG);
  return names;
}

/** A piece of a long directory: its generation, then names from a byte offset; an empty name ends the last piece. */
function directoryPart({ client, payload, view }: StoreRequest): Uint8Array {
  const [path, offset] = strings(payload, 2);
  const from = decimal(offset);
  const node = readNode(view, client.who, absolute(client.home, path!));
  const all = [...node.children].map((name) => `${name}\0`).join('');
  if (from > all.length) throw new StoreError(EINVAL);
  const rest = all.slice(from);
  const piece = rest.length <= CUT ? `${rest}\0` : rest.slice(0, rest.lastIndexOf('\0', CUT) + 1);
  return latin1(`${node.generation}\0${piece}`);
}

function getPermissions(request: StoreRequest): Uint8Array {
  const { permissions } = nodeOf(request);
  return latin1(permissions.map(({ access, domid }) => `${access}${domid}\0`).join(''));
}

function write({ client, payload, view, changes }: StoreRequest, { quota }: StoreState) {
  const cut = payload.indexOf(0);
  if (cut < 0) throw new StoreError(EINVAL);
  const path = absolute(client.home, fromLatin1(payload.subarray(0, cut)));
  const value = payload.slice(cut + 1);
  if (!client.who.privileged && value.length > quota.valueBytes) throw new StoreError(ENOSPC);

  changes.push(...writeNode(view, client.who, path, value, quota.nodes));
  return OK;
}

function mkdir(request: StoreRequest, { quota }: StoreState): Uint8Array {
  const { view, client, changes } = request;
  changes.push(...makeNode(view, client.who, pathOf(request), quota.nodes));
  return OK;
}

function remove(request: StoreRequest): Uint8Array {
  const { view, client, changes } = request;
  changes.push(...removeNode(view, client.who, pathOf(request)));
  return OK;
}

function setPermissions({ client, payload, view, changes }: StoreRequest, { quota }: StoreState) {
  const [path, ...entries] = manyStrings(payload);
  if (entries.length === 0) throw new StoreError(EINVAL);
  if (entries.length > quota.permissions) throw new StoreError(ENOSPC);
  const permissions = entries.map(permission);

  changes.push(...permitNode(view, client.who, absolute(client.home, path!), permissions));
  return OK;
}

function watch({ client, payload, later }: StoreRequest, { watches, quota }: StoreState) {
  const [given, token] = strings(payload, 2);
  const path = watchable(client.home, given!);
  if (!client.who.privileged && client.watches.size >= quota.watches) throw new StoreError(E2BIG);
  const fire = watches.add(client, path, given!, token!);
  if (!fire) throw new StoreError(EEXIST);

  later.push(fire);
  return OK;
}

function unwatch({ client, payload }: StoreRequest, { watches }: StoreState): Uint8Array {
  const [given, token] = strings(payload, 2);
  if (!watches.remove(client, watchable(client.home, given!), token!)) throw new StoreError(ENOENT);
  return OK;
}

function resetWatches({ client }: StoreRequest, { watches }: StoreState): Uint8Array {
  watches.removeAll(client);
  client.transactions.clear();
  return OK;
}

function startTransaction({ client, txId }: StoreRequest, { tree, quota }: StoreState) {
  if (txId !== 0) throw new StoreError(EBUSY);
  const { who, transactions } = client;
  if (!who.privileged && transactions.size >= quota.transactions) throw new StoreError(ENOSPC);

  const id = client.newTransactionId();
  transactions.set(id, new StoreTransaction(tree));
  return latin1(`${id}\0`);
}

function endTransaction({ client, payload, txId, changes }: StoreRequest, state: StoreState) {
  const [verdict] = strings(payload, 1);
  if (verdict !== 'T' && verdict !== 'F') throw new StoreError(EINVAL);
  const transaction = client.transactions.get(txId);
  if (!transaction) throw new StoreError(ENOENT);

  client.transactions.delete(txId);
  if (verdict === 'F') return OK;
  const { who } = client;
  if (!who.privileged && transaction.ownedMore(who.domid, state.quota.nodes)) {
    throw new StoreError(ENOSPC);
  }
  transaction.commit();
  changes.splice(0, changes.length, ...transaction.changes);
  return OK;
}

function isIntroduced({ client, payload }: StoreRequest, { domains }: StoreState): Uint8Array {
  const asked = domidOf(payload);
  const domid = asked === DOMID_SELF ? client.who.domid : asked;
  return latin1(domid === 0 || domains.introduced(domid) ? 'T\0' : 'F\0');
}

function introduce({ client, payload, later }: StoreRequest, { domains, watches }: StoreState) {
  if (!client.who.privileged) throw new StoreError(EACCES);
  const [domid, gfn, port] = strings(payload, 3);
  const errno = domains.introduce(decimal(domid), decimal(gfn), decimal(port));
  if (errno !== 0) throw new StoreError(errno);

  later.push(() => watches.fireSpecial('@introduceDomain'));
  return OK;
}

function release({ client, payload, later }: StoreRequest, { domains, watches }: StoreState) {
  if (!client.who.privileged) throw new StoreError(EACCES);
  const errno = domains.release(domidOf(payload));
  if (errno !== 0) throw new StoreError(errno);

  later.push(() => watches.fireSpecial('@releaseDomain'));
  return OK;
}

function domidOf(payload: Uint8Array): number {
  const domid = decimal(strings(payload, 1)[0]);
  if (domid > 0x7fff) throw new StoreError(EINVAL);
  return domid;
}
