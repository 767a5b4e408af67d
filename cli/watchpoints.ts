/** Watched ranges of addresses, and the last access to one. */

export interface Watchpoint {
  readonly va: number;
  readonly bytes: number;
  readonly read: boolean;
  readonly write: boolean;
}

export class Watchpoints {
  #points: readonly Watchpoint[] = [];

  get size(): number {
    return this.#points.length;
  }

  add(point: Watchpoint): void {
    this.delete(point);
    this.#points = [...this.#points, point];
  }

  delete(point: Watchpoint): void {
    this.#points = this.#points.filter((each) => !same(each, point));
  }

  clear(): void {
    this.#points = [];
  }

  /** Who watches an access to `bytes` bytes at `va`. */
  hit(va: number, bytes: number, write: boolean): Watchpoint | undefined {
    return this.#points.find(
      (each) =>
        (write ? each.write : each.read) && va < each.va + each.bytes && each.va < va + bytes,
    );
  }
}

const same = (a: Watchpoint, b: Watchpoint): boolean =>
  a.va === b.va && a.bytes === b.bytes && a.read === b.read && a.write === b.write;
