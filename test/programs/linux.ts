/** Enough of a Linux for static programs, one at a time, on a machine of its own. */
import { constants, readFileSync } from 'node:fs';
import { Machine } from '../../machine/machine.ts';
import { DEFAULT_PRESET } from '../../machine/presets.ts';
import { Engine } from '../../machine/x86/engine.ts';
import { Files } from './files.ts';
import { Frames } from './frames.ts';
import { type Command, ENVIRONMENT, type Result } from './native.ts';
import { Stream } from './open-file.ts';
import { type Execute, Process } from './process.ts';

export interface Run extends Result {
  /** What killed it, if it did not exit. */
  readonly report: string;
  readonly instructions: number;
  readonly cycles: number;
}

const FRAMES = 32768;

export class Linux {
  readonly #machine = new Machine({ preset: DEFAULT_PRESET, frames: FRAMES, vcpus: 1, pcpus: 1 });
  readonly #engine = new Engine(this.#machine);
  readonly #frames = new Frames(this.#machine.memory);
  #program = '';
  #file = new Uint8Array();

  /** After `limit` cycles it is killed. */
  run(command: Command, limit: number): Run {
    return this.#run(command, limit, (vcpu) => this.#engine.run(vcpu));
  }

  /** The same, by the evaluator alone. */
  runExactly(command: Command, limit: number): Run {
    return this.#run(command, limit, (vcpu) => {
      for (;;) {
        const outcome = this.#engine.step(vcpu);
        if (outcome.kind !== 'done' || vcpu.pcpu.now >= vcpu.pcpu.horizon) return outcome;
      }
    });
  }

  #run(command: Command, limit: number, execute: Execute): Run {
    const files = new Files(command.directory);
    const [input, output, errors]: Uint8Array[][] = [[], [], []];
    if (command.input?.length) input!.push(command.input);
    files.add(new Stream(constants.O_RDONLY, input!));
    files.add(new Stream(constants.O_WRONLY, output!));
    files.add(new Stream(constants.O_WRONLY, errors!));
    const process = new Process(this.#machine, this.#frames, files);
    try {
      process.load(this.#read(command.program), command.args, ENVIRONMENT);
      const ended = process.run(execute, limit);
      const { instructions, cycles } = process;
      const [out, err] = [output!, errors!].map((chunks) =>
        Buffer.concat(chunks).toString('latin1'),
      );
      return { ...ended, output: out!, errors: err!, instructions, cycles };
    } finally {
      process.release();
    }
  }

  /** The file, which is taken for the same while its name is. */
  #read(program: string): Uint8Array {
    if (program !== this.#program) this.#file = readFileSync(program);
    this.#program = program;
    this.#frames.cache(this.#file);
    return this.#file;
  }
}
