/**
 * Peers in C: Xen's own macros pass every rule, as a module and as a process; and what is wrong in the same way gets
 * the same verdict whatever it is made of.
 */
import { fileURLToPath } from 'node:url';
import { describe, expect } from 'vitest';
import { processPeer } from '../../cli/process-peer.ts';
import { objectPeer } from '../../protocol/conformance/object-peer.ts';
import type { Peer, Role } from '../../protocol/conformance/peer.ts';
import { RING_PROTOCOLS, ringProtocol } from '../../protocol/conformance/ring-protocols.ts';
import { ringSuite } from '../../protocol/conformance/ring-suite.ts';
import type { Verdict } from '../../protocol/conformance/verdict.ts';
import { wasmPeer } from '../../protocol/conformance/wasm-peer.ts';
import * as c from '../support/c-peer.ts';
import { itNeeds } from '../support/tools.ts';
import { RING_MUTANTS } from './mutants/ring-mutants.ts';

const BLKIF = ringProtocol('ring:blkif');
const MUTANTS = fileURLToPath(new URL('mutants/ring-mutants.c', import.meta.url));

function judge(peer: Peer, protocol = BLKIF, roles?: readonly Role[]): readonly Verdict[] {
  try {
    return ringSuite({ peer, protocol, seed: 7, ...(roles ? { roles } : {}) }).verdicts;
  } finally {
    peer.close();
  }
}

const notPassed = (verdicts: readonly Verdict[]): readonly Verdict[] =>
  verdicts.filter(({ outcome }) => outcome !== 'pass');

describe('a peer over the macros of ring.h', () => {
  for (const protocol of RING_PROTOCOLS) {
    const flag = `-DPROTOCOL_${protocol.name.slice('ring:'.length).replace('-', '_')}`;

    itNeeds(c.WASM, c.canCompileWasm, `passes every rule of ${protocol.name} as a module`, () => {
      const peer = wasmPeer(c.wasmPeer('ring-peer.c', flag), 'ring-peer.wasm');
      expect(notPassed(judge(peer, protocol))).toEqual([]);
    });

    itNeeds(
      c.NATIVE,
      c.canCompileNative,
      `passes every rule of ${protocol.name} as a process`,
      () => {
        const { requestSize: request, responseSize: response } = protocol.layout;
        const peer = processPeer(c.nativePeer('ring-peer.c', flag), {
          messageBytes: { request, response },
        });
        const others = notPassed(judge(peer, protocol));
        // What only single accesses show.
        expect(others.map(({ rule, outcome }) => `${rule} ${outcome}`)).toEqual(
          Array(2).fill('RING-26 skip'),
        );
      },
    );
  }
});

/** A flag of ring-mutants.c, the TypeScript mutant with the same fault, and the role that shows it. */
const TWINS: readonly (readonly [string, string, Role])[] = [
  ['back_initialises', 'ring re-initialised by the back end', 'back'],
  ['beyond_the_slot', 'message beyond the slot', 'back'],
  ['one_too_many', 'one request too many', 'front'],
  ['threshold_off_by_one', 'threshold off by one', 'front'],
  ['threshold_first', 'threshold read before the index is written', 'back'],
  ['lost_arm', 'lost arm', 'back'],
  ['no_second_look', 'no second look', 'front'],
  ['stale_copy', 'stale copy', 'back'],
  ['message_first', 'message read before the index', 'back'],
  ['no_overflow_check', 'no overflow check', 'back'],
  ['16_bit_index', '16-bit index', 'front'],
  ['magnitude', 'compared by magnitude', 'front'],
];

describe('the same fault', () => {
  const messageBytes = { request: 112, response: 16 };
  for (const [flag, name, role] of TWINS) {
    const mutant = RING_MUTANTS.find((one) => one.name === name)!;
    const outcome = (peer: Peer) =>
      judge(peer, BLKIF, [role]).find(({ rule }) => rule === mutant.rule)?.outcome;

    itNeeds(
      c.WASM,
      c.canCompileWasm,
      `gets the same verdict in every kind of peer: ${name}`,
      () => {
        const made = objectPeer(
          { [role]: () => new mutant.make(role, BLKIF.layout) },
          messageBytes,
        );
        const module = wasmPeer(c.wasmPeer(MUTANTS, `-DMUTANT_${flag}`), 'mutant.wasm');
        const program = processPeer(c.nativePeer(MUTANTS, `-DMUTANT_${flag}`), { messageBytes });
        const outcomes = [made, module, program].map(outcome);
        expect(outcomes).toEqual([mutant.outcome, mutant.outcome, mutant.outcome]);
      },
    );
  }
});
