/**
 * A 16550A UART. Sending takes no time: the transmitter is empty again at once. What arrives from outside waits on the
 * line until the FIFO has room, so input is never lost; only loopback can overrun.
 * @source National Semiconductor PC16550D data sheet, table II and section 8
 */

/** Registers by address line; LCR.DLAB turns the first two into the divisor latch. */
export const UART_RBR_THR = 0;
export const UART_IER = 1;
export const UART_IIR_FCR = 2;
export const UART_LCR = 3;
export const UART_MCR = 4;
export const UART_LSR = 5;
export const UART_MSR = 6;
export const UART_SCR = 7;

const IER_ERBFI = 0x01;
const IER_ETBEI = 0x02;
const IER_ELSI = 0x04;
const IER_EDSSI = 0x08;

const IIR_NONE = 0x01;
const IIR_MODEM_STATUS = 0x00;
const IIR_THR_EMPTY = 0x02;
const IIR_RECEIVED_DATA = 0x04;
const IIR_LINE_STATUS = 0x06;
const IIR_CHARACTER_TIMEOUT = 0x0c;
const IIR_FIFO_ENABLED = 0xc0;

const FCR_ENABLE = 0x01;
const FCR_RESET_RECEIVER = 0x02;
const TRIGGER_LEVELS = [1, 4, 8, 14];

const LCR_DLAB = 0x80;

const MCR_OUT2 = 0x08;
const MCR_LOOP = 0x10;

const LSR_DR = 0x01;
const LSR_OE = 0x02;
const LSR_THRE = 0x20;
const LSR_TEMT = 0x40;

const MSR_TERI = 0x04;
const MSR_RI = 0x40;
/** The other end is there and ready: CTS, DSR, DCD. */
const MSR_CONNECTED = 0xb0;

const FIFO_BYTES = 16;

export class Uart {
  readonly #serial: (byte: number) => void;
  readonly #irq: (high: boolean) => void;
  readonly #line: number[] = [];
  readonly #fifo: number[] = [];
  #ier = 0;
  #fcr = 0;
  #lcr = 0;
  #mcr = 0;
  #msr = MSR_CONNECTED;
  #scr = 0;
  #divisorLow = 1;
  #divisorHigh = 0;
  #overrun = false;
  #thrEmpty = true;
  #high = false;

  /** `serial` takes each byte sent; `irq` follows the interrupt output, which OUT2 gates as on a PC. */
  constructor(serial: (byte: number) => void, irq: (high: boolean) => void) {
    this.#serial = serial;
    this.#irq = irq;
  }

  /** Bytes arrive from the other end. */
  receive(bytes: Uint8Array): void {
    for (const byte of bytes) this.#line.push(byte);
    this.#refill();
    this.#settle();
  }

  read(register: number): number {
    const value = this.#read(register);
    this.#settle();
    return value;
  }

