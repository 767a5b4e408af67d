/** All mutants of byte rings. */
import type { ByteMutant } from './byte-mutant.ts';
import { BYTE_READING } from './byte-reading.ts';
import { BYTE_WRITING, XENSTORE_FRONT } from './byte-writing.ts';

/** Wrong at either end of either ring. */
export const BYTE_MUTANTS: readonly ByteMutant[] = [...BYTE_WRITING, ...BYTE_READING];

export const XENSTORE_FRONT_MUTANTS = XENSTORE_FRONT;
