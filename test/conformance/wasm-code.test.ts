import { describe, expect, it } from 'vitest';
import { wasmPeer } from '../../protocol/conformance/wasm-peer.ts';
import { CLANG, compileModule, hasClang } from '../support/c-module.ts';
import { itNeeds } from '../support/tools.ts';
import {
  F32,
  F64,
  HEAP_BASE,
  I32,
  I64,
  i32,
  leb,
  peerModule,
  RING,
  V128,
} from '../support/wasm-builder.ts';

type Seen = [offset: number, length: number, write: boolean];

/** What the point saw of `code` as front_push, over a module with some passive data. */
function seen(code: number[], locals: readonly number[] = []): Seen[] {
  const sections = { 11: [1, 1, 8, 1, 2, 3, 4, 5, 6, 7, 8], 12: [1] };
  const module = peerModule({ front_push: { code: [...code, ...i32(0)], locals } }, [], {
    sections,
  });
  const all: Seen[] = [];
  const end = wasmPeer(module, 'end.wasm').open('front', 4096, (...access) => all.push(access));
  end.call('init', 4096);
  end.call('push');
  return all;
}

const ZERO: Readonly<Record<number, readonly number[]>> = {
  [I32]: i32(0),
  [I64]: [0x42, 0],
  [F32]: [0x43, 0, 0, 0, 0],
  [F64]: [0x44, 0, 0, 0, 0, 0, 0, 0, 0],
  [V128]: [0xfd, 12, ...Array<number>(16).fill(0)],
};
const DROP = 0x1a;
const OFFSET = 64;

/** Name, opcode, alignment's exponent, bytes, operands beside the address. */
type Form = [
  name: string,
  opcode: readonly number[],
  align: number,
  bytes: number,
  operands: number[],
];

const LOADS: Form[] = [
  ['i32.load', [0x28], 2, 4, []],
  ['i64.load', [0x29], 3, 8, []],
  ['f32.load', [0x2a], 2, 4, []],
  ['f64.load', [0x2b], 3, 8, []],
  ['i32.load8_s', [0x2c], 0, 1, []],
  ['i32.load8_u', [0x2d], 0, 1, []],
  ['i32.load16_s', [0x2e], 1, 2, []],
  ['i32.load16_u', [0x2f], 1, 2, []],
  ['i64.load8_s', [0x30], 0, 1, []],
  ['i64.load8_u', [0x31], 0, 1, []],
  ['i64.load16_s', [0x32], 1, 2, []],
  ['i64.load16_u', [0x33], 1, 2, []],
  ['i64.load32_s', [0x34], 2, 4, []],
  ['i64.load32_u', [0x35], 2, 4, []],
  ['v128.load', [0xfd, 0], 4, 16, []],
  ['v128.load8x8_s', [0xfd, 1], 3, 8, []],
  ['v128.load8x8_u', [0xfd, 2], 3, 8, []],
  ['v128.load16x4_s', [0xfd, 3], 3, 8, []],
  ['v128.load16x4_u', [0xfd, 4], 3, 8, []],
  ['v128.load32x2_s', [0xfd, 5], 3, 8, []],
  ['v128.load32x2_u', [0xfd, 6], 3, 8, []],
  ['v128.load8_splat', [0xfd, 7], 0, 1, []],
  ['v128.load16_splat', [0xfd, 8], 1, 2, []],
  ['v128.load32_splat', [0xfd, 9], 2, 4, []],
  ['v128.load64_splat', [0xfd, 10], 3, 8, []],
  ['v128.load32_zero', [0xfd, 92], 2, 4, []],
  ['v128.load64_zero', [0xfd, 93], 3, 8, []],
  ['i32.atomic.load', [0xfe, 0x10], 2, 4, []],
  ['i64.atomic.load', [0xfe, 0x11], 3, 8, []],
  ['i32.atomic.load8_u', [0xfe, 0x12], 0, 1, []],
  ['i32.atomic.load16_u', [0xfe, 0x13], 1, 2, []],
  ['i64.atomic.load8_u', [0xfe, 0x14], 0, 1, []],
  ['i64.atomic.load16_u', [0xfe, 0x15], 1, 2, []],
  ['i64.atomic.load32_u', [0xfe, 0x16], 2, 4, []],
];
const STORES: Form[] = [
  ['i32.store', [0x36], 2, 4, [I32]],
  ['i64.store', [0x37], 3, 8, [I64]],
  ['f32.store', [0x38], 2, 4, [F32]],
  ['f64.store', [0x39], 3, 8, [F64]],
  ['i32.store8', [0x3a], 0, 1, [I32]],
  ['i32.store16', [0x3b], 1, 2, [I32]],
  ['i64.store8', [0x3c], 0, 1, [I64]],
  ['i64.store16', [0x3d], 1, 2, [I64]],
  ['i64.store32', [0x3e], 2, 4, [I64]],
  ['v128.store', [0xfd, 11], 4, 16, [V128]],
  ['i32.atomic.store', [0xfe, 0x17], 2, 4, [I32]],
  ['i64.atomic.store', [0xfe, 0x18], 3, 8, [I64]],
  ['i32.atomic.store8', [0xfe, 0x19], 0, 1, [I32]],
  ['i32.atomic.store16', [0xfe, 0x1a], 1, 2, [I32]],
  ['i64.atomic.store8', [0xfe, 0x1b], 0, 1, [I64]],
  ['i64.atomic.store16', [0xfe, 0x1c], 1, 2, [I64]],
  ['i64.atomic.store32', [0xfe, 0x1d], 2, 4, [I64]],
];
/** The seven widths of each read-modify-write, at the opcodes where the proposal has them. */
const WIDTHS = [
  ['i32', '', 2, 4, I32],
  ['i64', '', 3, 8, I64],
  ['i32', '8', 0, 1, I32],
  ['i32', '16', 1, 2, I32],
  ['i64', '8', 0, 1, I64],
  ['i64', '16', 1, 2, I64],
  ['i64', '32', 2, 4, I64],
] as const;
const UPDATES: Form[] = Object.entries({
  add: 0x1e,
  sub: 0x25,
  and: 0x2c,
  or: 0x33,
  xor: 0x3a,
  xchg: 0x41,
  cmpxchg: 0x48,
}).flatMap(([what, first]) =>
  WIDTHS.map(([type, width, align, bytes, operand], i): Form => {
    const operands = what === 'cmpxchg' ? [operand, operand] : [operand];
    return [`${type}.atomic.rmw${width}.${what}`, [0xfe, first + i], align, bytes, operands];
  }),
);

