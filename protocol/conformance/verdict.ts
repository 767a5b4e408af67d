/** What the kit says of a peer: for each rule and role a verdict, with the schedule that shows a failure. */
import type { Exploration } from './explore.ts';
import type { Role } from './peer.ts';

/** `warn` is legal but wasteful, or trusting; `skip` was not tried, and says why. */
export type Outcome = 'pass' | 'fail' | 'warn' | 'skip';

/** One step of a schedule, and the ring after it. */
export interface Step {
  readonly who: Role;
  readonly what: string;
  readonly picture?: string; // one line
}

export interface Verdict {
  readonly rule: string; // as in docs/rings.md: RING-09
  readonly role: Role;
  readonly outcome: Outcome;
  /** One sentence, for everything but `pass`. */
  readonly why?: string;
  readonly steps?: readonly Step[];
}

/** What a suite says of a peer, in every role that it has. */
export interface Report {
  readonly verdicts: readonly Verdict[];
  /** How far every interleaving was followed, for each role. */
  readonly explored: ReadonlyMap<Role, Exploration>;
  /** What stands above the pictures of steps. */
  readonly pictureHeader: string;
}

const MOST_STEPS = 48; // printed: of a longer schedule its end

/** A verdict as text: one line, then a line for each step of its schedule. */
export function describeVerdict(verdict: Verdict, pictureHeader = ''): string {
  const { rule, role, outcome, why, steps = [] } = verdict;
  const lines = [`${rule} ${role}: ${outcome}${why === undefined ? '' : `: ${why}`}`];
  const shown = steps.slice(-MOST_STEPS);
  const width = Math.max(0, ...shown.map(({ what }) => what.length));
  if (shown.length > 0) lines.push(`        ${''.padEnd(6)}${''.padEnd(width)}  ${pictureHeader}`);
  if (shown.length < steps.length)
    lines.push(`        … ${steps.length - shown.length} steps before`);
  for (const [i, { who, what, picture = '' }] of shown.entries()) {
    const number = String(steps.length - shown.length + i + 1).padStart(6);
    lines.push(`${number}  ${who.padEnd(6)}${what.padEnd(width)}  ${picture}`);
  }
  return lines.map((line) => line.trimEnd()).join('\n');
}
