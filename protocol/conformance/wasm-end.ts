/**
 * One end of a ring in the memory of a WebAssembly module, as the kit holds it: views of that memory,
 * made anew when memory.grow has made another array of it, and the way to call a verb.
 */
import { BUFFER_BYTES, type PeerEnd, type Verb } from './peer.ts';
import type { PeerMemory } from './wasm-memory.ts';

/** An end whose private memory the kit can see and change. */
export interface MovableEnd extends PeerEnd {
  /** The module's own memory, below `__heap_base`. Read it anew after each call. */
  readonly memory: Uint8Array;
}

/** Calls a verb for an end, if that is still the one at work. */
export type Run = (end: MovableEnd, verb: Verb, argument: number, index: number) => number;

export class End implements MovableEnd {
  readonly #memory: PeerMemory;
  readonly #run: Run;
  #generation = -1;
  #page = new Uint32Array(0);
  #buffer = new Uint8Array(0);

  constructor(memory: PeerMemory, run: Run) {
    this.#memory = memory;
    this.#run = run;
  }

  get page(): Uint32Array {
    if (this.#generation !== this.#memory.generation) this.#view();
    return this.#page;
  }

  get buffer(): Uint8Array {
    if (this.#generation !== this.#memory.generation) this.#view();
    return this.#buffer;
  }

  get memory(): Uint8Array {
    this.#memory.touchAll(); // whoever has it may change it
    return this.#memory.bytes.subarray(0, this.#memory.map.heapBase);
  }

  call(verb: Verb, argument = 0, index = 0): number {
    return this.#run(this, verb, argument, index);
  }

  /** memory.grow makes another array of the same memory. */
  #view(): void {
    const { bytes, generation, map, ringBytes } = this.#memory;
    this.#page = new Uint32Array(bytes.buffer, map.ring, ringBytes / 4);
    this.#buffer = bytes.subarray(map.buffer, map.buffer + BUFFER_BYTES);
    this.#generation = generation;
  }
}
