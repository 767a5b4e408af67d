/** The kit bites at byte rings too: every mutant fails at its rule, and what is correct passes every rule. */
import { describe, expect, it } from 'vitest';
import { ByteConsumer, ByteProducer, type ByteRingPlace } from '../../protocol/byte-ring.ts';
import {
  BYTE_PAGES,
  type ByteProtocolName,
  streamsOf,
} from '../../protocol/conformance/byte-page.ts';
import { BYTE_RULES, byteRulesFor } from '../../protocol/conformance/byte-rules.ts';
import { byteSuite } from '../../protocol/conformance/byte-suite.ts';
import { type EndObject, objectPeer } from '../../protocol/conformance/object-peer.ts';
import type { Role } from '../../protocol/conformance/peer.ts';
import type { Report, Verdict } from '../../protocol/conformance/verdict.ts';
import { type RingMemory, RingOverflow } from '../../protocol/ring.ts';
import type { ByteMutant } from './mutants/byte-mutant.ts';
import { BYTE_MUTANTS, XENSTORE_FRONT_MUTANTS } from './mutants/byte-mutants.ts';
import { PlainByteEnd } from './mutants/plain-byte-end.ts';

const SEED = 20261125;
const EINVAL = 22;

type Make = new (out: ByteRingPlace, into: ByteRingPlace) => EndObject;

/** The ends that Hospes itself uses. */
class OwnEnd implements EndObject {
  readonly #out: ByteRingPlace;
  readonly #in: ByteRingPlace;
  #producer!: ByteProducer;
  #consumer!: ByteConsumer;

  constructor(out: ByteRingPlace, into: ByteRingPlace) {
    this.#out = out;
    this.#in = into;
  }

  init(ring: RingMemory): number {
    this.#producer = new ByteProducer(ring, this.#out);
    this.#consumer = new ByteConsumer(ring, this.#in);
    return 0;
  }

  write(bytes: Uint8Array): number {
    return refusing(() => this.#producer.write(bytes));
  }

  read(bytes: Uint8Array): number {
    return refusing(() => this.#consumer.read(bytes));
  }
}

function refusing(move: () => number): number {
  try {
    return move();
  } catch (error) {
    if (error instanceof RingOverflow) return -EINVAL;
    throw error;
  }
}

function test(protocol: ByteProtocolName, make: Make, roles: readonly Role[]): Report {
  const ends = roles.map((role) => {
    const { out, in: into } = streamsOf(BYTE_PAGES[protocol], role);
    return [role, () => new make(out, into)] as const;
  });
  return byteSuite({ peer: objectPeer(Object.fromEntries(ends)), protocol, seed: SEED });
}

const RINGS = [
  ['console', 'front'],
  ['xenstore', 'back'],
  ['console', 'back'],
  ['xenstore', 'front'],
] as const satisfies readonly (readonly [ByteProtocolName, Role])[];

const killed = new Set<string>();

function kill(mutant: ByteMutant, protocol: ByteProtocolName, role: Role): void {
  const { verdicts } = test(protocol, mutant.make, [role]);
  const verdict = verdicts.find(({ rule }) => rule === mutant.rule)!;
  const text = ({ rule, outcome, why }: Verdict) => `${rule} ${outcome}: ${why}`;
  const others = verdicts.filter(({ outcome }) => outcome !== 'pass').map(text);
  expect(verdict.outcome, others.join('\n')).toBe(mutant.outcome);
  expect(verdict.why).toMatch(/\S/);
  expect(verdict.steps?.length).toBeGreaterThan(0);
  killed.add(mutant.rule);
}

describe('the suite for byte rings', () => {
  describe.each([
    ['a plain correct end', PlainByteEnd],
    ['ByteProducer and ByteConsumer', OwnEnd],
  ] as const)('passes %s', (_name, make) => {
    it.each(RINGS)('at every rule of %s %s', (protocol, role) => {
      const { verdicts, explored } = test(protocol, make, [role]);
      expect(verdicts.filter(({ outcome }) => outcome !== 'pass')).toEqual([]);
      expect(verdicts.map(({ rule }) => rule)).toEqual(byteRulesFor(protocol, role));
      expect(explored.get(role)).toMatchObject({ complete: true });
      expect(explored.get(role)!.states).toBeGreaterThan(1000);
    });
  });

  // Each at one end of one ring, in turn: the ends differ only in their places.
  it.each(
    BYTE_MUTANTS.map((mutant, i) => [mutant.rule, mutant.name, ...RINGS[i % 4]!, mutant] as const),
  )('at %s: %s (%s, %s)', (_rule, _name, protocol, role, mutant) => kill(mutant, protocol, role));

  it.each(XENSTORE_FRONT_MUTANTS.map((mutant) => [mutant.rule, mutant.name, mutant] as const))(
    'at %s: %s',
    (_rule, _name, mutant) => kill(mutant, 'xenstore', 'front'),
  );

  it('has a mutant for every rule', () => {
    expect(BYTE_RULES.map(({ id }) => id).filter((id) => !killed.has(id))).toEqual([]);
  });

  it('says the same of the same peer with the same seed', () => {
    const [one] = BYTE_MUTANTS as [ByteMutant];
    const reports = [1, 2].map(() => test('console', one.make, ['back']));
    expect(reports[0]).toEqual(reports[1]);
  });
});
