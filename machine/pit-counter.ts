/**
 * One counter of the 8254: what its count and output are at any tick of the input clock, given when it was loaded.
 * @source Intel 8254 data sheet, order number 231164, "Mode Definitions"
 */

const MODE_TERMINAL_COUNT = 0;
const MODE_ONE_SHOT = 1;
const MODE_RATE = 2;
const MODE_SQUARE = 3;
const MODE_SOFTWARE_STROBE = 4;
const MODE_HARDWARE_STROBE = 5;

const RW_LSB = 1;
const RW_MSB = 2;
const RW_BOTH = 3;

const STATUS_OUTPUT = 0x80;
const STATUS_NULL_COUNT = 0x40;
const RUNNING = -1;

export class PitCounter {
  gate: boolean;
  #control = RW_BOTH << 4;
  #mode = MODE_TERMINAL_COUNT;
  #access = RW_BOTH;
  #bcd = false;
  /** The count has been written; in modes 1 and 5 it counts only after a trigger. */
  #written = false;
  #counting = false;
  #reload = 0x10000;
  #start = 0;
  /** Ticks counted when the gate closed, or RUNNING. */
  #held = RUNNING;
  /** Modes 2 and 3: a count written meanwhile, effective at tick #nextAt. */
  #next = 0;
  #nextAt = Number.POSITIVE_INFINITY;
  #lowByte = -1;
  #readHigh = false;
  #latched = -1;
  #status = -1;

  constructor(gate: boolean) {
    this.gate = gate;
  }

  program(control: number): void {
    this.#control = control & 0x3f;
    const mode = (control >> 1) & 7;
    this.#mode = mode > MODE_HARDWARE_STROBE ? mode - 4 : mode;
    this.#access = (control >> 4) & 3;
    this.#bcd = (control & 1) !== 0;
    this.#written = false;
    this.#counting = false;
    this.#held = RUNNING;
    this.#nextAt = Number.POSITIVE_INFINITY;
    this.#lowByte = -1;
    this.#readHigh = false;
    this.#latched = -1;
    this.#status = -1;
  }

