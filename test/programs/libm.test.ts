/**
 * The functions of math.h give on the engine what they give natively, exceptions included. The C library picks its functions by
 * CPUID, so natively it is told to forget the instructions that the engine lacks.
 */
import { describe, expect } from 'vitest';
import { itNeeds } from '../support/tools.ts';
import { withProgram } from './both.ts';
import { canRunPrograms, LINUX } from './needs.ts';

const BASELINE = {
  GLIBC_TUNABLES: 'glibc.cpu.hwcaps=-AVX,-AVX2,-AVX512F,-FMA,-FMA4,-SSE4_1',
};
/** The x87's transcendental functions are rounded correctly here, and may be off by one or two units there. */
const UNITS = 4n;

/** Arguments of each function, besides some 60 that are edges of something: fewer where the x87 is used, which is slow. */
const KINDS = [
  { kind: 'double', number: 1, random: 30 },
  { kind: 'float', number: 2, random: 30 },
  { kind: 'long double', number: 3, random: 12 },
];
const LONG = /^(\S.* =) ([0-9a-f]{20}) (..)$/;

/** Whether two lines show the same result, or almost. */
const almost = (a: string, b: string): boolean => {
  if (a === b) return true;
  const [x, y] = [LONG.exec(a), LONG.exec(b)];
  if (x === null || y === null || x[1] !== y[1]) return false;
  const distance = BigInt(`0x${x[2]}`) - BigInt(`0x${y[2]}`);
  return distance <= UNITS && distance >= -UNITS;
};

describe('libm', () => {
  for (const { kind, number, random } of KINDS)
    for (const [part, title] of [
      ['basic', 'rounds, scales, compares and calculates'],
      ['transcendental', 'has the transcendental functions'],
    ] as const)
      itNeeds(LINUX, canRunPrograms, `${title}: ${kind}`, () =>
        withProgram('libm', ['-static', '-O2', `-DKIND=${number}`], BASELINE, (program) => {
          const args = [part, `${random}`];
          const { output, report } = program.engine(args);
          const lines = output.split('\n');
          const expected = program.native(args).output.split('\n');
          const exact = kind !== 'long double' || part === 'basic';
          const wrong = expected.flatMap((line, i) => {
            const mine = lines[i] ?? 'nothing';
            return mine === line || (!exact && almost(mine, line)) ? [] : [[line, mine]];
          });
          expect(report).toBe('');
          expect(wrong.slice(0, 20)).toEqual([]);
          expect(lines.length).toBe(expected.length);
        }),
      );
});