  write(register: number, value: number): void {
    switch (register) {
      case UART_RBR_THR:
        if (this.#dlab) this.#divisorLow = value;
        else this.#send(value);
        break;
      case UART_IER:
        if (this.#dlab) this.#divisorHigh = value;
        else this.#enable(value & 0x0f);
        break;
      case UART_IIR_FCR:
        this.#controlFifo(value);
        break;
      case UART_LCR:
        this.#lcr = value;
        break;
      case UART_MCR:
        this.#controlModem(value & 0x1f);
        break;
      case UART_LSR: // read-only but for factory tests
      case UART_MSR:
        break;
      case UART_SCR:
        this.#scr = value;
        break;
    }
    this.#settle();
  }

  #read(register: number): number {
    switch (register) {
      case UART_RBR_THR:
        return this.#dlab ? this.#divisorLow : this.#take();
      case UART_IER:
        return this.#dlab ? this.#divisorHigh : this.#ier;
      case UART_IIR_FCR:
        return this.#identify();
      case UART_LCR:
        return this.#lcr;
      case UART_MCR:
        return this.#mcr;
      case UART_LSR:
        return this.#lineStatus();
      case UART_MSR:
        return this.#modemStatus();
      case UART_SCR:
        return this.#scr;
      default:
        return 0xff;
    }
  }

  get #dlab(): boolean {
    return (this.#lcr & LCR_DLAB) !== 0;
  }

  get #capacity(): number {
    return (this.#fcr & FCR_ENABLE) === 0 ? 1 : FIFO_BYTES;
  }

  #send(byte: number): void {
    if ((this.#mcr & MCR_LOOP) === 0) this.#serial(byte);
    else if (this.#fifo.length < this.#capacity) this.#fifo.push(byte);
    else this.#overrun = true;
    this.#thrEmpty = true;
  }

  #take(): number {
    const byte = this.#fifo.shift() ?? 0;
    this.#refill();
    return byte;
  }

  #refill(): void {
    if ((this.#mcr & MCR_LOOP) !== 0) return;
    const room = this.#capacity - this.#fifo.length;
    if (room > 0) this.#fifo.push(...this.#line.splice(0, room));
  }

  #enable(ier: number): void {
    // Enabling the transmitter's interrupt while it is empty raises it again.
    if ((ier & ~this.#ier & IER_ETBEI) !== 0) this.#thrEmpty = true;
    this.#ier = ier;
  }

  #controlFifo(fcr: number): void {
    const toggled = ((fcr ^ this.#fcr) & FCR_ENABLE) !== 0;
    this.#fcr = fcr & (FCR_ENABLE | 0xc0);
    if (toggled || (fcr & FCR_RESET_RECEIVER) !== 0) this.#fifo.length = 0;
    this.#refill();
  }

  #controlModem(mcr: number): void {
    this.#mcr = mcr;
    const before = this.#msr;
    const inputs = (mcr & MCR_LOOP) === 0 ? MSR_CONNECTED : loopedInputs(mcr);
    let deltas = ((before ^ inputs) >> 4) & 0x0b;
    if ((before & MSR_RI) !== 0 && (inputs & MSR_RI) === 0) deltas |= MSR_TERI;
    this.#msr = inputs | (before & 0x0f) | deltas;
    this.#refill();
  }

  #lineStatus(): number {
    const status =
      LSR_THRE | LSR_TEMT | (this.#fifo.length > 0 ? LSR_DR : 0) | (this.#overrun ? LSR_OE : 0);
    this.#overrun = false;
    return status;
  }

  #modemStatus(): number {
    const status = this.#msr;
    this.#msr &= 0xf0;
    return status;
  }

  #identify(): number {
    const cause = this.#cause();
    if (cause === IIR_THR_EMPTY) this.#thrEmpty = false;
    return cause | ((this.#fcr & FCR_ENABLE) === 0 ? 0 : IIR_FIFO_ENABLED);
  }

  /** The pending interrupt of highest priority, as IIR encodes it. */
  #cause(): number {
    if ((this.#ier & IER_ELSI) !== 0 && this.#overrun) return IIR_LINE_STATUS;
    if ((this.#ier & IER_ERBFI) !== 0 && this.#fifo.length > 0) {
      const fifos = (this.#fcr & FCR_ENABLE) !== 0;
      const trigger = fifos ? TRIGGER_LEVELS[this.#fcr >> 6]! : 1;
      return this.#fifo.length >= trigger ? IIR_RECEIVED_DATA : IIR_CHARACTER_TIMEOUT;
    }
    if ((this.#ier & IER_ETBEI) !== 0 && this.#thrEmpty) return IIR_THR_EMPTY;
    if ((this.#ier & IER_EDSSI) !== 0 && (this.#msr & 0x0f) !== 0) return IIR_MODEM_STATUS;
    return IIR_NONE;
  }

  #settle(): void {
    const wired = (this.#mcr & (MCR_OUT2 | MCR_LOOP)) === MCR_OUT2;
    const high = wired && this.#cause() !== IIR_NONE;
    if (high === this.#high) return;
    this.#high = high;
    this.#irq(high);
  }
}

/** In loopback the modem inputs are the outputs: RTS to CTS, DTR to DSR, OUT1 to RI, OUT2 to DCD. */
const loopedInputs = (mcr: number): number =>
  ((mcr & 0x02) << 3) | ((mcr & 0x01) << 5) | ((mcr & 0x04) << 4) | ((mcr & 0x08) << 4);
