/** Memory from 0 on, a power of two of bytes, mirrored above. */
import { Fault, type LinearMemory } from '../../../machine/x86/state.ts';

export class FlatMemory implements LinearMemory {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  /** The number of the access that faults, from 0 on; -1 is none. */
  failing = -1;
  #accesses = 0;
  /** A write that was announced does not fault. */
  #intended = false;

  constructor(size: number) {
    this.bytes = new Uint8Array(size);
    this.view = new DataView(this.bytes.buffer);
  }

  read(address: bigint, count: number, intent: boolean): bigint {
    this.#access();
    this.#intended = intent;
    let value = 0n;
    for (let i = count - 1; i >= 0; i--)
      value = (value << 8n) | BigInt(this.bytes[this.#place(address, i)]!);
    return value;
  }

  write(address: bigint, count: number, value: bigint): void {
    if (!this.#intended) this.#access();
    this.#intended = false;
    for (let i = 0; i < count; i++)
      this.bytes[this.#place(address, i)] = Number((value >> BigInt(8 * i)) & 255n);
  }

  fetch(address: bigint, count: number): Uint8Array {
    return this.bytes.slice(Number(address), Number(address) + count);
  }

  refuseFetch(address: bigint): never {
    throw new Fault(14, 0x14, address);
  }

  #place(address: bigint, i: number): number {
    return (Number(BigInt.asUintN(32, address)) + i) % this.bytes.length;
  }

  #access(): void {
    if (this.#accesses++ === this.failing) throw new Fault(14, 4, 0n);
  }
}
