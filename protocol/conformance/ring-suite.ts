/**
 * The whole suite for one protocol's ring: scenarios, generated schedules at zero and across 2^32, and every
 * interleaving on a small ring; from all of them one verdict for each rule and role.
 * The one idea: a rule is broken by whatever run breaks it, and shown by the shortest of them.
 */
import fc from 'fast-check';
import { ringLine, ringLineHeader } from '../ring-line.ts';
import { driveFreely, driveProgram } from './drive.ts';
import { type Exploration, explore } from './explore.ts';
import { type Guide, ListGuide } from './guide.ts';
import type { Peer, Role } from './peer.ts';
import { type RingProtocol, ringBytes } from './ring-protocols.ts';
import { type Finding, RING_RULES, type RingRule } from './rules.ts';
import { Run, type RunOptions } from './run.ts';
import { SCENARIOS } from './scenarios.ts';
import { start } from './start.ts';
import type { Outcome, Report, Step, Verdict } from './verdict.ts';
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
const SCHEDULE = { maxLength: 150, size: 'max' } as const;

/** Who breaks one of these can leave an end asleep. */
const LOSE_WAKE_UPS: ReadonlySet<RingRule> = new Set<RingRule>([
  ...(['RING-10', 'RING-11', 'RING-16', 'RING-17', 'RING-18', 'RING-24'] as const),
]);

