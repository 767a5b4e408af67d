/**
 * What the main thread asks of the worker thread, and what comes back while it works.
 */
import type { Mode, ModeResult } from './result.ts';

/** One `--disk NAME=FILE[,ro]`. */
export interface DiskArgument {
  readonly name: string;
  readonly file: string;
  readonly readOnly: boolean;
}

/** One kernel in one mode on one processor. */
export interface Run {
  readonly preset: string;
  readonly mode: Mode;
}

export interface Job {
  readonly kernel: string;
  /** It is machine code, not a module. */
  readonly compiled: boolean;
  readonly cmdline?: string;
  readonly ramdisk?: string;
  readonly runs: readonly Run[];
  readonly memoryBytes: number;
  readonly vcpus: number;
  readonly disks: readonly DiskArgument[];
  /** Guests' writes reach the disks' files; otherwise each run writes to a copy in memory. */
  readonly keepWrites: boolean;
  /** Cycles; Infinity without `--limit`. */
  readonly limit: number;
  readonly trace?: string;
  readonly debug?: DebugOptions;
}

/** How a compiled kernel is to be debugged. */
export interface DebugOptions {
  /** The port to listen on for gdb, 0 for any free one. */
  readonly gdb?: number;
  /** Addresses or symbols to stop at. */
  readonly breaks: readonly string[];
  /** Numbers of the first and the last instruction of the first vCPU to print. */
  readonly log?: InstructionRange;
}

export interface InstructionRange {
  readonly from: number;
  readonly to: number;
}

/** Worker data: the job, and memory in which the main thread sees each CPU's clock advance. */
export interface WorkerInput {
  readonly job: Job;
  readonly clocks: SharedArrayBuffer;
}

/** Room for the clocks ({now, horizon}, 16 bytes) of this many physical CPUs. */
export const CLOCK_CPUS = 16;

/** The speaker whose console is the kernel's own. */
export const GUEST = 'guest';

export type Report =
  | { readonly kind: 'loaded' }
  | { readonly kind: 'begin'; readonly run: Run }
  | { readonly kind: 'console'; readonly speaker: string; readonly bytes: Uint8Array }
  /** For standard error, as it is. */
  | { readonly kind: 'note'; readonly text: string }
  | { readonly kind: 'end'; readonly run: Run; readonly result: ModeResult }
  | { readonly kind: 'refused'; readonly sentence: string; readonly stack?: string }
  | { readonly kind: 'done' };
