/**
 * Every instruction there is, by group.
 */
import type { Row } from './row.ts';
import { arithmetic } from './rows-arithmetic.ts';
import { bits } from './rows-bits.ts';
import { control, flagsAndNops, strings } from './rows-control.ts';
import { conversions, floatControl, floats, mmxConversions } from './rows-floats.ts';
import { legacy } from './rows-legacy.ts';
import { moves } from './rows-moves.ts';
import { mmxMoves, sse2Bitwise, sse2Integer, sse2Moves } from './rows-sse2.ts';
import { system } from './rows-system.ts';
import { x87Arithmetic, x87Comparisons, x87Functions, x87Moves } from './rows-x87.ts';
import { x87Control } from './rows-x87-control.ts';

export const groups: ReadonlyArray<readonly [title: string, rows: readonly Row[]]> = [
  ['Moves', moves],
  ['Arithmetic and logic', arithmetic],
  ['Shifts and bits', bits],
  ['Control', control],
  ['Strings', strings],
  ['Not in 64-bit mode', legacy],
  ['Flags, hints and fences', flagsAndNops],
  ['SSE2 moves', sse2Moves],
  ['MMX moves', mmxMoves],
  ['SSE2 and MMX integers', sse2Integer],
  ['SSE2 bits and shuffles', sse2Bitwise],
  ['x87 moves', x87Moves],
  ['x87 arithmetic', x87Arithmetic],
  ['x87 functions', x87Functions],
  ['x87 comparisons', x87Comparisons],
  ['x87 control', x87Control],
  ['SSE2 floating point', floats],
  ['SSE2 conversions', conversions],
  ['MMX conversions', mmxConversions],
  ['SSE2 control', floatControl],
  ['System', system],
];

export const rows: readonly Row[] = groups.flatMap(([, each]) => each);

/** Those that use the registers of the FPU: #NM while CR0.TS is set. */
export const fpuRows: ReadonlySet<Row> = new Set(
  groups.flatMap(([title, each]) => (/x87|SSE2|MMX/.test(title) ? each : [])),
);
