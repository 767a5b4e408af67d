import { describe, expect, it } from 'vitest';
import {
  UART_IER,
  UART_IIR_FCR,
  UART_LCR,
  UART_LSR,
  UART_MCR,
  UART_MSR,
  UART_RBR_THR,
  UART_SCR,
  Uart,
} from '../../machine/uart.ts';

const bytes = (text: string) => new TextEncoder().encode(text);

const port = () => {
  const sent: number[] = [];
  const irq = { high: false };
  const uart = new Uart(
    (byte) => sent.push(byte),
    (high) => {
      irq.high = high;
    },
  );
  return { uart, sent, irq };
};

describe('16550A', () => {
  it('sends what is written to THR, and is always ready for more', () => {
    const { uart, sent } = port();

    uart.write(UART_RBR_THR, 0x41);

    expect(sent).toEqual([0x41]);
    expect(uart.read(UART_LSR)).toBe(0x60);
  });

  it('keeps the divisor behind DLAB', () => {
    const { uart, sent } = port();
    uart.write(UART_LCR, 0x83);
    uart.write(UART_RBR_THR, 0x0c);
    uart.write(UART_IER, 0x01);
    expect([uart.read(UART_RBR_THR), uart.read(UART_IER)]).toEqual([0x0c, 0x01]);

    uart.write(UART_LCR, 0x03);

    expect(uart.read(UART_IER)).toBe(0);
    expect(sent).toEqual([]);
  });

  it('interrupts for received data until it is read, if OUT2 wires it', () => {
    const { uart, irq } = port();
    uart.write(UART_IER, 0x01);
    uart.receive(bytes('x'));
    expect(irq.high).toBe(false);

    uart.write(UART_MCR, 0x08);

    expect(irq.high).toBe(true);
    expect(uart.read(UART_IIR_FCR)).toBe(0x04);
    expect(uart.read(UART_LSR) & 1).toBe(1);
    expect(uart.read(UART_RBR_THR)).toBe(0x78);
    expect(irq.high).toBe(false);
    expect(uart.read(UART_IIR_FCR)).toBe(0x01);
  });

  it('tells a full FIFO from one that timed out below its trigger', () => {
    const { uart } = port();
    uart.write(UART_IIR_FCR, 0x81);
    uart.write(UART_IER, 0x01);
    uart.receive(bytes('12345678'));

    expect(uart.read(UART_IIR_FCR)).toBe(0xc4);
    uart.read(UART_RBR_THR);
    expect(uart.read(UART_IIR_FCR)).toBe(0xcc);
  });

  it('loses no input, however slowly it is read', () => {
    const { uart } = port();
    const text = 'a line that is longer than sixteen bytes';
    uart.write(UART_IIR_FCR, 0x01);
    uart.receive(bytes(text));

    let read = '';
    while ((uart.read(UART_LSR) & 1) !== 0) read += String.fromCharCode(uart.read(UART_RBR_THR));

    expect(read).toBe(text);
    expect(uart.read(UART_LSR) & 2).toBe(0);
  });

  it('raises THRE when it is enabled, drops it when IIR names it, raises it after the next byte', () => {
    const { uart, irq } = port();
    uart.write(UART_MCR, 0x08);

    uart.write(UART_IER, 0x02);
    expect(irq.high).toBe(true);
    expect(uart.read(UART_IIR_FCR)).toBe(0x02);
    expect(irq.high).toBe(false);
    uart.write(UART_RBR_THR, 0x41);

    expect(irq.high).toBe(true);
  });

  it('names received data before the empty transmitter, and line status before both', () => {
    const { uart } = port();
    uart.write(UART_MCR, 0x10);
    uart.write(UART_IER, 0x07);
    uart.write(UART_RBR_THR, 1);
    uart.write(UART_RBR_THR, 2);

    expect(uart.read(UART_IIR_FCR)).toBe(0x06);
    expect(uart.read(UART_LSR) & 2).toBe(2);
    expect(uart.read(UART_IIR_FCR)).toBe(0x04);
    uart.read(UART_RBR_THR);
    expect(uart.read(UART_IIR_FCR)).toBe(0x02);
  });

  it('loops THR and the modem outputs back, sending nothing', () => {
    const { uart, sent } = port();
    expect(uart.read(UART_MSR)).toBe(0xb0);
    uart.write(UART_MCR, 0x1f);
    uart.write(UART_RBR_THR, 0xae);

    expect(uart.read(UART_RBR_THR)).toBe(0xae);
    expect(uart.read(UART_MSR)).toBe(0xf0);
    uart.write(UART_MCR, 0x10);
    expect(uart.read(UART_MSR)).toBe(0x0f);
    expect(sent).toEqual([]);
  });

  it('has a scratch register', () => {
    const { uart } = port();
    uart.write(UART_SCR, 0x5a);
    expect(uart.read(UART_SCR)).toBe(0x5a);
  });
});
