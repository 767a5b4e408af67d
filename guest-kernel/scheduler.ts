/**
 * An RxJS scheduler on a kernel's clock, so that operators like `interval` and `timeout` run on
 * guest time.
 */
import { type SchedulerAction, type SchedulerLike, Subscription } from 'rxjs';
import type { Clock } from './kernel.ts';

const NANOS_PER_MILLI = 1_000_000;

type Work<T> = (this: SchedulerAction<T>, state?: T) => void;

/** Time is in milliseconds, as RxJS has it; work runs in the timer's interrupt. */
export class ClockScheduler implements SchedulerLike {
  readonly #clock: Clock;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  now(): number {
    return this.#clock.nanos() / NANOS_PER_MILLI;
  }

  schedule<T>(work: Work<T>, delay = 0, state?: T): Subscription {
    return new ClockAction(this.#clock, work).schedule(state, delay);
  }
}

class ClockAction<T> extends Subscription implements SchedulerAction<T> {
  readonly #clock: Clock;
  readonly #work: Work<T>;
  #cancel: () => void = () => {};

  constructor(clock: Clock, work: Work<T>) {
    super(() => this.#cancel());
    this.#clock = clock;
    this.#work = work;
  }

  schedule(state?: T, delay = 0): Subscription {
    if (this.closed) return this;
    this.#cancel();
    const due = this.#clock.nanos() + delay * NANOS_PER_MILLI;
    this.#cancel = this.#clock.at(due, () => this.#work.call(this, state));
    return this;
  }
}
