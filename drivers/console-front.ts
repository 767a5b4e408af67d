/**
 * The guest's end of the console ring.
 * The one idea: write what fits, tell the other end, and wait for its event when the ring is full.
 * @source xen/io/console.h
 */
import { Observable, Subject } from 'rxjs';
import { ByteConsumer, ByteProducer } from '../protocol/byte-ring.ts';
import { CONSOLE_IN, CONSOLE_OUT } from '../protocol/console-ring.ts';
import type { RingMemory } from '../protocol/ring.ts';
import { type Console, consoleBytes } from './console.ts';
import { Lock } from './disk.ts';
import { Worker } from './worker.ts';

/** One event channel as a ring uses it. */
export interface RingPort {
  readonly events: Observable<void>;
  notify(): void;
}

export class ConsoleFront implements Console {
  readonly input: Observable<Uint8Array>;
  readonly #port: RingPort;
  readonly #out: ByteProducer;
  readonly #in: ByteConsumer;
  readonly #received = new Subject<Uint8Array>();
  readonly #turn = new Lock(); // so that two writers do not mix their bytes
  #full: (() => void) | undefined;

  constructor(memory: RingMemory, port: RingPort) {
    this.#port = port;
    this.#out = new ByteProducer(memory, CONSOLE_OUT);
    this.#in = new ByteConsumer(memory, CONSOLE_IN);
    const reader = new Worker(
      () => this.#receive(),
      () => this.#received.complete(), // the other end lies: nothing more will come
    );
    this.input = new Observable((subscriber) => {
      const subscription = this.#received.subscribe(subscriber);
      reader.kick(); // for what came before anyone listened
      return subscription;
    });
    port.events.subscribe(() => {
      this.#full?.();
      if (this.#received.observed) reader.kick();
    });
  }

  /** @throws RingOverflow if the other end's index cannot be true */
  write(text: string | Uint8Array): Promise<void> {
    return this.#turn.run(() => this.#write(consoleBytes(text)));
  }

  async #write(bytes: Uint8Array): Promise<void> {
    for (let rest = bytes; rest.length > 0; ) {
      const room = this.#room();
      const count = this.#out.write(rest);
      if (count > 0) this.#port.notify();
      rest = rest.subarray(count);
      if (count === 0) await room;
    }
  }

  #room(): Promise<void> {
    return new Promise((resolve) => {
      this.#full = resolve;
    });
  }

  #receive(): void {
    const chunk = new Uint8Array(CONSOLE_IN.size);
    const count = this.#in.read(chunk);
    if (count === 0) return;
    this.#port.notify(); // there is room again
    this.#received.next(chunk.slice(0, count));
  }
}
