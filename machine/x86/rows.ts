/**
 * Every instruction there is, by group.
 */
import type { Row } from './row.ts';
import { arithmetic } from './rows-arithmetic.ts';
import { bits } from './rows-bits.ts';
import { control, flagsAndNops, strings } from './rows-control.ts';
import { moves } from './rows-moves.ts';
import { system } from './rows-system.ts';

export const groups: ReadonlyArray<readonly [title: string, rows: readonly Row[]]> = [
  ['Moves', moves],
  ['Arithmetic and logic', arithmetic],
  ['Shifts and bits', bits],
  ['Control', control],
  ['Strings', strings],
  ['Flags, hints and fences', flagsAndNops],
  ['System', system],
];

export const rows: readonly Row[] = groups.flatMap(([, each]) => each);
