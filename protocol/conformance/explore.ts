/**
 * Every interleaving of the peer's accesses with the model's steps, on a small ring: a search over the answers
 * that a guide can give, breadth first, so that what it finds is found by a short schedule.
 * The one idea: a run cannot be put back, so it is made again from the start; a state seen before ends it.
 */
import type { Guide } from './guide.ts';

/** What was explored, and the answers of the runs that the caller kept. */
export interface Exploration {
  readonly states: number;
  readonly runs: number;
  /** Whether every state was seen: the search ended before `limit` runs. */
  readonly complete: boolean;
}

/**
 * Runs `once` with one guide after another, until every state has been seen or `once` says that it has had enough.
 * @param limit runs at most
 */
export function explore(
  limit: number,
  once: (guide: Guide, list: () => number[]) => boolean,
): Exploration {
  const seen = new Set<string>();
  const waiting: number[][] = [[]];
  let runs = 0;
  for (let next = 0; next < waiting.length && runs < limit; next++) {
    const prefix = waiting[next]!;
    waiting[next] = [];
    const guide = new Explorer(prefix, seen, waiting);
    runs++;
    if (!once(guide, () => guide.answers)) return { states: seen.size, runs, complete: false };
  }
  return { states: seen.size, runs, complete: runs < limit };
}

class Explorer implements Guide {
  readonly answers: number[] = [];
  readonly #prefix: readonly number[];
  readonly #seen: Set<string>;
  readonly #waiting: number[][];

  constructor(prefix: readonly number[], seen: Set<string>, waiting: number[][]) {
    this.#prefix = prefix;
    this.#seen = seen;
    this.#waiting = waiting;
  }

  ask(ways: number, state: () => string): number | undefined {
    if (ways <= 1) return 0;
    const { answers } = this;
    const known = this.#prefix[answers.length];
    if (known === undefined) {
      const key = state();
      if (this.#seen.has(key)) return undefined;
      this.#seen.add(key);
      for (let way = 1; way < ways; way++) this.#waiting.push([...answers, way]);
    }
    answers.push(known ?? 0);
    return known ?? 0;
  }
}
