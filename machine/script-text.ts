/**
 * Addresses for TypeScript code. A function that a kernel wants to be called has a canonical address, so that
 * it can stand in an IDT gate or a trap table; it has no bytes there. Each running instance (activation) has an
 * address of its own just above, so that a saved RIP names exactly the code that was interrupted.
 */
import type { Code } from './cpu.ts';

/** 0xffffffffc0000000: the last GiB of the address space, in steps that leave room for activations. */
const TEXT_BASE = -0x40000000;
const STEP = 0x10000;
const CAPACITY = 0x40000000 / STEP - 1;

export class ScriptText {
  readonly #codes: Code[] = [];
  readonly #addresses = new Map<Code, number>();

  /** @throws RangeError when a kernel asks for an address for more than 16,383 functions. */
  entry(code: Code): number {
    const known = this.#addresses.get(code);
    if (known !== undefined) return known;
    if (this.#codes.length === CAPACITY)
      throw new RangeError(`entry: more than ${CAPACITY} functions`);
    const address = TEXT_BASE + this.#codes.length * STEP;
    this.#codes.push(code);
    this.#addresses.set(code, address);
    return address;
  }

  /** The function at `address`, if one begins there. */
  code(address: number): Code | undefined {
    const index = (address - TEXT_BASE) / STEP;
    return Number.isInteger(index) ? this.#codes[index] : undefined;
  }
}
