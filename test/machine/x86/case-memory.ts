/** The memory of the random tests: what the C program maps, as the evaluator sees it. */
import { VECTOR_PF } from '../../../machine/exit.ts';
import { Fault, type LinearMemory } from '../../../machine/x86/state.ts';
import {
  type Case,
  CODE,
  DATA,
  FILL,
  PAGE,
  readOnlyByte,
  WINDOW_HIGH,
  WINDOW_LOW,
} from './case.ts';

/** Pages where the C program itself may lie: its code, libraries and stack. */
const HOST_FIRST = 0x550000000;
const HOST_END = 0x7ffffffff;

/** The case touches what the window does not show, so it cannot be compared. */
export class OutsideWindow extends Error {}

const PRESENT = 1;
const WRITE = 2;
const USER = 4;
const FETCH = 16;

export class CaseMemory implements LinearMemory {
  readonly #code = new Uint8Array(PAGE).fill(FILL);
  readonly #data = new Uint8Array(2 * PAGE);
  #rip = 0;

  constructor() {
    for (let i = 0; i < PAGE; i++) this.#data[PAGE + i] = readOnlyByte(i);
  }

  load(test: Case, rip: number): void {
    this.#code.fill(FILL, this.#rip, this.#rip + 15);
    this.#rip = rip - CODE;
    this.#code.set(test.code.subarray(0, PAGE - this.#rip), this.#rip);
    this.#data.set(test.window.subarray(0, WINDOW_LOW));
    this.#data.set(test.window.subarray(WINDOW_LOW), PAGE - WINDOW_HIGH);
  }

  copyWindow(window: Uint8Array): void {
    window.set(this.#data.subarray(0, WINDOW_LOW));
    window.set(this.#data.subarray(PAGE - WINDOW_HIGH, PAGE), WINDOW_LOW);
  }

  read(address: bigint, bytes: number, intent: boolean): bigint {
    this.#check(address, bytes, intent);
    let value = 0n;
    for (let i = bytes - 1; i >= 0; i--)
      value = (value << 8n) | BigInt(this.#byte(Number(address) + i));
    return value;
  }

  write(address: bigint, bytes: number, value: bigint): void {
    this.#check(address, bytes, true);
    const at = Number(address) - DATA;
    for (let i = 0; i < bytes; i++) this.#data[at + i] = Number((value >> BigInt(8 * i)) & 0xffn);
  }

  fetch(address: bigint, bytes: number): Uint8Array {
    const at = Number(address) - CODE;
    return at >= 0 && at < PAGE
      ? this.#code.subarray(at, Math.min(at + bytes, PAGE))
      : new Uint8Array(0);
  }

  refuseFetch(address: bigint): never {
    const at = Number(address) - DATA;
    throw new Fault(VECTOR_PF, USER | FETCH | (at >= 0 && at < 2 * PAGE ? PRESENT : 0), address);
  }

  #check(address: bigint, bytes: number, write: boolean): void {
    const first = Number(address >> 12n);
    const last = Number((address + BigInt(bytes - 1)) >> 12n);
    for (let page = first; page <= last; page++) {
      const mapped = page === CODE / PAGE || page === DATA / PAGE || page === DATA / PAGE + 1;
      if (mapped && (!write || page === DATA / PAGE)) continue;
      if (page >= HOST_FIRST && page < HOST_END) throw new OutsideWindow();
      const error = USER | (mapped ? PRESENT : 0) | (write ? WRITE : 0);
      throw new Fault(VECTOR_PF, error, page === first ? address : BigInt(page) << 12n);
    }
    if (first === DATA / PAGE || last === DATA / PAGE) this.#inWindow(Number(address), bytes);
  }

  #inWindow(address: number, bytes: number): void {
    const from = Math.max(address - DATA, 0);
    const to = Math.min(address - DATA + bytes, PAGE);
    if (to > WINDOW_LOW && from < PAGE - WINDOW_HIGH) throw new OutsideWindow();
  }

  #byte(address: number): number {
    return address < DATA ? this.#code[address - CODE]! : this.#data[address - DATA]!;
  }
}
