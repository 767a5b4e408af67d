import { describe, expect, it } from 'vitest';
import { PeerFault } from '../../protocol/conformance/peer.ts';
import { wasmPeer } from '../../protocol/conformance/wasm-peer.ts';
import { CLANG, compileModule, hasClang } from '../support/c-module.ts';
import { itNeeds } from '../support/tools.ts';
import { I32, i32, peerModule, RING, V128 } from '../support/wasm-builder.ts';

const [ADD, END] = [0x6a, 0x0b];
const PARAM = [0x20, 0];
const load = (address: readonly number[]) => [...address, 0x28, 2, 0];
const store = (address: readonly number[], value: readonly number[]) => [
  ...address,
  ...value,
  0x36,
  2,
  0,
];
const nothing = () => {};

describe('a module with bytes changed', () => {
  /** Something of everything: calls, a table, loops, memory in bulk, vectors, data, a start function. */
  const whole = () =>
    peerModule(
      {
        front_push: {
          locals: [V128],
          code: [...i32(1), 0x11, 5, 0, ...RING, 0xfd, 0, 4, 0, 0x21, 0, ...store(RING, i32(1))],
        },
        front_request: {
          locals: [I32],
          code: [
            0x03,
            0x40,
            0x20,
            1,
            ...i32(1),
            ADD,
            0x22,
            1,
            ...i32(10),
            0x48,
            0x0d,
            0,
            END,
            ...load(PARAM),
          ],
        },
        front_response: {
          code: [...PARAM, ...RING, ...i32(16), 0xfc, 10, 0, 0, ...i32(1), 0x40, 0],
        },
        front_final_check: {
          code: [...RING, ...i32(1), 0xfe, 0x1e, 2, 0, 0x04, I32, ...i32(1), 0x05, ...i32(2), END],
        },
      },
      [{ results: [I32], code: i32(40) }, { code: [...i32(99), 0x24, 2] }],
      {
        sections: {
          4: [1, 0x70, 0, 2],
          8: [6],
          9: [1, 0, ...i32(0), END, 2, 5, 5],
          11: [1, 0, ...i32(8), END, 2, 1, 2],
        },
      },
    );

  function survives(bytes: Uint8Array): 'peer' | 'fault' {
    try {
      const peer = wasmPeer(bytes, 'end.wasm');
      const end = peer.open('front', 4096, nothing);
      for (let round = 0; round < 2; round++) {
        end.call('init', 4096);
        for (const verb of ['request', 'push', 'response', 'final_check'] as const) end.call(verb);
      }
      peer.open('front', 8192, nothing);
      return 'peer';
    } catch (error) {
      if (!(error instanceof PeerFault)) throw error;
      // What was valid before must be valid when it is rewritten.
      expect(error.message).not.toContain('cannot be instrumented');
      return 'fault';
    }
  }

  function mutated(whole: Uint8Array, rounds: number): Record<'peer' | 'fault', number> {
    let seed = 20;
    const random = (below: number) => {
      seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
      return Math.floor((seed / 2 ** 32) * below);
    };
    const all = { peer: 0, fault: 0 };
    for (let round = 0; round < rounds; round++) {
      const bytes = whole.slice(0, random(20) === 0 ? random(whole.length) : undefined);
      for (let left = random(4) >> 1; left >= 0; left--) {
        const at = 8 + random(bytes.length - 8);
        bytes[at] = bytes[at]! ^ (1 << random(8));
      }
      all[survives(bytes)]++;
    }
    return all;
  }

  it('is a peer or a PeerFault: by hand', () => {
    expect(survives(whole())).toBe('peer');
    const { peer, fault } = mutated(whole(), 2000);
    expect(peer).toBeGreaterThan(50);
    expect(fault).toBeGreaterThan(1000);
  });

  itNeeds(CLANG, hasClang(), 'is a peer or a PeerFault: from clang', () => {
    const source = `
      static volatile unsigned *ring; static unsigned n, all[64];
      static int add(int x) { for (int i = 0; i < 64; i++) all[i] += x * i; return all[x % 64]; }
      static int (*volatile step)(int) = add;
      VERB(front_init) int init(void *r, unsigned bytes) { ring = r; return ring[0] = bytes; }
      VERB(front_request) int request(unsigned *from) { n += step(from[1]); ring[n % 64] = from[0]; return 1; }
      VERB(front_push) int push(void) { switch (ring[3]) { case 0: return n; case 1: return 5; default: return ring[9]; } }
      VERB(front_response) int response(unsigned *into) { into[0] = (int)((double)n / 3); return 1; }
      VERB(front_final_check) int final_check(void) { for (unsigned i = n % 9; i > 0; i--) n ^= ring[i]; return n; }
    `;
    const compiled = compileModule(source, '-O1', '-Wl,--strip-all');
    expect(survives(compiled)).toBe('peer');
    expect(mutated(compiled, 2000).peer).toBeGreaterThan(100);
  });
});
