/**
 * v86 (npm), which is no dependency of ours: looked for where Node looks, NODE_PATH included. It boots the 32-bit
 * build as a multiboot kernel, and its writes to two ports tell when kernel() starts and ends.
 */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { isEnough, processorTime } from './processor-time.ts';
import type { Budget, Engine, Program, Run } from './types.ts';

const [STARTS, ENDS] = [0xe0, 0xe4];
const MEMORY = 16 << 20;

type Written = (value: number) => void;

/** The little that is used of it. */
interface Cpu {
  readonly instruction_counter: Uint32Array;
  readonly io: {
    register_write(
      port: number,
      device: object,
      on8: Written | undefined,
      on16: Written | undefined,
      on32: Written,
    ): void;
  };
}

interface Emulator {
  readonly v86: { readonly cpu: Cpu };
  add_listener(event: 'emulator-loaded', listener: () => void): void;
  run(): Promise<void>;
  destroy(): Promise<void>;
}

interface Module {
  readonly V86: new (options: object) => Emulator;
}

const library = (() => {
  try {
    return createRequire(import.meta.url).resolve('v86');
  } catch {
    return undefined;
  }
})();

const boot = async (image: string, disable_jit: boolean): Promise<Emulator> => {
  const { V86 } = (await import(pathToFileURL(library!).href)) as Module;
  const emulator = new V86({
    wasm_path: join(dirname(library!), 'v86.wasm'),
    multiboot: { buffer: new Uint8Array(readFileSync(image)).buffer },
    memory_size: MEMORY,
    vga_memory_size: 1 << 20,
    disable_keyboard: true,
    disable_mouse: true,
    disable_speaker: true,
    autostart: false,
    disable_jit,
  });
  await new Promise<void>((loaded) => emulator.add_listener('emulator-loaded', loaded));
  return emulator;
};

const measure = async (emulator: Emulator, budget: Budget, exact: boolean): Promise<Run[]> => {
  const { cpu } = emulator.v86;
  const runs: Run[] = [];
  await new Promise<void>((done) => {
    let [from, before] = [0, 0];
    cpu.io.register_write(STARTS, cpu, undefined, undefined, () => {
      before = cpu.instruction_counter[0]!;
      from = processorTime();
    });
    cpu.io.register_write(ENDS, cpu, undefined, undefined, (checksum) => {
      const microseconds = processorTime() - from;
      const instructions = (cpu.instruction_counter[0]! - before) >>> 0;
      runs.push({ checksum: checksum >>> 0, microseconds, ...(exact && { instructions }) });
      if (isEnough(runs, budget)) done();
    });
    void emulator.run();
  });
  return runs;
};

const engine = (name: string, disableJit: boolean): Engine => ({
  name,
  bits: 32,
  ...(!library && { absent: 'npm install --no-save v86' }),
  run: async ({ boot32 }: Program, budget: Budget) => {
    const emulator = await boot(boot32(), disableJit);
    try {
      // Its compiled code counts a little less than what it executes.
      return await measure(emulator, budget, disableJit);
    } finally {
      await emulator.destroy();
    }
  },
});

export const v86 = engine('v86', false);
export const v86NoJit = engine('v86-no-jit', true);
