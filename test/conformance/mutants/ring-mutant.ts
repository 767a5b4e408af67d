/**
 * Ring ends that are wrong in one small way each, with the rule that names the fault. What they override is the
 * whole fault; the rest is PlainEnd.
 */
import type { Role } from '../../../protocol/conformance/peer.ts';
import type { RingRule } from '../../../protocol/conformance/rules.ts';
import type { RingLayout } from '../../../protocol/ring.ts';
import type { PlainEnd } from './plain-end.ts';

export interface RingMutant {
  readonly name: string;
  readonly rule: RingRule;
  readonly outcome: 'fail' | 'warn';
  readonly roles: readonly Role[];
  readonly make: new (role: Role, layout: RingLayout) => PlainEnd;
}

export const BOTH: readonly Role[] = ['front', 'back'];
export const FRONT: readonly Role[] = ['front'];
export const BACK: readonly Role[] = ['back'];

export const mutant = (
  rule: RingRule,
  name: string,
  roles: readonly Role[],
  make: RingMutant['make'],
  outcome: RingMutant['outcome'] = 'fail',
): RingMutant => ({ name, rule, outcome, roles, make });
