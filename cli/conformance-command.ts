/**
 * The arguments of `hospes conformance PROTOCOL`, checked. What runs it is loaded only when it is run.
 */
import { Command as Commander, Option } from 'commander';
import type { Role } from '../protocol/conformance/peer.ts';
import { UsageError } from './usage-error.ts';

export interface ConformanceCommand {
  readonly name: 'conformance';
  readonly protocol: string;
  readonly peer?: string; // a file
  readonly peerCommand?: string;
  readonly roles: readonly Role[];
  readonly seed: number;
  readonly json: boolean;
}

interface Options {
  readonly peer?: string;
  readonly peerCommand?: string;
  readonly role?: Role;
  readonly seed: number;
  readonly json?: boolean;
}

export const BYTE_PROTOCOLS = ['console', 'xenstore'] as const;
const PROTOCOLS = ['ring:blkif', 'ring:netif-tx', 'ring:netif-rx', ...BYTE_PROTOCOLS, 'blk'];
const ROLES: readonly Role[] = ['front', 'back'];
const MAX_SEED = 2 ** 31 - 1;

export const conformanceCommand = (take: (command: ConformanceCommand) => void): Commander =>
  new Commander('conformance')
    .description('test a ring, or a whole driver, by every rule of docs/rings.md')
    .argument('<protocol>', PROTOCOLS.join(', '))
    .option('--peer <file.wasm>', 'what is tested: a WebAssembly module')
    .option('--peer-command <command>', 'what is tested: a process')
    .addOption(new Option('--role <role>', 'only this end of the peer').choices([...ROLES]))
    .addOption(
      new Option('--seed <n>', 'makes other schedules; the same seed, the same run')
        .argParser(seedOf)
        .default(1),
    )
    .option('--json', 'write the report as JSON, and nothing else, to standard output')
    .addOption(new Option('--debug', 'print stack traces with errors'))
    .action((protocol: string, { peer, peerCommand, role, seed, json }: Options) => {
      check(protocol, peer, peerCommand);
      take({
        ...{ name: 'conformance', protocol, seed, json: json ?? false },
        ...(peer === undefined ? {} : { peer }),
        ...(peerCommand === undefined ? {} : { peerCommand }),
        roles: role ? [role] : ROLES,
      });
    });

const seedOf = (text: string): number => {
  const seed = Number(text);
  if (/^\d+$/.test(text) && seed <= MAX_SEED) return seed;
  throw new UsageError(`--seed ${text} is not a seed: give a whole number from 0 to ${MAX_SEED}`);
};

const check = (protocol: string, peer?: string, peerCommand?: string): void => {
  if (!PROTOCOLS.includes(protocol)) {
    throw new UsageError(`protocol '${protocol}' is unknown: use one of ${PROTOCOLS.join(', ')}`);
  }
  const given = [peer, peerCommand].filter((one) => one !== undefined).length;
  if (protocol === 'blk' && given > 0) {
    throw new UsageError('blk takes no peer yet: it tests the drivers of Hospes itself');
  }
  if (protocol !== 'blk' && given !== 1) {
    throw new UsageError(
      `${given === 0 ? 'no peer is' : 'two peers are'} given: use either --peer FILE.wasm or --peer-command COMMAND`,
    );
  }
};
