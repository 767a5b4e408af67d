/**
 * A domain's console on the hypervisor's: whole lines, each after `(dN) ` as Xen marks what a guest said. So what a
 * guest prints leaves the machine by the same serial port in every mode.
 */

/** A longer line is logged in pieces. */
const MAX_LINE = 1024; // bytes
const NEWLINE = 10;

export class ConsoleLog {
  readonly #write: (line: Uint8Array) => void;
  readonly #line = new Uint8Array(MAX_LINE);
  readonly #prefix: number;
  #length: number;

  /** @param write takes one line with its newline; the bytes are reused afterwards. */
  constructor(domid: number, write: (line: Uint8Array) => void) {
    this.#write = write;
    const prefix = new TextEncoder().encode(`(d${domid}) `);
    this.#line.set(prefix);
    this.#prefix = prefix.length;
    this.#length = prefix.length;
  }

  add(bytes: Uint8Array): void {
    for (const byte of bytes) {
      if (byte === NEWLINE || this.#length === MAX_LINE - 1) this.#put();
      if (byte !== NEWLINE) this.#line[this.#length++] = byte;
    }
  }

  /** What was begun is logged as it is. */
  end(): void {
    if (this.#length > this.#prefix) this.#put();
  }

  #put(): void {
    this.#line[this.#length] = NEWLINE;
    this.#write(this.#line.subarray(0, this.#length + 1));
    this.#length = this.#prefix;
  }
}
