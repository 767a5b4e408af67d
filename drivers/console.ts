/** What a console is to a kernel, whatever carries it. */
import type { Observable } from 'rxjs';

export interface Console {
  /** Resolves when everything has been handed on; text goes as UTF-8. */
  write(text: string | Uint8Array): Promise<void>;
  /** What somebody types, as it comes. */
  readonly input: Observable<Uint8Array>;
}

const encoder = new TextEncoder();

/** What to send for `text`. */
export function consoleBytes(text: string | Uint8Array): Uint8Array {
  return typeof text === 'string' ? encoder.encode(text) : text;
}
