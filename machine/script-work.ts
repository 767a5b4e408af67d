/**
 * What TypeScript code waits for: computation that takes virtual time, and its vCPU's turn. Long work is done in
 * pieces between which alarms ring, interrupts arrive and other vCPUs run.
 */
import { CAUSE_WORK } from './account.ts';
import type { ScriptControl } from './script-control.ts';

interface Work {
  remaining: number;
  done: () => void;
}

export class ScriptWork {
  readonly #control: ScriptControl;
  readonly #queue: Work[] = [];
  #waiting: Array<() => void> = [];

  constructor(control: ScriptControl) {
    this.#control = control;
  }

  /** Spend `cycles`; work that fits before the horizon is done at once. */
  queue(cycles: number): Promise<void> {
    if (!(cycles >= 0 && cycles <= Number.MAX_SAFE_INTEGER)) {
      throw new RangeError(`cycles: ${cycles} is not a number of cycles`);
    }
    this.#control.tick();
    const { pcpu } = this.#control;
    if (this.#queue.length === 0 && pcpu.now + cycles < pcpu.horizon) {
      this.#control.charge(CAUSE_WORK, cycles);
      return Promise.resolve();
    }
    return new Promise((done) => this.#queue.push({ remaining: cycles, done }));
  }

  resumed(): Promise<void> {
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  /** @returns whether anyone waited. */
  wake(): boolean {
    const waiting = this.#waiting;
    if (waiting.length === 0) return false;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
    return true;
  }

  /** Do the first piece of queued work, up to its end or the vCPU's. @returns false when there is none. */
  advance(): boolean {
    const work = this.#queue[0];
    if (!work) return false;
    const control = this.#control;
    do {
      const { pcpu } = control;
      if (pcpu.now >= pcpu.horizon) control.boundary();
      const piece = Math.min(work.remaining, Math.max(1, pcpu.horizon - pcpu.now));
      control.charge(CAUSE_WORK, piece);
      work.remaining -= piece;
    } while (work.remaining > 0 && !control.preempted());
    if (work.remaining <= 0) {
      this.#queue.shift();
      work.done();
    }
    return true;
  }
}
