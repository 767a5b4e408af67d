/**
 * Decoded code, by frame of memory: which frames have records, where, and how they are forgotten when their bytes change.
 * A frame with records is marked in every write array of a TLB, so that every store to it comes here first.
 */
import { type Memory, RECORD_BYTES } from '../memory.ts';
import type { Mmu } from '../mmu.ts';
import { NO_BREAKPOINTS } from './debugger.ts';
import { decode, type Operation } from './decoder.ts';
import type { Handlers } from './handlers.ts';
import { MAX_LENGTH, type Undecodable } from './operands.ts';
import {
  CROSSING_NEXT,
  CROSSING_TO,
  HANDLER,
  HANDLER_CROSSING,
  HANDLER_MISS,
  HANDLER_PAGE_END,
  HANDLER_SLOW,
  PAGE_RECORD_BYTES,
  PAGE_RECORDS,
  RECORD_SIZE,
  writeRecord,
} from './record.ts';
import type { Form } from './row.ts';
import { shortKey, signatureOf } from './signature.ts';

const PAGE_BYTES = 4096;
/** So many instructions are decoded at once, unless one ends the block before. */
const AHEAD = 64;
/** After so many stores with nothing decoded between them, a frame is taken for data. */
const PATIENCE = 256;

export class CodePages {
  readonly #memory: Memory;
  readonly #mmu: Mmu;
  readonly #handlers: Handlers;
  /** Handlers by form and `shortKey`. */
  readonly #numbers = new Map<Form, Map<number, number>>();
  /** Of each frame, where its records begin; 0: it has none. */
  readonly #records: Uint32Array;
  /** Places for a page's records, free or given; of those given, whose, and how often it was written since it was decoded. */
  readonly #free: number[] = [];
  readonly #used: number[] = [];
  readonly #writes: Uint16Array;
  /** By the frame that they end in: records of instructions that begin in another. */
  readonly #crossings = new Map<number, Set<number>>();
  /** How far into a page an instruction at a breakpoint is. */
  #slow: ReadonlySet<number> = NO_BREAKPOINTS;

  constructor(memory: Memory, mmu: Mmu, handlers: Handlers) {
    this.#memory = memory;
    this.#mmu = mmu;
    this.#handlers = handlers;
    this.#records = new Uint32Array(memory.frames);
    this.#writes = new Uint16Array(memory.frames);
    // Offset 0 is taken for none: the vCPU blocks come before the records.
    const end = memory.records + RECORD_BYTES - PAGE_RECORD_BYTES;
    for (let at = memory.records; at <= end; at += PAGE_RECORD_BYTES) this.#free.push(at);
    this.#free.reverse();
    memory.dropCode = (mfn) => this.drop(mfn);
  }

