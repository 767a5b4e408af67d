/**
 * Two 8259A interrupt controllers, the slave on line 2 of the master, as a PC has them. A request is an edge, and
 * lives only while its line stays high: one that falls before it is acknowledged leaves the spurious level 7.
 * @source Intel 8259A data sheet, order number 231468
 */

/** Registers of the pair by their address line: the master's two, then the slave's two. */
export const PIC_MASTER_COMMAND = 0;
export const PIC_MASTER_DATA = 1;
export const PIC_SLAVE_COMMAND = 2;
export const PIC_SLAVE_DATA = 3;

const ICW1_IC4 = 0x01;
const ICW1_SNGL = 0x02;
const ICW1_INIT = 0x10;
const ICW4_AEOI = 0x02;
const ICW4_SFNM = 0x10;
const OCW2_EOI = 0x20;
const OCW2_SL = 0x40;
const OCW2_R = 0x80;
const OCW3_SELECT = 0x08;
const OCW3_RIS = 0x01;
const OCW3_RR = 0x02;
const OCW3_P = 0x04;
const OCW3_SMM = 0x20;
const OCW3_ESMM = 0x40;
const POLL_REQUEST = 0x80;

const CASCADE = 2;
const SPURIOUS = 7;

/** One chip. Levels are 0..7; -1 says that there is none. */
class I8259 {
  irr = 0;
  isr = 0;
  imr = 0;
  vectorBase = 0;
  #lines = 0;
  /** The next ICW expected at the data address, or 0 when initialized. */
  #expects = 0;
  #icw1 = 0;
  #icw4 = 0;
  #lowest = 7;
  #rotateOnAeoi = false;
  #specialMask = false;
  #readIsr = false;
  #poll = false;
  readonly #master: boolean;

  constructor(master: boolean) {
    this.#master = master;
  }

