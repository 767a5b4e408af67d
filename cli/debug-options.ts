/** The options of `hospes run` that debug a compiled kernel. */
import { type Command, Option } from 'commander';
import type { DebugOptions, InstructionRange } from './job.ts';
import { gdbPort, instructionRange } from './options.ts';
import { UsageError } from './usage-error.ts';

/** As they are parsed. */
export interface DebugArguments {
  gdb?: number;
  break: string[];
  logInstructions?: InstructionRange;
}

export const withDebugOptions = (command: Command): Command =>
  command
    .addOption(
      new Option(
        '--gdb <port>',
        'wait for gdb on this port of 127.0.0.1 (compiled kernels)',
      ).argParser(gdbPort),
    )
    .addOption(
      new Option('--break <address>', 'end there, and print where it is (compiled kernels)')
        .argParser((text: string, all: string[]) => [...all, text])
        .default([], 'none'),
    )
    .addOption(
      new Option(
        '--log-instructions <from..to>',
        'print these instructions (compiled kernels)',
      ).argParser(instructionRange),
    );

/** @throws UsageError when they do not fit the kernel, or each other. */
export const debugOptions = (
  compiled: boolean,
  { gdb, break: breaks, logInstructions: log }: DebugArguments,
): DebugOptions | undefined => {
  const given = [
    ...(gdb === undefined ? [] : ['--gdb']),
    ...(breaks.length === 0 ? [] : ['--break']),
    ...(log ? ['--log-instructions'] : []),
  ];
  if (given.length === 0) return undefined;
  if (!compiled) throw new UsageError(`${given[0]} is for compiled kernels: leave it out`);
  if (gdb !== undefined && given.length > 1)
    throw new UsageError(`--gdb and ${given[1]} exclude each other: leave one out`);
  return { breaks, ...(gdb === undefined ? {} : { gdb }), ...(log ? { log } : {}) };
};
