/** A process as a peer, and the peers of examples/c: frames, shared pages, pauses; and the same sources as modules. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect } from 'vitest';
import { type Peer, PeerFault } from '../../protocol/conformance/peer.ts';
import { wasmPeer as moduleOf } from '../../protocol/conformance/wasm-peer.ts';
import {
  canCompileNative,
  canCompileWasm,
  NATIVE,
  nativePeer,
  WASM,
  wasmPeer,
} from '../support/c-peer.ts';
import { started } from '../support/process-peers.ts';
import { itNeeds } from '../support/tools.ts';

const itCompiles = (name: string, test: () => void) =>
  itNeeds(NATIVE, canCompileNative, name, test);
const blkif = (...flags: string[]) => nativePeer('ring-peer.c', '-DPROTOCOL_blkif', ...flags);
const bytes = (from: number, length: number) => Uint8Array.from({ length }, (_, i) => from + i);
const SLOT = 64 / 4; // the first, in words
const [REQ_PROD, REQ_EVENT, RSP_PROD, RSP_EVENT] = [0, 1, 2, 3] as const;

describe('a peer over the macros of ring.h', () => {
  itCompiles('says which verbs it has, and that it pauses', () => {
    const peer = started(blkif());
    expect([peer.kind, peer.grain]).toEqual(['process', 'barrier']);
    expect(peer.has('front', 'final_check') && peer.has('back', 'attach')).toBe(true);
    expect(peer.has('front', 'write')).toBe(false);
  });

  itCompiles('makes requests and takes responses over the shared pages', () => {
    const end = started(blkif()).open('front', 4096, () => undefined);
    expect(end.call('init', 4096)).toBe(32);
    expect([...end.page.subarray(0, 4)]).toEqual([0, 1, 0, 1]);
    end.buffer.set(bytes(1, 112));
    expect(end.call('request')).toBe(0);
    expect(end.page[REQ_PROD]).toBe(0);
    expect(end.call('push')).toBe(1);
    expect(end.page[REQ_PROD]).toBe(1);
    expect(new Uint8Array(end.page.buffer, 64, 112)).toEqual(bytes(1, 112));
    expect(end.call('response')).toBe(0);
    end.page.set(new Uint32Array(bytes(50, 16).buffer), SLOT);
    end.page[RSP_PROD] = 1;
    expect(end.call('response')).toBe(1);
    expect(end.buffer.subarray(0, 16)).toEqual(bytes(50, 16));
    expect(end.call('final_check')).toBe(0);
    expect(end.page[RSP_EVENT]).toBe(2);
  });

  itCompiles('takes requests and makes responses, going on where the ring is', () => {
    const end = started(blkif()).open('back', 4096, () => undefined);
    end.page.set([2 ** 32 - 1, 0, 2 ** 32 - 2, 2 ** 32 - 1]);
    expect(end.call('init', 4096)).toBe(32);
    end.page.set(new Uint32Array(bytes(7, 112).buffer), SLOT + 30 * 28);
    expect(end.call('request')).toBe(1);
    expect(end.buffer.subarray(0, 112)).toEqual(bytes(7, 112));
    expect(end.call('request')).toBe(0);
    end.buffer.set(bytes(90, 16));
    expect(end.call('response')).toBe(0);
    expect(end.call('response')).toBe(-22);
    expect(end.call('push')).toBe(1);
    expect(end.page[RSP_PROD]).toBe(2 ** 32 - 1);
    expect(new Uint8Array(end.page.buffer, 64 + 30 * 112, 16)).toEqual(bytes(90, 16));
    end.page[REQ_PROD] = 40;
    expect(end.call('request')).toBe(-22);
  });

  itCompiles('attaches at any index, and a full ring takes no request', () => {
    const end = started(blkif()).open('front', 1024, () => undefined);
    end.page.set([2 ** 32 - 3, 0, 2 ** 32 - 3, 0]);
    expect(end.call('attach', 1024, -3)).toBe(8);
    for (let i = 0; i < 8; i++) expect(end.call('request')).toBe(0);
    expect(end.call('request')).toBe(-28);
    end.call('push');
    expect(end.page[REQ_PROD]).toBe(5);
    end.page[RSP_PROD] = 5;
    expect(end.call('response')).toBe(1);
    end.page[RSP_PROD] = 40;
    expect(end.call('response')).toBe(-22);
  });

  itCompiles('pauses at each barrier, and either side then sees what the other wrote', () => {
    const seen: number[][] = [];
    let act = () => {};
    const end = started(blkif()).open('front', 4096, (offset, length, write) => {
      expect([offset, length, write]).toEqual([0, 0, false]);
      seen.push([end.page[REQ_PROD]!, end.page[RSP_EVENT]!]);
      act();
    });
    end.call('init', 4096);
    end.call('request');
    end.page[REQ_EVENT] = 9;
    act = () => {
      if (seen.length === 2) end.page[REQ_EVENT] = 1;
    };
    expect(end.call('push')).toBe(1); // it saw the threshold that was set after the index was written
    expect(seen.splice(0)).toEqual([
      [0, 1],
      [1, 1],
    ]);
    act = () => {
      end.page[RSP_PROD] = 1;
    };
    end.page[RSP_EVENT] = 0;
    expect(end.call('final_check')).toBe(1);
    expect(seen).toEqual([[1, 1]]);
  });

  itCompiles('is met only between verbs if it does not pause', () => {
    let points = 0;
    const peer = started(blkif('-DNO_PAUSES'), { messageBytes: { request: 112, response: 16 } });
    const end = peer.open('front', 4096, () => points++);
    end.call('init', 4096);
    end.buffer.fill(1);
    end.call('request');
    end.call('push');
    expect([peer.grain, points]).toEqual(['verb', 0]);
    expect(end.page[SLOT + 27]).toBe(0x01010101);
  });

  itCompiles('has a ring of sixteen pages, and forgets it when another is opened', () => {
    const peer = started(nativePeer('ring-peer.c', '-DPROTOCOL_netif_tx'));
    const old = peer.open('front', 65536, () => undefined);
    expect(old.call('init', 65536)).toBe(4096);
    old.page.fill(7, 1024);
    old.call('request');
    old.call('push');
    const end = peer.open('front', 4096, () => undefined);
    expect(() => old.call('push')).toThrow('this end is closed, so no front_push');
    expect([...end.page.subarray(0, 4)]).toEqual([0, 0, 0, 0]);
    expect(end.call('init', 4096)).toBe(256);
    expect(end.call('push')).toBe(0);
    expect(() => peer.open('front', 65540, () => undefined)).toThrow(
      'a process can have a ring of 65536 bytes, not of 65540',
    );
  });

  itCompiles('is caught when it writes past its ring, and serves again after that', () => {
    const peer = started(blkif());
    const end = peer.open('front', 4096, () => undefined);
    end.call('init', 8192);
    end.buffer.fill(0xff);
    for (let i = 0; i < 36; i++) end.call('request');
    expect(() => end.call('request')).toThrow(
      new PeerFault('the peer writes at 4096 in front_request, but its ring has 4096 bytes'),
    );
    expect(() => end.call('push')).toThrow(PeerFault);
    expect(peer.open('front', 4096, () => undefined).call('init', 4096)).toBe(32);
  });
});

describe('a peer over xencons_interface and xenstore_domain_interface', () => {
  itCompiles('writes and reads the console', () => {
    const peer = started(nativePeer('byte-peer.c', '-DPROTOCOL_console'));
    const end = peer.open('front', 4096, () => undefined);
    const [inProd, outCons, outProd] = [769, 770, 771];
    end.page.fill(2 ** 32 - 5, 768, 772);
    expect(end.call('init', 4096)).toBe(0);
    end.buffer.set(bytes(65, 26));
    expect(end.call('write', 26)).toBe(26);
    expect(end.page[outProd]).toBe(21);
    expect(Buffer.from(end.page.buffer).toString('latin1', 1024, 1024 + 21)).toBe(
      'FGHIJKLMNOPQRSTUVWXYZ',
    );
    expect(end.call('write', 4096)).toBe(2048 - 26);
    expect(end.call('read', 4)).toBe(0);
    new Uint8Array(end.page.buffer, 0, 1024).set(bytes(1, 5), 1019);
    end.page[inProd] = 0;
    expect(end.call('read', 3)).toBe(3);
    expect(end.call('read', 300)).toBe(2);
    expect([...end.buffer.subarray(0, 2)]).toEqual([4, 5]);
    end.page[inProd] = 1025;
    expect(end.call('read', 1)).toBe(-22);
    end.page[outCons] = 2 ** 31;
    expect(end.call('write', 1)).toBe(-22);
  });

  itCompiles('is the store’s back end too', () => {
    const peer = started(nativePeer('byte-peer.c', '-DPROTOCOL_xenstore'));
    const end = peer.open('back', 4096, () => undefined);
    end.call('init', 4096);
    end.page[0] = 0x64636261;
    end.page[513] = 4; // req_prod
    expect(end.call('read', 16)).toBe(4);
    expect(Buffer.from(end.buffer).toString('latin1', 0, 4)).toBe('abcd');
    expect(end.page[512]).toBe(4);
    expect(end.call('write', 4)).toBe(4);
    expect(end.page.subarray(512, 516)).toEqual(new Uint32Array([4, 4, 0, 4]));
    expect(end.page[256]).toBe(0x64636261);
  });
});

describe('the same sources as WebAssembly modules', () => {
  const itLinks = (name: string, test: () => void) => itNeeds(WASM, canCompileWasm, name, test);

  itLinks('keep the contract of a module', () => {
    for (const protocol of ['blkif', 'netif_tx', 'netif_rx']) {
      const peer = moduleOf(wasmPeer('ring-peer.c', `-DPROTOCOL_${protocol}`), protocol);
      expect(peer.has('front', 'final_check') && peer.has('back', 'attach')).toBe(true);
    }
    for (const protocol of ['console', 'xenstore']) {
      const peer = moduleOf(wasmPeer('byte-peer.c', `-DPROTOCOL_${protocol}`), protocol);
      expect(peer.has('front', 'read') && peer.has('back', 'write')).toBe(true);
    }
  });

  itLinks('do what the processes do', () => {
    const flag = '-DPROTOCOL_blkif';
    const module = moduleOf(wasmPeer('ring-peer.c', flag), 'ring');
    expect(life(module)).toEqual(life(started(nativePeer('ring-peer.c', flag))));
  });
});

/** A front end's results, messages and pages over a ring that is filled, half answered and lied about. */
function life(peer: Peer): unknown[] {
  const end = peer.open('front', 1024, () => undefined);
  const story: unknown[] = [];
  const say = (result: number) => story.push(result, end.page.slice(), end.buffer.slice(0, 16));
  say(end.call('init', 1024));
  for (let i = 0; i < 9; i++) {
    end.buffer.set(bytes(i, 112));
    say(end.call('request'));
  }
  say(end.call('push'));
  end.page.set(end.page.subarray(SLOT + 28, SLOT + 32), SLOT);
  end.page[RSP_PROD] = 4;
  for (let i = 0; i < 5; i++) say(end.call('response'));
  say(end.call('final_check'));
  end.page[RSP_PROD] = 200;
  say(end.call('response'));
  return story;
}