  raise(level: number): void {
    const bit = 1 << level;
    if ((this.#lines & bit) === 0) this.irr |= bit;
    this.#lines |= bit;
  }

  lower(level: number): void {
    this.#lines &= ~(1 << level);
    this.irr &= ~(1 << level);
  }

  /** The level that INT is high for, or -1: unmasked, and above everything in service. */
  request(): number {
    const wanted = this.irr & ~this.imr;
    if (wanted === 0) return -1;
    const blocking = this.#specialMask ? this.isr & ~this.imr : this.isr;
    for (let rank = 1; rank <= 8; rank++) {
      const level = (this.#lowest + rank) & 7;
      const bit = 1 << level;
      const nested = this.#master && level === CASCADE && (this.#icw4 & ICW4_SFNM) !== 0;
      if ((wanted & bit) !== 0 && ((blocking & bit) === 0 || nested)) return level;
      if ((blocking & bit) !== 0) return -1;
    }
    return -1;
  }

  /** INTA: the requesting level goes into service; -1 when the request has gone (spurious). */
  acknowledge(): number {
    const level = this.request();
    if (level < 0) return -1;
    this.irr &= ~(1 << level);
    if ((this.#icw4 & ICW4_AEOI) === 0) this.isr |= 1 << level;
    else if (this.#rotateOnAeoi) this.#lowest = level;
    return level;
  }

  readCommand(): number {
    if (this.#poll) return this.#pollWord();
    return this.#readIsr ? this.isr : this.irr;
  }

  readData(): number {
    return this.#poll ? this.#pollWord() : this.imr;
  }

  writeCommand(value: number): void {
    if ((value & ICW1_INIT) !== 0) this.#initialize(value);
    else if ((value & OCW3_SELECT) !== 0) this.#control(value);
    else this.#endOfInterrupt(value);
  }

  writeData(value: number): void {
    switch (this.#expects) {
      case 2:
        this.vectorBase = value & 0xf8;
        this.#expects = (this.#icw1 & ICW1_SNGL) === 0 ? 3 : this.#afterCascade();
        break;
      case 3: // which line the slave is on is wired here, whatever is written
        this.#expects = this.#afterCascade();
        break;
      case 4:
        this.#icw4 = value;
        this.#expects = 0;
        break;
      default:
        this.imr = value;
    }
  }

  #afterCascade(): number {
    return (this.#icw1 & ICW1_IC4) === 0 ? 0 : 4;
  }

  #initialize(icw1: number): void {
    this.#icw1 = icw1;
    this.#icw4 = 0;
    this.#expects = 2;
    this.irr = 0;
    this.isr = 0;
    this.imr = 0;
    this.#lowest = 7;
    this.#rotateOnAeoi = false;
    this.#specialMask = false;
    this.#readIsr = false;
    this.#poll = false;
  }

  #control(ocw3: number): void {
    if ((ocw3 & OCW3_ESMM) !== 0) this.#specialMask = (ocw3 & OCW3_SMM) !== 0;
    if ((ocw3 & OCW3_P) !== 0) this.#poll = true;
    else if ((ocw3 & OCW3_RR) !== 0) this.#readIsr = (ocw3 & OCW3_RIS) !== 0;
  }

  #endOfInterrupt(ocw2: number): void {
    const rotate = (ocw2 & OCW2_R) !== 0;
    const specific = (ocw2 & OCW2_SL) !== 0;
    const level = specific ? ocw2 & 7 : this.#highestInService();
    if ((ocw2 & OCW2_EOI) === 0) {
      if (!specific) this.#rotateOnAeoi = rotate;
      else if (rotate) this.#lowest = level;
    } else if (level >= 0) {
      this.isr &= ~(1 << level);
      if (rotate) this.#lowest = level;
    }
  }

  #highestInService(): number {
    const inService = this.#specialMask ? this.isr & ~this.imr : this.isr;
    for (let rank = 1; rank <= 8; rank++) {
      const level = (this.#lowest + rank) & 7;
      if ((inService & (1 << level)) !== 0) return level;
    }
    return -1;
  }

  #pollWord(): number {
    this.#poll = false;
    const level = this.acknowledge();
    return level < 0 ? 0 : POLL_REQUEST | level;
  }
}

export class Pic {
  readonly #master = new I8259(true);
  readonly #slave = new I8259(false);
  readonly #intr: () => void;
  #output = false;

  /** `intr` is called whenever the INT output to the processor rises. */
  constructor(intr: () => void) {
    this.#intr = intr;
  }

  /** INT is high: the processor may acknowledge. */
  get pending(): boolean {
    return this.#master.request() >= 0;
  }

  /** Line 0..15 goes high; line 2 is the slave's and not to be had. */
  raise(line: number): void {
    if (line === CASCADE) return;
    if (line < 8) this.#master.raise(line);
    else this.#slave.raise(line & 7);
    this.#settle();
  }

  lower(line: number): void {
    if (line === CASCADE) return;
    if (line < 8) this.#master.lower(line);
    else this.#slave.lower(line & 7);
    this.#settle();
  }

  /** INTA: the vector of the highest request, or that of the spurious level 7 or 15. */
  acknowledge(): number {
    let chip = this.#master;
    let level = chip.acknowledge();
    if (level === CASCADE) {
      chip = this.#slave;
      level = chip.acknowledge();
      this.#master.lower(CASCADE);
    }
    this.#output = false;
    this.#settle();
    return chip.vectorBase + (level < 0 ? SPURIOUS : level);
  }

  read(register: number): number {
    const value = this.#read(register);
    this.#settle();
    return value;
  }

  write(register: number, value: number): void {
    switch (register) {
      case PIC_MASTER_COMMAND:
        this.#master.writeCommand(value);
        break;
      case PIC_MASTER_DATA:
        this.#master.writeData(value);
        break;
      case PIC_SLAVE_COMMAND:
        this.#slave.writeCommand(value);
        break;
      case PIC_SLAVE_DATA:
        this.#slave.writeData(value);
        break;
    }
    this.#settle();
  }

  #read(register: number): number {
    switch (register) {
      case PIC_MASTER_COMMAND:
        return this.#master.readCommand();
      case PIC_MASTER_DATA:
        return this.#master.readData();
      case PIC_SLAVE_COMMAND:
        return this.#slave.readCommand();
      case PIC_SLAVE_DATA:
        return this.#slave.readData();
      default:
        return 0xff;
    }
  }

  /** Carry the slave's INT to the master, and the master's to the processor. */
  #settle(): void {
    if (this.#slave.request() >= 0) this.#master.raise(CASCADE);
    else this.#master.lower(CASCADE);
    const output = this.pending;
    const rose = output && !this.#output;
    this.#output = output;
    if (rose) this.#intr();
  }
}
