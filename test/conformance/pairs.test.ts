/**
 * Two ends that others wrote, on one ring: ours, Xen's macros as a module, Xen's macros as a process, each against each
 * both ways round. What one end asks for, the other gets, once and in order; what it answers comes back; both sleep
 * with nothing left. One end moves between any two accesses of the other, where those can be seen.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { processPeer } from '../../cli/process-peer.ts';
import type { Peer, PeerEnd, Role } from '../../protocol/conformance/peer.ts';
import { ringBytes, ringProtocol } from '../../protocol/conformance/ring-protocols.ts';
import { wasmPeer } from '../../protocol/conformance/wasm-peer.ts';
import * as c from '../support/c-peer.ts';
import { itNeeds } from '../support/tools.ts';
import { ourRing } from './our-ring.ts';

const BLKIF = ringProtocol('ring:blkif');
const { request: REQUESTS, response: RESPONSES } = BLKIF;
const BYTES = ringBytes(BLKIF.layout, 4);

const PEERS: Readonly<Record<string, () => Peer>> = {
  ours: () => ourRing(BLKIF),
  module: () => wasmPeer(c.wasmPeer('ring-peer.c', '-DPROTOCOL_blkif'), 'ring-peer.wasm'),
  process: () =>
    processPeer(c.nativePeer('ring-peer.c', '-DPROTOCOL_blkif'), {
      messageBytes: { request: 112, response: 16 },
    }),
};

/** One end of the pair: its page is brought up to date before it runs, and handed on afterwards. */
class PairedEnd {
  readonly #end: PeerEnd;
  readonly #pair: Pair;
  asleep = false;
  notified = false;
  running = false;

  constructor(peer: Peer, role: Role, pair: Pair) {
    this.#pair = pair;
    this.#end = peer.open(role, BYTES, () => this.#meanwhile());
  }

  call(verb: 'init' | 'push' | 'final_check'): number {
    return this.#run(() => this.#end.call(verb, verb === 'init' ? BYTES : undefined));
  }

  put(verb: 'request' | 'response', message: Uint8Array): number {
    this.#end.buffer.set(message);
    return this.#run(() => this.#end.call(verb));
  }

  take(verb: 'request' | 'response'): Uint8Array | undefined {
    return this.#run(() => this.#end.call(verb)) === 1 ? this.#end.buffer : undefined;
  }

  #run(act: () => number): number {
    this.#end.page.set(this.#pair.page);
    this.running = true;
    const result = act();
    this.running = false;
    this.#pair.page.set(this.#end.page);
    return result;
  }

  #meanwhile(): void {
    this.#pair.page.set(this.#end.page);
    this.#pair.meanwhile();
    this.#end.page.set(this.#pair.page);
  }
}

class Pair {
  readonly page = new Uint32Array(BYTES / 4);
  readonly front: PairedEnd;
  readonly back: PairedEnd;
  readonly #choices: readonly number[];
  #chosen = 0;
  #todo = 12;
  #asked = 0;
  #taken = 0;
  #answered = 0;
  #received = 0;
  #joined = false;

  constructor(front: Peer, back: Peer, choices: readonly number[]) {
    this.#choices = choices;
    this.front = new PairedEnd(front, 'front', this);
    this.front.call('init');
    this.back = new PairedEnd(back, 'back', this);
    this.back.call('init');
    this.#joined = true;
  }

  /** Runs the choices, then both ends until they rest. */
  run(): void {
    while (this.#chosen < this.#choices.length)
      this.#step(this.#choose(2) === 0 ? 'front' : 'back');
    for (let round = 0; round < 100; round++) {
      this.#step('front');
      this.#step('back');
    }
    expect([this.#asked, this.#taken, this.#answered, this.#received]).toEqual([12, 12, 12, 12]);
    expect([this.front.asleep, this.back.asleep]).toEqual([true, true]);
  }

  /** One end is between two accesses: the other may take a step, unless it is in one itself. */
  meanwhile(): void {
    if (!this.#joined || (this.front.running && this.back.running)) return;
    if (this.#choose(3) === 1) this.#step(this.front.running ? 'back' : 'front');
  }

  #choose(ways: number): number {
    return (this.#choices[this.#chosen++] ?? 0) % ways;
  }

  #step(role: Role): void {
    const [end, other] = role === 'front' ? [this.front, this.back] : [this.back, this.front];
    if (end.running) return;
    if (role === 'front') this.#ask();
    else this.#answer();
    if (end.call('push') === 1) other.notified = true;
    if (end.asleep && !end.notified) return;
    end.asleep = end.notified = false;
    if (role === 'front') this.#receive();
    else this.#take();
    const settled = role === 'front' || this.#answered === this.#taken;
    if (settled) end.asleep = end.call('final_check') === 0;
  }

  #ask(): void {
    for (let n = 1 + this.#choose(3); n > 0 && this.#todo > 0; n--) {
      if (this.front.put('request', REQUESTS.of(this.#asked)) !== 0) break;
      this.#asked++;
      this.#todo--;
    }
  }

  #take(): void {
    for (let n = 1 + this.#choose(3); n > 0; n--) {
      const request = this.back.take('request');
      if (!request) break;
      expect(REQUESTS.matches(this.#taken, request)).toBe(true);
      this.#taken++;
    }
  }

  #answer(): void {
    while (this.#answered < this.#taken) {
      expect(this.back.put('response', RESPONSES.of(this.#answered))).toBe(0);
      this.#answered++;
    }
  }

  #receive(): void {
    for (
      let response = this.front.take('response');
      response;
      response = this.front.take('response')
    ) {
      expect(RESPONSES.matches(this.#received, response)).toBe(true);
      this.#received++;
    }
  }
}

function meet(front: Peer, back: Peer, numRuns: number): void {
  try {
    const choices = fc.array(fc.nat(5), { maxLength: 80, size: 'max' });
    const property = fc.property(choices, (list) => new Pair(front, back, list).run());
    fc.assert(property, { numRuns, seed: 1 });
  } finally {
    front.close();
    back.close();
  }
}

describe('two ends of a ring', () => {
  it('ours and ours', () => meet(ourRing(BLKIF), ourRing(BLKIF), 500));

  for (const front of Object.keys(PEERS)) {
    for (const back of Object.keys(PEERS)) {
      if (front === 'ours' && back === 'ours') continue;
      const process = front === 'process' || back === 'process';
      itNeeds(c.WASM, c.canCompileWasm, `${front} and ${back}`, () => {
        meet(PEERS[front]!(), PEERS[back]!(), process ? 25 : 300);
      });
    }
  }
});
