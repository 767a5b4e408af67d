/**
 * The WebAssembly binary format, read and written: bytes, LEB128 integers, names, vectors.
 * The one idea: whatever cannot be read ends in a PeerFault, never in another exception.
 * @source WebAssembly core specification, 5.2 Values
 */
import { PeerFault } from './peer.ts';

/** Ends the reading of a module; `wasmPeer` puts the module's name before `why`. */
export function refuse(why: string): never {
  throw new PeerFault(why);
}

/** A cursor over the bytes of a module, or over a part of them. */
export class ByteReader {
  readonly bytes: Uint8Array;
  at = 0;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }

  get done(): boolean {
    return this.at >= this.bytes.length;
  }

  byte(): number {
    const value = this.bytes[this.at++];
    if (value === undefined) refuse('ends in the middle of a section');
    return value;
  }

  /** An unsigned LEB128 of 32 bits; producers pad it to five bytes where a linker patches it. */
  u32(): number {
    let value = 0;
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = this.byte();
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value;
    }
    return refuse('has an integer of more than 32 bits');
  }

  /** A signed LEB128 of 32 bits. */
  s32(): number {
    let value = 0;
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = this.byte();
      value |= (byte & 0x7f) << shift;
      if (byte < 0x80) return shift < 25 ? (value << (25 - shift)) >> (25 - shift) : value;
    }
    return refuse('has an integer of more than 32 bits');
  }

  skipLeb(): void {
    while (this.byte() >= 0x80);
  }

  take(length: number): Uint8Array {
    const from = this.at;
    this.at += length;
    if (this.at > this.bytes.length) refuse('ends in the middle of a section');
    return this.bytes.subarray(from, this.at);
  }

  name(): string {
    return new TextDecoder().decode(this.take(this.u32()));
  }

  /** vec(B): calls `element` once for each. */
  vector<T>(element: (index: number) => T): T[] {
    const count = this.u32();
    const all: T[] = [];
    for (let index = 0; index < count; index++) all.push(element(index));
    return all;
  }
}

/** Bytes of a module in the making. */
export class ByteWriter {
  #bytes = new Uint8Array(256);
  #length = 0;

  get written(): Uint8Array<ArrayBuffer> {
    return this.#bytes.subarray(0, this.#length);
  }

  #room(more: number): void {
    const needed = this.#length + more;
    if (needed <= this.#bytes.length) return;
    const larger = new Uint8Array(Math.max(needed, 2 * this.#bytes.length));
    larger.set(this.written);
    this.#bytes = larger;
  }

  byte(value: number): this {
    this.#room(1);
    this.#bytes[this.#length++] = value;
    return this;
  }

  u32(value: number): this {
    let rest = value >>> 0;
    while (rest >= 0x80) {
      this.byte((rest & 0x7f) | 0x80);
      rest >>>= 7;
    }
    return this.byte(rest);
  }

  s32(value: number): this {
    let rest = value | 0;
    while (rest < -64 || rest > 63) {
      this.byte((rest & 0x7f) | 0x80);
      rest >>= 7;
    }
    return this.byte(rest & 0x7f);
  }

  raw(bytes: Uint8Array): this {
    this.#room(bytes.length);
    this.#bytes.set(bytes, this.#length);
    this.#length += bytes.length;
    return this;
  }

  /** A length in bytes, then the bytes: a name, a section's contents, a function body. */
  sized(bytes: Uint8Array): this {
    return this.u32(bytes.length).raw(bytes);
  }

  name(text: string): this {
    return this.sized(new TextEncoder().encode(text));
  }

  /** An instruction with its immediates, each a u32. */
  op(opcode: number, ...immediates: number[]): this {
    this.byte(opcode);
    for (const immediate of immediates) this.u32(immediate);
    return this;
  }

  i32Const(value: number): this {
    return this.byte(0x41).s32(value);
  }
}
