/**
 * From the text of an argument to its value. Each function throws a UsageError whose sentence names the
 * argument, says what is wrong and what would be right.
 */
import { BARE_MAX_FRAMES } from '../machine/bare-loader.ts';
import { presets } from '../machine/presets.ts';
import { MAX_GUEST_CMDLINE } from '../protocol/start-info.ts';
import { PAGE_SIZE } from '../protocol/units.ts';
import type { DiskArgument, InstructionRange } from './job.ts';
import { MODES, type Mode } from './result.ts';
import { UsageError } from './usage-error.ts';

const UNITS: Readonly<Record<string, number>> = { '': 1, K: 2 ** 10, M: 2 ** 20, G: 2 ** 30 };
const MIN_MEMORY = 1 << 20;
/** The window that a TypeScript kernel's memory is mapped in. */
const MAX_MEMORY = BARE_MAX_FRAMES * PAGE_SIZE;
const MAX_VCPUS = 32;
export const DISK_NAMES = ['xvda', 'xvdb', 'xvdc', 'xvdd'];

/** `64M` → bytes. */
export const memorySize = (text: string): number => {
  const [, digits, unit] = /^(\d+)([KMG]?)(?:i?B)?$/i.exec(text) ?? [];
  if (digits === undefined || unit === undefined) {
    throw new UsageError(
      `--memory ${text} is not a size: give a whole number with K, M or G, such as 64M`,
    );
  }
  const bytes = Number(digits) * UNITS[unit.toUpperCase()]!;
  if (bytes > MAX_MEMORY) {
    throw new UsageError(
      `--memory ${text} is more than there is: give at most ${MAX_MEMORY / UNITS['G']!}G`,
    );
  }
  if (bytes < MIN_MEMORY) throw new UsageError(`--memory ${text} is too little: give at least 1M`);
  return bytes;
};

export const cycleLimit = (text: string): number => {
  const cycles = text.trim() === '' ? Number.NaN : Number(text);
  if (!Number.isSafeInteger(cycles) || cycles <= 0) {
    throw new UsageError(
      `--limit ${text} is not a number of cycles: give a whole number above 0, such as 1e9`,
    );
  }
  return cycles;
};

export const vcpuCount = (text: string): number => {
  const count = Number(text);
  if (!/^\d+$/.test(text) || count < 1 || count > MAX_VCPUS) {
    throw new UsageError(
      `--vcpus ${text} is not possible: give a whole number from 1 to ${MAX_VCPUS}`,
    );
  }
  return count;
};

export const gdbPort = (text: string): number => {
  const port = Number(text);
  if (!/^\d+$/.test(text) || port > 65535)
    throw new UsageError(`--gdb ${text} is no port: give a number up to 65535, or 0 for any`);
  return port;
};

/** `1000..1100`, or one number. */
export const instructionRange = (text: string): InstructionRange => {
  const [, first, last = first] = /^(\d+)(?:\.\.(\d+))?$/.exec(text) ?? [];
  const range = { from: Number(first), to: Number(last) };
  if (!Number.isSafeInteger(range.to) || range.from < 1 || !(range.from <= range.to))
    throw new UsageError(
      `--log-instructions ${text} is no range: give the numbers of two instructions, counted from 1, such as 1000..1100`,
    );
  return range;
};

/** It is a C string in start_info. */
export const commandLine = (text: string): string => {
  const bytes = Buffer.byteLength(text);
  if (bytes >= MAX_GUEST_CMDLINE)
    throw new UsageError(
      `--cmdline has ${bytes} bytes: give at most ${MAX_GUEST_CMDLINE - 1}, as start_info holds`,
    );
  return text;
};

export const modeName = (text: string): Mode => oneOf('mode', MODES, text);
export const modeList = (text: string): Mode[] => listOf('mode', MODES, text);
export const presetName = (text: string): string => oneOf('processor', presetNames(), text);
export const presetList = (text: string): string[] => listOf('processor', presetNames(), text);

/** The known presets, oldest first. */
export const presetNames = (): string[] => presets.map(({ name }) => name);

/** `xvda=FILE[,ro]`. */
export const diskArgument = (text: string): DiskArgument => {
  const [, name, path] = /^([^=]*)=(.*)$/s.exec(text) ?? [];
  if (name === undefined || path === undefined) {
    throw new UsageError(`--disk ${text} names no file: give NAME=FILE, such as xvda=disk.img`);
  }
  if (!DISK_NAMES.includes(name)) {
    throw new UsageError(`--disk ${text} has an unknown name: use one of ${DISK_NAMES.join(', ')}`);
  }
  const readOnly = path.endsWith(',ro');
  const file = readOnly ? path.slice(0, -3) : path;
  if (file === '') {
    throw new UsageError(`--disk ${text} names no file: give NAME=FILE, such as xvda=disk.img`);
  }
  return { name, file, readOnly };
};

/** @throws UsageError when two disks have one name. */
export const checkDisks = (disks: readonly DiskArgument[]): void => {
  for (const [i, disk] of disks.entries()) {
    if (disks.findIndex((other) => other.name === disk.name) !== i) {
      throw new UsageError(`--disk ${disk.name} is given twice: give each disk a name of its own`);
    }
  }
};

/** Which of a machine's four IDE places a disk takes: xvda is 0. */
export const diskPlace = (name: string): number => DISK_NAMES.indexOf(name);

const oneOf = <T extends string>(what: string, known: readonly T[], text: string): T => {
  const found = known.find((name) => name === text);
  if (!found) throw new UsageError(`${what} '${text}' is unknown: use one of ${known.join(', ')}`);
  return found;
};

const listOf = <T extends string>(what: string, known: readonly T[], text: string): T[] => [
  ...new Set(text.split(',').map((name) => oneOf(what, known, name.trim()))),
];
