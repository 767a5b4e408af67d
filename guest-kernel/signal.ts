/**
 * A source of interrupts as an Observable. Unlike a plain Subject it calls function observers
 * directly: they are interrupt handlers, so an error in one belongs to the kernel's interrupt
 * entry, and RxJS must not set it aside.
 */
import { Observable, type Observer, Subscriber, Subscription } from 'rxjs';

/** Told when the first observer came and the last one left. */
export interface SignalHooks {
  first(): void;
  last(): void;
}

type Next<T> = (value: T) => void;

export class Signal<T = void> extends Observable<T> {
  readonly #hooks: SignalHooks;
  // Replaced, never changed in place: an emission goes over the list that it began with.
  #handlers: readonly Next<T>[] = [];
  #completions: readonly (() => void)[] = [];
  #closed = false;

  constructor(hooks: SignalHooks) {
    super((subscriber) =>
      this.#attach(
        (value) => subscriber.next(value),
        () => subscriber.complete(),
      ),
    );
    this.#hooks = hooks;
  }

  get observed(): boolean {
    return this.#handlers.length > 0;
  }

  emit(value: T): void {
    const handlers = this.#handlers;
    for (let i = 0; i < handlers.length; i++) handlers[i]!(value);
  }

  complete(): void {
    this.#closed = true;
    const completions = this.#completions;
    this.#handlers = [];
    this.#completions = [];
    for (const complete of completions) complete();
  }

  override subscribe(observer?: Partial<Observer<T>> | Next<T>): Subscription;
  override subscribe(
    next?: Next<T> | null,
    error?: ((error: unknown) => void) | null,
    complete?: (() => void) | null,
  ): Subscription;
  override subscribe(
    observer?: Partial<Observer<T>> | Next<T> | null,
    _error?: ((error: unknown) => void) | null,
    complete?: (() => void) | null,
  ): Subscription {
    if (observer instanceof Subscriber) return super.subscribe(observer);
    if (typeof observer === 'function' || !observer) {
      return new Subscription(this.#attach(observer ?? (() => {}), complete ?? (() => {})));
    }
    return new Subscription(
      this.#attach(
        (value) => observer.next?.(value),
        () => observer.complete?.(),
      ),
    );
  }

  #attach(next: Next<T>, complete: () => void): () => void {
    if (this.#closed) {
      complete();
      return () => {};
    }
    // A wrapper of its own for each subscription, so that one function may subscribe twice.
    const handler: Next<T> = (value) => next(value);
    const completion = (): void => complete();
    this.#handlers = [...this.#handlers, handler];
    this.#completions = [...this.#completions, completion];
    if (this.#handlers.length === 1) this.#hooks.first();
    return () => {
      if (!this.#handlers.includes(handler)) return;
      this.#handlers = this.#handlers.filter((h) => h !== handler);
      this.#completions = this.#completions.filter((c) => c !== completion);
      if (this.#handlers.length === 0) this.#hooks.last();
    };
  }
}