describe('docs/conformance.md', () => {
  const root = fileURLToPath(new URL('../..', import.meta.url));
  const page = readFileSync(join(root, 'docs/conformance.md'), 'utf8');
  const commands = [...page.matchAll(/```sh\n([\s\S]*?)```/g)].map(([, text]) => text!);
  const compile = (compiler: string, output: string): Buffer => {
    const folder = mkdtempSync(join(tmpdir(), 'hospes-docs-'));
    try {
      symlinkSync(join(root, 'examples'), join(folder, 'examples'));
      const command = commands.find((text) => text.startsWith(`${compiler} `)) ?? 'exit 1';
      const { status, stderr } = spawnSync('sh', ['-c', command], {
        cwd: folder,
        encoding: 'utf8',
      });
      expect([status, stderr]).toEqual([0, '']);
      return readFileSync(join(folder, output));
    } finally {
      rmSync(folder, { recursive: true });
    }
  };

  itCompiles('has a command that makes the program', () => {
    expect(compile('gcc', 'ring-peer').equals(readFileSync(blkif()))).toBe(true);
  });

  itNeeds(WASM, canCompileWasm, 'has a command that makes the module', () => {
    const expected = wasmPeer('ring-peer.c', '-DPROTOCOL_blkif');
    expect(compile('clang', 'ring-peer.wasm').equals(expected)).toBe(true);
  });
});
