/**
 * Operands: a register is a place in the vCPU block that the record names, memory is looked up in the TLB. An access that
 * is not there goes through `slow`; one that fails leaves the instruction with nothing done.
 */
import { TLB_ARRAY_BYTES, TLB_ENTRIES, TLB_ENTRY_BYTES } from '../memory.ts';
import { TLB_READ } from '../vcpu.ts';
import type { Width } from './builder.ts';
import { NotGenerated, type Value } from './emit-values.ts';
import { EmitX87 } from './emit-x87.ts';
import type { MemoryOperand } from './operands.ts';
import {
  ABSENT_BYTES,
  ABSENT_VA,
  BASE,
  DEBT,
  DISPLACEMENT,
  IMMEDIATE,
  INDEX,
  MASK,
  OPERAND,
  SCALE,
  SEGMENT,
} from './record.ts';
import type { HandlerOperand, Signature } from './signature.ts';
import { type Access, I32, I64, V128, type WasmCode } from './wasm-code.ts';

/**
 * The locals of the interpreter's function; 0 is the vCPU block. So few, that a compiler can keep them in registers from one
 * handler to the next: what is needed seldom is in the block.
 */
export interface Registers {
  /** Instructions left. */
  readonly budget: number;
  readonly record: number;
  /** Where a jump out of the page goes. */
  readonly target: number;
}

/** Where handlers end. */
export interface Places {
  /** The next record is to be executed; `target` is to be. */
  readonly next: number;
  readonly jump: number;
  /** The evaluator is to execute this instruction. */
  readonly bail: number;
  /**
   * What is not in the TLB: a label, where it is filled for the access that ABSENT_VA describes, then the same record comes again. Or
   * the function that does it in place, and the label for an access that failed.
   */
  readonly absent: number | { readonly walk: number; readonly failed: number };
}

const CPU = 0;
const LOADS: Readonly<Record<number, Access>> = {
  1: 'i64.load8_u',
  2: 'i64.load16_u',
  4: 'i64.load32_u',
  8: 'i64.load',
};
const STORES: Readonly<Record<number, Access>> = {
  1: 'i64.store8',
  2: 'i64.store16',
  4: 'i64.store32',
  8: 'i64.store',
};
const INDEX_BITS = (TLB_ENTRIES - 1) * TLB_ENTRY_BYTES;
const INDEX_SHIFT = 12 - Math.log2(TLB_ENTRY_BYTES);
const READ = 0;
const WRITE = 1;

export abstract class EmitOperands extends EmitX87 {
  protected readonly at: Registers;
  protected readonly places: Places;
  protected readonly signature: Signature;
  #accesses = 0;

  constructor(code: WasmCode, at: Registers, places: Places, signature: Signature) {
    super(code);
    this.at = at;
    this.places = places;
    this.signature = signature;
  }

  get(register: number): Value {
    this.code.get(CPU).access('i64.load', 8 * register);
    return this.result(I64);
  }

  set(register: number, value: Value): void {
    this.code.get(CPU);
    this.push(value);
    this.code.access('i64.store', 8 * register);
  }

  getIndex(register: number): Value {
    return this.get(register);
  }

  setIndex(register: number, value: Value): void {
    this.set(register, value);
  }

  getStack(register: number): Value {
    return this.get(register);
  }

  setStack(register: number, value: Value): void {
    this.set(register, value);
  }

  read(o: HandlerOperand, at?: Value): Value {
    const { code } = this;
    if (isMemory(o)) return this.#load(this.#host(o, READ, at), o.width);
    if (o.shape === 'immediate') {
      code.get(this.at.record).access('i64.load', IMMEDIATE);
      return this.result(I64);
    }
    const offset = this.#pushRegister(o);
    if (o.width === 16) {
      code.simdAccess('v128.load', offset);
      return this.result(V128);
    }
    code.access(LOADS[o.width]!, offset);
    return this.result(I64);
  }

  write(o: HandlerOperand, value: Value, when?: Value): void {
    const { code } = this;
    if (when !== undefined) {
      this.pushCondition(when);
      code.if();
    }
    if (isMemory(o)) this.#store(this.#host(o, WRITE), o.width, value);
    else if (o.width === 4 && o.shape !== 'vector') {
      const offset = this.#pushRegister(o);
      this.push(this.zext(4, value)); // 32 bits clear the upper half
      code.access('i64.store', offset);
    } else {
      const offset = this.#pushRegister(o);
      this.#pushAs(o.width, value);
      this.#storeAs(o.width, offset);
    }
    if (when !== undefined) code.end();
  }

  update(o: HandlerOperand, change: (old: Value) => Value, at?: Value): Value {
    if (!isMemory(o)) {
      const old = this.read(o);
      this.write(o, change(old));
      return old;
    }
    const host = this.#host(o, WRITE, at);
    const old = this.#load(host, o.width);
    this.#store(host, o.width, change(old));
    return old;
  }

  updatePair(
    o: HandlerOperand,
    change: (low: Value, high: Value) => readonly [Value, Value],
  ): readonly [Value, Value] {
    const address = this.#linear(o);
    this.#requireAligned(address);
    const host = this.#translate(address, 16, WRITE);
    const { code } = this;
    const half = (offset: number): Value => {
      code.get(host).access('i64.load', offset);
      return this.result(I64);
    };
    const old = [half(0), half(8)] as const;
    for (const [i, value] of change(...old).entries()) {
      code.get(host);
      this.push(value);
      code.access('i64.store', 8 * i);
    }
    return old;
  }

  address(o: HandlerOperand): Value {
    return this.#effective(o);
  }

  load(w: Width, address: Value): Value {
    return this.#load(this.#translate(address, w, READ), w);
  }

