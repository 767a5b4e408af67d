/**
 * Work that events ask for: run soon, outside the interrupt, never twice at once, and once more if asked
 * meanwhile.
 * The one idea: an event says "look again", so being asked while looking must not be forgotten.
 */
export class Worker {
  readonly #body: () => Promise<void> | void;
  readonly #failed: (why: unknown) => void;
  #asked = false;
  #running = false;

  /** `failed` gets whatever `body` throws; the worker can be asked again afterwards. */
  constructor(body: () => Promise<void> | void, failed: (why: unknown) => void) {
    this.#body = body;
    this.#failed = failed;
  }

  /** Asks for the work; may be called from an interrupt handler. */
  kick(): void {
    this.#asked = true;
    if (this.#running) return;
    this.#running = true;
    queueMicrotask(() => void this.#run());
  }

  #tell(error: unknown): void {
    try {
      this.#failed(error);
    } catch {
      // A processor that has stopped throws at every instruction, here too: nothing is left to do.
    }
  }

  async #run(): Promise<void> {
    try {
      while (this.#asked) {
        this.#asked = false;
        await this.#body();
      }
    } catch (error) {
      this.#tell(error);
    } finally {
      this.#running = false;
    }
  }
}
