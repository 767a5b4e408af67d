/**
 * The run of `hospes conformance`: a peer of whatever kind, the suite of the protocol, the report. What is wrong with
 * a peer itself (PeerFault) is a UsageError; what it does wrong is the report.
 */
import { readFileSync } from 'node:fs';
import { byteSuite } from '../protocol/conformance/byte-suite.ts';
import { type Peer, PeerFault } from '../protocol/conformance/peer.ts';
import { RING_PROTOCOLS, ringProtocol } from '../protocol/conformance/ring-protocols.ts';
import { ringSuite } from '../protocol/conformance/ring-suite.ts';
import type { Report } from '../protocol/conformance/verdict.ts';
import { wasmPeer } from '../protocol/conformance/wasm-peer.ts';
import { runBlkConformance } from './conformance-blk.ts';
import { BYTE_PROTOCOLS, type ConformanceCommand } from './conformance-command.ts';
import { reportJson, reportText } from './conformance-report.ts';
import { processPeer } from './process-peer.ts';
import { UsageError } from './usage-error.ts';

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
