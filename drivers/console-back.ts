/**
 * Domain 0's end of a console ring: the console daemon's part for one domain.
 * The one idea: output is taken at each event, whatever it is; input waits here, bounded, until the
 * domain makes room. A domain whose indices cannot be true is not listened to any more.
 * @source xen/io/console.h
 */
import { ByteConsumer, ByteProducer } from '../protocol/byte-ring.ts';
import { CONSOLE_IN, CONSOLE_OUT } from '../protocol/console-ring.ts';
import { type RingMemory, RingOverflow } from '../protocol/ring.ts';

const MAX_INPUT = 65536; // bytes typed and not yet read; more is dropped, as a terminal does

export class ConsoleBack {
  readonly #notify: () => void;
  readonly #onOutput: (bytes: Uint8Array) => void;
  readonly #out: ByteConsumer;
  readonly #in: ByteProducer;
  readonly #chunk = new Uint8Array(CONSOLE_OUT.size);
  #typed = new Uint8Array(0);
  #cut = false;

  constructor(memory: RingMemory, notify: () => void, onOutput: (bytes: Uint8Array) => void) {
    this.#notify = notify;
    this.#onOutput = onOutput;
    this.#out = new ByteConsumer(memory, CONSOLE_OUT);
    this.#in = new ByteProducer(memory, CONSOLE_IN);
  }

  /** Moves what can move. Call it for each event. */
  service(): void {
    if (this.#cut) return;
    try {
      const taken = this.#output();
      if (this.#feed() || taken) this.#notify();
    } catch (error) {
      if (!(error instanceof RingOverflow)) throw error;
      this.#cut = true;
    }
  }

  /** Types `bytes` to the domain. */
  input(bytes: Uint8Array): void {
    const room = MAX_INPUT - this.#typed.length;
    const more = bytes.subarray(0, room);
    const all = new Uint8Array(this.#typed.length + more.length);
    all.set(this.#typed);
    all.set(more, this.#typed.length);
    this.#typed = all;
    this.service();
  }

  #output(): boolean {
    const count = this.#out.read(this.#chunk);
    if (count > 0) this.#onOutput(this.#chunk.slice(0, count));
    return count > 0;
  }

  #feed(): boolean {
    const count = this.#typed.length === 0 ? 0 : this.#in.write(this.#typed);
    this.#typed = this.#typed.subarray(count);
    return count > 0;
  }
}
