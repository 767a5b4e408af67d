/**
 * Whole block drivers against the kit: for each rule a machine of its own, with the hypervisor, a driver domain and a
 * guest, of which one end is judged and the other judges. Whatever the subject does, a check ends in virtual time, and
 * the next one begins on a new machine.
 */

import { Finding } from '../drivers/conformance/bench.ts';
import { BACK_CHECKS } from '../drivers/conformance/blk-back-checks.ts';
import { type BackJudge, backJudge } from '../drivers/conformance/blk-back-judge.ts';
import { FRONT_CHECKS } from '../drivers/conformance/blk-front-checks.ts';
import { FrontJudge } from '../drivers/conformance/blk-front-judge.ts';
import { BLK_RULES, type BlkRule } from '../drivers/conformance/blk-rules.ts';
import { subjectGuest } from '../drivers/conformance/subject.ts';
import { xvdHandle } from '../drivers/disk.ts';
import { defineKernel } from '../drivers/kernel.ts';
import { hasRings } from '../drivers/ring-kernel.ts';
import { type BlockBackMaker, blkBack } from '../drivers/served-domain.ts';
import type { Guest } from '../machine/cpu.ts';
import { HALTED } from '../machine/script-control.ts';
import type { Rule } from '../protocol/conformance/rules.ts';
import type { Verdict } from '../protocol/conformance/verdict.ts';
import { ConformanceHost } from './conformance-host.ts';

/** What is to be judged: back ends that domain 0 runs, or a guest that obeys the commands of subject.ts. */
export type BlkConformance = (
  | { readonly role: 'back'; readonly subject?: BlockBackMaker }
  | { readonly role: 'front'; readonly subject?: Guest }
) & {
  /** What varies the checks; the same seed gives the same run. */
  readonly seed: number;
  /** Only these rules. */
  readonly rules?: readonly BlkRule[];
  /** Told of each verdict as soon as it is there. */
  readonly onVerdict?: (verdict: Verdict) => void;
};

type Found = Pick<Verdict, 'outcome' | 'why'>;

/** Judges a block driver by every rule that binds its role, in the order of the rules. */
export const runBlkConformance = async (options: BlkConformance): Promise<Verdict[]> => {
  const { role, rules } = options;
  const verdicts: Verdict[] = [];
  for (const { id, roles } of BLK_RULES as readonly (Rule & { id: BlkRule })[]) {
    if (!roles.includes(role) || (rules && !rules.includes(id))) continue;
    const found = options.role === 'back' ? judgeBack(id, options) : judgeFront(id, options);
    const verdict: Verdict = { rule: id, role, ...(await found) };
    verdicts.push(verdict);
    options.onVerdict?.(verdict);
  }
  return verdicts;
};

/** The subject serves in domain 0; the judge is a guest. */
const judgeBack = (
  rule: BlkRule,
  { subject, seed }: Extract<BlkConformance, { role: 'back' }>,
): Promise<Found> => {
  const check = BACK_CHECKS[rule];
  if (!check) return notTried();
  const trial = new Trial();
  const host = new ConformanceHost({ seed, blockBack: subject ?? blkBack, watch: 'domain 0' });
  const judge = defineKernel(async (k) => {
    if (!hasRings(k)) throw new Error('the judge is a paravirtual kernel');
    const domid = Number(await k.xenstore!.read('domid'));
    await trial.of(() => check(new FrontJudge(k, host, domid, xvdHandle('xvda'))));
  });
  return trial.run(host, judge);
};

/** The judge serves in domain 0; the subject is a guest. */
const judgeFront = (
  rule: BlkRule,
  { subject, seed }: Extract<BlkConformance, { role: 'front' }>,
): Promise<Found> => {
  const check = FRONT_CHECKS[rule];
  if (!check) return notTried();
  const trial = new Trial();
  const blockBack = backJudge(
    () => host,
    (judge: BackJudge) => void trial.of(() => check(judge)),
  );
  const host = new ConformanceHost({ seed, blockBack, watch: 'guest' });
  return trial.run(host, subject ?? subjectGuest());
};

const notTried = (): Promise<Found> =>
  Promise.resolve({ outcome: 'skip', why: 'the kit has no check of this rule for this role' });

/** One check on its way to a verdict. */
class Trial {
  #found: Found | undefined;

  /** Makes the check and keeps what it finds; never resolves, so that its guest just idles afterwards. */
  async of(check: () => Promise<void>): Promise<void> {
    try {
      await check();
      this.#found = { outcome: 'pass' };
    } catch (error) {
      if (error === HALTED) return;
      this.#found =
        error instanceof Finding
          ? { outcome: error.outcome, why: error.message }
          : { outcome: 'fail', why: `the check ended with an error: ${describe(error)}` };
    }
    await new Promise(() => undefined);
  }

  async run(host: ConformanceHost, guest: Guest): Promise<Found> {
    const end = await host.run(guest, () => this.#found !== undefined);
    return this.#found ?? { outcome: 'fail', why: end };
  }
}

const describe = (error: unknown): string => (error instanceof Error ? error.message : `${error}`);
