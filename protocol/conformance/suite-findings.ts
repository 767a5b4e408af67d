/**
 * What the runs of a suite have found of one role, rule by rule: the worst outcome, shown by its shortest schedule.
 * The one idea: a run about one rule that ends at a plainer one says nothing of its own rule, if that one is broken.
 */
import type { JudgedRun } from './judged-run.ts';
import type { Role } from './peer.ts';
import type { Outcome, Step, Verdict } from './verdict.ts';

export interface Found {
  readonly outcome: Outcome;
  readonly why: string;
  readonly steps: readonly Step[];
}

/** A run that is over. */
type Over<Rule extends string> = Pick<
  JudgedRun<Rule, unknown>,
  'finding' | 'warnings' | 'warnedAt' | 'steps'
>;

/** The steps that led to a warning: the run went on after it. */
export function stepsToWarning<Rule extends string>(run: Over<Rule>, rule: Rule): readonly Step[] {
  return run.steps.slice(0, run.warnedAt.get(rule));
}

/** A schedule of so many steps is short enough for anybody. */
const SHORT = 6;

export class Findings<Rule extends string> {
  readonly #found = new Map<Rule, Found>();
  readonly #skipped = new Map<Rule, string>();

  /** The rules of which there is something to say. */
  get rules(): Iterable<Rule> {
    return this.#found.keys();
  }

  /** The rules that are broken, and whose schedules are long enough to seek shorter ones. */
  broken(): Rule[] {
    return [...this.#found]
      .filter(([, { outcome, steps }]) => outcome === 'fail' && steps.length > SHORT)
      .map(([rule]) => rule);
  }

  failed(rule: Rule): boolean {
    return this.#found.get(rule)?.outcome === 'fail';
  }

  skip(rule: Rule, why: string): void {
    this.#skipped.set(rule, why);
  }

  keep(rule: Rule, found: Found): void {
    const before = this.#found.get(rule);
    const worse = before?.outcome === 'warn' && found.outcome === 'fail';
    const shorter = before?.outcome === found.outcome && found.steps.length < before.steps.length;
    if (!before || worse || shorter) this.#found.set(rule, found);
  }

  /** Keeps what a run found; `repeat` makes the same run with its steps. */
  judge(run: Over<Rule>, repeat: () => Over<Rule>): void {
    const { finding } = run;
    const cause = finding?.cause;
    if (finding && cause && this.failed(cause)) {
      this.skip(finding.rule, `${cause} is broken, and ends every try`);
    } else if (finding) {
      this.keep(finding.rule, { outcome: 'fail', why: finding.why, steps: repeat().steps });
    }
    this.judgeWarnings(run, repeat);
  }

  judgeWarnings({ warnings }: Over<Rule>, repeat: () => Over<Rule>): void {
    for (const [rule, why] of warnings) {
      if (this.#found.has(rule)) continue;
      this.keep(rule, { outcome: 'warn', why, steps: stepsToWarning(repeat(), rule) });
    }
  }

  verdicts(rules: readonly Rule[], role: Role): Verdict[] {
    return rules.map((rule) => {
      const found = this.#found.get(rule);
      if (found) return { rule, role, ...found };
      const why = this.#skipped.get(rule);
      return why === undefined
        ? { rule, role, outcome: 'pass' }
        : { rule, role, outcome: 'skip', why };
    });
  }
}

/** The one of the runs, counted from 0. */
export function nth<Run>(runs: Generator<Run, unknown>, which: number): Run {
  let next = runs.next();
  for (let n = 0; n < which; n++) next = runs.next();
  return next.value as Run;
}
