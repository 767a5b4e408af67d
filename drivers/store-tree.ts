/**
 * The tree of xenstore: nodes with a value, permissions, children and a generation.
 * The one idea: a flat map from path to node, and a transaction is a small overlay that remembers the
 * generation of whatever it looked at; it may be committed while none of those has moved.
 * @source docs/misc/xenstore.txt (permissions, transactions)
 */
import { EACCES, EAGAIN, EINVAL, ENOENT, ENOSPC } from '../protocol/errno.ts';

/** A refusal on its way to the asking client, as an errno that xenstore can spell. */
export class StoreError extends Error {
  readonly errno: number;

  constructor(errno: number) {
    super(`xenstore errno ${errno}`);
    this.errno = errno;
  }
}

/** n none, r read, w write, b both; the first entry names the owner and everybody else's access. */
export interface Permission {
  readonly domid: number;
  readonly access: 'n' | 'r' | 'w' | 'b';
}

export interface StoreNode {
  value: Uint8Array;
  permissions: readonly Permission[];
  children: Set<string>;
  generation: number;
}

/** Who asks: domain 0 is bound by neither permissions nor quotas. */
export interface Asker {
  readonly domid: number;
  readonly privileged: boolean;
}

/** What a watch must hear of: `node` is the state to check permissions on; `exact` leaves out watches above. */
export interface Change {
  readonly path: string;
  readonly node: StoreNode;
  readonly exact: boolean;
}

/** The live tree or a transaction on it. */
export interface StoreView {
  peek(path: string): StoreNode | undefined;
  /** The node at `path` to be changed in place; it must exist. */
  edit(path: string): StoreNode;
  add(path: string, node: StoreNode): void;
  remove(path: string): void;
  permit(path: string, permissions: readonly Permission[]): void;
  owned(domid: number): number;
}

const READ = 1;
const WRITE = 2;
const OWNER = 4;
const ACCESS = { n: 0, r: READ, w: WRITE, b: READ | WRITE } as const;
const NOTHING = new Uint8Array(0);

/** The live tree. */
export class StoreTree implements StoreView {
  #nodes = new Map<string, StoreNode>();
  #named = new Map<number, Set<string>>(); // by domain: every path whose permissions mention it
  #owned = new Map<number, number>();
  #generation = 0;

  constructor() {
    this.add('/', leaf(NOTHING, [{ domid: 0, access: 'n' }]));
  }

  peek(path: string): StoreNode | undefined {
    return this.#nodes.get(path);
  }

  edit(path: string): StoreNode {
    const node = this.#nodes.get(path)!;
    node.generation = ++this.#generation;
    return node;
  }

  add(path: string, node: StoreNode): void {
    node.generation = ++this.#generation;
    this.#nodes.set(path, node);
    this.#account(path, node.permissions, 1);
  }

  remove(path: string): void {
    const node = this.#nodes.get(path);
    if (!node) return;
    this.#account(path, node.permissions, -1);
    this.#nodes.delete(path);
  }

  permit(path: string, permissions: readonly Permission[]): void {
    const node = this.edit(path);
    this.#account(path, node.permissions, -1);
    node.permissions = permissions;
    this.#account(path, permissions, 1);
  }

  owned(domid: number): number {
    return this.#owned.get(domid) ?? 0;
  }

  /** Every path whose permissions name `domid`. */
  naming(domid: number): string[] {
    return [...(this.#named.get(domid) ?? [])];
  }

  #account(path: string, permissions: readonly Permission[], step: 1 | -1): void {
    const owner = permissions[0]!.domid;
    this.#owned.set(owner, this.owned(owner) + step);
    if (this.owned(owner) === 0) this.#owned.delete(owner);
    for (const { domid } of permissions) {
      const paths = this.#named.get(domid) ?? new Set();
      if (step === 1) this.#named.set(domid, paths.add(path));
      else if (paths.delete(path) && paths.size === 0) this.#named.delete(domid);
    }
  }
}

/** A transaction: sees its own changes on top of the live tree, which nobody else sees until commit. */
export class StoreTransaction implements StoreView {
  readonly changes: Change[] = [];
  readonly #tree: StoreTree;
  readonly #seen = new Map<string, number>(); // generation by path; 0 where nothing was
  readonly #own = new Map<string, StoreNode | undefined>();
  readonly #owned = new Map<number, number>();

  constructor(tree: StoreTree) {
    this.#tree = tree;
  }

  /** How many nodes it holds in memory. */
  get size(): number {
    return this.#seen.size;
  }

