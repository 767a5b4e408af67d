/** Our own engine, on the static 64-bit image at CPL 3 under page tables. */
import { ICOUNT, RBX } from '../../machine/vcpu.ts';
import { Engine as X86Engine } from '../../machine/x86/engine.ts';
import { readImage } from './elf.ts';
import { load, newGuest, runToSyscall } from './guest.ts';
import { isEnough, processorTime } from './processor-time.ts';
import type { Budget, Engine, Program, Run } from './types.ts';

const run = async ({ image64 }: Program, budget: Budget): Promise<readonly Run[]> => {
  const guest = newGuest();
  const engine = new X86Engine(guest.machine);
  const { entry, segments } = readImage(image64());
  for (const { address, bytes } of segments) load(guest, address, bytes);
  const runs: Run[] = [];
  while (!isEnough(runs, budget)) {
    const [from, before] = [processorTime(), guest.vcpu.get(ICOUNT)];
    runToSyscall(engine, guest, entry);
    runs.push({
      checksum: guest.vcpu.lo(8 * RBX),
      microseconds: processorTime() - from,
      instructions: guest.vcpu.get(ICOUNT) - before,
    });
  }
  return runs;
};

export const interpreter: Engine = { name: 'interpreter', bits: 64, run };
