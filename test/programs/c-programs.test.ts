/** C compiled by gcc, with the C library in it, does on the engine what it does natively. */
import { describe, expect } from 'vitest';
import { itNeeds } from '../support/tools.ts';
import { type Program, withProgram } from './both.ts';
import { canRunPrograms, LINUX } from './needs.ts';

/** How much the programs are given to do. */
const AMOUNT = 40;

const same = (program: Program, args: string[] = [], input = ''): void => {
  const { status, output, errors, report } = program.engine(args, input);
  expect({ status, output, errors, report }).toEqual({
    ...program.native(args, input),
    report: '',
  });
};

describe.each(['-O0', '-O2'])('a static C program, compiled with %s', (level) => {
  const itIsSame = (name: string, title: string, args: string[] = [], input = ''): void =>
    itNeeds(LINUX, canRunPrograms, title, () =>
      withProgram(name, ['-static', level], {}, (program) => same(program, args, input)),
    );

  itIsSame('library', 'sorts, allocates, jumps out of functions, multiplies 128 bits', [
    `${AMOUNT}`,
  ]);
  itIsSame('printf', 'prints integers and text in every way', ['integers']);
  itIsSame('printf', 'prints and reads floating point in every way', ['floats']);
  itIsSame('page-ends', 'stops at the last byte before memory that is not there', [`${AMOUNT}`]);
  itIsSame('rewriting', 'executes what it has just written');
  itIsSame('kernel-calls', 'uses files, folders, pipes and mappings', [], 'typed in\n');

  itNeeds(LINUX, canRunPrograms, 'dies by the signal that Linux would send', () =>
    withProgram('deaths', ['-static', level], {}, (program) => {
      for (let way = 0; way <= 17; way++) {
        const { status, output, errors } = program.engine([`${way}`]);
        expect({ way, status, output, errors }).toEqual({ way, ...program.native([`${way}`]) });
      }
    }),
  );
});

describe('loops over every type', () => {
  for (const options of ['-O0', '-Os', '-O3', '-O3 -mfpmath=387'])
    itNeeds(LINUX, canRunPrograms, `come to the same, compiled with ${options}`, () =>
      withProgram('loops', ['-static', ...options.split(' ')], {}, (program) =>
        same(program, [`${AMOUNT}`]),
      ),
    );
});

describe('a static C program that may lie anywhere', () => {
  itNeeds(LINUX, canRunPrograms, 'relocates itself', () =>
    withProgram('library', ['-static-pie', '-fpie', '-O2'], {}, (program) => same(program, ['10'])),
  );
});
