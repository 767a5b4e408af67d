/**
 * The command line: what each command takes, turned into a checked Command. Everything wrong with the
 * arguments themselves is a UsageError here, before anything runs.
 */
import { Command as Commander, CommanderError, Option } from 'commander';
import { DEFAULT_PRESET } from '../machine/presets.ts';
import { type ConformanceCommand, conformanceCommand } from './conformance-command.ts';
import { type DebugArguments, debugOptions, withDebugOptions } from './debug-options.ts';
import type { DiskArgument, Job } from './job.ts';
import { checkFile, isCompiled, KERNEL_HELP } from './kernel-file.ts';
import * as parse from './options.ts';
import { MODES, type Mode } from './result.ts';
import { type RingCommand, ringCommand } from './ring-command.ts';
import { UsageError } from './usage-error.ts';

export type Command =
  | {
      readonly name: 'run' | 'compare';
      readonly job: Job;
      readonly json: string | boolean;
      readonly html?: string;
    }
  | { readonly name: 'trace'; readonly file: string; readonly json: boolean }
  | RingCommand
  | ConformanceCommand
  | { readonly name: 'told' };

interface RunOptions extends DebugArguments {
  cpu: string;
  memory: number;
  vcpus: number;
  mode: Mode;
  disk: DiskArgument[];
  limit: number;
  cmdline?: string;
  ramdisk?: string;
  trace?: string;
  json?: boolean;
}

interface CompareOptions {
  cpu: string[];
  memory: number;
  modes: Mode[];
  disk: DiskArgument[];
  limit: number;
  json?: string | boolean;
  html?: string;
}

const DEFAULT_MEMORY = '64M';

/** Where help and `--version` go: the main thread's standard output. */
export type Tell = (text: string) => void;

/**
 * @returns the command, or `told` when `--help` or `--version` was answered.
 * @throws UsageError
 */