  peek(path: string): StoreNode | undefined {
    if (this.#own.has(path)) return this.#own.get(path);
    const node = this.#tree.peek(path);
    if (!this.#seen.has(path)) this.#seen.set(path, node?.generation ?? 0);
    return node;
  }

  edit(path: string): StoreNode {
    const node = this.peek(path)!;
    if (this.#own.has(path)) return node;
    const copy = { ...node, children: new Set(node.children) };
    this.#own.set(path, copy);
    return copy;
  }

  add(path: string, node: StoreNode): void {
    this.peek(path);
    this.#own.set(path, node);
    this.#account(node, 1);
  }

  remove(path: string): void {
    const node = this.peek(path);
    if (node) this.#account(node, -1);
    this.#own.set(path, undefined);
  }

  permit(path: string, permissions: readonly Permission[]): void {
    const node = this.edit(path);
    this.#account(node, -1);
    node.permissions = permissions;
    this.#account(node, 1);
  }

  owned(domid: number): number {
    return this.#tree.owned(domid) + (this.#owned.get(domid) ?? 0);
  }

  /** Whether it leaves `domid` with more nodes than before, and more than `limit`. */
  ownedMore(domid: number, limit: number): boolean {
    return (this.#owned.get(domid) ?? 0) > 0 && this.owned(domid) > limit;
  }

  /** Puts everything into the live tree. @errors EAGAIN when something it looked at has changed since */
  commit(): void {
    for (const [path, generation] of this.#seen) {
      if ((this.#tree.peek(path)?.generation ?? 0) !== generation) throw new StoreError(EAGAIN);
    }

    for (const [path, node] of this.#own) {
      this.#tree.remove(path);
      if (node) this.#tree.add(path, node);
    }
  }

  #account(node: StoreNode, step: 1 | -1): void {
    const { domid } = node.permissions[0]!;
    this.#owned.set(domid, (this.#owned.get(domid) ?? 0) + step);
  }
}

/** The node at `path`. @errors EACCES, ENOENT */
export function readNode(view: StoreView, who: Asker, path: string): StoreNode {
  return need(view, who, path, READ);
}

/** Whether `who` may read `node`. */
export function mayRead(who: Asker, node: StoreNode): boolean {
  return (accessOf(who, node.permissions) & READ) !== 0;
}

/** Sets a value, making the node and missing parents. @errors EACCES, ENOSPC */
export function writeNode(
  view: StoreView,
  who: Asker,
  path: string,
  value: Uint8Array,
  nodeLimit: number,
): Change[] {
  if (!view.peek(path)) return [create(view, who, path, value, nodeLimit)];
  need(view, who, path, WRITE);

  const node = view.edit(path);
  node.value = value;
  return [{ path, node, exact: false }];
}

/** Makes an empty node unless there is one already. @errors EACCES, ENOSPC */
export function makeNode(view: StoreView, who: Asker, path: string, nodeLimit: number): Change[] {
  if (!view.peek(path)) return [create(view, who, path, NOTHING, nodeLimit)];
  need(view, who, path, WRITE);
  return [];
}

/** Removes a node and all below it; a missing node under an existing parent is no error. @errors EACCES, EINVAL, ENOENT */
export function removeNode(view: StoreView, who: Asker, path: string): Change[] {
  if (path === '/') throw new StoreError(EINVAL);
  if (!view.peek(path)) {
    need(view, who, parentOf(path), WRITE);
    return [];
  }
  need(view, who, path, WRITE);

  const parent = parentOf(path);
  view.edit(parent).children.delete(path.slice(path.lastIndexOf('/') + 1));
  const changes: Change[] = [];
  const rest = [path];
  for (let next = rest.pop(); next !== undefined; next = rest.pop()) {
    const node = view.peek(next)!;
    for (const child of node.children) rest.push(join(next, child));
    changes.push({ path: next, node, exact: next !== path });
    view.remove(next);
  }
  return changes;
}

/** Replaces the permissions; only the owner may, and only domain 0 gives a node away. @errors EACCES, ENOENT */
export function permitNode(
  view: StoreView,
  who: Asker,
  path: string,
  permissions: readonly Permission[],
): Change[] {
  const node = need(view, who, path, OWNER);
  const gift = permissions[0]!.domid !== node.permissions[0]!.domid;
  if (gift && !who.privileged) throw new StoreError(EACCES);

  view.permit(path, permissions);
  return [{ path, node: view.peek(path)!, exact: false }];
}

/** `path` without its last part. */
export function parentOf(path: string): string {
  const cut = path.lastIndexOf('/');
  return cut <= 0 ? '/' : path.slice(0, cut);
}

function join(path: string, child: string): string {
  return path === '/' ? `/${child}` : `${path}/${child}`;
}

function accessOf(who: Asker, permissions: readonly Permission[]): number {
  const [first, ...others] = permissions;
  if (who.privileged || first!.domid === who.domid) return READ | WRITE | OWNER;
  const own = others.find((entry) => entry.domid === who.domid);
  return ACCESS[(own ?? first!).access];
}

function need(view: StoreView, who: Asker, path: string, access: number): StoreNode {
  const node = view.peek(path);
  if (!node) throw new StoreError(mayKnow(view, who, path) ? ENOENT : EACCES);
  if ((accessOf(who, node.permissions) & access) === 0) throw new StoreError(EACCES);
  return node;
}

/** Only who may read the nearest node above learns that there is nothing at `path`. */
function mayKnow(view: StoreView, who: Asker, path: string): boolean {
  return mayRead(who, nearest(view, path).node);
}

function nearest(view: StoreView, path: string): { node: StoreNode; missing: string[] } {
  const missing: string[] = [];
  for (let at = path; ; at = parentOf(at)) {
    const node = view.peek(at);
    if (node) return { node, missing };
    missing.unshift(at);
  }
}

function create(
  view: StoreView,
  who: Asker,
  path: string,
  value: Uint8Array,
  nodeLimit: number,
): Change {
  const { node: above, missing } = nearest(view, path);
  if ((accessOf(who, above.permissions) & WRITE) === 0) throw new StoreError(EACCES);
  if (!who.privileged && view.owned(who.domid) + missing.length > nodeLimit) {
    throw new StoreError(ENOSPC);
  }

  const [first, ...others] = above.permissions;
  const owner = who.privileged ? first! : { domid: who.domid, access: first!.access };
  for (const at of missing) {
    view.edit(parentOf(at)).children.add(at.slice(at.lastIndexOf('/') + 1));
    view.add(at, leaf(at === path ? value : NOTHING, [owner, ...others]));
  }
  return { path, node: view.peek(path)!, exact: false };
}

function leaf(value: Uint8Array, permissions: readonly Permission[]): StoreNode {
  return { value, permissions, children: new Set(), generation: 0 };
}
