/**
 * The records of one page of code, as they lie in memory: runs of instructions that follow one another, each of which ends in a
 * record that leads elsewhere. What is forgotten keeps its place and its offset, so that whoever comes there finds out where he is.
 */
import { MAX_LENGTH } from './operands.ts';
import {
  FIRST_RECORD,
  HANDLER,
  HANDLER_ELSEWHERE,
  HANDLER_MISS,
  IMMEDIATE,
  LENGTH,
  OFFSET,
  PAGE_RECORDS,
  RECORD_SIZE,
} from './record.ts';

const TABLE_BYTES = FIRST_RECORD * RECORD_SIZE;
/** Of code that one handler does. */
const MOST_BYTES = 2 * MAX_LENGTH;

export class RecordPage {
  readonly base: number;
  /** Stores to the page since something was decoded. */
  writes = 0;
  readonly #view: DataView;
  /** Number of the next record. */
  #next = FIRST_RECORD;
  /** Branches to offsets where nothing is decoded. */
  readonly #links = new Map<number, number[]>();

  /** At `base` of memory; nothing is decoded yet. */
  constructor(view: DataView, base: number) {
    this.#view = view;
    this.base = base;
  }

  /** So many records fit still. */
  get room(): number {
    return PAGE_RECORDS - this.#next;
  }

  /** Whether the instruction at offset `at` is decoded. */
  knows(at: number): boolean {
    const record = this.#find(at);
    return record !== 0 && this.#view.getUint16(record + HANDLER, true) !== HANDLER_MISS;
  }

  /** A record for the instruction at offset `at`, which is not decoded: it follows the last one. Who led to `at` leads to it. */
  begin(at: number): number {
    const known = this.#find(at);
    const branches = this.#links.get(at) ?? [];
    this.#links.delete(at);
    // What the last run ended in is where this one begins.
    if (known !== 0 && known === this.#address(this.#next - 1)) return known;
    const record = this.append(HANDLER_MISS, at);
    this.#view.setUint16(this.base + 2 * at, this.#next - 1, true);
    if (known !== 0) this.#lead(known, HANDLER_ELSEWHERE, record);
    for (const branch of branches) this.#aim(branch, record);
    return record;
  }

  /** A record after the last one, that is no instruction. */
  append(handler: number, at: number): number {
    if (this.room === 0)
      throw new Error('no room for a record: whoever decodes has to see to that');
    const record = this.#address(this.#next++);
    this.put(record, handler, at);
    return record;
  }

  put(record: number, handler: number, at: number): void {
    this.#view.setUint16(record + HANDLER, handler, true);
    this.#view.setUint16(record + OFFSET, at, true);
    this.#view.setUint8(record + LENGTH, MAX_LENGTH);
  }

  /** After the last record comes what is at offset `at`, be it decoded or not. */
  goOn(at: number): void {
    if (this.knows(at))
      this.#lead(this.append(HANDLER_MISS, at), HANDLER_ELSEWHERE, this.#find(at));
    else this.begin(at);
  }

  /** The branch at `branch` goes to offset `to`. Not while a run is being made, as something may come after the last record. */
  link(branch: number, to: number): void {
    if (!this.knows(to)) {
      const others = this.#links.get(to) ?? [];
      if (this.#find(to) === 0) this.begin(to);
      this.#links.set(to, [...others, branch]);
    }
    this.#aim(branch, this.#find(to));
  }

  /** Handler `handler` does the instruction of `record` and the one after it, which is so many bytes long. */
  fuse(record: number, handler: number, length: number): void {
    this.#view.setUint16(record + HANDLER, handler, true);
    this.#view.setUint8(record + LENGTH, this.#view.getUint8(record + LENGTH) + length);
  }

  /** Forget what is decoded of `bytes` bytes from offset `from` on. */
  forget(from: number, bytes: number): void {
    const end = Math.min(from + bytes, 4096);
    for (let at = Math.max(0, from - MOST_BYTES + 1); at < end; at++) {
      const record = this.#find(at);
      if (record !== 0 && at + this.#view.getUint8(record + LENGTH) > from)
        this.#view.setUint16(record + HANDLER, HANDLER_MISS, true);
    }
  }

  /** Forget everything. Only handlers: the instruction that wrote the page may still need the rest of its record. */
  empty(): void {
    for (let number = FIRST_RECORD; number < this.#next; number++)
      this.#view.setUint16(this.#address(number) + HANDLER, HANDLER_MISS, true);
    new Uint8Array(this.#view.buffer, this.base, TABLE_BYTES).fill(0);
    this.#links.clear();
    this.#next = FIRST_RECORD;
  }

  /** The record of the instruction at offset `at`, or 0. */
  #find(at: number): number {
    const number = this.#view.getUint16(this.base + 2 * at, true);
    return number === 0 ? 0 : this.#address(number);
  }

  #address(number: number): number {
    return this.base + number * RECORD_SIZE;
  }

  #lead(from: number, handler: number, to: number): void {
    this.#view.setUint16(from + HANDLER, handler, true);
    this.#aim(from, to);
  }

  #aim(from: number, to: number): void {
    this.#view.setInt32(from + IMMEDIATE, to - from, true);
  }
}
