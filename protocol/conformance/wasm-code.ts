/**
 * Function bodies, rewritten: before each access of memory stands a test whether it stays in the
 * module's own memory, and a call of the hook if it does not; functions and loops burn fuel.
 * Operands are kept in locals meanwhile. Nothing else that the code computes is changed.
 */
import { type ByteReader, ByteWriter } from './wasm-bytes.ts';
import { BLOCK_SHIFT, type MemoryMap } from './wasm-memory.ts';
import {
  type Access,
  atomicAccess,
  I32,
  Misc,
  memarg,
  Op,
  plainAccess,
  simdAccess,
  skipImmediates,
  skipPrefixed,
} from './wasm-opcodes.ts';

/** The functions that the rewritten module imports, in this order; its own come after them. */
const HOOKS = { access: 0, spent: 1, grow: 2 } as const;
export const HOOK_COUNT = 3;

/** No result: the blocktype of what is put in. */
const EMPTY = 0x40;
const ALIGN_4 = 2;

/** Rewrites one body (the locals and the expression) of a function with `params` parameters. */
export class BodyRewriter {
  /** Whether it changes a table or drops a segment: what only a new instance can put back. */
  isLasting = false;
  readonly #reader: ByteReader;
  readonly #map: MemoryMap;
  readonly #code = new ByteWriter();
  /** The types of the locals that are appended, and where they begin. */
  readonly #scratch: number[] = [];
  #firstScratch: number;

  constructor(reader: ByteReader, params: number, map: MemoryMap) {
    this.#reader = reader;
    this.#firstScratch = params;
    this.#map = map;
  }

  rewrite(): Uint8Array {
    const reader = this.#reader;
    const groups = reader.u32();
    const from = reader.at;
    for (let i = 0; i < groups; i++) {
      this.#firstScratch += reader.u32();
      reader.byte();
    }
    const declared = reader.bytes.subarray(from, reader.at);
    this.#burn();
    while (!reader.done) this.#instruction();

    const out = new ByteWriter().u32(groups + this.#scratch.length).raw(declared);
    for (const type of this.#scratch) out.u32(1).byte(type);
    return out.raw(this.#code.written).written;
  }

  /** The appended local number `nth` of a type; a body gets no more than it needs. */
  #local(type: number, nth = 0): number {
    let found = -1;
    for (let left = nth; left >= 0; left--) {
      found = this.#scratch.indexOf(type, found + 1);
      if (found < 0) found = this.#scratch.push(type) - 1;
    }
    return this.#firstScratch + found;
  }

  #instruction(): void {
    const reader = this.#reader;
    const from = reader.at;
    const opcode = reader.byte();
    switch (opcode) {
      case Op.call:
      case Op.return_call:
      case Op['ref.func']:
        this.#code.op(opcode, reader.u32() + HOOK_COUNT);
        return;
      case Op.loop:
        skipImmediates(reader, opcode);
        this.#copy(from);
        this.#burn();
        return;
      case Op['memory.size']:
        reader.u32();
        this.#code.i32Const(0).op(Op['i32.load'], ALIGN_4, this.#map.pages);
        return;
      case Op['memory.grow']:
        reader.u32();
        this.#code.op(Op.call, HOOKS.grow);
        return;
      case Op.misc:
      case Op.simd:
      case Op.atomic:
        this.#prefixed(opcode, from);
        return;
    }
    if (opcode === Op['table.set']) this.isLasting = true;
    const access = plainAccess(opcode);
    if (access) this.#access(access, memarg(reader));
    else skipImmediates(reader, opcode);
    this.#copy(from);
  }

  #prefixed(prefix: number, from: number): void {
    const reader = this.#reader;
    const opcode = reader.u32();
    const access =
      prefix === Op.simd
        ? simdAccess(opcode)
        : prefix === Op.atomic
          ? atomicAccess(opcode)
          : undefined;
    if (access) {
      const offset = memarg(reader);
      if (prefix === Op.simd) skipPrefixed(reader, prefix, opcode);
      this.#access(access, offset);
    } else {
      skipPrefixed(reader, prefix, opcode);
      if (prefix === Op.misc) this.#bulk(opcode);
    }
    this.#copy(from);
  }

  #copy(from: number): void {
    this.#code.raw(this.#reader.bytes.subarray(from, this.#reader.at));
  }

  /** One unit of fuel less, and the end of the verb when there is none. */
  #burn(): void {
    const left = this.#local(I32);
    this.#code
      .i32Const(0)
      .i32Const(0)
      .op(Op['i32.load'], ALIGN_4, this.#map.fuel)
      .i32Const(1)
      .op(Op['i32.sub'])
      .op(Op['local.tee'], left)
      .op(Op['i32.store'], ALIGN_4, this.#map.fuel)
      .op(Op['local.get'], left)
      .i32Const(0)
      .op(Op['i32.lt_s'])
      .op(Op.if)
      .byte(EMPTY)
      .op(Op.call, HOOKS.spent)
      .op(Op.end);
  }

  /** Before an access whose address, and above it its operands, are on the stack; they stay there. */
  #access({ size, write, operands }: Access, offset: number): void {
    const code = this.#code;
    const address = this.#local(I32);
    // The address has the first i32, so the operands begin with the second.
    const locals = operands.map((type, i) => this.#local(type, i + (type === I32 ? 1 : 0)));
    for (const local of [...locals].reverse()) code.op(Op['local.set'], local);
    code.op(Op['local.tee'], address);
    const last = this.#map.heapBase - size - offset;
    if (last < 0) {
      this.#hook(address, offset, size, write);
    } else {
      code.op(Op['local.get'], address).i32Const(last).op(Op['i32.gt_u']).op(Op.if).byte(EMPTY);
      this.#hook(address, offset, size, write);
      if (write) {
        code.op(Op.else);
        this.#dirty(address, offset);
      }
      code.op(Op.end);
    }
    for (const local of locals) code.op(Op['local.get'], local);
  }

  #hook(address: number, offset: number, size: number, write: boolean): void {
    this.#code
      .op(Op['local.get'], address)
      .i32Const(offset)
      .i32Const((size << 1) | (write ? 1 : 0))
      .op(Op.call, HOOKS.access);
  }

  /** Marks the block where a store into the module's own memory begins. */
  #dirty(address: number, offset: number): void {
    this.#code.op(Op['local.get'], address);
    if (offset > 0) this.#code.i32Const(offset).op(Op['i32.add']);
    this.#code
      .i32Const(BLOCK_SHIFT)
      .op(Op['i32.shr_u'])
      .i32Const(1)
      .op(Op['i32.store8'], 0, this.#map.dirty);
  }

  /** memory.copy, memory.fill and memory.init: the hook gets a length instead of an offset. */
  #bulk(opcode: number): void {
    if (opcode === Misc['data.drop'] || opcode > Misc['memory.fill']) {
      this.isLasting ||= opcode !== Misc['table.size'];
      return;
    }
    if (opcode < Misc['memory.init']) return;
    const code = this.#code;
    const [to, from, length] = [0, 1, 2].map((nth) => this.#local(I32, nth)) as [
      number,
      number,
      number,
    ];
    code.op(Op['local.set'], length).op(Op['local.set'], from).op(Op['local.set'], to);
    const hook = (address: number, write: number) =>
      code
        .op(Op['local.get'], address)
        .op(Op['local.get'], length)
        .i32Const(write)
        .op(Op.call, HOOKS.access);
    if (opcode === Misc['memory.copy']) hook(from, 0);
    hook(to, 1);
    code.op(Op['local.get'], to).op(Op['local.get'], from).op(Op['local.get'], length);
  }
}
