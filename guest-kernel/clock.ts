/**
 * Alarms over one hardware timer: a heap of instants, the earliest programmed. Callbacks run in the
 * timer's interrupt; `sleep` continues its thread afterwards.
 */
import type { SchedulerLike } from 'rxjs';
import type { Clock } from './kernel.ts';
import { ClockScheduler } from './scheduler.ts';

/** The hardware under a clock. Instants are nanoseconds since boot. */
export interface Timer {
  nanos(): number;
  /**
   * Interrupt at `ns`, or at once if that is past; replaces the instant set before. It may
   * interrupt early.
   */
  arm(ns: number): void;
}

interface Alarm {
  readonly at: number;
  readonly order: number;
  callback: (() => void) | undefined;
}

export class TimerClock implements Clock {
  readonly scheduler: SchedulerLike = new ClockScheduler(this);
  readonly #timer: Timer;
  readonly #heap: Alarm[] = [];
  #order = 0;

  constructor(timer: Timer) {
    this.#timer = timer;
  }

  nanos(): number {
    return this.#timer.nanos();
  }

  sleep(ns: number): Promise<void> {
    return new Promise((resolve) => {
      this.at(this.nanos() + ns, resolve);
    });
  }

  at(ns: number, callback: () => void): () => void {
    const alarm: Alarm = { at: ns, order: this.#order++, callback };
    push(this.#heap, alarm);
    if (this.#heap[0] === alarm) this.#timer.arm(ns);
    return () => {
      alarm.callback = undefined;
    };
  }

  /** The timer's interrupt: run what is due, program what is next. */
  interrupt(): void {
    const heap = this.#heap;
    const now = this.nanos();
    while (heap.length > 0 && (heap[0]!.at <= now || !heap[0]!.callback)) pop(heap).callback?.();
    if (heap.length > 0) this.#timer.arm(heap[0]!.at);
  }
}

const before = (a: Alarm, b: Alarm): boolean => a.at < b.at || (a.at === b.at && a.order < b.order);

function push(heap: Alarm[], alarm: Alarm): void {
  let i = heap.push(alarm) - 1;
  while (i > 0) {
    const parent = (i - 1) >> 1;
    if (!before(alarm, heap[parent]!)) break;
    heap[i] = heap[parent]!;
    i = parent;
  }
  heap[i] = alarm;
}

function pop(heap: Alarm[]): Alarm {
  const top = heap[0]!;
  const last = heap.pop()!;
  if (heap.length === 0) return top;
  let i = 0;
  for (;;) {
    let child = 2 * i + 1;
    if (child >= heap.length) break;
    if (child + 1 < heap.length && before(heap[child + 1]!, heap[child]!)) child++;
    if (!before(heap[child]!, last)) break;
    heap[i] = heap[child]!;
    i = child;
  }
  heap[i] = last;
  return top;
}
