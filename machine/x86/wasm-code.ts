/**
 * Writing WebAssembly: a function's body into a growing array, with locals that are used again and labels that know
 * their depth.
 * @source WebAssembly core specification, 5 Binary Format; 5.4.8 for SIMD
 */

export const I32 = 0x7f;
export const I64 = 0x7e;
export const V128 = 0x7b;
const VOID = 0x40;
/** The type of a local or a result. */
export type WasmType = typeof I32 | typeof I64 | typeof V128;

/** Instructions of one byte without immediates. */
export const PLAIN = {
  'i32.eqz': 0x45,
  'i32.eq': 0x46,
  'i32.ne': 0x47,
  'i32.lt_s': 0x48,
  'i32.lt_u': 0x49,
  'i32.gt_u': 0x4b,
  'i32.gt_s': 0x4a,
  'i32.le_s': 0x4c,
  'i32.add': 0x6a,
  'i32.sub': 0x6b,
  'i32.and': 0x71,
  'i32.or': 0x72,
  'i32.xor': 0x73,
  'i32.shl': 0x74,
  'i32.shr_u': 0x76,
  'i32.rotl': 0x77,
  'i32.rotr': 0x78,
  'i32.wrap_i64': 0xa7,
  'i64.eqz': 0x50,
  'i64.eq': 0x51,
  'i64.ne': 0x52,
  'i64.lt_s': 0x53,
  'i64.lt_u': 0x54,
  'i64.le_s': 0x57,
  'i64.le_u': 0x58,
  'i64.ge_u': 0x5a,
  'i64.clz': 0x79,
  'i64.ctz': 0x7a,
  'i64.popcnt': 0x7b,
  'i64.add': 0x7c,
  'i64.sub': 0x7d,
  'i64.mul': 0x7e,
  'i64.div_s': 0x7f,
  'i64.div_u': 0x80,
  'i64.rem_s': 0x81,
  'i64.rem_u': 0x82,
  'i64.and': 0x83,
  'i64.or': 0x84,
  'i64.xor': 0x85,
  'i64.shl': 0x86,
  'i64.shr_s': 0x87,
  'i64.shr_u': 0x88,
  'i64.rotl': 0x89,
  'i64.rotr': 0x8a,
  'i64.extend_i32_u': 0xad,
  'i64.extend8_s': 0xc2,
  'i64.extend16_s': 0xc3,
  'i64.extend32_s': 0xc4,
  'f32.add': 0x92,
  'f32.sub': 0x93,
  'f32.mul': 0x94,
  'f32.div': 0x95,
  'f64.nearest': 0x9e,
  'f64.add': 0xa0,
  'f64.sub': 0xa1,
  'f64.mul': 0xa2,
  'f64.div': 0xa3,
  'i64.trunc_f64_s': 0xb0,
  'f32.convert_i64_s': 0xb4,
  'f64.convert_i64_s': 0xb9,
  'f64.promote_f32': 0xbb,
  'i32.reinterpret_f32': 0xbc,
  'i64.reinterpret_f64': 0xbd,
  'f32.reinterpret_i32': 0xbe,
  'f64.reinterpret_i64': 0xbf,
  select: 0x1b,
  return: 0x0f,
} as const;
export type Plain = keyof typeof PLAIN;

/** Loads and stores: an alignment (0: none is promised) and an offset follow. */
export const ACCESS = {
  'i32.load': 0x28,
  'i64.load': 0x29,
  'i32.load8_u': 0x2d,
  'i32.load16_u': 0x2f,
  'i64.load8_u': 0x31,
  'i64.load16_u': 0x33,
  'i64.load32_u': 0x35,
  'i64.load32_s': 0x34,
  'i32.store': 0x36,
  'i32.store16': 0x3b,
  'i64.store': 0x37,
  'i64.store8': 0x3c,
  'i64.store16': 0x3d,
  'i64.store32': 0x3e,
} as const;
export type Access = keyof typeof ACCESS;

export class WasmCode {
  #bytes = new Uint8Array(4096);
  #length = 0;
  /** Of all locals after the parameters. */
  readonly #locals: WasmType[] = [];
  readonly #parameters: number;
  /** Of each type: its locals, and how many of them the current scope has taken. */
  readonly #pools = new Map<WasmType, number[]>();
  readonly #taken = new Map<WasmType, number>();
  #depth = 0;

  constructor(parameters: number) {
    this.#parameters = parameters;
  }

  get length(): number {
    return this.#length;
  }

