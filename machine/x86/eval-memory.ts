/**
 * The evaluator's addresses and memory: operands, the stack, blocks; and that nothing may fault once something has changed.
 * @source SDM vol. 1, 3.7.5 and 6.2; vol. 3, 6.15 (exceptions 12, 13 and 17)
 */
import { VECTOR_AC, VECTOR_GP, VECTOR_SS } from '../exit.ts';
import { RBP, RSP } from '../vcpu.ts';
import type { Width } from './builder.ts';
import type { Operation } from './decoder.ts';
import { overlay, truncate } from './eval-arithmetic.ts';
import { BigX87 } from './eval-x87.ts';
import { AC } from './flags.ts';
import { BASE_RIP, type MemoryOperand, type Operand } from './operands.ts';
import { CR0_AM, Fault, isCanonical, type LinearMemory } from './state.ts';

/** The end of what compatibility mode addresses: its segments are flat, with a limit of 4 GiB. */
const LEGACY_END = 1n << 32n;
/** Prefixes. */
const CS = 0x2e;
const SS = 0x36;
const FS = 0x64;
const GS = 0x65;

export abstract class BigMemory extends BigX87 {
  readonly memory: LinearMemory;
  /** The instruction, and the address of the one after it. */
  protected op!: Operation;
  protected after = 0n;
  /** Something has changed: from here on nothing may fault. */
  protected effects = false;

  constructor(memory: LinearMemory) {
    super();
    this.memory = memory;
  }

  get(register: number): bigint {
    return this.state.gpr[register]!;
  }

  set(register: number, value: bigint): void {
    this.effects = true;
    this.state.gpr[register] = value;
  }

  getIndex(register: number): bigint {
    return truncate(this.op.addressWidth, this.get(register));
  }

  setIndex(register: number, value: bigint): void {
    const kept = this.op.addressWidth === 2 ? this.get(register) & ~0xffffn : 0n;
    this.set(register, kept | truncate(this.op.addressWidth, value));
  }

