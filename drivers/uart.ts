/**
 * A driver for the 16550 UART at COM1: the console of a bare kernel.
 * The one idea: output waits for an empty transmitter by polling, input comes by interrupt.
 * @source National Semiconductor PC16550D data sheet, section 8
 */
import { Observable, Subject } from 'rxjs';
import type { Cpu } from '../machine/cpu.ts';
import type { Console } from './console.ts';
import { consoleBytes } from './console.ts';
import type { IrqLine } from './ide.ts';

const COM1 = 0x3f8;
const COM1_IRQ = 4;

// Registers, from the base.
const DATA = 0;
const INTERRUPT_ENABLE = 1;
const FIFO_CONTROL = 2; // when written
const INTERRUPT_ID = 2; // when read
const LINE_CONTROL = 3;
const MODEM_CONTROL = 4;
const LINE_STATUS = 5;

const DATA_READY = 0x01;
const TRANSMITTER_EMPTY = 0x20;
const RECEIVE_INTERRUPT = 0x01;
const FIFO_ON = 0x07; // and both emptied
const FIFO_WORKS = 0xc0;
const EIGHT_BITS = 0x03;
const DIVISOR_ACCESS = 0x80;
const DTR_RTS_OUT2 = 0x0b; // OUT2 lets the interrupt through
const FIFO_DEPTH = 16;

export class UartConsole implements Console {
  readonly input: Observable<Uint8Array>;
  readonly #cpu: Cpu;
  readonly #depth: number;
  #listening = false;

  /** 115200 baud, eight bits, no parity. */
  constructor(cpu: Cpu, irq: IrqLine) {
    this.#cpu = cpu;
    cpu.out8(COM1 + INTERRUPT_ENABLE, 0);
    cpu.out8(COM1 + LINE_CONTROL, DIVISOR_ACCESS);
    cpu.out8(COM1 + DATA, 1);
    cpu.out8(COM1 + INTERRUPT_ENABLE, 0); // the divisor's high byte
    cpu.out8(COM1 + LINE_CONTROL, EIGHT_BITS);
    cpu.out8(COM1 + FIFO_CONTROL, FIFO_ON);
    cpu.out8(COM1 + MODEM_CONTROL, DTR_RTS_OUT2);
    const works = (cpu.in8(COM1 + INTERRUPT_ID) & FIFO_WORKS) === FIFO_WORKS;
    this.#depth = works ? FIFO_DEPTH : 1;
    this.input = this.#receiver(irq);
  }

  async write(text: string | Uint8Array): Promise<void> {
    const bytes = consoleBytes(text);
    for (let at = 0; at < bytes.length; at += this.#depth) {
      while ((this.#cpu.in8(COM1 + LINE_STATUS) & TRANSMITTER_EMPTY) === 0);
      for (const byte of bytes.subarray(at, at + this.#depth)) this.#cpu.out8(COM1 + DATA, byte);
    }
  }

  /** Listens to the line from the first subscriber on. */
  #receiver(irq: IrqLine): Observable<Uint8Array> {
    const received = new Subject<Uint8Array>();
    return new Observable((subscriber) => {
      const subscription = received.subscribe(subscriber);
      if (!this.#listening) {
        this.#listening = true;
        irq(COM1_IRQ).subscribe(() => this.#receive(received));
        this.#cpu.out8(COM1 + INTERRUPT_ENABLE, RECEIVE_INTERRUPT);
        this.#receive(received); // what came before anyone listened
      }
      return subscription;
    });
  }

  #receive(received: Subject<Uint8Array>): void {
    const bytes: number[] = [];
    while (this.#cpu.in8(COM1 + LINE_STATUS) & DATA_READY) bytes.push(this.#cpu.in8(COM1 + DATA));
    if (bytes.length === 0) return;
    queueMicrotask(() => received.next(Uint8Array.from(bytes))); // not in the interrupt
  }
}
