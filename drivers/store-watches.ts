/**
 * The watches of xenstore, and what waits to be read on each connection.
 * The one idea: watches are found by path, so a change costs its own depth and its own watchers, and
 * a client that does not read gets at most one event per watch once its queue is long.
 * @source docs/misc/xenstore.txt (WATCH)
 */
import { type Asker, type Change, mayRead, parentOf } from './store-tree.ts';

/** A registered watch. */
export interface Watch {
  readonly owner: WatchOwner;
  readonly path: string; // absolute
  readonly given: string; // as registered, perhaps relative
  readonly token: string;
  summed: boolean; // one event that stands for all waits to be read
}

/** A client as its watches see it. */
export interface WatchOwner {
  readonly who: Asker;
  readonly home: string; // what its relative paths start from, e.g. /local/domain/7
  readonly watches: Map<string, Watch>;
  /** Queues an event. */
  event(watch: Watch, path: string): void;
}

/** Every watch of the store. */
export class Watches {
  readonly #at = new Map<string, Set<Watch>>();

  /** Registers it and returns how to fire it for the first time; undefined if the owner has it already. */
  add(owner: WatchOwner, path: string, given: string, token: string): (() => void) | undefined {
    const key = keyOf(path, token);
    if (owner.watches.has(key)) return undefined;
    const watch: Watch = { owner, path, given, token, summed: false };
    owner.watches.set(key, watch);
    this.#at.set(path, (this.#at.get(path) ?? new Set()).add(watch));
    return () => owner.event(watch, given);
  }

  remove(owner: WatchOwner, path: string, token: string): boolean {
    const watch = owner.watches.get(keyOf(path, token));
    if (watch) this.#drop(watch);
    return watch !== undefined;
  }

  removeAll(owner: WatchOwner): void {
    for (const watch of [...owner.watches.values()]) this.#drop(watch);
  }

  /** Tells everyone who watches a changed path, or a path above it, and may read there. */
  fire(changes: readonly Change[]): void {
    for (const change of changes) {
      for (let at = change.path; ; at = parentOf(at)) {
        for (const watch of this.#at.get(at) ?? []) {
          if (!mayRead(watch.owner.who, change.node)) continue;
          watch.owner.event(watch, spelled(watch, change.path));
        }
        if (change.exact || at === '/') break;
      }
    }
  }

  /** Tells domain 0's watchers of a special path, e.g. `@introduceDomain`. */
  fireSpecial(name: string): void {
    for (const watch of this.#at.get(name) ?? []) {
      if (watch.owner.who.privileged) watch.owner.event(watch, name);
    }
  }

  #drop(watch: Watch): void {
    watch.owner.watches.delete(keyOf(watch.path, watch.token));
    const all = this.#at.get(watch.path)!;
    all.delete(watch);
    if (all.size === 0) this.#at.delete(watch.path);
  }
}

function keyOf(path: string, token: string): string {
  return `${path}\0${token}`;
}

function spelled(watch: Watch, path: string): string {
  const relative = watch.given !== watch.path;
  return relative ? path.slice(watch.owner.home.length + 1) : path;
}