  store(w: Width, address: Value, value: Value): void {
    this.#store(this.#translate(address, w, WRITE), w, value);
  }

  /** The vCPU block, or the address in it, onto the stack. @returns the offset to add. */
  #pushRegister(o: HandlerOperand): number {
    const { code } = this;
    code.get(CPU);
    if (o.shape.startsWith('%')) return Number(o.shape.slice(1));
    if (o.shape !== 'register' && o.shape !== 'vector')
      throw new NotGenerated(`an operand ${o.shape}`);
    code
      .get(this.at.record)
      .access('i32.load16_u', OPERAND + 2 * o.slot)
      .plain('i32.add');
    return 0;
  }

  #pushSlot(field: number): void {
    this.code.get(CPU).get(this.at.record).access('i32.load16_u', field).plain('i32.add');
    this.code.access('i64.load');
  }

  /** The offset in the segment. */
  #effective(o: HandlerOperand, at?: Value): Value {
    const { code } = this;
    if (o.shape.startsWith('@')) {
      const pointer = this.get(Number(o.shape.slice(1)));
      return at === undefined ? pointer : this.add(8, pointer, at);
    }
    this.#pushSlot(BASE);
    code.get(this.at.record).access('i64.load32_s', DISPLACEMENT).plain('i64.add');
    if (o.shape === 'indexed') {
      this.#pushSlot(INDEX);
      code.get(this.at.record).access('i64.load8_u', SCALE).plain('i64.shl').plain('i64.add');
    }
    if (at !== undefined) {
      this.push(at);
      code.plain('i64.add');
    }
    if (o.shape === 'indexed') {
      this.#pushSlot(MASK);
      code.plain('i64.and');
    }
    return this.result(I64);
  }

  #linear(o: HandlerOperand, at?: Value): Value {
    const offset = this.#effective(o, at);
    if (o.shape !== 'indexed') return offset;
    this.push(offset);
    this.#pushSlot(SEGMENT);
    this.code.plain('i64.add');
    return this.result(I64);
  }

  /** The local with the host's offset of a memory operand. */
  #host(o: HandlerOperand, access: number, at?: Value): number {
    const address = this.#linear(o, at);
    const operand = this.signature.operation.operands[o.slot] as MemoryOperand;
    if (operand.aligned) this.#requireAligned(address);
    return this.#translate(address, o.width, access);
  }

  #requireAligned(address: Value): void {
    this.bailIf(this.and(8, address, this.imm(15)));
  }

  /**
   * Where `address` lies for an access of `w` bytes: the tag of the last byte's page, so that a crossing access misses.
   */
  #translate(address: Value, w: Width, access: number): number {
    const { code } = this;
    const array = access * TLB_ARRAY_BYTES;
    const low = code.local(I32);
    const entry = code.local(I32);
    const host = low;
    this.push(address);
    code.plain('i32.wrap_i64').tee(low);
    code.i32(INDEX_SHIFT).plain('i32.shr_u').i32(INDEX_BITS).plain('i32.and');
    code
      .get(CPU)
      .access('i32.load', TLB_READ)
      .plain('i32.add')
      .tee(entry)
      .access('i64.load', array);
    this.push(address);
    if (w > 1) code.i64(BigInt(w - 1)).plain('i64.add');
    code.i64(-4096n).plain('i64.and').plain('i64.ne').if();
    this.#absent(address, low, w, access);
    code.else();
    code
      .get(low)
      .get(entry)
      .access('i32.load', array + 8)
      .plain('i32.add')
      .set(host);
    code.end();
    return host;
  }

  /** Have what is not in the TLB translated: `host`, that was the address's low half, becomes where it lies. */
  #absent(address: Value, host: number, w: Width, access: number): void {
    const { code } = this;
    const { absent } = this.places;
    if (typeof absent === 'number') {
      // The record comes again: a second access could put out what the first needs.
      if (this.#accesses++ > 0) throw new Error('a handler in `run` has one access to memory');
      code.get(CPU);
      this.push(address);
      code.access('i64.store', ABSENT_VA);
      code
        .get(CPU)
        .i64(BigInt(w) | (BigInt(access) << 32n))
        .access('i64.store', ABSENT_BYTES);
      code.br(absent);
      return;
    }
    code.get(CPU).get(host);
    this.push(address);
    code.i64(32n).plain('i64.shr_u').plain('i32.wrap_i64');
    code.i32(w).i32(access).call(absent.walk).tee(host);
    code.plain('i32.eqz').brIf(absent.failed);
    const { budget } = this.at;
    code.get(budget).get(CPU).access('i32.load', DEBT).plain('i32.sub').set(budget);
  }

  #load(host: number, w: Width): Value {
    this.code.get(host);
    if (w === 16) {
      this.code.simdAccess('v128.load', 0);
      return this.result(V128);
    }
    this.code.access(LOADS[w]!);
    return this.result(I64);
  }

  #store(host: number, w: Width, value: Value): void {
    this.code.get(host);
    this.#pushAs(w, value);
    this.#storeAs(w, 0);
  }

  #pushAs(w: Width, value: Value): void {
    if (w === 16) this.pushVector(value);
    else this.push(value);
  }

  #storeAs(w: Width, offset: number): void {
    if (w === 16) this.code.simdAccess('v128.store', offset);
    else this.code.access(STORES[w]!, offset);
  }

  protected bailIf(condition: Value): void {
    this.pushCondition(condition);
    this.code.brIf(this.places.bail);
  }
}

const isMemory = ({ shape }: HandlerOperand): boolean =>
  shape === 'memory' || shape === 'indexed' || shape.startsWith('@');
