/**
 * The whole suite for the console's or xenstore's rings of bytes: scenarios, generated schedules from zero and across
 * 2^31 and 2^32, and every interleaving of a few short writes and reads; from all of them one verdict for each rule
 * and role. The one idea: a rule is broken by whatever run breaks it, and shown by the shortest of them.
 */
import fc from 'fast-check';
import { driveFreely, driveProgram, PROGRAM_PIECES, PROGRAMS, type Program } from './byte-drive.ts';
import { BYTE_PAGES, type ByteProtocolName, byteLine, byteLineHeader } from './byte-page.ts';
import { type ByteRule, byteRulesFor } from './byte-rules.ts';
import { ByteRun, type ByteRunOptions, type ByteTally, type Standing } from './byte-run.ts';
import { BYTE_SCENARIOS } from './byte-scenarios.ts';
import { start } from './byte-verbs.ts';
import { type Exploration, explore } from './explore.ts';
import { type Guide, ListGuide } from './guide.ts';
import type { Peer, Role } from './peer.ts';
import { Findings, nth } from './suite-findings.ts';
import type { Report, Verdict } from './verdict.ts';

export interface ByteSuiteOptions {
  readonly peer: Peer;
  readonly protocol: ByteProtocolName;
  readonly seed: number;
  /** Only these roles, of those that the peer has. */
  readonly roles?: readonly Role[];
  /** Told what is being done, for a progress display. */
  readonly progress?: (what: string) => void;
}

const SCHEDULE = { maxLength: 60, size: 'max' } as const;
const ANY = { puts: Number.POSITIVE_INFINITY, takes: Number.POSITIVE_INFINITY };
const PIECES = [1, 5, 300]; // of the model, in generated schedules

/** How much is done: a call of a process costs a thousand times what a call of a function costs. */
const EFFORT = {
  object: { schedules: 120, runs: 100_000 },
  wasm: { schedules: 120, runs: 100_000 },
  process: { schedules: 40, runs: 3_000 },
} as const;

const VERBS = ['init', 'write', 'read'] as const;

/** Tests every role that the peer has. */
export function byteSuite(options: ByteSuiteOptions): Report {
  const verdicts: Verdict[] = [];
  const explored = new Map<Role, Exploration>();
  for (const role of options.roles ?? (['front', 'back'] as const)) {
    if (!VERBS.every((verb) => options.peer.has(role, verb))) continue;
    const suite = new ByteRoleSuite(options, role);
    explored.set(role, suite.test());
    verdicts.push(...suite.verdicts());
  }
  return { verdicts, explored, pictureHeader: byteLineHeader(BYTE_PAGES[options.protocol]) };
}

/** Where the indices of a generated schedule begin. */
type Where = 'from zero' | 'across the numbers';

/** The indices of a ring that stands near 2^31 or 2^32, and how full it is. */
const nearby = fc.record({
  middle: fc.constantFrom(2 ** 31, 2 ** 32),
  written: fc.nat(3000),
  read: fc.nat(3000),
  unread: fc.nat(1024),
  waiting: fc.nat(1024),
});

type Nearby = typeof nearby extends fc.Arbitrary<infer T> ? T : never;

class ByteRoleSuite {
  readonly #options: ByteSuiteOptions;
  readonly #role: Role;
  readonly #findings = new Findings<ByteRule>();
  readonly #tally: ByteTally = { placed: false };

  constructor(options: ByteSuiteOptions, role: Role) {
    this.#options = options;
    this.#role = role;
  }

