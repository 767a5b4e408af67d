/**
 * The two 8259A interrupt controllers: lines 0..15 at vectors 32..47. A line is masked unless
 * somebody listens.
 * @source Intel 8259A data sheet
 */
import type { Cpu } from '../../machine/cpu.ts';
import { Signal } from '../signal.ts';

const COMMAND = [0x20, 0xa0] as const;
const DATA = [0x21, 0xa1] as const;
export const IRQ_VECTOR = 32;
export const IRQ_LINES = 16;
const CASCADE = 2;
const EOI = 0x20;
const READ_ISR = 0x0b;

export class Pic {
  readonly #cpu: Cpu;
  readonly #signals: Signal[] = [];
  #masks = 0xffff & ~(1 << CASCADE);

  constructor(cpu: Cpu) {
    this.#cpu = cpu;
    for (const chip of [0, 1] as const) {
      cpu.out8(COMMAND[chip], 0x11); // initialise, edge-triggered, cascade, a fourth word follows
      cpu.out8(DATA[chip], IRQ_VECTOR + chip * 8);
      cpu.out8(DATA[chip], chip === 0 ? 1 << CASCADE : CASCADE);
      cpu.out8(DATA[chip], 0x01); // 8086 mode, EOI by software
      cpu.out8(DATA[chip], (this.#masks >> (chip * 8)) & 0xff);
    }
    for (let line = 0; line < IRQ_LINES; line++) {
      const set = (masked: boolean): void => this.#setMask(line, masked);
      this.#signals.push(new Signal({ first: () => set(false), last: () => set(true) }));
    }
  }

  /** @throws RangeError for a line that is not 0..15. */
  line(line: number): Signal {
    const signal = this.#signals[line];
    if (!signal) throw new RangeError(`irq ${line} is not a line from 0 to ${IRQ_LINES - 1}`);
    return signal;
  }

  /**
   * The interrupt of `line` arrived: end it, then call who listens, so that a new edge meanwhile is
   * not lost.
   */
  handle(line: number): void {
    const chip = line < 8 ? 0 : 1;
    if ((line & 7) === 7 && !this.#inService(chip, 7)) {
      // A spurious one: the slave knows nothing of it, the master's cascade line does.
      if (chip === 1) this.#cpu.out8(COMMAND[0], EOI);
      return;
    }
    if (chip === 1) this.#cpu.out8(COMMAND[1], EOI);
    this.#cpu.out8(COMMAND[0], EOI);
    this.#signals[line]!.emit();
  }

  #inService(chip: 0 | 1, bit: number): boolean {
    this.#cpu.out8(COMMAND[chip], READ_ISR);
    return ((this.#cpu.in8(COMMAND[chip]) >> bit) & 1) === 1;
  }

  #setMask(line: number, masked: boolean): void {
    this.#masks = masked ? this.#masks | (1 << line) : this.#masks & ~(1 << line);
    const chip = line < 8 ? 0 : 1;
    this.#cpu.out8(DATA[chip], (this.#masks >> (chip * 8)) & 0xff);
  }
}
