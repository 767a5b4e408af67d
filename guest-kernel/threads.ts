/**
 * Kernel threads as async functions. They are cooperative: a thread runs until it awaits, and those
 * that are ready run in the order in which they became so.
 */
import type { Thread, Threads } from './kernel.ts';

export class AsyncThreads implements Threads {
  readonly #panic: (why: string, error: unknown) => void;

  /** @param panic is told of an error in a thread that nobody joins. */
  constructor(panic: (why: string, error: unknown) => void) {
    this.#panic = panic;
  }

  spawn(name: string, body: () => Promise<void>): Thread {
    const thread = new AsyncThread(name, Promise.resolve().then(body));
    thread.run
      .catch((error: unknown) => {
        if (!thread.joined) this.#panic(`thread ${name}`, error);
      })
      .catch(() => {
        // The panic itself was cut short because the machine stopped: nothing runs any more.
      });
    return thread;
  }

  async yield(): Promise<void> {
    // A thread that continues does so one microtask after it was resolved; two let every ready one
    // go first.
    await Promise.resolve();
    await Promise.resolve();
  }
}

class AsyncThread implements Thread {
  readonly name: string;
  readonly run: Promise<void>;
  joined = false;

  constructor(name: string, run: Promise<void>) {
    this.name = name;
    this.run = run;
  }

  get done(): Promise<void> {
    this.joined = true;
    return this.run;
  }
}
