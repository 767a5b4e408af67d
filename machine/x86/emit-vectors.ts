/**
 * Operations on vectors as WebAssembly's SIMD, where nearly each is one instruction.
 * @source WebAssembly core specification, 5.4.8
 */
import type { VectorOp, Vectors, Width } from './builder.ts';
import { EmitValues, NotGenerated, type Value } from './emit-values.ts';
import { I32, I64, V128, type WasmCode } from './wasm-code.ts';

type Lane = 1 | 2 | 4 | 8;

/** Instructions on lanes of 1, 2, 4 and 8 bytes; 0 where there is none. */
const LANEWISE: Partial<Record<VectorOp, readonly [number, number, number, number]>> = {
  add: [0x6e, 0x8e, 0xae, 0xce],
  sub: [0x71, 0x91, 0xb1, 0xd1],
  addSaturateS: [0x6f, 0x8f, 0, 0],
  addSaturateU: [0x70, 0x90, 0, 0],
  subSaturateS: [0x72, 0x92, 0, 0],
  subSaturateU: [0x73, 0x93, 0, 0],
  eq: [0x23, 0x2d, 0x37, 0xd6],
  gt: [0x27, 0x31, 0x3b, 0xd9],
  minS: [0x76, 0x96, 0xb6, 0],
  minU: [0x77, 0x97, 0xb7, 0],
  maxS: [0x78, 0x98, 0xb8, 0],
  maxU: [0x79, 0x99, 0xb9, 0],
  average: [0x7b, 0x9b, 0, 0],
  mul: [0, 0x95, 0xb5, 0xd5],
  and: [0x4e, 0x4e, 0x4e, 0x4e],
  or: [0x50, 0x50, 0x50, 0x50],
  xor: [0x51, 0x51, 0x51, 0x51],
  packS: [0, 0x65, 0x85, 0],
  packU: [0, 0x66, 0x86, 0],
};
const ANDNOT = 0x4f;
const DOT = 0xba;
const SHUFFLE = 0x0d;
const SWIZZLE = 0x0e;
const SHIFTS = {
  shl: [0x6b, 0x8b, 0xab, 0xcb],
  sar: [0x6c, 0x8c, 0xac, 0xcc],
  shr: [0x6d, 0x8d, 0xad, 0xcd],
} as const;
const EXTRACT = [0x16, 0x19, 0x1b, 0x1d] as const;
const REPLACE = [0x17, 0x1a, 0x1c, 0x1e] as const;
const BITMASK = [0x64, 0x84, 0xa4, 0xc4] as const;
/** Products of 16-bit lanes in 32 bits: of the low lanes, of the high ones. */
const PRODUCTS = { mulHighS: [0xbc, 0xbd], mulHighU: [0xbe, 0xbf] } as const;
const SPLAT_8 = 0x0f;
const SPLAT_64 = 0x12;

const logOf = (w: Width): 0 | 1 | 2 | 3 => Math.log2(w) as 0 | 1 | 2 | 3;
const bytes = (of: (i: number) => number): number[] => Array.from({ length: 16 }, (_, i) => of(i));

export class EmitVectors extends EmitValues implements Vectors<Value> {
  readonly #scratch: number;

  /** `scratch`: offset from the first parameter of 16 bytes for lanes whose number is not known. */
  constructor(code: WasmCode, scratch: number) {
    super(code);
    this.#scratch = scratch;
  }

  vec(op: VectorOp, lane: Width, x: Value, y: Value): Value {
    const { code } = this;
    if (op === 'unpackLow' || op === 'unpackHigh') return this.#unpack(op, lane as Lane, x, y);
    if (op === 'mulHighS' || op === 'mulHighU') return this.#mulHigh(PRODUCTS[op], x, y);
    if (op === 'wide') return this.#wide(x, y);
    if (op === 'sad') return this.#sad(x, y);
    if (op === 'andNot') {
      this.pushVector(y);
      this.pushVector(x);
      code.simd(ANDNOT);
    } else {
      this.pushVector(x);
      this.pushVector(y);
      const opcode = op === 'madd' ? DOT : (LANEWISE[op]?.[logOf(lane)] ?? 0);
      if (opcode === 0) throw new NotGenerated(`${op} on lanes of ${lane} bytes`);
      code.simd(opcode);
    }
    return this.result(V128);
  }

  vecShift(op: 'shl' | 'shr' | 'sar', lane: Width, x: Value, count: Value): Value {
    if (lane === 16) return this.#shiftBytes(op, x, count);
    const { code } = this;
    const bits = lane * 8;
    const inside = this.ltu(count, this.imm(bits));
    const by = op === 'sar' ? this.select(inside, count, this.imm(bits - 1)) : count;
    this.pushVector(x);
    this.push(by);
    code.plain('i32.wrap_i64').simd(SHIFTS[op][logOf(lane)]);
    if (op !== 'sar') {
      // every bit of a mask, or none
      this.push(this.sub(8, this.imm(0), inside));
      code.simd(SPLAT_64).simd(LANEWISE.and![0]);
    }
    return this.result(V128);
  }

  vecMask(lane: Width, x: Value): Value {
    this.pushVector(x);
    this.code.simd(BITMASK[logOf(lane)]);
    return this.result(I32);
  }