  test(): Exploration {
    this.#generated('from zero');
    this.#scenarios(); // some only say where a rule that is kept elsewhere is broken
    if (!this.#findings.failed('BYTE-02')) this.#generated('across the numbers');
    const exploration = this.#explore();
    this.#whatCannotBeSeen();
    return exploration;
  }

  verdicts(): Verdict[] {
    const { protocol } = this.#options;
    return this.#findings.verdicts(byteRulesFor(protocol, this.#role), this.#role);
  }

  #begin(over: Partial<ByteRunOptions>): ByteRun {
    const { peer, protocol } = this.#options;
    return new ByteRun({
      ...{ peer, role: this.#role, page: BYTE_PAGES[protocol], guide: new ListGuide([]) },
      ...{ most: ANY, pieces: PIECES, tally: this.#tally },
      ...over,
    });
  }

  #say(what: string): void {
    this.#options.progress?.(`${this.#role}: ${what}`);
  }

  #scenarios(): void {
    for (const { rule, play } of BYTE_SCENARIOS) {
      if ((rule === 'BYTE-16' || rule === 'BYTE-17') && this.#findings.failed('BYTE-02')) {
        this.#findings.skip(rule, 'BYTE-02 is broken: the peer cannot begin there');
        continue;
      }
      this.#say(rule);
      let n = 0;
      for (const run of play((over) => this.#begin(over ?? {}))) {
        const which = n++;
        this.#findings.judge(run, () =>
          nth(
            play((over) => this.#begin({ ...over, picture })),
            which,
          ),
        );
      }
    }
  }

  /** Schedules from the seed; each rule that one of them breaks is sought again alone, and made short. */
  #generated(where: Where): void {
    this.#say(`generated schedules ${where}`);
    const known = new Set<ByteRule>(where === 'from zero' ? [] : this.#findings.rules);
    for (;;) {
      const broken = this.#seek(where, known);
      if (broken === undefined) return;
      known.add(broken);
    }
  }

  /** One search for a schedule that breaks a rule not in `known`. @returns that rule */
  #seek(where: Where, known: ReadonlySet<ByteRule>): ByteRule | undefined {
    const { peer, seed } = this.#options;
    let sought: ByteRule | undefined;
    const make = (list: readonly number[], near: Nearby, more: Partial<ByteRunOptions>) => {
      const run = this.#begin({ guide: new ListGuide(list), ...more });
      start(run, where === 'from zero' ? undefined : standingNear(near));
      if (!run.over) driveFreely(run);
      return run;
    };
    const property = fc.property(fc.array(fc.nat(119), SCHEDULE), nearby, (list, near) => {
      const run = make(list, near, {});
      if (where === 'from zero') {
        this.#findings.judgeWarnings(run, () => make(list, near, { picture }));
      }
      const rule = run.finding?.rule;
      if (rule === undefined || known.has(rule)) return true;
      sought ??= rule;
      return rule !== sought;
    });
    const numRuns = EFFORT[peer.kind].schedules;
    const { counterexample } = fc.check(property, { seed, numRuns });
    if (!counterexample) return undefined;
    const { finding, steps } = make(...counterexample, { picture });
    const { rule, why } = finding!;
    // Across the numbers, what is broken only there is the comparison.
    if (where === 'from zero') this.#findings.keep(rule, { outcome: 'fail', why, steps });
    else this.#findings.keep('BYTE-17', { outcome: 'fail', why: `across 2^32: ${why}`, steps });
    return rule;
  }

  #explore(): Exploration {
    const total = { states: 0, runs: 0, complete: true };
    for (const program of PROGRAMS) {
      this.#say(`every interleaving: ${program.name}`);
      const { states, runs, complete } = this.#exploreOne(program);
      total.states += states;
      total.runs += runs;
      total.complete &&= complete;
    }
    return total;
  }

  #exploreOne(program: Program): Exploration {
    const { most } = program;
    const standing = this.#findings.failed('BYTE-02') ? undefined : program.standing;
    const once = (guide: Guide, more: Partial<ByteRunOptions>): ByteRun => {
      const run = this.#begin({ guide, most, pieces: PROGRAM_PIECES, ...more });
      start(run, standing?.(run));
      if (!run.over) driveProgram(run, program);
      return run;
    };
    return explore(EFFORT[this.#options.peer.kind].runs, (guide, answers) => {
      const run = once(guide, {});
      if (!run.finding) return true;
      const { steps } = once(new ListGuide(answers()), { picture });
      this.#findings.keep(run.finding.rule, { outcome: 'fail', why: run.finding.why, steps });
      return false;
    });
  }

  /** Rules about the order within a verb, of a peer that shows no order. */
  #whatCannotBeSeen(): void {
    const { grain } = this.#options.peer;
    if (grain === 'verb') {
      const why = 'the order within a verb is not seen: have the peer pause at its barriers';
      for (const rule of ['BYTE-05', 'BYTE-12', 'BYTE-13'] as const) this.#findings.skip(rule, why);
    }
    if (grain === 'barrier' && !this.#tally.placed && !this.#findings.failed('BYTE-05')) {
      const why =
        'the peer never pauses between writing bytes and writing its index: there must be a write barrier';
      this.#findings.keep('BYTE-05', { outcome: 'fail', why, steps: [] });
    }
  }
}

function standingNear({ middle, written, read, unread, waiting }: Nearby): Standing {
  return { written: (middle - written) >>> 0, unread, read: (middle - read) >>> 0, waiting };
}

function picture({ end, options }: ByteRun): string {
  return byteLine(end.page, options.page);
}
