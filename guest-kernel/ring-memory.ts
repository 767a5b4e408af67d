/** A shared page as a guest reaches it: by the loads and stores of its CPU. */
import type { Cpu } from '../machine/cpu.ts';
import type { RingMemory } from '../protocol/ring.ts';

/** The ring protocol over the page (or contiguous pages) at `va`. */
export class CpuRingMemory implements RingMemory {
  readonly #cpu: Cpu;
  readonly #va: number;
  // The last buffer's bytes: drivers copy through one buffer again and again.
  #words: Uint32Array = new Uint32Array(0);
  #bytes: Uint8Array = new Uint8Array(0);

  constructor(cpu: Cpu, va: number) {
    this.#cpu = cpu;
    this.#va = va;
  }

  get32(offset: number): number {
    return this.#cpu.load32(this.#va + offset);
  }

  set32(offset: number, value: number): void {
    this.#cpu.store32(this.#va + offset, value);
  }

  read(offset: number, into: Uint32Array): void {
    this.#cpu.loadBytes(this.#va + offset, this.#bytesOf(into));
  }

  write(offset: number, from: Uint32Array): void {
    this.#cpu.storeBytes(this.#va + offset, this.#bytesOf(from));
  }

  #bytesOf(words: Uint32Array): Uint8Array {
    if (words !== this.#words) {
      this.#words = words;
      this.#bytes = new Uint8Array(words.buffer, words.byteOffset, words.byteLength);
    }
    return this.#bytes;
  }
}
