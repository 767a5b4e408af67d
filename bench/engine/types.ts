/** What is run, by what, and what comes out. */

/** One kernel, compiled by whoever asks first: paths of files that `withPrograms` removes. */
export interface Program {
  readonly kernel: string;
  /** A Linux program that times its own calls (native.c). */
  native(): string;
  /** Static ELF files without a library: kernel() once, then exit (start64.S, start32.S). */
  image64(): string;
  image32(): string;
  /** A multiboot kernel that calls kernel() for ever (boot32.S). */
  boot32(): string;
}

/** One call of kernel(). */
export interface Run {
  readonly checksum: number;
  /** Processor time of the whole process: work of others on the machine counts less than in time by the clock. */
  readonly microseconds: number;
  /** Where the engine counts exactly. */
  readonly instructions?: number;
}

export interface Budget {
  /** Of processor time, at least. */
  readonly seconds: number;
  /** So many runs, at least. */
  readonly runs: number;
}

export interface Engine {
  readonly name: string;
  /** Which build of the kernels it runs, so whose instructions it retires. */
  readonly bits: 32 | 64;
  /** What to do to have it, if it is not there. */
  readonly absent?: string;
  run(program: Program, budget: Budget): Promise<readonly Run[]>;
}

export interface Row {
  readonly kernel: string;
  readonly engine: string;
  /** Retired guest instructions per microsecond. */
  readonly mips: number;
}

/** A figure with an aim that is shown, not asserted. */
export interface Figure {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  readonly aim: string;
}