  byte(value: number): this {
    if (this.#length === this.#bytes.length) this.#grow();
    this.#bytes[this.#length++] = value;
    return this;
  }

  u32(value: number): this {
    let rest = value >>> 0;
    while (rest >= 0x80) {
      this.byte((rest & 0x7f) | 0x80);
      rest >>>= 7;
    }
    return this.byte(rest);
  }

  plain(op: Plain): this {
    return this.byte(PLAIN[op]);
  }

  access(op: Access, offset = 0): this {
    return this.byte(ACCESS[op]).byte(0).u32(offset);
  }

  /** A SIMD instruction with immediates of a byte each. */
  simd(op: number, ...immediates: number[]): this {
    this.byte(0xfd).u32(op);
    for (const each of immediates) this.byte(each);
    return this;
  }

  simdAccess(op: 'v128.load' | 'v128.store', offset: number): this {
    return this.byte(0xfd)
      .byte(op === 'v128.load' ? 0 : 11)
      .byte(0)
      .u32(offset);
  }

  i32(value: number): this {
    return this.byte(0x41).#s32(value | 0);
  }

  i64(value: bigint): this {
    return this.byte(0x42).#s64(BigInt.asIntN(64, value));
  }

  get(local: number): this {
    return this.byte(0x20).u32(local);
  }

  set(local: number): this {
    return this.byte(0x21).u32(local);
  }

  tee(local: number): this {
    return this.byte(0x22).u32(local);
  }

  /** What stands in the table at the index on the stack, of the type that is `type` in the module. */
  callIndirect(type: number): this {
    return this.byte(0x11).u32(type).byte(0);
  }

  call(index: number): this {
    return this.byte(0x10).u32(index);
  }

  /** Opens a block; its label is the depth. */
  block(): number {
    return this.#open(0x02);
  }

  loop(): number {
    return this.#open(0x03);
  }

  if(): number {
    return this.#open(0x04);
  }

  else(): this {
    return this.byte(0x05);
  }

  end(): this {
    this.#depth--;
    return this.byte(0x0b);
  }

  br(label: number): this {
    return this.byte(0x0c).u32(this.#depth - label);
  }

  brIf(label: number): this {
    return this.byte(0x0d).u32(this.#depth - label);
  }

  brTable(labels: readonly number[], other: number): this {
    this.byte(0x0e).u32(labels.length);
    for (const label of labels) this.u32(this.#depth - label);
    return this.u32(this.#depth - other);
  }

  /** A local of `type` that nothing in this scope uses yet. */
  local(type: WasmType): number {
    const pool = this.#pools.get(type) ?? [];
    this.#pools.set(type, pool);
    const taken = this.#taken.get(type) ?? 0;
    this.#taken.set(type, taken + 1);
    if (taken === pool.length) pool.push(this.#parameters + this.#locals.push(type) - 1);
    return pool[taken]!;
  }

  /** All locals but the first `kept` may be used again: few locals compile much faster than many. */
  reuse(kept: ReadonlyMap<WasmType, number>): void {
    this.#taken.clear();
    for (const [type, count] of kept) this.#taken.set(type, count);
  }

  get taken(): ReadonlyMap<WasmType, number> {
    return new Map(this.#taken);
  }

  /** Where to go back to by `rewind`, should what follows turn out impossible. */
  get mark(): readonly [length: number, depth: number] {
    return [this.#length, this.#depth];
  }

  rewind([length, depth]: readonly [number, number]): void {
    this.#length = length;
    this.#depth = depth;
  }

  /** The function as the code section has it. */
  body(): Uint8Array {
    const head = new WasmCode(0);
    head.u32(this.#locals.length);
    for (const type of this.#locals) head.u32(1).byte(type);
    const whole = new WasmCode(0);
    whole.u32(head.#length + this.#length + 1);
    return whole.raw(head.written).raw(this.written).byte(0x0b).written;
  }

  get written(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }

  /** Bytes that were written elsewhere. */
  raw(bytes: Uint8Array): this {
    for (const each of bytes) this.byte(each);
    return this;
  }

  #open(opcode: number): number {
    this.byte(opcode).byte(VOID);
    return ++this.#depth;
  }

  #s32(value: number): this {
    let rest = value;
    while (rest < -64 || rest > 63) {
      this.byte((rest & 0x7f) | 0x80);
      rest >>= 7;
    }
    return this.byte(rest & 0x7f);
  }

  #s64(value: bigint): this {
    let rest = value;
    while (rest < -64n || rest > 63n) {
      this.byte(Number(rest & 0x7fn) | 0x80);
      rest >>= 7n;
    }
    return this.byte(Number(rest & 0x7fn));
  }

  #grow(): void {
    const larger = new Uint8Array(2 * this.#bytes.length);
    larger.set(this.#bytes);
    this.#bytes = larger;
  }
}
