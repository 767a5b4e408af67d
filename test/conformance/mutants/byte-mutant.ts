/**
 * Ends of byte rings that are wrong in one small way each, with the rule that names the fault. What they override is
 * the whole fault; the rest is PlainByteEnd.
 */
import type { ByteRingPlace } from '../../../protocol/byte-ring.ts';
import type { ByteRule } from '../../../protocol/conformance/byte-rules.ts';
import type { PlainByteEnd } from './plain-byte-end.ts';

export interface ByteMutant {
  readonly name: string;
  readonly rule: ByteRule;
  readonly outcome: 'fail' | 'warn';
  readonly make: new (out: ByteRingPlace, into: ByteRingPlace) => PlainByteEnd;
}

export const byteMutant = (
  rule: ByteRule,
  name: string,
  make: ByteMutant['make'],
  outcome: ByteMutant['outcome'] = 'fail',
): ByteMutant => ({ name, rule, outcome, make });
