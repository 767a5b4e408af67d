/** All ring mutants. */
import { CONSUMING } from './consuming.ts';
import { NOTIFYING } from './notifying.ts';
import { PRODUCING } from './producing.ts';
import type { RingMutant } from './ring-mutant.ts';

export const RING_MUTANTS: readonly RingMutant[] = [...PRODUCING, ...NOTIFYING, ...CONSUMING];
