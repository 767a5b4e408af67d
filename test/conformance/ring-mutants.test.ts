/** The kit bites: every mutant fails at the rule that names its fault, and what is correct passes every rule. */
import { describe, expect, it } from 'vitest';
import { objectPeer } from '../../protocol/conformance/object-peer.ts';
import type { Role } from '../../protocol/conformance/peer.ts';
import { RING_PROTOCOLS, type RingProtocol } from '../../protocol/conformance/ring-protocols.ts';
import { ringSuite } from '../../protocol/conformance/ring-suite.ts';
import { RING_RULES } from '../../protocol/conformance/rules.ts';
import type { Verdict } from '../../protocol/conformance/verdict.ts';
import { PlainEnd } from './mutants/plain-end.ts';
import type { RingMutant } from './mutants/ring-mutant.ts';
import { RING_MUTANTS } from './mutants/ring-mutants.ts';
import { ourRing } from './our-ring.ts';

const [BLKIF] = RING_PROTOCOLS as [RingProtocol];
const SEED = 20261125;

function test(
  protocol: RingProtocol,
  make: RingMutant['make'],
  roles: readonly Role[],
): readonly Verdict[] {
  const { layout } = protocol;
  const ends = Object.fromEntries(roles.map((role) => [role, () => new make(role, layout)]));
  const size = { request: layout.requestSize, response: layout.responseSize };
  return ringSuite({ peer: objectPeer(ends, size), protocol, seed: SEED }).verdicts;
}

describe('the ring suite', () => {
  it.each(RING_PROTOCOLS.map((protocol) => [protocol.name, protocol] as const))(
    'passes a plain correct %s ring at every rule, in both roles',
    (_name, protocol) => {
      const verdicts = test(protocol, PlainEnd, ['front', 'back']);
      expect(verdicts.filter(({ outcome }) => outcome !== 'pass')).toEqual([]);
      const bound = RING_RULES.flatMap(({ id, roles }) => roles.map((role) => `${id} ${role}`));
      expect(verdicts.map(({ rule, role }) => `${rule} ${role}`).sort()).toEqual(bound.sort());
    },
  );

  it.each(RING_PROTOCOLS.map((protocol) => [protocol.name, protocol] as const))(
    'passes our %s ring at every rule, in both roles',
    (_name, protocol) => {
      const { verdicts } = ringSuite({ peer: ourRing(protocol), protocol, seed: SEED });
      expect(verdicts.filter(({ outcome }) => outcome !== 'pass')).toEqual([]);
    },
  );

  const killed = new Set<string>();

  it.each(
    RING_MUTANTS.flatMap((mutant) =>
      mutant.roles.map((role) => [mutant.rule, mutant.name, role, mutant] as const),
    ),
  )('at %s: %s (%s)', (rule, _name, role, mutant) => {
    const verdicts = test(BLKIF, mutant.make, [role]);
    const verdict = verdicts.find((one) => one.rule === rule)!;
    const others = verdicts
      .filter(({ outcome }) => outcome === 'fail')
      .map((one) => `${one.rule}: ${one.why}`);
    expect(verdict.outcome, others.join('\n')).toBe(mutant.outcome);
    expect(verdict.why).toMatch(/\S/);
    expect(verdict.steps?.length).toBeGreaterThan(0);
    killed.add(rule);
  });

  it('has a mutant for every rule', () => {
    const rules = RING_RULES.map(({ id }) => id);
    expect(rules.filter((rule) => !killed.has(rule))).toEqual([]);
    expect(RING_MUTANTS.length).toBeGreaterThanOrEqual(25);
  });
});
