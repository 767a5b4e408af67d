/**
 * The whole suite for one protocol's ring: scenarios, generated schedules at zero and across 2^32, and every
 * interleaving on a small ring; from all of them one verdict for each rule and role.
 * The one idea: a rule is broken by whatever run breaks it, and shown by the shortest of them.
 */
import fc from 'fast-check';
import { ringLine, ringLineHeader } from '../ring-line.ts';
import { driveFreely, driveProgram, rest } from './drive.ts';
import { type Exploration, explore } from './explore.ts';
import { type Guide, ListGuide } from './guide.ts';
import type { Peer, Role } from './peer.ts';
import { type RingProtocol, ringBytes } from './ring-protocols.ts';
import { RING_RULES, type RingRule, type Rule } from './rules.ts';
import { Run, type RunOptions } from './run.ts';
import { SCENARIOS } from './scenarios.ts';
import { start } from './start.ts';
import { Findings, nth, stepsToWarning } from './suite-findings.ts';
import type { Report, Verdict } from './verdict.ts';
import type { Tally } from './watch.ts';

export interface RingSuiteOptions {
  readonly peer: Peer;
  readonly protocol: RingProtocol;
  readonly seed: number;
  /** Only these roles, of those that the peer has. */
  readonly roles?: readonly Role[];
  /** Told what is being done, for a progress display. */
  readonly progress?: (what: string) => void;
}

const EXPLORED_SLOTS = 4;
const EXPLORED_REQUESTS = 3;

/** Who breaks one of these can leave an end asleep. */
const LOSE_WAKE_UPS: ReadonlySet<RingRule> = new Set<RingRule>([
  'RING-10',
  'RING-11',
  'RING-16',
  'RING-17',
  'RING-18',
  'RING-24',
]);

/** How much is done: a call of a process costs a thousand times what a call of a function costs. */
const EFFORT = {
  object: { schedules: 600, runs: 200_000, shortening: 12_000 },
  wasm: { schedules: 600, runs: 200_000, shortening: 12_000 },
  process: { schedules: 60, runs: 3_000, shortening: 300 },
} as const;

/** What a peer must have for a role to be tested. */
const PEER_VERBS = ['init', 'request', 'response', 'push', 'final_check'] as const;

/** Tests every role that the peer has. */
export function ringSuite(options: RingSuiteOptions): Report {
  const verdicts: Verdict[] = [];
  const explored = new Map<Role, Exploration>();
  for (const role of options.roles ?? (['front', 'back'] as const)) {
    if (!PEER_VERBS.every((verb) => options.peer.has(role, verb))) continue;
    const suite = new RoleSuite(options, role);
    explored.set(role, suite.test());
    verdicts.push(...suite.verdicts());
  }
  return { verdicts, explored, pictureHeader: ringLineHeader() };
}

/** Where the indices of a generated schedule begin. */
type Where = 'at zero' | 'across 2^32';

/** The guide's answers, the slots of the ring, the requests in all. */
const schedules = fc.tuple(
  fc.array(fc.nat(59), { maxLength: 150, size: 'max' }),
  fc.constantFrom(2, 4, 8),
  fc.integer({ min: 1, max: 12 }),
);

type Schedule = typeof schedules extends fc.Arbitrary<infer T> ? T : never;

/** What a generated schedule shows; `what` tells it from other things. */
interface Shown {
  readonly what: string;
  readonly rule: RingRule;
  readonly outcome: 'fail' | 'warn';
  readonly why: string;
}

class RoleSuite {
  readonly #options: RingSuiteOptions;
  readonly #role: Role;
  readonly #findings = new Findings<RingRule>();
  readonly #tally: Tally = { published: false, armed: false, standsAtZero: false };

  constructor(options: RingSuiteOptions, role: Role) {
    this.#options = options;
    this.#role = role;
  }

  test(): Exploration {
    this.#generated('at zero');
    this.#scenarios(); // some only say where a rule that is kept elsewhere is broken
    this.#generated('across 2^32');
    const exploration = this.#explore();
    this.#shorten();
    this.#whatCannotBeSeen();
    return exploration;
  }

