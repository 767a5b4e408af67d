/**
 * The 8254 interval timer. Nothing ticks: a counter is the tick at which it was loaded, and whatever is read follows
 * from virtual time. Only counter 0 sets an alarm, for the next rise of its output (IRQ 0).
 * @source Intel 8254 data sheet, order number 231164; port 0x61 as in the ICH data sheets (NMI_SC)
 */

import { PitCounter } from './pit-counter.ts';
import type { Alarm, Timeline } from './timeline.ts';

/** Input clock of a PC's timer. */
export const PIT_HZ = 1193182;

/** Registers by address line: the three counters, then the control word. */
export const PIT_COUNTER_0 = 0;
export const PIT_COUNTER_1 = 1;
export const PIT_COUNTER_2 = 2;
export const PIT_CONTROL = 3;

const READ_BACK = 3;
const READ_BACK_NO_COUNT = 0x20;
const READ_BACK_NO_STATUS = 0x10;

const NMI_SC_GATE2 = 0x01;
const NMI_SC_SPEAKER = 0x02;
const NMI_SC_REFRESH = 0x10;
const NMI_SC_OUT2 = 0x20;
/** Ticks between two toggles of the refresh bit: about 15 microseconds. */
const REFRESH_TICKS = 18;

export class Pit {
  readonly #timeline: Timeline;
  readonly #irq: (high: boolean) => void;
  readonly #ticksPerCycle: number;
  readonly #counters: readonly [PitCounter, PitCounter, PitCounter] = [
    new PitCounter(true),
    new PitCounter(true),
    new PitCounter(false),
  ];
  #alarm: Alarm | undefined;
  #speaker = false;

  /** `irq` follows the output of counter 0. */
  constructor(timeline: Timeline, mhz: number, irq: (high: boolean) => void) {
    this.#timeline = timeline;
    this.#irq = irq;
    this.#ticksPerCycle = PIT_HZ / (mhz * 1e6);
  }

  read(register: number, now: number): number {
    const tick = this.#tick(now);
    switch (register) {
      case PIT_COUNTER_0:
      case PIT_COUNTER_1:
      case PIT_COUNTER_2:
        return this.#counters[register].read(tick);
      default: // the control word is write-only
        return 0xff;
    }
  }

  write(register: number, value: number, now: number): void {
    const tick = this.#tick(now);
    switch (register) {
      case PIT_COUNTER_0:
        this.#counters[0].write(value, tick);
        this.#arm(tick);
        break;
      case PIT_COUNTER_1:
      case PIT_COUNTER_2:
        this.#counters[register].write(value, tick);
        break;
      case PIT_CONTROL:
        this.#control(value, tick);
        break;
    }
  }

  /** Port 0x61. */
  readStatus(now: number): number {
    const tick = this.#tick(now);
    const counter = this.#counters[2];
    return (
      (counter.gate ? NMI_SC_GATE2 : 0) |
      (this.#speaker ? NMI_SC_SPEAKER : 0) |
      (Math.floor(tick / REFRESH_TICKS) % 2 === 1 ? NMI_SC_REFRESH : 0) |
      (counter.output(tick) ? NMI_SC_OUT2 : 0)
    );
  }

  writeStatus(value: number, now: number): void {
    this.#speaker = (value & NMI_SC_SPEAKER) !== 0;
    this.#counters[2].setGate((value & NMI_SC_GATE2) !== 0, this.#tick(now));
  }

  /** The machine has ended: no alarm of this timer rings any more. */
  stop(): void {
    this.#timeline.cancel(this.#alarm);
    this.#alarm = undefined;
  }

  #control(value: number, tick: number): void {
    const select = value >> 6;
    if (select === READ_BACK) {
      for (const [index, counter] of this.#counters.entries()) {
        if ((value & (2 << index)) === 0) continue;
        if ((value & READ_BACK_NO_COUNT) === 0) counter.latchCount(tick);
        if ((value & READ_BACK_NO_STATUS) === 0) counter.latchStatus(tick);
      }
      return;
    }
    const counter = this.#counters[select as 0 | 1 | 2];
    if ((value & 0x30) === 0) {
      counter.latchCount(tick);
      return;
    }
    counter.program(value);
    if (select !== PIT_COUNTER_0) return;
    this.stop();
    if (!counter.output(tick)) this.#irq(false);
  }

  #arm(tick: number): void {
    this.stop();
    const rise = this.#counters[0].nextRise(tick);
    if (rise === Number.POSITIVE_INFINITY) return;
    this.#alarm = this.#timeline.at(Math.ceil(rise / this.#ticksPerCycle), () => {
      this.#irq(false);
      this.#irq(true);
      this.#arm(rise);
    });
  }

  /** The tick at `now`; half a cycle early, so that rounding never puts an alarm before its own tick. */
  #tick(now: number): number {
    return Math.floor((now + 0.5) * this.#ticksPerCycle);
  }
}
