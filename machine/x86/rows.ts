/**
 * Every instruction there is, by group.
 */
import type { Row } from './row.ts';
import { arithmetic } from './rows-arithmetic.ts';
import { bits } from './rows-bits.ts';
import { control, flagsAndNops, strings } from './rows-control.ts';
import { conversions, floatControl, floats } from './rows-floats.ts';
import { moves } from './rows-moves.ts';
import { sse2Bitwise, sse2Integer, sse2Moves } from './rows-sse2.ts';
import { system } from './rows-system.ts';

export const groups: ReadonlyArray<readonly [title: string, rows: readonly Row[]]> = [
  ['Moves', moves],
  ['Arithmetic and logic', arithmetic],
  ['Shifts and bits', bits],
  ['Control', control],
  ['Strings', strings],
  ['Flags, hints and fences', flagsAndNops],
  ['SSE2 moves', sse2Moves],
  ['SSE2 integers', sse2Integer],
  ['SSE2 bits and shuffles', sse2Bitwise],
  ['SSE2 floating point', floats],
  ['SSE2 conversions', conversions],
  ['SSE2 control', floatControl],
  ['System', system],
];

export const rows: readonly Row[] = groups.flatMap(([, each]) => each);