  /** Where the records of frame `mfn` begin; it has some from now on. */
  records(mfn: number): number {
    const known = this.#records[mfn]!;
    if (known !== 0) return known;
    if (this.#free.length === 0) this.#dropAll();
    const at = this.#free.pop()!;
    for (let i = PAGE_BYTES; i < PAGE_RECORDS; i++)
      this.#put(at + i * RECORD_SIZE, HANDLER_PAGE_END);
    this.#records[mfn] = at;
    this.#used.push(mfn);
    this.#memory.code[mfn] = 1;
    this.#mmu.markWrites(mfn);
    return at;
  }

  /**
   * The evaluator is to do the instructions at `addresses`, so that the engine looks up before each of them. Frames know no
   * addresses: whatever is as far into its page is left to the evaluator.
   */
  keepSlow(addresses: ReadonlySet<number>): void {
    if (addresses.size === 0 && this.#slow.size === 0) return;
    const offsets = new Set([...addresses].map((va) => va & (PAGE_BYTES - 1)));
    for (const offset of [...offsets, ...this.#slow]) {
      if (offsets.has(offset) === this.#slow.has(offset)) continue;
      for (const mfn of this.#used)
        this.#put(this.#records[mfn]! + offset * RECORD_SIZE, HANDLER_MISS);
    }
    this.#slow = offsets;
  }

  /** Decode from byte `offset` of frame `mfn` on. `following`: the frame of the page after it where it executes, or -1. */
  decode(mfn: number, offset: number, following: () => number): void {
    const { u8, view } = this.#memory;
    const records = this.#records[mfn]!;
    const host = this.#memory.frameAt(mfn);
    this.#writes[mfn] = 0;
    let at = offset;
    for (let i = 0; i < AHEAD && at < PAGE_BYTES; i++) {
      const record = records + at * RECORD_SIZE;
      if (view.getUint16(record + HANDLER, true) !== HANDLER_MISS) return;
      const end = Math.min(at + MAX_LENGTH, PAGE_BYTES);
      const operation = decode(u8.subarray(host + at, host + end));
      if (operation === 'short' && end === PAGE_BYTES) {
        // The next page is looked at when control is here, not before.
        if (i === 0) this.#decodeCrossing(mfn, at, following());
        return;
      }
      const handler = this.#handler(operation, at);
      if (typeof operation === 'string' || handler === HANDLER_SLOW) {
        this.#put(record, HANDLER_SLOW);
        return;
      }
      writeRecord(view, record, handler, at, operation);
      at += operation.length;
    }
  }

  /** The instruction at byte `at` of frame `mfn` ends in frame `next`. */
  #decodeCrossing(mfn: number, at: number, next: number): void {
    const { u8, view } = this.#memory;
    const record = this.#records[mfn]! + at * RECORD_SIZE;
    this.#put(record, HANDLER_SLOW);
    if (next < 0) return;
    const bytes = new Uint8Array(MAX_LENGTH);
    const [host, after] = [this.#memory.frameAt(mfn), this.#memory.frameAt(next)];
    bytes.set(u8.subarray(host + at, host + PAGE_BYTES));
    bytes.set(u8.subarray(after, after + MAX_LENGTH - (PAGE_BYTES - at)), PAGE_BYTES - at);
    const operation = decode(bytes);
    const handler = this.#handler(operation, at);
    if (typeof operation === 'string' || handler === HANDLER_SLOW) return;
    writeRecord(view, record, HANDLER_CROSSING, at, operation);
    view.setUint16(record + CROSSING_TO, handler, true);
    view.setUint32(record + CROSSING_NEXT, this.#records[next]!, true);
    const others = this.#crossings.get(next);
    if (others) others.add(record);
    else this.#crossings.set(next, new Set([record]));
  }

  /** `bytes` bytes at `host`, in a frame with records, are about to change. */
  written(host: number, bytes: number): void {
    const mfn = this.#memory.frameOf(host);
    const records = this.#records[mfn]!;
    const offset = host & (PAGE_BYTES - 1);
    if (++this.#writes[mfn]! > PATIENCE) {
      this.drop(mfn);
      return;
    }
    if (offset < MAX_LENGTH) this.#forgetCrossings(mfn);
    // An instruction is as many bytes long as it likes, up to MAX_LENGTH.
    const end = Math.min(offset + bytes, PAGE_BYTES);
    for (let at = Math.max(0, offset - MAX_LENGTH + 1); at < end; at++)
      this.#put(records + at * RECORD_SIZE, HANDLER_MISS);
  }

  #handler(operation: Operation | Undecodable, at: number): number {
    if (typeof operation === 'string' || this.#slow.has(at)) return HANDLER_SLOW;
    const { form } = operation;
    let numbers = this.#numbers.get(form);
    if (numbers === undefined) {
      numbers = new Map();
      this.#numbers.set(form, numbers);
    }
    const key = shortKey(operation, at);
    const known = key < 0 ? HANDLER_SLOW : numbers.get(key);
    if (known !== undefined) return known;
    const signature = signatureOf(operation, at);
    const number = signature ? this.#handlers.numberOf(signature) : HANDLER_SLOW;
    numbers.set(key, number);
    return number;
  }

  /** Forget all of frame `mfn`: it is data from now on, until it is executed again. */
  drop(mfn: number): void {
    const at = this.#records[mfn]!;
    this.#release(mfn);
    this.#used.splice(this.#used.indexOf(mfn), 1);
    this.#mmu.forgetFetch(at);
  }

  /** No room is left: forget everything. */
  #dropAll(): void {
    for (const mfn of this.#used) this.#release(mfn);
    this.#used.length = 0;
    this.#mmu.forgetFetch();
  }

  /** What was decoded of instructions that end in frame `mfn`. */
  #forgetCrossings(mfn: number): void {
    for (const record of this.#crossings.get(mfn) ?? []) this.#put(record, HANDLER_MISS);
    this.#crossings.delete(mfn);
  }

  #put(record: number, handler: number): void {
    this.#memory.view.setUint16(record + HANDLER, handler, true);
  }

  #release(mfn: number): void {
    const at = this.#records[mfn]!;
    this.#forgetCrossings(mfn);
    // Only the handlers: the instruction that wrote the page may still need the rest of its record.
    for (let i = 0; i < PAGE_BYTES; i++) this.#put(at + i * RECORD_SIZE, HANDLER_MISS);
    this.#records[mfn] = 0;
    this.#memory.code[mfn] = 0;
    this.#free.push(at);
  }
}