/** The form at the ring + OFFSET, half of that by the immediate. */
function use([, opcode, align, , operands]: Form, lane: number[] = []): number[] {
  const address = [...RING, ...i32(OFFSET / 2), 0x6a];
  const values = operands.flatMap((type) => ZERO[type]!);
  return [...address, ...values, ...opcode, align, ...leb(OFFSET / 2), ...lane];
}

describe('the hook sees', () => {
  for (const form of LOADS) {
    it(`${form[0]}`, () => {
      expect(seen([...use(form), DROP])).toEqual([[OFFSET, form[3], false]]);
    });
  }
  for (const form of STORES) {
    it(`${form[0]}`, () => {
      expect(seen(use(form))).toEqual([[OFFSET, form[3], true]]);
    });
  }

  it('each read-modify-write and compare-exchange as one access that writes', () => {
    for (const form of UPDATES) {
      expect([form[0], seen([...use(form), DROP])]).toEqual([form[0], [[OFFSET, form[3], true]]]);
    }
  });

  it('loads and stores of one lane', () => {
    for (let i = 0; i < 4; i++) {
      const form = (opcode: number): Form => ['', [0xfd, opcode], i, 1 << i, [V128]];
      expect(seen([...use(form(84 + i), [1]), DROP])).toEqual([[OFFSET, 1 << i, false]]);
      expect(seen(use(form(88 + i), [1]))).toEqual([[OFFSET, 1 << i, true]]);
    }
  });

  it('memory.fill, memory.copy and memory.init, each side once with its length', () => {
    const at = (offset: number) => [...RING, ...i32(offset), 0x6a];
    expect(seen([...at(8), ...i32(1), ...i32(100), 0xfc, 11, 0])).toEqual([[8, 100, true]]);
    const copy = (to: number[], from: number[]) =>
      seen([...to, ...from, ...i32(12), 0xfc, 10, 0, 0]);
    expect(copy(at(64), at(128))).toEqual([
      [128, 12, false],
      [64, 12, true],
    ]);
    expect(copy(i32(0), at(128))).toEqual([[128, 12, false]]);
    expect(copy(at(64), i32(0))).toEqual([[64, 12, true]]);
    expect(seen([...at(4), ...i32(0), ...i32(8), 0xfc, 8, 0, 0])).toEqual([[4, 8, true]]);
    expect(seen([...at(4), ...i32(0), ...i32(0), 0xfc, 11, 0])).toEqual([]);
  });

  it('operands of a compare-exchange in their order', () => {
    // Where 3 is expected, 9 comes: in own memory, then in the ring.
    for (const address of [i32(0), RING]) {
      const store = [...address, ...i32(3), 0x36, 2, 0];
      const exchange = [...address, ...i32(3), ...i32(9), 0xfe, 0x48, 2, 0, DROP];
      const code = [...store, ...exchange, ...address, 0x28, 2, 0];
      const end = wasmPeer(peerModule({ front_push: { code } }), 'end.wasm').open(
        'front',
        4096,
        () => {},
      );
      end.call('init', 4096);
      expect(end.call('push')).toBe(9);
    }
  });

  it('nothing of own memory, of fences and notifications', () => {
    const own = [...i32(HEAP_BASE - 4), 0x28, 2, 0, DROP];
    const notify = [...RING, ...i32(1), 0xfe, 0, 2, 0, DROP];
    expect(seen([...own, 0xfe, 3, 0, ...notify])).toEqual([]);
  });
});

