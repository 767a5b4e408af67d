/** C compiled by gcc, with the C library in it, does on the engine what it does natively. */
import { describe, expect } from 'vitest';
import { itNeeds } from '../support/tools.ts';
import { withProgram } from './both.ts';
import { canRunPrograms, LINUX } from './needs.ts';

/** How much the programs are given to do. */
const AMOUNT = 40;

describe.each(['-O0', '-O2'])('a static C program, compiled with %s', (level) => {
  const same = (name: string, title: string, args: string[] = [], input = ''): void =>
    itNeeds(LINUX, canRunPrograms, title, () =>
      withProgram(name, [level], {}, (program) => {
        const { status, output, errors, report } = program.engine(args, input);
        const native = program.native(args, input);
        expect({ status, output, errors, report }).toEqual({ ...native, report: '' });
      }),
    );

  same('library', 'sorts, allocates, jumps out of functions, multiplies 128 bits', [`${AMOUNT}`]);
  same('printf', 'prints integers and text in every way', ['integers']);
  same('printf', 'prints and reads floating point in every way', ['floats']);
  same('page-ends', 'stops at the last byte before memory that is not there', [`${AMOUNT}`]);
  same('rewriting', 'executes what it has just written');
  same('kernel-calls', 'uses files, folders, pipes and mappings', [], 'typed in\n');

  itNeeds(LINUX, canRunPrograms, 'dies by the signal that Linux would send', () =>
    withProgram('deaths', [level], {}, (program) => {
      for (let way = 0; way <= 17; way++) {
        const { status, output, errors } = program.engine([`${way}`]);
        expect({ way, status, output, errors }).toEqual({ way, ...program.native([`${way}`]) });
      }
    }),
  );
});