  verdicts(): Verdict[] {
    const bound = (RING_RULES as readonly (Rule & { id: RingRule })[]).filter(({ roles }) =>
      roles.includes(this.#role),
    );
    return this.#findings.verdicts(
      bound.map(({ id }) => id),
      this.#role,
    );
  }

  #begin(over: Partial<RunOptions>): Run {
    const { peer, protocol } = this.#options;
    const bytes = ringBytes(protocol.layout, EXPLORED_SLOTS);
    const guide = new ListGuide([]);
    const tally = this.#tally;
    return new Run({ peer, protocol, role: this.#role, bytes, todo: 1, guide, tally, ...over });
  }

  #say(what: string): void {
    this.#options.progress?.(`${this.#role}: ${what}`);
  }

  #scenarios(): void {
    for (const { rule, roles, play } of SCENARIOS) {
      if (!roles.includes(this.#role)) continue;
      this.#say(rule);
      const runs = (over: Partial<RunOptions>) => play((more) => this.#begin({ ...more, ...over }));
      let n = 0;
      const all = runs({});
      for (let next = all.next(); ; next = all.next()) {
        if (next.done) {
          if (next.value !== undefined) this.#findings.skip(rule, next.value);
          break;
        }
        const which = n++;
        this.#findings.judge(next.value, () => nth(runs({ picture }), which));
      }
    }
  }

  /** Schedules from the seed; each rule that one of them breaks is sought again alone, and made short. */
  #generated(where: Where): void {
    this.#say(`generated schedules ${where}`);
    const known = new Set<string>();
    if (where === 'across 2^32') for (const rule of this.#findings.rules) known.add(`fail ${rule}`);
    for (;;) {
      const found = this.#seek(where, known);
      if (found === undefined) return;
      known.add(found);
    }
  }

  /** One search for a schedule that shows something not in `known`. @returns what it shows */
  #seek(where: Where, known: ReadonlySet<string>): string | undefined {
    const { peer, seed } = this.#options;
    let sought: Shown | undefined;
    let unable: string | undefined;
    const make = (schedule: Schedule, more: Partial<RunOptions>): Run => {
      const [list, slots, todo] = schedule;
      const bytes = ringBytes(this.#options.protocol.layout, slots);
      const run = this.#begin({ bytes, todo, guide: new ListGuide(list), ...more });
      unable ??= start(run, where === 'at zero' ? 0 : 2 ** 32 - slots);
      if (unable === undefined && !run.over) driveFreely(run);
      if (unable === undefined && !run.over) rest(run);
      return run;
    };
    const property = fc.property(schedules, (schedule) => {
      if (unable !== undefined) return true;
      const shown = shownBy(make(schedule, {}), where, known);
      if (!shown || (sought && shown.what !== sought.what)) return true;
      sought = shown;
      return false;
    });
    const numRuns = EFFORT[peer.kind].schedules;
    const { counterexample } = fc.check(property, { seed, numRuns });
    if (unable !== undefined) this.#findings.skip('RING-23', unable);
    if (!counterexample || !sought) return undefined;
    const { what, rule, outcome, why } = sought;
    // A process whose init does not make it forget may not do the same again: then there are no steps to show.
    const run = make(counterexample[0], { picture });
    const again = shownBy(run, where, known)?.what === what;
    const steps = !again ? [] : outcome === 'warn' ? stepsToWarning(run, rule) : run.steps;
    // Across 2^32, what is broken only there is the comparison.
    if (where === 'at zero') this.#findings.keep(rule, { outcome, why, steps });
    else this.#findings.keep('RING-23', { outcome, why: `across 2^32: ${why}`, steps });
    return what;
  }

  #explore(): Exploration {
    const { runs } = EFFORT[this.#options.peer.kind];
    this.#say(`every interleaving of ${EXPLORED_REQUESTS} requests over ${EXPLORED_SLOTS} slots`);
    const once = (guide: Guide, more: Partial<RunOptions>): Run => {
      const run = this.#begin({ guide, todo: EXPLORED_REQUESTS, ...more });
      start(run);
      if (!run.over) driveProgram(run);
      return run;
    };
    let broken = false;
    const result = explore(runs, (guide, answers) => {
      const run = once(guide, {});
      if (!run.finding) return true;
      const { steps } = once(new ListGuide(answers()), { picture });
      broken = true;
      const { rule, why } = run.finding;
      this.#findings.keep(rule, { outcome: 'fail', why, steps });
      if (LOSE_WAKE_UPS.has(rule)) this.#findings.keep('RING-24', { outcome: 'fail', why, steps });
      else this.#findings.skip('RING-24', `${rule} is broken, and ends the search`);
      return false;
    });
    if (!broken && !result.complete && this.#options.peer.kind !== 'process') {
      this.#findings.skip('RING-24', `more than ${runs} runs: not every interleaving was seen`);
    }
    return result;
  }

  /** Seeks, breadth first, a shorter schedule for each rule that is broken at zero: few verbs and moves, in any order. */
  #shorten(): void {
    const sought = new Set(this.#findings.broken());
    if (sought.size === 0) return;
    this.#say('shorter schedules');
    const once = (guide: Guide, more: Partial<RunOptions>): Run => {
      const run = this.#begin({ guide, todo: 2, ...more });
      start(run);
      if (!run.over) driveFreely(run);
      return run;
    };
    explore(EFFORT[this.#options.peer.kind].shortening, (guide, answers) => {
      const { finding } = once(guide, {});
      if (!finding || !sought.delete(finding.rule)) return true;
      const { steps } = once(new ListGuide(answers()), { picture });
      this.#findings.keep(finding.rule, { outcome: 'fail', why: finding.why, steps });
      return sought.size > 0;
    });
  }

  /** Rules about the order within a verb, of a peer that shows no order. */
  #whatCannotBeSeen(): void {
    const { grain } = this.#options.peer;
    if (grain === 'verb') {
      const why = 'the order within a verb is not seen: have the peer pause at its barriers';
      for (const rule of ['RING-07', 'RING-11', 'RING-15', 'RING-17'] as const)
        this.#findings.skip(rule, why);
    }
    if (grain !== 'access') {
      const why = 'single accesses are not seen: the peer is a process';
      this.#findings.skip('RING-26', why);
    }
    if (grain !== 'barrier') return;
    const none = 'the peer never pauses between writing';
    if (!this.#tally.published && !this.#findings.failed('RING-11')) {
      const why = `${none} its index and reading the threshold: there must be a full barrier`;
      this.#findings.keep('RING-11', { outcome: 'fail', why, steps: [] });
    }
    if (!this.#tally.armed && !this.#findings.failed('RING-17')) {
      const why = `${none} its threshold and looking again: there must be a full barrier`;
      this.#findings.keep('RING-17', { outcome: 'fail', why, steps: [] });
    }
  }
}

/** The first thing that a run shows and that is not known; of a run across 2^32 only what is broken. */
function shownBy(run: Run, where: Where, known: ReadonlySet<string>): Shown | undefined {
  const { finding, warnings } = run;
  const all: Omit<Shown, 'what'>[] = finding ? [{ ...finding, outcome: 'fail' }] : [];
  if (where === 'at zero') {
    for (const [rule, why] of warnings) all.push({ rule, why, outcome: 'warn' });
  }
  return all
    .map((one) => ({ ...one, what: `${one.outcome} ${one.rule}` }))
    .find(({ what }) => !known.has(what));
}

function picture(run: Run): string {
  const { model, end, options } = run;
  const known =
    run.role === 'front'
      ? {
          reqProdPvt: run.filled,
          rspCons: run.consumed,
          reqCons: model.consumed,
          rspProdPvt: model.published,
        }
      : {
          reqProdPvt: model.published,
          rspCons: model.consumed,
          reqCons: run.consumed,
          rspProdPvt: run.filled,
        };
  return ringLine(end.page, options.protocol.layout, known);
}