  getStack(register: number): bigint {
    return truncate(this.#stackWidth, this.get(register));
  }

  setStack(register: number, value: bigint): void {
    this.set(register, truncate(this.#stackWidth, value));
  }

  address(o: Operand): bigint {
    return o.kind === 'memory' ? this.offset(o, 0n) : 0n;
  }

  /** The linear address of an operand in memory, canonical or not. */
  linear(o: Operand): bigint {
    return o.kind === 'memory' ? this.#segmented(o, 0n) : 0n;
  }

  load(w: Width, address: bigint): bigint {
    return this.readAt(this.#onStack(address, w), w, false);
  }

  store(w: Width, address: bigint, value: bigint): void {
    this.writeAt(this.#onStack(address, w), w, value);
  }

  readBlock(o: Operand, w: Width, count: number): bigint[] {
    const address = this.#block(o, 'read', w, w * count);
    return words(w, this.readAt(address, w * count, false), count);
  }

  writeBlock(o: Operand, w: Width, all: readonly bigint[], bytes = w * all.length): void {
    this.#writeWords(this.#block(o, 'write', w, bytes), w, all, bytes);
  }

  loadBlock(w: Width, address: bigint, count: number): bigint[] {
    return words(w, this.readAt(this.#onStack(address, w, w * count), w * count, false), count);
  }

  storeBlock(w: Width, address: bigint, all: readonly bigint[]): void {
    const bytes = w * all.length;
    this.#writeWords(this.#onStack(address, w, bytes), w, all, bytes);
  }

  pushFrames(w: Width, level: Operand, size: bigint): readonly [bigint, bigint] {
    const [sp, bp] = [this.getStack(RSP), this.getStack(RBP)];
    const below = (base: bigint, bytes: number): bigint =>
      truncate(this.#stackWidth, base - BigInt(bytes));
    const frame = below(sp, w);
    const outer = Number(this.read(level)) & 31;
    let pushed = truncate(w, bp);
    for (let i = 1; i <= outer; i++) {
      const copied = (): bigint => {
        const address = below(bp, w * i);
        const old = this.readAt(this.#onStack(address, w), w, false);
        return truncate(w, overlay(old, pushed, w * i, address - below(sp, w * i)));
      };
      pushed = (pushed << BigInt(8 * w)) | (i < outer ? copied() : truncate(w, frame));
    }
    const bytes = w * (outer + 1);
    const top = below(below(sp, bytes), Number(size));
    this.readAt(this.#onStack(top, w), w, true);
    const lowest = this.#onStack(below(sp, bytes), w, bytes);
    this.readAt(lowest, bytes, true);
    this.memory.write(lowest, bytes, pushed);
    this.effects = true;
    return [frame, top];
  }

  protected offset(o: MemoryOperand, at: bigint): bigint {
    const base =
      o.base < 0 ? 0n : o.base === BASE_RIP ? this.after : this.get(o.base) + BigInt(o.bias);
    const index = o.index < 0 ? 0n : this.get(o.index) * BigInt(o.scale);
    return truncate(o.addressWidth, base + index + o.displacement + at);
  }

  /** Where `bytes` bytes of an operand lie. */
  protected place(
    o: MemoryOperand,
    access: 'read' | 'write',
    at = 0n,
    bytes: number = o.width,
  ): bigint {
    const address = this.#segmented(o, at);
    const misplaced = o.aligned && (address & 15n) !== 0n;
    // No code segment is writable.
    if (misplaced || (o.segment === CS && access === 'write')) this.fault(new Fault(VECTOR_GP));
    const stack = o.segment === 0 ? o.base === RSP || o.base === RBP : o.segment === SS;
    this.#check(address, this.offset(o, at), bytes, stack, o.width);
    return address;
  }

  protected readAt(address: bigint, bytes: number, intent: boolean): bigint {
    this.mayFault();
    return this.memory.read(address, bytes, intent);
  }

  protected writeAt(address: bigint, w: Width, value: bigint): void {
    this.mayFault();
    this.memory.write(address, w, truncate(w, value));
    this.effects = true;
  }

  protected fault(fault: Fault): never {
    this.mayFault();
    throw fault;
  }

  protected mayFault(): void {
    if (this.effects)
      throw new Error(`${this.op.form.row.name}: something that may fault follows an effect`);
  }

  get #stackWidth(): 4 | 8 {
    return this.op.mode === 64 ? 8 : 4;
  }

  #segmented(o: MemoryOperand, at: bigint): bigint {
    const { fsBase, gsBase } = this.state;
    const base = o.segment === FS ? fsBase : o.segment === GS ? gsBase : 0n;
    return truncate(this.#stackWidth, base + this.offset(o, at));
  }

  #onStack(address: bigint, w: Width, bytes: number = w): bigint {
    const offset = truncate(this.#stackWidth, address);
    this.#check(offset, offset, bytes, true, w);
    return offset;
  }

  #block(o: Operand, access: 'read' | 'write', w: Width, bytes: number): bigint {
    if (o.kind !== 'memory') throw new TypeError(`a row takes ${o.kind} for a block`);
    return this.place({ ...o, width: w }, access, 0n, bytes);
  }

  #writeWords(address: bigint, w: Width, all: readonly bigint[], bytes: number): void {
    const value = all.reduceRight((sum, word) => (sum << BigInt(8 * w)) | truncate(w, word), 0n);
    this.readAt(address, bytes, true);
    this.memory.write(address, w * all.length, value);
    this.effects = true;
  }

  /** May an access of `bytes` bytes, in units of `unit`, begin at `offset` of its segment, which is at `address`? */
  #check(address: bigint, offset: bigint, bytes: number, stack: boolean, unit: Width): void {
    const more = BigInt(bytes - 1);
    const good =
      this.op.mode === 64
        ? isCanonical(address) && isCanonical(BigInt.asUintN(64, address + more))
        : offset + more < LEGACY_END;
    if (!good) this.fault(new Fault(stack ? VECTOR_SS : VECTOR_GP));
    if (this.#checksAlignment) {
      const alignment = unit === 10 || unit === 16 ? 8 : unit;
      if ((address & BigInt(alignment - 1)) !== 0n) this.fault(new Fault(VECTOR_AC));
    }
  }

  get #checksAlignment(): boolean {
    const { cpl, cr0, rflags } = this.state;
    return (rflags & AC) !== 0 && cpl === 3 && (cr0 & CR0_AM) !== 0;
  }
}

/** The words of `all`, the lowest first. */
const words = (w: Width, all: bigint, count: number): bigint[] =>
  Array.from({ length: count }, (_, i) => truncate(w, all >> BigInt(8 * w * i)));
