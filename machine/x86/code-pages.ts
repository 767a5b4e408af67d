/**
 * Decoded code, by frame of memory: which frames have records, how these are made, and when they are forgotten.
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
  isNear,
  PAGE_RECORD_BYTES,
  targetOffset,
  writeRecord,
} from './record.ts';
import { RecordPage } from './record-page.ts';
import type { Form } from './row.ts';
import { shortKey, signatureOf } from './signature.ts';

const PAGE_BYTES = 4096;
/** So many instructions are decoded at once, unless one ends the block before. */
const AHEAD = 64;
/** A run of as many, what leads on from there, and a record for what each may branch to. */
const MOST_RECORDS = 2 * AHEAD + 1;
/** After so many stores with nothing decoded between them, a frame is taken for data. */
const PATIENCE = 256;

export class CodePages {
  readonly #memory: Memory;
  readonly #mmu: Mmu;
  readonly #handlers: Handlers;
  /** Handlers by form and `shortKey`. */
  readonly #numbers = new Map<Form, Map<number, number>>();
  /** Places for a page's records that nobody has, and whose the others are, by frame. */
  readonly #free: number[] = [];
  readonly #pages = new Map<number, RecordPage>();
  /** By the frame that they end in: records of instructions that begin in another. */
  readonly #crossings = new Map<number, Set<number>>();
  /** Of what is being decoded: branches into their own page. */
  readonly #branches: Array<{ readonly record: number; readonly to: number }> = [];
  /** How far into a page an instruction at a breakpoint is. */
  #slow: ReadonlySet<number> = NO_BREAKPOINTS;

  constructor(memory: Memory, mmu: Mmu, handlers: Handlers) {
    this.#memory = memory;
    this.#mmu = mmu;
    this.#handlers = handlers;
    const end = memory.records + RECORD_BYTES - PAGE_RECORD_BYTES;
    for (let at = memory.records; at <= end; at += PAGE_RECORD_BYTES) this.#free.push(at);
    this.#free.reverse();
    memory.dropCode = (mfn) => this.drop(mfn);
  }

  /** Where the records of frame `mfn` begin; it has some from now on. */
  records(mfn: number): number {
    const known = this.#pages.get(mfn);
    if (known !== undefined) return known.base;
    if (this.#free.length === 0) this.#dropAll();
    const page = new RecordPage(this.#memory.view, this.#free.pop()!);
    this.#pages.set(mfn, page);
    this.#memory.code[mfn] = 1;
    this.#mmu.markWrites(mfn);
    return page.base;
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
      for (const page of this.#pages.values()) page.forget(offset, 1);
    }
    this.#slow = offsets;
  }

  /** Decode from byte `offset` of frame `mfn` on. `following`: the frame of the page after it where it executes, or -1. */
  decode(mfn: number, offset: number, following: () => number): void {
    const page = this.#pages.get(mfn)!;
    page.writes = 0;
    if (page.knows(offset)) return;
    if (page.room < MOST_RECORDS) page.empty();
    this.#branches.length = 0;
    this.#decodeRun(mfn, page, offset, following);
    for (const { record, to } of this.#branches) page.link(record, to);
  }

  #decodeRun(mfn: number, page: RecordPage, offset: number, following: () => number): void {
    const { u8 } = this.#memory;
    const host = this.#memory.frameAt(mfn);
    let at = offset;
    /** The handler of the instruction before, and its record. */
    let [before, last] = [HANDLER_MISS, 0];
    for (let i = 0; i < AHEAD && at < PAGE_BYTES; i++) {
      if (i > 0 && page.knows(at)) break;
      const end = Math.min(at + MAX_LENGTH, PAGE_BYTES);
      const operation = decode(u8.subarray(host + at, host + end));
      if (operation === 'short' && end === PAGE_BYTES) {
        // The next page is looked at when control is here, not before.
        if (i > 0) break;
        this.#decodeCrossing(mfn, page, at, following());
        return;
      }
      const handler = this.#handler(operation, at);
      const record = page.begin(at);
      if (typeof operation === 'string' || handler === HANDLER_SLOW) {
        page.put(record, HANDLER_SLOW, at);
        return;
      }
      this.#write(record, handler, at, operation);
      const fused = this.#handlers.fused(before, handler);
      if (fused !== undefined) page.fuse(last, fused, operation.length);
      [before, last] = [handler, record];
      at += operation.length;
    }
    if (at >= PAGE_BYTES) page.append(HANDLER_PAGE_END, at);
    else page.goOn(at);
  }

  #write(record: number, handler: number, at: number, operation: Operation): void {
    writeRecord(this.#memory.view, record, handler, at, operation);
    for (const o of operation.operands) {
      if (o.kind !== 'relative') continue;
      const to = targetOffset(o, operation, at);
      if (isNear(to)) this.#branches.push({ record, to });
    }
  }

  /** The instruction at byte `at` of frame `mfn` ends in frame `next`. */
  #decodeCrossing(mfn: number, page: RecordPage, at: number, next: number): void {
    const { u8, view } = this.#memory;
    const record = page.begin(at);
    page.put(record, HANDLER_SLOW, at);
    if (next < 0) return;
    const bytes = new Uint8Array(MAX_LENGTH);
    const [host, after] = [this.#memory.frameAt(mfn), this.#memory.frameAt(next)];
    bytes.set(u8.subarray(host + at, host + PAGE_BYTES));
    bytes.set(u8.subarray(after, after + MAX_LENGTH - (PAGE_BYTES - at)), PAGE_BYTES - at);
    const operation = decode(bytes);
    const handler = this.#handler(operation, at);
    if (typeof operation === 'string' || handler === HANDLER_SLOW) return;
    this.#write(record, HANDLER_CROSSING, at, operation);
    page.append(HANDLER_PAGE_END, at + operation.length);
    view.setUint16(record + CROSSING_TO, handler, true);
    view.setUint32(record + CROSSING_NEXT, this.#pages.get(next)!.base, true);
    const others = this.#crossings.get(next);
    if (others) others.add(record);
    else this.#crossings.set(next, new Set([record]));
  }

  /** `bytes` bytes at `host`, in a frame with records, are about to change. */
  written(host: number, bytes: number): void {
    const mfn = this.#memory.frameOf(host);
    const page = this.#pages.get(mfn)!;
    const offset = host & (PAGE_BYTES - 1);
    if (++page.writes > PATIENCE) {
      this.drop(mfn);
      return;
    }
    if (offset < MAX_LENGTH) this.#forgetCrossings(mfn);
    page.forget(offset, bytes);
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
    const { base } = this.#pages.get(mfn)!;
    this.#release(mfn);
    this.#mmu.forgetFetch(base);
  }

  /** No room is left: forget everything. */
  #dropAll(): void {
    for (const mfn of this.#pages.keys()) this.#release(mfn);
    this.#mmu.forgetFetch();
  }

  /** What was decoded of instructions that end in frame `mfn`. */
  #forgetCrossings(mfn: number): void {
    const { view } = this.#memory;
    for (const record of this.#crossings.get(mfn) ?? [])
      view.setUint16(record + HANDLER, HANDLER_MISS, true);
    this.#crossings.delete(mfn);
  }

  #release(mfn: number): void {
    const page = this.#pages.get(mfn)!;
    this.#forgetCrossings(mfn);
    page.empty();
    this.#pages.delete(mfn);
    this.#memory.code[mfn] = 0;
    this.#free.push(page.base);
  }
}