  lane(w: Width, x: Value, index: Value): Value {
    if (index.kind === 'constant') return this.#extract(w, x, Number(index.value));
    const { code } = this;
    code.get(0);
    this.pushVector(x);
    code.simdAccess('v128.store', this.#scratch);
    code.get(0);
    this.push(this.shl(8, index, this.imm(logOf(w))));
    code.plain('i32.wrap_i64').plain('i32.add');
    const loads = ['i64.load8_u', 'i64.load16_u', 'i64.load32_u', 'i64.load'] as const;
    code.access(loads[logOf(w)], this.#scratch);
    return this.result(I64);
  }

  withLane(w: Width, x: Value, index: Value, value: Value): Value {
    const { code } = this;
    const at = (w: Width): void => {
      code.get(0);
      this.push(this.shl(8, index, this.imm(logOf(w))));
      code.plain('i32.wrap_i64').plain('i32.add');
    };
    code.get(0);
    this.pushVector(x);
    code.simdAccess('v128.store', this.#scratch);
    at(w);
    this.push(value);
    const stores = ['i64.store8', 'i64.store16', 'i64.store32', 'i64.store'] as const;
    code.access(stores[logOf(w)], this.#scratch);
    code.get(0).simdAccess('v128.load', this.#scratch);
    return this.result(V128);
  }

  join(w: Width, lanes: readonly Value[]): Value {
    const { code } = this;
    code.i64(0n).simd(SPLAT_64);
    for (const [i, each] of lanes.entries()) {
      this.push(each);
      if (w !== 8) code.plain('i32.wrap_i64');
      code.simd(REPLACE[logOf(w)], i);
    }
    return this.result(V128);
  }

  /** Onto the stack as v128; a number is the lowest lane, the rest zero. */
  pushVector(x: Value): void {
    if (x.kind === 'local' && x.type === V128) {
      this.code.get(x.index);
      return;
    }
    this.code.i64(0n).simd(SPLAT_64);
    this.push(x);
    this.code.simd(REPLACE[3], 0);
  }

  #extract(w: Width, x: Value, index: number): Value {
    if (x.kind !== 'local' || x.type !== V128) {
      if (index !== 0) throw new NotGenerated('a lane of a number');
      return this.zext(w, x);
    }
    this.pushVector(x);
    this.code.simd(EXTRACT[logOf(w)], index);
    return this.result(w === 8 ? I64 : I32);
  }

  #shuffle(x: Value, y: Value, from: (i: number) => number): Value {
    this.pushVector(x);
    this.pushVector(y);
    this.code.simd(SHUFFLE, ...bytes(from));
    return this.result(V128);
  }

  #unpack(op: 'unpackLow' | 'unpackHigh', lane: Lane, x: Value, y: Value): Value {
    const half = op === 'unpackHigh' ? 8 : 0;
    return this.#shuffle(x, y, (i) => {
      const which = Math.floor(i / lane);
      const within = half + Math.floor(which / 2) * lane + (i % lane);
      return which % 2 === 0 ? within : 16 + within;
    });
  }

  /** The upper halves of 32-bit products. */
  #mulHigh([low, high]: readonly [number, number], x: Value, y: Value): Value {
    const [first, second] = [low, high].map((op) => {
      this.pushVector(x);
      this.pushVector(y);
      this.code.simd(op!);
      return this.result(V128);
    });
    return this.#shuffle(first!, second!, (i) => (i >> 1) * 4 + 2 + (i & 1));
  }

  /** Products of the even 32-bit lanes. */
  #wide(x: Value, y: Value): Value {
    for (const each of [x, y]) {
      this.pushVector(each);
      this.code.i64(0xffffffffn).simd(SPLAT_64).simd(LANEWISE.and![0]);
    }
    this.code.simd(LANEWISE.mul![3]);
    return this.result(V128);
  }

  /** Sums of differences of bytes: pairwise to 16 and 32 bits, then each half of the vector. */
  #sad(x: Value, y: Value): Value {
    const { code } = this;
    for (const op of [LANEWISE.maxU![0], LANEWISE.minU![0]]) {
      this.pushVector(x);
      this.pushVector(y);
      code.simd(op);
    }
    code.simd(LANEWISE.sub![0]).simd(0x7d).simd(0x7f);
    const sums = this.result(V128);
    this.pushVector(sums);
    code.i64(0xffffffffn).simd(SPLAT_64).simd(LANEWISE.and![0]);
    this.pushVector(sums);
    code.i32(32).simd(SHIFTS.shr[3]).simd(LANEWISE.add![3]);
    return this.result(V128);
  }

  /** The whole vector by `count` bits, which are whole bytes. */
  #shiftBytes(op: 'shl' | 'shr' | 'sar', x: Value, count: Value): Value {
    const { code } = this;
    const by = this.shr(8, count, this.imm(3));
    const clamped = this.select(this.ltu(by, this.imm(16)), by, this.imm(16));
    this.pushVector(x);
    // where each byte comes from: none for numbers beyond 15
    code.byte(0xfd).byte(0x0c);
    for (let i = 0; i < 16; i++) code.byte(i);
    this.push(clamped);
    code.plain('i32.wrap_i64').simd(SPLAT_8);
    code.simd(op === 'shl' ? LANEWISE.sub![0] : LANEWISE.add![0]).simd(SWIZZLE);
    return this.result(V128);
  }
}
