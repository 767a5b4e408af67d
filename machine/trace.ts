/**
 * The trace: one stream of typed records for everything that crosses a boundary. Free when nobody
 * listens: callers test `on` before they build a record.
 */

/** What every record has: virtual time in cycles, who (`d1v0`, `cpu0`, `d0`), and its kind. */
export interface TraceRecord {
  time: number;
  who: string;
  kind: string;
  [detail: string]: string | number | bigint | boolean | undefined;
}

export class Trace {
  readonly #listeners = new Set<(record: TraceRecord) => void>();
  /** True while someone listens. */
  on = false;

  /** @returns a function that stops listening. */
  listen(listener: (record: TraceRecord) => void): () => void {
    this.#listeners.add(listener);
    this.on = true;
    return () => {
      this.#listeners.delete(listener);
      this.on = this.#listeners.size > 0;
    };
  }

  emit(record: TraceRecord): void {
    for (const listener of this.#listeners) listener(record);
  }
}
