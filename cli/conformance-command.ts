/**
 * `hospes conformance PROTOCOL`: its arguments, checked, and its run: a peer of whatever kind, the suite of the
 * protocol, the report. What is wrong with a peer itself (PeerFault) is a UsageError; what it does wrong is the report.
 */
import { readFileSync } from 'node:fs';
import { Command as Commander, Option } from 'commander';
import { byteSuite } from '../protocol/conformance/byte-suite.ts';
import { type Peer, PeerFault, type Role } from '../protocol/conformance/peer.ts';
import { RING_PROTOCOLS, ringProtocol } from '../protocol/conformance/ring-protocols.ts';
import { ringSuite } from '../protocol/conformance/ring-suite.ts';
import type { Report } from '../protocol/conformance/verdict.ts';
import { wasmPeer } from '../protocol/conformance/wasm-peer.ts';
import { runBlkConformance } from './conformance-blk.ts';
import { reportJson, reportText } from './conformance-report.ts';
import { processPeer } from './process-peer.ts';
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

const BYTE_PROTOCOLS = ['console', 'xenstore'] as const;
const PROTOCOLS = [...RING_PROTOCOLS.map(({ name }) => name), ...BYTE_PROTOCOLS, 'blk'];
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

/** Runs the suite and prints the report. @returns whether nothing failed @throws UsageError */
export const runConformance = async (
  command: ConformanceCommand,
  print: (text: string) => void,
): Promise<boolean> => {
  const progress = process.stderr.isTTY ? showProgress : () => undefined;
  let report: Report;
  try {
    report = command.protocol === 'blk' ? await blk(command, progress) : ring(command, progress);
  } finally {
    progress('');
  }
  print(command.json ? reportJson(command, report) : reportText(command, report));
  return report.verdicts.every(({ outcome }) => outcome !== 'fail');
};

/** One line of a terminal, written over and over. */
const showProgress = (what: string): void => {
  process.stderr.write(`\r\x1b[K${what}`);
};

const blk = async (
  { roles, seed }: ConformanceCommand,
  progress: (what: string) => void,
): Promise<Report> => {
  const verdicts = [];
  for (const role of roles) {
    const onVerdict = ({ rule }: { rule: string }): void => progress(`${role}: ${rule}`);
    verdicts.push(...(await runBlkConformance({ role, seed, onVerdict })));
  }
  return { verdicts, explored: new Map(), pictureHeader: '' };
};

const ring = (command: ConformanceCommand, progress: (what: string) => void): Report => {
  const { protocol: name, roles, seed } = command;
  let peer: Peer | undefined;
  try {
    peer = open(command);
    checkRoles(command, peer);
    const options = { peer, roles, seed, progress };
    const bytes = BYTE_PROTOCOLS.find((one) => one === name);
    if (bytes) return byteSuite({ ...options, protocol: bytes });
    return ringSuite({ ...options, protocol: ringProtocol(name) });
  } catch (error) {
    if (error instanceof PeerFault) throw new UsageError(error.message, { cause: error });
    throw error;
  } finally {
    peer?.close();
  }
};

const open = ({ protocol, peer, peerCommand }: ConformanceCommand): Peer => {
  if (peer !== undefined) return wasmPeer(moduleBytes(peer), peer);
  const found = RING_PROTOCOLS.find(({ name }) => name === protocol);
  if (!found) return processPeer(peerCommand!);
  const { requestSize: request, responseSize: response } = found.layout;
  return processPeer(peerCommand!, { messageBytes: { request, response } });
};

const moduleBytes = (file: string): Uint8Array => {
  try {
    return readFileSync(file);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const what = code === 'ENOENT' ? 'does not exist' : `cannot be read (${code})`;
    throw new UsageError(`peer ${file} ${what}: give a WebAssembly module`);
  }
};

/** A peer with nothing to test, or without the role that was asked for. */
const checkRoles = ({ protocol, roles }: ConformanceCommand, peer: Peer): void => {
  const bytes = BYTE_PROTOCOLS.some((one) => one === protocol);
  const verbs = bytes
    ? (['init', 'write', 'read'] as const)
    : (['init', 'request', 'response', 'push', 'final_check'] as const);
  if (roles.some((role) => verbs.every((verb) => peer.has(role, verb)))) return;
  const which = roles.length === 1 ? `${roles[0]} end` : 'end';
  throw new UsageError(
    `the peer has no ${which} of ${protocol}: it must have ${verbs.map((verb) => `${roles[0]}_${verb}`).join(', ')}`,
  );
};
