/** The kernels of `npm run bench:engine`, small: the engine gives what the processor gives, and counts what QEMU counts. */
import { describe, expect } from 'vitest';
import { qemuCounter } from '../../../bench/engine/counts.ts';
import { interpreter } from '../../../bench/engine/interpreter.ts';
import { native } from '../../../bench/engine/native.ts';
import { KERNELS, withPrograms } from '../../../bench/engine/programs.ts';
import { hasTool, itNeeds } from '../../support/tools.ts';

const SIZES: Readonly<Record<(typeof KERNELS)[number], number>> = {
  sieve: 500,
  hash: 200,
  sort: 128,
  fib: 12,
  dhrystone: 50,
  sha256: 3,
  memcpy: 2,
  float: 8,
};
const ONCE = { seconds: 0, runs: 1 };

describe('kernels in C', () => {
  const available = native.absent === undefined && hasTool('gcc');
  for (const kernel of KERNELS)
    itNeeds('gcc on an x86-64 Linux host', available, kernel, () =>
      withPrograms(
        [kernel],
        async ([program], directory) => {
          const [ours] = await interpreter.run(program!, ONCE);
          const [theirs] = await native.run(program!, ONCE);
          const { checksum, instructions } = ours!;
          expect(checksum).toBe(theirs!.checksum);
          expect(instructions).toBe(qemuCounter(directory)(program!, 64) ?? instructions);
        },
        SIZES[kernel],
      ),
    );
});