  write(value: number, tick: number): void {
    switch (this.#access) {
      case RW_LSB:
        this.#load(value, tick);
        break;
      case RW_MSB:
        this.#load(value << 8, tick);
        break;
      default:
        if (this.#lowByte < 0) {
          this.#lowByte = value;
          if (this.#mode === MODE_TERMINAL_COUNT) this.#counting = false;
        } else {
          this.#load(this.#lowByte | (value << 8), tick);
          this.#lowByte = -1;
        }
    }
  }

  read(tick: number): number {
    if (this.#status >= 0) {
      const status = this.#status;
      this.#status = -1;
      return status;
    }
    const count = this.#latched >= 0 ? this.#latched : this.#count(tick);
    if (this.#access === RW_BOTH && !this.#readHigh) {
      this.#readHigh = true;
      return count & 0xff;
    }
    this.#readHigh = false;
    this.#latched = -1;
    return this.#access === RW_LSB ? count & 0xff : count >> 8;
  }

  /** A count latched earlier stays until it is read. */
  latchCount(tick: number): void {
    if (this.#latched < 0) this.#latched = this.#count(tick);
  }

  latchStatus(tick: number): void {
    if (this.#status >= 0) return;
    const output = this.output(tick) ? STATUS_OUTPUT : 0;
    const loaded = this.#counting && this.#nextAt === Number.POSITIVE_INFINITY;
    this.#status = output | (loaded ? 0 : STATUS_NULL_COUNT) | this.#control;
  }

  setGate(open: boolean, tick: number): void {
    if (open === this.gate) return;
    this.#settle(tick);
    const elapsed = this.#elapsed(tick);
    this.gate = open;
    switch (this.#mode) {
      case MODE_ONE_SHOT:
      case MODE_HARDWARE_STROBE: // the gate is a trigger
        if (open && this.#written) this.#begin(this.#reload, tick);
        break;
      case MODE_RATE:
      case MODE_SQUARE: // opening starts a new period
        if (open) this.#start = tick;
        this.#held = open ? RUNNING : elapsed;
        break;
      default: // the gate suspends
        if (open) this.#start = tick - elapsed;
        this.#held = open ? RUNNING : elapsed;
    }
  }

  output(tick: number): boolean {
    this.#settle(tick);
    if (!this.#counting) return this.#mode !== MODE_TERMINAL_COUNT;
    const elapsed = this.#elapsed(tick);
    switch (this.#mode) {
      case MODE_TERMINAL_COUNT:
      case MODE_ONE_SHOT:
        return elapsed >= this.#reload;
      case MODE_RATE:
        return !this.gate || elapsed % this.#reload !== this.#reload - 1;
      case MODE_SQUARE:
        return !this.gate || elapsed % this.#reload < Math.ceil(this.#reload / 2);
      default:
        return elapsed !== this.#reload;
    }
  }

  /** The first tick after `tick` at which the output rises, or Infinity. */
  nextRise(tick: number): number {
    this.#settle(tick);
    if (!this.#counting || this.#held !== RUNNING) return Number.POSITIVE_INFINITY;
    let rise = this.#start + this.#reload;
    if (this.#mode === MODE_RATE || this.#mode === MODE_SQUARE) {
      const periods = Math.floor(Math.max(0, tick - this.#start) / this.#reload);
      return rise + periods * this.#reload;
    }
    if (this.#mode === MODE_SOFTWARE_STROBE) rise += 1;
    return rise > tick ? rise : Number.POSITIVE_INFINITY;
  }

  #load(raw: number, tick: number): void {
    let count = this.#bcd ? fromBcd(raw) : raw;
    if (count === 0) count = this.#modulus;
    this.#written = true;
    switch (this.#mode) {
      case MODE_ONE_SHOT:
      case MODE_HARDWARE_STROBE:
        this.#reload = count;
        break;
      case MODE_RATE:
      case MODE_SQUARE:
        count = Math.max(count, 2); // the data sheet forbids 1
        if (this.#counting && this.gate) this.#loadNext(count, tick);
        else this.#begin(count, tick);
        break;
      default:
        this.#begin(count, tick);
    }
  }

  /** The count takes effect one clock after it is written. */
  #begin(count: number, tick: number): void {
    this.#reload = count;
    this.#start = tick + 1;
    this.#counting = true;
    this.#nextAt = Number.POSITIVE_INFINITY;
    const free = this.gate || this.#mode === MODE_ONE_SHOT || this.#mode === MODE_HARDWARE_STROBE;
    this.#held = free ? RUNNING : 0;
  }

  #loadNext(count: number, tick: number): void {
    this.#settle(tick);
    this.#next = count;
    this.#nextAt = this.nextRise(tick);
  }

  #settle(tick: number): void {
    if (tick < this.#nextAt) return;
    this.#reload = this.#next;
    this.#start = this.#nextAt;
    this.#nextAt = Number.POSITIVE_INFINITY;
  }

  #elapsed(tick: number): number {
    return this.#held !== RUNNING ? this.#held : Math.max(0, tick - this.#start);
  }

  #count(tick: number): number {
    this.#settle(tick);
    const count = this.#binaryCount(tick) % this.#modulus;
    return this.#bcd ? toBcd(count) : count;
  }

  #binaryCount(tick: number): number {
    if (!this.#counting) return this.#written ? this.#reload : 0;
    const elapsed = this.#elapsed(tick);
    switch (this.#mode) {
      case MODE_RATE:
        return this.#reload - (elapsed % this.#reload);
      case MODE_SQUARE:
        return this.#reload - 2 * ((elapsed % this.#reload) % Math.ceil(this.#reload / 2));
      default: // counts on below zero
        return this.#modulus + ((this.#reload - elapsed) % this.#modulus);
    }
  }

  get #modulus(): number {
    return this.#bcd ? 10000 : 0x10000;
  }
}

const fromBcd = (raw: number): number =>
  Math.min(
    9999,
    (raw >> 12) * 1000 + ((raw >> 8) & 15) * 100 + ((raw >> 4) & 15) * 10 + (raw & 15),
  );

const toBcd = (count: number): number =>
  (Math.floor(count / 1000) << 12) |
  ((Math.floor(count / 100) % 10) << 8) |
  ((Math.floor(count / 10) % 10) << 4) |
  (count % 10);
