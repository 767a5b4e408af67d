/**
 * Virtual time: alarms at instants counted in cycles. Nothing here reads the host's clock, so two runs
 * with the same inputs fire the same alarms in the same order (ties go to the alarm set first).
 */
import type { Pcpu } from './pcpu.ts';

export interface Alarm {
  readonly time: number;
  readonly order: number;
  readonly ring: (time: number) => void;
  /** Place in the heap, -1 once rung or cancelled. */
  index: number;
}

const before = (a: Alarm, b: Alarm): boolean =>
  a.time < b.time || (a.time === b.time && a.order < b.order);

export class Timeline {
  readonly #heap: Alarm[] = [];
  readonly #pcpus: Pcpu[] = [];
  #order = 0;

  /** Running CPUs stop at their horizon; an alarm set while they run brings it nearer. */
  watch(pcpu: Pcpu): void {
    this.#pcpus.push(pcpu);
  }

  /** Instant of the earliest alarm, or Infinity. */
  get next(): number {
    return this.#heap.length === 0 ? Number.POSITIVE_INFINITY : this.#heap[0]!.time;
  }

  /** Ring at `time` (cycles), or at the next boundary if that is past; beyond what can be counted, never. */
  at(time: number, ring: (time: number) => void): Alarm {
    // There a short period would be lost in rounding, and its alarm ring for ever at one instant.
    if (!(time <= Number.MAX_SAFE_INTEGER)) return { time, order: this.#order++, ring, index: -1 };
    const alarm: Alarm = { time, order: this.#order++, ring, index: this.#heap.length };
    this.#heap.push(alarm);
    this.#up(alarm);
    for (const pcpu of this.#pcpus) pcpu.limitHorizon(time);
    return alarm;
  }

  cancel(alarm: Alarm | undefined): void {
    if (alarm && alarm.index >= 0) this.#remove(alarm);
  }

  /** Ring every alarm due at or before `now`, earliest first, also those set meanwhile. */
  fire(now: number): void {
    while (this.#heap.length > 0 && this.#heap[0]!.time <= now) {
      const alarm = this.#heap[0]!;
      this.#remove(alarm);
      alarm.ring(alarm.time);
    }
  }

  #remove(alarm: Alarm): void {
    const last = this.#heap.pop()!;
    if (last !== alarm) {
      last.index = alarm.index;
      this.#heap[alarm.index] = last;
      this.#up(last);
      this.#down(last);
    }
    alarm.index = -1;
  }

  #up(alarm: Alarm): void {
    while (alarm.index > 0) {
      const parent = this.#heap[(alarm.index - 1) >> 1]!;
      if (!before(alarm, parent)) return;
      this.#swap(alarm, parent);
    }
  }

  #down(alarm: Alarm): void {
    for (;;) {
      const left = this.#heap[alarm.index * 2 + 1];
      const right = this.#heap[alarm.index * 2 + 2];
      const least = right && left && before(right, left) ? right : left;
      if (!least || !before(least, alarm)) return;
      this.#swap(alarm, least);
    }
  }

  #swap(a: Alarm, b: Alarm): void {
    const place = a.index;
    a.index = b.index;
    b.index = place;
    this.#heap[a.index] = a;
    this.#heap[b.index] = b;
  }
}