describe('instrumented code', () => {
  it('keeps functions apart: calls, tables, ref.func, start, loops with parameters', () => {
    const end = wasmPeer(
      peerModule(
        {
          // ref.func 5 into the table, then that and function 6 through it: 40 + 2
          front_push: {
            code: [
              ...[...i32(1), 0xd2, 5, 0x26, 0], // table.set
              ...[...i32(1), 0x11, 5, 0], // call_indirect
              ...[...i32(0), 0x11, 5, 0, 0x6a],
            ],
          },
          // a loop of type 1 (i32) -> (i32), ten times
          front_request: {
            locals: [I32],
            code: [
              ...i32(5),
              ...[0x03, 1, ...i32(3), 0x6a, 0x20, 1, ...i32(1), 0x6a, 0x22, 1],
              ...[...i32(10), 0x48, 0x0d, 0, 0x0b],
            ],
          },
          front_final_check: { code: [0x23, 2] },
        },
        [
          { results: [I32], code: i32(40) },
          { results: [I32], code: i32(2) },
          { code: [...i32(99), 0x24, 2] },
        ],
        // A table of two, its first element function 6; function 5 is declared by a segment.
        { sections: { 4: [1, 0x70, 0, 2], 8: [7], 9: [2, 0, ...i32(0), 0x0b, 1, 6, 3, 0, 1, 5] } },
      ),
      'end.wasm',
    ).open('front', 4096, () => {});
    expect(end.call('push')).toBe(42);
    expect(end.call('request')).toBe(35);
    expect(end.call('final_check')).toBe(99);
  });

  const SOURCE = `
    typedef uint32_t (*Step)(uint32_t);
    static uint32_t twist(uint32_t x) { return x * 2654435761u ^ x >> 15; }
    static uint32_t turn(uint32_t x) { return x << 7 | x >> 25; }
    static uint32_t fib(uint32_t n) { return n < 2 ? n : fib(n - 1) + fib(n - 2); }
    static Step steps[4] = { twist, turn, fib, turn };
    static uint64_t table[32];
    static double sums[8];
    static uint32_t pick(uint32_t x) {
      switch (x % 7) { case 0: return 3; case 1: return x; case 2: return x / 3; case 3: return ~x;
        case 4: return fib(x % 11); case 5: return turn(x); default: return 1; }
    }
    VERB(front_init) int init(void *ring, unsigned bytes) { return ring && bytes ? 0 : -1; }
    VERB(front_request) int request(const uint32_t *from) {
      uint32_t all = 1;
      for (int i = 0; i < 256; i++) {
        uint32_t x = from[i];
        uint8_t small = x; int16_t half = x >> 8; float f = (float)(int)x / 3.0f;
        table[x % 32] += (uint64_t)x * all ^ (uint64_t)half << 33;
        sums[i % 8] += (double)f * small - (double)(int64_t)table[i % 32] / 7;
        Step step = steps[x >> 30];
        all = all * 31 + step(step == fib ? x % 12 : x) + pick(x) + half + small + (int)(f / 1e5f);
        if (x % 5 == 0) continue;
        for (uint32_t j = x % 9; j > 0; j--) all ^= (uint32_t)(table[j] >> j);
      }
      return all;
    }
    VERB(front_response) int response(char *into) {
      __builtin_memcpy(into, table, sizeof(table));
      __builtin_memcpy(into + sizeof(table), sums, sizeof(sums));
      return 1;
    }
    VERB(front_push) int push(void) { return (int)(table[3] % 1000000007) + (int)(sums[2] > 0); }
    VERB(front_final_check) int final_check(void) { return 0; }
  `;

  for (const flags of [
    ['-O0'],
    ['-O2'],
    ['-O2', '-mbulk-memory', '-msimd128', '-mnontrapping-fptoint', '-msign-ext', '-mmultivalue'],
  ]) {
    itNeeds(CLANG, hasClang(), `computes what plain code does: clang ${flags.join(' ')}`, () => {
      const bytes = compileModule(SOURCE, ...flags);
      const memory = new WebAssembly.Memory({ initial: 16 });
      const module = new WebAssembly.Module(new Uint8Array(bytes));
      const plain = new WebAssembly.Instance(module, { env: { memory } }).exports as Record<
        string,
        (at?: number) => number
      >;
      const buffer = 10 * 65536;
      const plainBytes = new Uint8Array(memory.buffer, buffer, 4096);
      const end = wasmPeer(bytes, 'end.wasm').open('front', 4096, () => {});
      end.call('init', 4096);
      let seed = 1;
      for (let round = 0; round < 200; round++) {
        for (let i = 0; i < 4096; i++) {
          seed = (Math.imul(seed, 1103515245) + 12345) | 0;
          plainBytes[i] = seed >>> 16;
        }
        end.buffer.set(plainBytes);
        expect(end.call('request')).toBe(plain['front_request']!(buffer));
        expect(end.call('push')).toBe(plain['front_push']!());
        expect(end.call('response')).toBe(plain['front_response']!(buffer));
        expect(Buffer.compare(end.buffer, plainBytes)).toBe(0);
      }
    });
  }
});
