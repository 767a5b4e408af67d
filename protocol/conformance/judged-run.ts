/**
 * What any run is, of whatever ring: somebody's end and the kit's model take turns as a guide says, and the first
 * rule that is broken ends it. The one idea: every question to the guide goes through `ask`, so the list of answers is
 * the schedule.
 */
import type { Guide } from './guide.ts';
import { type PeerEnd, PeerFault, type Role, type Verb } from './peer.ts';
import type { Step } from './verdict.ts';

/** The kit's own end. */
export interface Model<Move> {
  readonly role: Role;
  moves(): Move[];
  make(move: Move): void;
}

export abstract class JudgedRun<Rule extends string, Move> {
  readonly steps: Step[] = [];
  readonly warnings = new Map<Rule, string>();
  /** How many steps there were at each warning. */
  readonly warnedAt = new Map<Rule, number>();
  /** The first broken rule, and one sentence; `cause` is the plainer rule behind it, where the run was about another. */
  finding: { readonly rule: Rule; readonly why: string; readonly cause?: Rule } | undefined;
  /** The guide ended the run: nothing more is to be learnt from it. */
  ended = false;
  /** While this is set, the model moves only when it is told to. */
  undisturbed = false;
  abstract model: Model<Move>;
  abstract readonly end: PeerEnd;
  readonly #guide: Guide;
  readonly #picture: (() => string) | undefined;

  /** `picture` draws the ring, for each step that is kept; without it none is. */
  constructor(guide: Guide, picture: (() => string) | undefined) {
    this.#guide = guide;
    this.#picture = picture;
  }

  /** Where the run stands at `place`: two runs that stand alike have the same future. */
  protected abstract key(place: string): string;

  /** Whether the run is over, one way or the other. */
  get over(): boolean {
    return this.finding !== undefined || this.ended;
  }

  /** Whether somebody keeps the steps. */
  get kept(): boolean {
    return this.#picture !== undefined;
  }

  get log(): ((what: string) => void) | undefined {
    return this.#picture && ((what) => this.note(this.model.role, what));
  }

  note(who: Role, what: string): void {
    if (this.#picture) this.steps.push({ who, what, picture: this.#picture() });
  }

  find(rule: Rule, why: string): void {
    this.finding ??= { rule, why };
  }

  warn(rule: Rule, why: string): void {
    if (this.warnings.has(rule)) return;
    this.warnings.set(rule, why);
    this.warnedAt.set(rule, this.steps.length);
  }

  /** Lets the model move: where `quiet`, it may also do nothing. `place` tells this question from others. */
  between(quiet: boolean, place: string): void {
    while (!this.over && !this.undisturbed) {
      const moves = this.model.moves();
      if (moves.length === 0) return;
      const answer = this.ask(moves.length + Number(quiet), place);
      if (this.over || (quiet && answer === 0)) return;
      this.model.make(moves[answer - Number(quiet)] as Move);
      if (!quiet) return;
    }
  }

  /** Which of `ways` to go; 0 and an end to the run where the guide has had enough. */
  ask(ways: number, place: string): number {
    const answer = this.#guide.ask(ways, () => this.key(place));
    if (answer === undefined) this.ended = true;
    return answer ?? 0;
  }

  /** Calls the peer. What becomes of one that has broken a rule, a trap say, says nothing more. */
  protected callPeer(verb: Verb, argument?: number, index?: number): number {
    try {
      return this.end.call(verb, argument, index);
    } catch (error) {
      if (error instanceof PeerFault && this.finding) return 0;
      throw error;
    }
  }
}
