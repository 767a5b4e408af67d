/** How far a result of the processor may be from the evaluator's, where the architecture leaves it room or a maker takes it. */
import { VECTOR_GP, VECTOR_PF } from '../../../machine/exit.ts';
import { RSP } from '../../../machine/vcpu.ts';
import { decode, type Operation } from '../../../machine/x86/decoder.ts';
import {
  x87Arithmetic,
  x87Comparisons,
  x87Functions,
  x87Moves,
} from '../../../machine/x86/rows-x87.ts';
import { x87Control } from '../../../machine/x86/rows-x87-control.ts';
import { UE } from '../../../machine/x86/softfloat.ts';
import { C1, SUMMARY } from '../../../machine/x86/x87-state.ts';
import { type Case, CR2, ERROR, FCW, GPR, RIP, VECTOR } from './case.ts';
import { effectiveAddress, windowOffset } from './effective-address.ts';
import { isBlock, LARGEST_BLOCK } from './explained.ts';
import type { Maker } from './maker.ts';

const STATUS = FCW + 2;
/** Where it is in the image. */
const MXCSR_MASK = 28;
/** Results of two-valued functions are in ST(0) and ST(1). */
const RESULTS = 2;

const functions = new Set(x87Functions);
/** Control instructions that enter FOP and FDP all the same. */
const POINTING = /^f(nop|(inc|dec)stp|freep?)$/;
const pointing = new Set([
  ...x87Moves,
  ...x87Arithmetic,
  ...x87Functions,
  ...x87Comparisons,
  ...x87Control.filter(({ name }) => POINTING.test(name)),
]);

/** Makes `native` equal to `ours` in what may differ. */
export const forgive = (ours: Case, native: Case, maker: Maker): void => {
  const op = decode(ours.code, native.mode);
  if (typeof op === 'string') return;
  if (functions.has(op.form.row)) forgiveUlp(ours, native);
  const block = isBlock(op) || op.form.row.name === 'maskmovdqu';
  if (block && faultsInside(op, ours) && faultsInside(op, native)) {
    native.set(CR2, ours.get(CR2));
    native.set(ERROR, ours.get(ERROR));
  }
  if (maker === 'amd') forgiveAmd(op, ours, native);
  else forgiveIntel(op, ours, native);
};

const forgiveAmd = (op: Operation, ours: Case, native: Case): void => {
  if (op.form.row.name.startsWith('fxsave')) forgiveMask(op, ours, native);
};

const forgiveIntel = (op: Operation, ours: Case, native: Case): void => {
  const { row } = op.form;
  if (pointing.has(row)) forgivePointers(ours, native);
  if (row.name === 'fxrstor64') forgiveUpperBits(native);
  if (row.name === 'call') forgivePush(ours, native);
};

/** Newer ones enter FOP and FDP only with an unmasked exception. @source SDM vol. 1, 8.1.8 and 8.1.9 */
const forgivePointers = (ours: Case, native: Case): void => {
  if ((ours.view.getUint16(STATUS, true) & SUMMARY) !== 0) return;
  native.view.setUint16(FCW + 6, ours.view.getUint16(FCW + 6, true), true);
  native.set(FCW + 16, ours.get(FCW + 16));
};

/** Of FIP as many bits are held as a linear address has, 48 or 57, of FDP these or all. */
const forgiveUpperBits = (native: Case): void => {
  for (const field of [FCW + 8, FCW + 16])
    native.set(field, BigInt.asUintN(64, BigInt.asIntN(48, native.get(field))));
};

/** Any byte of a block may be the one that faults first. */
const faultsInside = (op: Operation, result: Case): boolean => {
  const next = result.get(RIP) + BigInt(op.length);
  const address = effectiveAddress(op, result, next) ?? 0n;
  const at = result.get(CR2) - address;
  return result.get(VECTOR) === BigInt(VECTOR_PF) && at >= 0n && at < LARGEST_BLOCK;
};

/** The processor has a bit more in MXCSR, which MXCSR_MASK says. */
const forgiveMask = (op: Operation, ours: Case, native: Case): void => {
  const at = windowOffset(effectiveAddress(op, ours, ours.get(RIP)) ?? 0n) + MXCSR_MASK;
  if (at >= 0 && at + 4 <= native.window.length)
    native.window.set(ours.window.subarray(at, at + 4), at);
};

/** The return address has been pushed already when the target turns out to be none. */
const forgivePush = (ours: Case, native: Case): void => {
  const at = windowOffset(ours.get(GPR + 8 * RSP) - 8n);
  if (ours.get(VECTOR) === BigInt(VECTOR_GP) && at >= 0)
    native.window.set(ours.window.subarray(at, at + 8), at);
};

/** Neighbours differ by 1: without the bit before the binary point. */
const ordinal = (bits: bigint): bigint => ((bits >> 64n) << 63n) | BigInt.asUintN(63, bits);

const isTiny = (bits: bigint): boolean => ((bits >> 64n) & 0x7fffn) === 0n;

/**
 * Of transcendental functions an error below an ulp is promised, and C1 says how this one was rounded; UE says whether it is below
 * the least normal number, where that makes the difference.
 */
const forgiveUlp = (ours: Case, native: Case): void => {
  let loose = C1;
  for (let i = 0; i < RESULTS; i++) {
    const [mine, theirs] = [ours.stack(i), native.stack(i)];
    const difference = ordinal(mine) - ordinal(theirs);
    if (difference > 1n || difference < -1n) return;
    if (isTiny(mine) !== isTiny(theirs)) loose |= UE;
    native.setStack(i, mine);
  }
  const status = native.view.getUint16(STATUS, true) & ~loose;
  native.view.setUint16(STATUS, status | (ours.view.getUint16(STATUS, true) & loose), true);
};