export const parseCommand = (argv: readonly string[], version: string, tell: Tell): Command => {
  let command: Command = { name: 'told' };
  const program = build(version, tell, (parsed) => {
    command = parsed;
  });
  try {
    program.parse([...argv], { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode !== 0) throw new UsageError(sentenceOf(error));
  }
  return command;
};

const NO_COMMAND = 'no command given: use run, compare, trace, conformance or ring';

const sentenceOf = (error: CommanderError): string => {
  if (error.code === 'commander.help') return NO_COMMAND;
  const said = error.message.replace(/^error: /, '').replace(/\s*\n\s*/g, ' ');
  return `${said}; see hospes --help`;
};

const build = (version: string, tell: Tell, take: (command: Command) => void): Commander => {
  const program = new Commander('hospes');
  program
    .description(
      'Runs toy kernels on the real Xen ABI, native, paravirtualized or hardware-assisted.',
    )
    .version(version)
    .option('--debug', 'print stack traces with errors');
  for (const make of [runCommand, compareCommand, traceCommand, conformanceCommand, ringCommand]) {
    program.addCommand(make(take));
  }
  for (const command of [program, ...program.commands]) {
    command
      .exitOverride()
      .configureOutput({ writeOut: tell, writeErr: () => {}, outputError: () => {} });
  }
  return program;
};

const collect = (text: string, disks: DiskArgument[]): DiskArgument[] => [
  ...disks,
  parse.diskArgument(text),
];

const memoryOption = (): Option =>
  new Option('--memory <size>', 'memory of the guest')
    .argParser(parse.memorySize)
    .default(parse.memorySize(DEFAULT_MEMORY), DEFAULT_MEMORY);

const limitOption = (): Option =>
  new Option('--limit <cycles>', 'stop the guest after so many virtual cycles')
    .argParser(parse.cycleLimit)
    .default(Number.POSITIVE_INFINITY, 'none');

const diskOption = (): Option =>
  new Option('--disk <name=file[,ro]>', 'a disk and its image, such as xvda=disk.img; repeatable')
    .argParser(collect)
    .default([], 'none');

const debugOption = (): Option => new Option('--debug', 'print stack traces with errors');

const runCommand = (take: (command: Command) => void): Commander =>
  withDebugOptions(new Commander('run'))
    .description('run one kernel in one mode')
    .argument('<kernel>', KERNEL_HELP)
    .addOption(
      new Option('--mode <mode>', MODES.join(', ')).argParser(parse.modeName).default('pv'),
    )
    .addOption(
      new Option('--cpu <preset>', parse.presetNames().join(', '))
        .argParser(parse.presetName)
        .default(DEFAULT_PRESET.name),
    )
    .addOption(memoryOption())
    .addOption(
      new Option('--vcpus <n>', 'virtual CPUs (mode pv)').argParser(parse.vcpuCount).default(1),
    )
    .addOption(diskOption())
    .addOption(limitOption())
    .addOption(
      new Option('--cmdline <text>', 'command line of the kernel (mode pv)').argParser(
        parse.commandLine,
      ),
    )
    .option('--ramdisk <file>', 'initial ramdisk of a compiled kernel')
    .option('--trace <file>', 'write the trace to this file')
    .option('--json', 'write the report as JSON, and nothing else, to standard output')
    .addOption(debugOption())
    .action((kernel: string, options: RunOptions) => {
      const { cpu, mode, vcpus, disk, limit, memory, trace, cmdline, ramdisk } = options;
      if (vcpus > 1 && mode !== 'pv') {
        throw new UsageError(`--vcpus ${vcpus} needs --mode pv: mode ${mode} has one virtual CPU`);
      }
      parse.checkDisks(disk);
      const compiled = isCompiled(kernel);
      checkKernelOptions(compiled, mode, options);
      const debug = debugOptions(compiled, options);
      const job = {
        ...(debug ? { debug } : {}),
        ...{ kernel, compiled, runs: [{ preset: cpu, mode }], memoryBytes: memory, vcpus },
        ...{ disks: disk, keepWrites: true, limit, ...(trace === undefined ? {} : { trace }) },
        ...(cmdline === undefined ? {} : { cmdline }),
        ...(ramdisk === undefined ? {} : { ramdisk }),
      };
      take({ name: 'run', job, json: options.json ?? false });
    });

/** @throws UsageError when the kernel is of a kind that an option is not for. */
const checkKernelOptions = (
  compiled: boolean,
  mode: Mode,
  { cmdline, ramdisk }: RunOptions,
): void => {
  if (compiled && mode !== 'pv')
    throw new UsageError(
      `--mode ${mode} is for TypeScript kernels: a compiled one runs in mode pv`,
    );
  if (cmdline !== undefined && mode !== 'pv')
    throw new UsageError(`--cmdline needs --mode pv: a kernel in mode ${mode} gets none`);
  if (ramdisk === undefined) return;
  if (!compiled) throw new UsageError('--ramdisk is for compiled kernels: leave it out');
  checkFile('ramdisk', ramdisk, 'give --ramdisk the path of a file');
};

const compareCommand = (take: (command: Command) => void): Commander =>
  new Commander('compare')
    .description('run one kernel in several modes, each on its own copy of the disks')
    .argument('<kernel>', KERNEL_HELP)
    .addOption(
      new Option('--modes <list>', MODES.join(', '))
        .argParser(parse.modeList)
        .default([...MODES], MODES.join(',')),
    )
    .addOption(
      new Option('--cpu <list>', parse.presetNames().join(', '))
        .argParser(parse.presetList)
        .default([DEFAULT_PRESET.name], DEFAULT_PRESET.name),
    )
    .addOption(memoryOption())
    .addOption(diskOption())
    .addOption(limitOption())
    .option('--html <file>', 'write the report as a page with a plot to this file')
    .option('--json [file]', 'write the report as JSON, to this file or alone to standard output')
    .addOption(debugOption())
    .action((kernel: string, options: CompareOptions) => {
      const { cpu, modes, disk, html, limit, memory } = options;
      parse.checkDisks(disk);
      if (isCompiled(kernel)) {
        throw new UsageError(
          `kernel ${kernel} is compiled, and runs in mode pv only: use \`hospes run\``,
        );
      }
      const runs = cpu.flatMap((preset) => modes.map((mode) => ({ preset, mode })));
      const job = {
        ...{ kernel, compiled: false, runs, memoryBytes: memory, vcpus: 1 },
        ...{ disks: disk, keepWrites: false, limit },
      };
      const page = html === undefined ? {} : { html };
      take({ name: 'compare', job, json: options.json ?? false, ...page });
    });

const traceCommand = (take: (command: Command) => void): Commander =>
  new Commander('trace')
    .description('print a trace, one record a line')
    .argument('<file>', 'a file that `hospes run --trace FILE` wrote')
    .option('--json', 'one JSON object a line')
    .addOption(debugOption())
    .action((file: string, options: { json?: boolean }) => {
      take({ name: 'trace', file, json: options.json ?? false });
    });
