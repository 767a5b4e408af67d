/**
 * Where a run of the kit could go either way, it asks its guide. The one idea: a schedule is the list of the
 * answers, so that the same list makes the same run, a shorter list a shorter run, and a tree of lists every run.
 */

export interface Guide {
  /**
   * Which of `ways` to go: a number below it, 0 for the quietest; or undefined to end the run here. `state`
   * says where the run stands: two runs that stand there alike have the same future.
   */
  ask(ways: number, state: () => string): number | undefined;
}

/** Answers from a list, then always 0. */
export class ListGuide implements Guide {
  readonly #list: readonly number[];
  #asked = 0;

  constructor(list: readonly number[]) {
    this.#list = list;
  }

  ask(ways: number): number {
    return ways <= 1 ? 0 : (this.#list[this.#asked++] ?? 0) % ways;
  }
}
