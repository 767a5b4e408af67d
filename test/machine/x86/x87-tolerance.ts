/** Of transcendental functions processors promise an error below an ulp, not the nearest number: so much may differ. */
import type { Operation } from '../../../machine/x86/decoder.ts';
import { x87Functions } from '../../../machine/x86/rows-x87.ts';
import { C1 } from '../../../machine/x86/x87-state.ts';
import { type Case, FCW } from './case.ts';

const ULP = 1n;
const STATUS = FCW + 2;
/** Results of two-valued functions are in ST(0) and ST(1). */
const RESULTS = 2;

const functions = new Set(x87Functions);

/** Makes `native` equal to `ours` where they differ by an ulp at most, and in what is said of how it was rounded. */
export const forgive = (op: Operation, ours: Case, native: Case): void => {
  if (!functions.has(op.form.row)) return;
  for (let i = 0; i < RESULTS; i++) {
    const difference = ours.stack(i) - native.stack(i);
    if (difference > ULP || difference < -ULP) return;
    native.setStack(i, ours.stack(i));
  }
  const status = native.view.getUint16(STATUS, true) & ~C1;
  native.view.setUint16(STATUS, status | (ours.view.getUint16(STATUS, true) & C1), true);
};
