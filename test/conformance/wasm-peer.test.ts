import { describe, expect, it } from 'vitest';
import { BUFFER_BYTES, PeerFault, type Point, type Verb } from '../../protocol/conformance/peer.ts';
import { type MovableEnd, wasmPeer } from '../../protocol/conformance/wasm-peer.ts';
import {
  type FunctionSpec,
  HEAP_BASE,
  I32,
  i32,
  peerModule,
  RING,
  V128,
} from '../support/wasm-builder.ts';

const nothing: Point = () => {};
const [ADD, DROP, END] = [0x6a, 0x1a, 0x0b];
const load = (address: readonly number[]) => [...address, 0x28, 2, 0];
const store = (address: readonly number[], value: readonly number[]) => [
  ...address,
  ...value,
  0x36,
  2,
  0,
];
const plus = (address: readonly number[], offset: number) => [...address, ...i32(offset), ADD];
const PARAM = [0x20, 0];
const FOREVER = [0x03, 0x40, 0x0c, 0, END];

/** A front end with these verbs, opened over one page and initialised. */
function front(
  verbs: Parameters<typeof peerModule>[0],
  point = nothing,
  more: FunctionSpec[] = [],
) {
  const end = wasmPeer(peerModule(verbs, more), 'end.wasm').open('front', 4096, point);
  end.call('init', 4096);
  return end;
}

function fault(end: MovableEnd, verb: Verb): string {
  try {
    end.call(verb);
  } catch (error) {
    expect(error).toBeInstanceOf(PeerFault);
    return (error as PeerFault).message;
  }
  throw new Error('it returned');
}

describe('a WebAssembly end', () => {
  it('is given ring, length, index, buffer and count', () => {
    const two = (code: number[]) => ({ params: [I32, I32], results: [I32], code });
    const functions: FunctionSpec[] = [
      {
        name: 'front_attach',
        params: [I32, I32, I32],
        results: [I32],
        code: [0x20, 1, 0x20, 2, ADD],
      },
      { name: 'front_write', ...two([0x20, 0, 0x20, 1, ADD, 0x2d, 0, 0]) },
      { name: 'front_read', ...two([...store(PARAM, [0x20, 1]), ...i32(0)]) },
    ];
    const end = front({ front_request: { code: load(PARAM) } }, nothing, functions);
    expect(end.call('attach', 8192, -3)).toBe(8189);
    end.buffer.set([1, 2, 3, 0x80]);
    expect(end.call('request')).toBe(0x80030201 | 0);
    expect(end.call('write', 2)).toBe(3);
    end.call('read', 77);
    expect(end.buffer[0]).toBe(77);
  });

  it('sees what the point changes before each access', () => {
    const end: MovableEnd = front(
      { front_push: { code: [...load(RING), ...load(RING), ADD] } },
      () => {
        end.page[0] = end.page[0]! * 2 + 1;
      },
    );
    end.page[0] = 10;
    expect(end.call('push')).toBe(21 + 43);
  });

  it('lets the point see its page before a store', () => {
    const before: number[] = [];
    const end: MovableEnd = front(
      { front_push: { code: [...store(RING, i32(5)), ...i32(0)] } },
      () => before.push(end.page[0]!),
    );
    end.call('push');
    expect(before).toEqual([0]);
    expect(end.page[0]).toBe(5);
  });

  it('passes on what the point throws, as it is, and can be called again', () => {
    let left = 1;
    const stop = new RangeError('enough');
    const end = front({ front_push: { code: load(RING) } }, () => {
      if (left-- > 0) throw stop;
    });
    expect(() => end.call('push')).toThrow(stop);
    expect(end.call('push')).toBe(0);
  });

  it('may not be called or opened while it runs; another may', () => {
    const peer = wasmPeer(peerModule({ front_push: { code: load(RING) } }), 'end.wasm');
    const other = front({});
    const end: MovableEnd = peer.open('front', 4096, () => {
      expect(other.call('push')).toBe(0);
      expect(() => end.call('push')).toThrow('while it runs');
      expect(() => peer.open('front', 4096, nothing)).toThrow('while it runs');
    });
    end.call('init', 4096);
    expect(end.call('push')).toBe(0);
    peer.open('front', 4096, nothing);
    expect(() => end.call('push')).toThrow('ended by a later open');
  });

  it('shows and gives up its own memory', () => {
    const peer = wasmPeer(peerModule({ front_push: { code: load(i32(64)) } }), 'end.wasm');
    const end = peer.open('front', 4096, nothing);
    expect(end.memory.length).toBe(HEAP_BASE);
    end.memory[64] = 9;
    expect(end.call('push')).toBe(9);
    expect(peer.open('front', 4096, nothing).call('push')).toBe(0);
  });
});

