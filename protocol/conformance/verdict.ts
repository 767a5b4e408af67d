/** What the kit says of a peer: for each rule and role a verdict, with the schedule that shows a failure. */
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