/** How much is done: a call of a process costs a thousand times what a call of a function costs. */
const EFFORT = {
  object: { schedules: 600, runs: 200_000, requests: EXPLORED_REQUESTS },
  wasm: { schedules: 600, runs: 200_000, requests: EXPLORED_REQUESTS },
  process: { schedules: 60, runs: 3_000, requests: EXPLORED_REQUESTS },
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

interface Found {
  readonly outcome: Outcome;
  readonly why: string;
  readonly steps: readonly Step[];
}

class RoleSuite {
  readonly #options: RingSuiteOptions;
  readonly #role: Role;
  readonly #found = new Map<RingRule, Found>();
  readonly #skipped = new Map<RingRule, string>();
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
    this.#whatCannotBeSeen();
    return exploration;
  }

  verdicts(): Verdict[] {
    return RING_RULES.filter(({ roles }) => (roles as readonly Role[]).includes(this.#role)).map(
      ({ id }) => {
        const found = this.#found.get(id);
        if (found) return { rule: id, role: this.#role, ...found };
        const why = this.#skipped.get(id);
        if (why !== undefined) return { rule: id, role: this.#role, outcome: 'skip', why };
        return { rule: id, role: this.#role, outcome: 'pass' };
      },
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
          if (next.value !== undefined) this.#skipped.set(rule, next.value);
          break;
        }
        const which = n++;
        this.#judge(next.value, () => nth(runs({ picture }), which));
      }
    }
  }

  /** Keeps what a run found; `repeat` makes the same run with its steps. */
  #judge(run: Run, repeat: () => Run): void {
    const { finding, warnings } = run;
    const cause = finding?.cause;
    if (cause && this.#found.get(cause)?.outcome === 'fail') {
      this.#skipped.set(finding.rule, `${cause} is broken, and ends every try`);
    } else if (finding)
      this.#keep(finding.rule, { outcome: 'fail', why: finding.why, steps: repeat().steps });
    for (const [rule, why] of warnings) {
      if (!this.#found.has(rule)) this.#keep(rule, { outcome: 'warn', why, steps: repeat().steps });
    }
  }

  #keep(rule: RingRule, found: Found): void {
    const before = this.#found.get(rule);
    const worse = before?.outcome === 'warn' && found.outcome === 'fail';
    const shorter = before?.outcome === found.outcome && found.steps.length < before.steps.length;
    if (!before || worse || shorter) this.#found.set(rule, found);
  }

  /** Schedules from the seed; each rule that one of them breaks is sought again alone, and made short. */
  #generated(where: Where): void {
    const { peer } = this.#options;
    this.#say(`generated schedules ${where}`);
    const known = new Set<RingRule>(where === 'at zero' ? [] : this.#found.keys());
    for (let round = 0; round < RING_RULES.length; round++) {
      const broken = this.#seek(where, known, EFFORT[peer.kind].schedules);
      if (broken === undefined) return;
      known.add(broken);
    }
  }

  /** One search for a schedule that breaks a rule not in `known`. @returns that rule */
  #seek(where: Where, known: ReadonlySet<RingRule>, numRuns: number): RingRule | undefined {
    let sought: Finding | undefined;
    let unable: string | undefined;
    const make = (
      list: readonly number[],
      slots: number,
      todo: number,
      more: Partial<RunOptions>,
    ) => {
      const bytes = ringBytes(this.#options.protocol.layout, slots);
      const run = this.#begin({ bytes, todo, guide: new ListGuide(list), ...more });
      unable ??= start(run, where === 'at zero' ? 0 : 2 ** 32 - slots);
      if (unable === undefined && !run.over) driveFreely(run);
      return run;
    };
    const arbitrary = fc.tuple(
      fc.array(fc.nat(59), SCHEDULE),
      fc.constantFrom(2, 4, 8),
      fc.integer({ min: 1, max: 12 }),
    );
    const property = fc.property(arbitrary, ([list, slots, todo]) => {
      if (unable !== undefined) return true;
      const run = make(list, slots, todo, {});
      if (where === 'at zero') {
        for (const [rule, why] of run.warnings) {
          this.#warn(rule, why, () => make(list, slots, todo, { picture }));
        }
      }
      const { finding } = run;
      if (!finding || known.has(finding.rule) || (sought && finding.rule !== sought.rule))
        return true;
      sought = finding;
      return false;
    });
    const { counterexample } = fc.check(property, { seed: this.#options.seed, numRuns });
    if (unable !== undefined) this.#skipped.set('RING-23', unable);
    if (!counterexample || !sought) return undefined;
    const { rule, why } = sought;
    const [list, slots, todo] = counterexample[0];
    // A process whose init does not make it forget may not do the same again: then there are no steps to show.
    const { finding, steps } = make(list, slots, todo, { picture });
    const found = { outcome: 'fail', steps: finding?.rule === rule ? steps : [] } as const;
    // Across 2^32, what is broken only there is the comparison.
    if (where === 'at zero') this.#keep(rule, { ...found, why });
    else this.#keep('RING-23', { ...found, why: `across 2^32: ${why}` });
    return rule;
  }

  #warn(rule: RingRule, why: string, repeat: () => Run): void {
    if (!this.#found.has(rule)) this.#keep(rule, { outcome: 'warn', why, steps: repeat().steps });
  }

  #explore(): Exploration {
    const { runs, requests } = EFFORT[this.#options.peer.kind];
    this.#say(`every interleaving of ${requests} requests over ${EXPLORED_SLOTS} slots`);
    const once = (guide: Guide, more: Partial<RunOptions>): Run => {
      const run = this.#begin({ guide, todo: requests, ...more });
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
      this.#keep(rule, { outcome: 'fail', why, steps });
      if (LOSE_WAKE_UPS.has(rule)) this.#keep('RING-24', { outcome: 'fail', why, steps });
      else this.#skipped.set('RING-24', `${rule} is broken, and ends the search`);
      return false;
    });
    if (!broken && !result.complete && this.#options.peer.kind !== 'process') {
      this.#skipped.set('RING-24', `more than ${runs} runs: not every interleaving was seen`);
    }
    return result;
  }

  /** Rules about the order within a verb, of a peer that shows no order. */
  #whatCannotBeSeen(): void {
    const { grain } = this.#options.peer;
    if (grain === 'verb') {
      const why = 'the order within a verb is not seen: have the peer pause at its barriers';
      for (const rule of ['RING-07', 'RING-11', 'RING-15', 'RING-17'] as const)
        this.#skipped.set(rule, why);
    }
    if (grain !== 'access') {
      const why = 'single accesses are not seen: the peer is a process';
      this.#skipped.set('RING-26', why);
    }
    if (grain !== 'barrier') return;
    const none = 'the peer never pauses between writing';
    if (!this.#tally.published) {
      const why = `${none} its index and reading the threshold: there must be a full barrier`;
      this.#keep('RING-11', { outcome: 'fail', why, steps: [] });
    }
    if (!this.#tally.armed) {
      const why = `${none} its threshold and looking again: there must be a full barrier`;
      this.#keep('RING-17', { outcome: 'fail', why, steps: [] });
    }
  }
}

function nth(runs: Generator<Run, unknown>, which: number): Run {
  let next = runs.next();
  for (let n = 0; n < which; n++) next = runs.next();
  return next.value as Run;
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
