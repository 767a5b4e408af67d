/**
 * Several consoles on one terminal. As long as one speaker is heard its bytes pass as they are; from the
 * moment a second one speaks, every line says whose it is.
 */
const NEWLINE = 10;

export class ConsolePrinter {
  readonly #write: (bytes: Uint8Array) => void;
  readonly #heard = new Set<string>();
  #current: string | undefined;
  #midLine = false;

  constructor(write: (bytes: Uint8Array) => void) {
    this.#write = write;
  }

  say(speaker: string, bytes: Uint8Array): void {
    this.#heard.add(speaker);
    if (this.#midLine && speaker !== this.#current) this.endLine();
    this.#current = speaker;
    for (let start = 0; start < bytes.length; ) {
      const newline = bytes.indexOf(NEWLINE, start);
      const end = newline < 0 ? bytes.length : newline + 1;
      if (!this.#midLine && this.#heard.size > 1) this.#write(Buffer.from(`(${speaker}) `));
      this.#write(bytes.subarray(start, end));
      this.#midLine = newline < 0;
      start = end;
    }
  }

  /** Finish a line that nobody finished. */
  endLine(): void {
    if (this.#midLine) this.#write(Uint8Array.of(NEWLINE));
    this.#midLine = false;
  }
}