describe('PeerFault', () => {
  it('says which trap a verb ran into', () => {
    const code = [...i32(1), ...i32(0), 0x6d];
    expect(fault(front({ front_push: { code } }), 'push')).toBe('front_push traps: divide by zero');
    expect(fault(front({ front_request: { code: [0] } }), 'request')).toBe(
      'front_request traps: unreachable',
    );
  });

  it('says that a verb does not return: loops, recursion, calls without depth, polling', () => {
    const stopped = 'front_push does not return: it was stopped after 20000000 steps';
    expect(fault(front({ front_push: { code: [...FOREVER, 0] } }), 'push')).toBe(stopped);
    expect(fault(front({ front_push: { code: [0x10, 2] } }), 'push')).toBe(
      'front_push does not return: it calls itself without end',
    );
    // Function n calls function n + 1 twice, 40 deep.
    const tree = Array.from({ length: 40 }, (_, n) => ({
      code: n < 39 ? [0x10, 6 + n, 0x10, 6 + n] : [],
    }));
    expect(
      fault(front({ front_push: { code: [0x10, 5, ...i32(0)] } }, nothing, tree), 'push'),
    ).toBe(stopped);
    let polls = 0;
    const poll = [0x03, 0x40, ...load(RING), 0x45, 0x0d, 0, END, ...i32(0)];
    expect(
      fault(
        front({ front_push: { code: poll } }, () => polls++),
        'push',
      ),
    ).toBe(stopped);
    expect(polls).toBeLessThan(400_000);
  });

  it('says where a verb writes or reads outside', () => {
    const end = front({
      front_request: { code: [...store(plus(RING, 4096 + 12), i32(1)), ...i32(0)] },
      front_push: {
        code: [...store(plus(RING, 4092), i32(1)).slice(0, -3), 0xac, 0x37, 3, 0, ...i32(0)],
      },
      front_response: { code: load(plus(RING, -1)) },
      front_final_check: { code: load(i32(HEAP_BASE)) },
    });
    expect(fault(end, 'request')).toBe('front_request writes 4 bytes at 12 bytes past the ring');
    expect(fault(end, 'push')).toBe(
      'front_push writes 8 bytes at 4 bytes before the end of the ring',
    );
    expect(fault(end, 'response')).toBe('front_response reads 4 bytes at 1 bytes before the ring');
    expect(fault(end, 'final_check')).toBe(
      'front_final_check reads 4 bytes at 0 bytes past its own memory, which ends at __heap_base',
    );
    expect([...end.page]).toEqual(Array(1024).fill(0));
    const far = front({ front_push: { code: load(i32(-4)) } });
    expect(fault(far, 'push')).toMatch(/^front_push reads 4 bytes at the address 0xfffffffc, past/);
    // An immediate offset so large that the address is no i32 any more.
    const wide = front({ front_push: { code: [...RING, 0x28, 2, 0xff, 0xff, 0xff, 0xff, 15] } });
    expect(fault(wide, 'push')).toMatch(/^front_push reads 4 bytes at the address 0x1000/);
    const bulk = front({
      front_push: { code: [...plus(RING, 8), ...i32(0), ...i32(4096), 0xfc, 11, 0, ...i32(0)] },
    });
    expect(fault(bulk, 'push')).toBe(
      'front_push writes 4096 bytes at 4088 bytes before the end of the ring',
    );
  });

  it('lets the buffer be written only where a message comes out', () => {
    const code = [...store(PARAM, i32(7)), ...i32(0)];
    const end = front({
      front_init: { code: [0x20, 0, 0x24, 1, ...i32(0)] },
      front_request: { code },
      front_response: { code },
    });
    end.call('response');
    expect(end.buffer[0]).toBe(7);
    expect(fault(end, 'request')).toBe(
      'front_request writes 4 bytes at 0 bytes into the message buffer, which it may only read',
    );
    const past = front({
      front_response: { code: [...store(plus(PARAM, BUFFER_BYTES), i32(7)), ...i32(0)] },
      front_request: { code: load(plus(PARAM, BUFFER_BYTES - 4)) },
    });
    expect(fault(past, 'response')).toBe(
      'front_response writes 4 bytes at 0 bytes past the message buffer',
    );
    expect(past.call('request')).toBe(0);
  });

  it('comes for a wait in a shared memory, which nobody could end', () => {
    const imports = [['env', 'memory', [2, 3, 1, 2]]] as const;
    const wait = [...RING, ...i32(0), 0x42, 0x7f, 0xfe, 1, 2, 0];
    const module = peerModule({ front_push: { code: wait } }, [], { imports });
    const end = wasmPeer(module, 'end.wasm').open('front', 4096, nothing);
    end.call('init', 4096);
    expect(fault(end, 'push')).toMatch(/^front_push traps: /);
  });

  it('comes for a verb that is not exported', () => {
    expect(() => front({}).call('attach', 4096, 0)).toThrow('front_attach is not exported');
  });
});

