/**
 * `hospes ring FILE --protocol P`: a dump of a ring's pages, drawn. What the file cannot be is a UsageError;
 * what its contents cannot be is printed, and is exit status 1.
 */
import { readFileSync, type Stats, statSync } from 'node:fs';
import { Command as Commander, Option } from 'commander';
import type { PictureProtocol } from '../protocol/ring-picture.ts';
import { PAGE_SIZE } from '../protocol/units.ts';
import { UsageError } from './usage-error.ts';

export interface RingCommand {
  readonly name: 'ring';
  readonly file: string;
  readonly protocol: PictureProtocol;
  readonly json: boolean;
}

const PROTOCOLS: readonly PictureProtocol[] = [
  'blkif',
  'netif-tx',
  'netif-rx',
  'console',
  'xenstore',
];
const MAX_PAGES = 16;
const BYTE_RINGS: readonly PictureProtocol[] = ['console', 'xenstore'];

export const ringCommand = (take: (command: RingCommand) => void): Commander =>
  new Commander('ring')
    .description('print what a dump of a ring page says, and what in it cannot be')
    .argument('<file>', `one page of ${PAGE_SIZE} bytes; 2, 4, 8 or 16 for a ring of several pages`)
    .addOption(
      new Option('--protocol <protocol>', PROTOCOLS.join(', '))
        .argParser(protocolName)
        .makeOptionMandatory(),
    )
    .option('--json', 'one JSON object')
    .addOption(new Option('--debug', 'print stack traces with errors'))
    .action((file: string, options: { protocol: PictureProtocol; json?: boolean }) => {
      take({ name: 'ring', file, protocol: options.protocol, json: options.json ?? false });
    });

const protocolName = (text: string): PictureProtocol => {
  const found = PROTOCOLS.find((name) => name === text);
  if (found) return found;
  throw new UsageError(`protocol '${text}' is unknown: use one of ${PROTOCOLS.join(', ')}`);
};

/**
 * @returns whether nothing impossible was found.
 * @throws UsageError when the file cannot be a ring of that protocol.
 */
export const printRing = async (
  command: RingCommand,
  print: (text: string) => void,
): Promise<boolean> => {
  const { file, protocol, json } = command;
  const { drawRingPage, readRingPage } = await import('../protocol/ring-picture.ts');
  const reading = readRingPage(wordsOf(file, protocol), protocol);
  print(`${json ? JSON.stringify(reading, undefined, 2) : drawRingPage(reading)}\n`);
  return reading.findings.every(({ level }) => level !== 'impossible');
};

const wordsOf = (file: string, protocol: PictureProtocol): Uint32Array => {
  const problem = problemOf(statOf(file), protocol);
  if (problem) throw new UsageError(`ring ${file} ${problem}`);
  try {
    return new Uint32Array(Uint8Array.from(readFileSync(file)).buffer);
  } catch (error) {
    throw new UsageError(unreadable(file, error));
  }
};

const statOf = (file: string): Stats => {
  try {
    return statSync(file);
  } catch (error) {
    throw new UsageError(unreadable(file, error));
  }
};

const unreadable = (file: string, error: unknown): string => {
  const { code } = error as NodeJS.ErrnoException;
  const what = code === 'ENOENT' ? 'does not exist' : `cannot be read (${code})`;
  return `ring ${file} ${what}: give a dump of its pages`;
};

const problemOf = (stat: Stats, protocol: PictureProtocol): string | undefined => {
  if (!stat.isFile()) return 'is not a file: give a dump of its pages';
  if (stat.size === 0) return `is empty: a page has ${PAGE_SIZE} bytes`;
  const pages = stat.size / PAGE_SIZE;
  if (BYTE_RINGS.includes(protocol)) {
    if (pages === 1) return undefined;
    return `has ${stat.size} bytes: a ${protocol} page has ${PAGE_SIZE}`;
  }
  if (pages <= MAX_PAGES && Number.isInteger(Math.log2(pages)) && pages >= 1) return undefined;
  return `has ${stat.size} bytes: a ring has 1, 2, 4, 8 or 16 pages of ${PAGE_SIZE}`;
};
