/**
 * Processes as peers, for tests: started in a directory of the test file's own, and after each test it is checked
 * that neither a process nor a file of theirs is left.
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, expect } from 'vitest';
import { type ProcessPeerOptions, processPeer } from '../../cli/process-peer.ts';
import type { Peer } from '../../protocol/conformance/peer.ts';

const before = process.env['TMPDIR'];
let scratch = '';
const peers: Peer[] = [];

/** Starts a peer, which is closed when the test ends. */
export function started(command: string, options?: ProcessPeerOptions): Peer {
  const peer = processPeer(command, options);
  peers.push(peer);
  return peer;
}

beforeAll(() => {
  scratch = mkdtempSync(join(tmpdir(), 'hospes-peers-'));
  process.env['TMPDIR'] = scratch;
});

afterAll(() => {
  if (before === undefined) delete process.env['TMPDIR'];
  else process.env['TMPDIR'] = before;
  rmSync(scratch, { recursive: true });
});

afterEach(async () => {
  for (const peer of peers.splice(0)) peer.close();
  expect(readdirSync(scratch).filter((name) => name.startsWith('hospes-peer-'))).toEqual([]);
  for (let tries = 0; alive().length > 0 && tries < 100; tries++) await sleep(20);
  expect(alive()).toEqual([]);
});

/** Processes whose ring lies in our directory. Where there is no /proc, nobody knows. */
function alive(): string[] {
  const processes = (names: () => string[]) => {
    try {
      return names();
    } catch {
      return [];
    }
  };
  return processes(() => readdirSync('/proc'))
    .filter((id) => /^\d+$/.test(id))
    .filter((id) => processes(() => [readFileSync(`/proc/${id}/environ`, 'latin1')]).some(isOurs));
}

function isOurs(environment: string): boolean {
  return environment.includes(`HOSPES_RING=${scratch}`);
}