describe('open', () => {
  const grow = [...i32(2), 0x40, 0];
  it('puts back own memory, globals, grown memory, ring and buffer, after a fault too', () => {
    const top = [...i32(16), 0x3f, 0, ...i32(65536), 0x6c, ...i32(16), 0x6b];
    const peer = wasmPeer(
      peerModule(
        {
          // All that can be changed: own memory within and across blocks, by fill, a global, grown memory.
          front_push: {
            code: [
              ...[...store(i32(100), i32(1)), ...store(i32(4092), i32(-1))],
              ...[...i32(200), ...i32(3), ...i32(9), 0xfc, 11, 0, ...i32(55), 0x24, 2],
              ...[...grow, DROP, ...store(top.slice(2), i32(6)), ...store(RING, i32(8))],
              0,
            ],
          },
          // Their sum, and how large memory is.
          front_final_check: {
            code: [
              ...[...load(i32(100)), ...load(i32(4092)), ADD, ...load(i32(200)), ADD],
              ...[0x23, 2, ADD, 0x3f, 0, ...i32(100), 0x6c, ADD],
            ],
          },
          front_request: { code: [...grow, DROP, ...load(top.slice(2))] },
        },
        [],
        { sections: { 11: [1, 0, ...i32(100), END, 1, 50] } },
      ),
      'end.wasm',
    );
    const fresh = peer.open('front', 4096, nothing);
    fresh.call('init', 4096);
    const sum = fresh.call('final_check');
    expect(sum % 100).toBe(57); // the data and the global
    for (let round = 0; round < 3; round++) {
      const end = peer.open('front', 4096, nothing);
      end.call('init', 4096);
      expect(end.page[0]).toBe(0);
      expect(fault(end, 'push')).toBe('front_push traps: unreachable');
      expect(end.page[0]).toBe(8); // though memory.grow made another array of it
      expect(end.call('final_check')).not.toBe(sum);
      end.buffer.fill(1);
      const next = peer.open('front', 4096, nothing);
      expect(next.call('final_check')).toBe(sum);
      expect(next.call('request')).toBe(0);
      expect(next.page[0]).toBe(0);
      expect(next.buffer.every((byte) => byte === 0)).toBe(true);
    }
  });

  it('puts back what is stored across two blocks, or far from its address', () => {
    const globals = [
      [I32, 0, ...i32(3 * 4096), END],
      [I32, 1, ...i32(0), END],
    ];
    const far = [...i32(0), ...i32(5), 0x36, 2, 0x80, 0x40]; // at 8192, all of it an immediate
    const peer = wasmPeer(
      peerModule(
        {
          front_push: { code: [...store(i32(4094), i32(-1)), ...far, ...i32(0)] },
          front_request: { code: [...load(i32(4096)), ...load(i32(8192)), ADD] },
        },
        [],
        { globals },
      ),
      'end.wasm',
    );
    const end = peer.open('front', 4096, nothing);
    end.call('push');
    expect(end.call('request')).toBe(0xffff + 5);
    expect(peer.open('front', 4096, nothing).call('request')).toBe(0);
  });

  // What changes in the push of each, and how the request sees whether it did.
  const vector = [V128, 1, 0xfd, 12, ...Array<number>(16).fill(0), END];
  const lasting: Record<string, [push: number[], request: number[]]> = {
    tables: [
      [...i32(0), 0xd0, 0x70, 0x26, 0], // table.set of a null
      [...i32(0), 0x25, 0, 0xd1],
    ],
    'vector globals': [
      [...i32(9), 0xfd, 17, 0x24, 2],
      [0x23, 2, 0xfd, 27, 0],
    ],
    'dropped segments': [
      [0xfc, 9, 0],
      [...i32(0), ...i32(0), ...i32(1), 0xfc, 8, 0, 0, ...i32(0)],
    ],
  };
  for (const [what, [push, request]] of Object.entries(lasting)) {
    it(`puts back ${what}, by a new instance`, () => {
      const own = [[I32, 0, ...i32(HEAP_BASE), END] as const, [I32, 1, ...i32(0), END] as const];
      const table = { 4: [1, 0x70, 0, 1], 9: [1, 0, ...i32(0), END, 1, 2] };
      const globals = what === 'vector globals' ? [...own, vector] : own;
      const verbs = {
        front_push: { code: [...push, ...i32(0)] },
        front_request: { code: request },
      };
      const sections = { ...table, 11: [1, 1, 1, 33], 12: [1] };
      const peer = wasmPeer(peerModule(verbs, [], { globals, sections }), 'end.wasm');
      for (let round = 0; round < 3; round++) {
        const end = peer.open('front', 4096, nothing);
        expect(end.call('request')).toBe(0);
        end.call('push');
        if (what === 'dropped segments') expect(fault(end, 'request')).toMatch(/ traps: /);
        else expect(end.call('request')).not.toBe(0);
      }
    });
  }

  it('lets a module grow its memory, and shows it a memory that never shrinks by another open', () => {
    const size = [0x3f, 0];
    const peer = wasmPeer(
      peerModule({
        front_push: { code: grow },
        front_request: { code: size },
        front_final_check: { code: [...i32(-1), 0x40, 0] },
      }),
      'end.wasm',
    );
    const end = peer.open('front', 4096, nothing);
    const before = end.call('request');
    expect(end.call('push')).toBe(before);
    expect(end.call('request')).toBe(before + 2);
    expect(end.call('final_check')).toBe(-1);
    expect(peer.open('front', 4096, nothing).call('request')).toBe(before);
  });

  it('takes rings of up to sixteen pages', () => {
    const peer = wasmPeer(
      peerModule({ front_push: { code: load(plus(RING, 65532)) } }),
      'end.wasm',
    );
    const end = peer.open('front', 65536, nothing);
    end.call('init', 65536);
    end.page[16383] = 12;
    expect(end.call('push')).toBe(12);
    const small = peer.open('front', 4096, nothing);
    small.call('init', 4096);
    expect(small.page.length).toBe(1024);
    expect(fault(small, 'push')).toMatch(/reads 4 bytes at 61436 bytes past the ring/);
    expect(() => peer.open('front', 65540, nothing)).toThrow(RangeError);
  });
});
