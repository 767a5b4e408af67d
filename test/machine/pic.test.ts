import { describe, expect, it } from 'vitest';
import {
  PIC_MASTER_COMMAND,
  PIC_MASTER_DATA,
  PIC_SLAVE_COMMAND,
  PIC_SLAVE_DATA,
  Pic,
} from '../../machine/pic.ts';

const EOI = 0x20;
const READ_IRR = 0x0a;
const READ_ISR = 0x0b;

const initialized = (icw4 = 0x01) => {
  const rises: number[] = [];
  const pic = new Pic(() => rises.push(rises.length));
  for (const [command, data, base, cascade] of [
    [PIC_MASTER_COMMAND, PIC_MASTER_DATA, 0x20, 4],
    [PIC_SLAVE_COMMAND, PIC_SLAVE_DATA, 0x28, 2],
  ] as const) {
    pic.write(command, 0x11);
    pic.write(data, base);
    pic.write(data, cascade);
    pic.write(data, icw4);
  }
  return { pic, rises };
};

describe('8259A', () => {
  it('gives the vector of ICW2 plus the level, and INTR rises once', () => {
    const { pic, rises } = initialized();

    pic.raise(4);

    expect(pic.pending).toBe(true);
    expect(rises).toHaveLength(1);
    expect(pic.acknowledge()).toBe(0x24);
    expect(pic.pending).toBe(false);
    pic.write(PIC_MASTER_COMMAND, READ_ISR);
    expect(pic.read(PIC_MASTER_COMMAND)).toBe(1 << 4);
  });

  it('serves a lower level only after the EOI, and INTR rises again for it', () => {
    const { pic, rises } = initialized();
    pic.raise(1);
    pic.acknowledge();
    pic.raise(4);
    expect(pic.pending).toBe(false);

    pic.write(PIC_MASTER_COMMAND, EOI);

    expect(rises).toHaveLength(2);
    expect(pic.acknowledge()).toBe(0x24);
  });

  it('nests a higher level into a lower one', () => {
    const { pic } = initialized();
    pic.raise(4);
    pic.acknowledge();

    pic.raise(1);

    expect(pic.acknowledge()).toBe(0x21);
  });

  it('ends exactly the level that a specific EOI names', () => {
    const { pic } = initialized();
    pic.raise(4);
    pic.acknowledge();
    pic.raise(1);
    pic.acknowledge();

    pic.write(PIC_MASTER_COMMAND, 0x60 | 4);

    pic.write(PIC_MASTER_COMMAND, READ_ISR);
    expect(pic.read(PIC_MASTER_COMMAND)).toBe(1 << 1);
  });

  it('takes lines 8 to 15 through the slave, which needs an EOI at both', () => {
    const { pic } = initialized();
    pic.raise(14);
    expect(pic.acknowledge()).toBe(0x2e);
    pic.raise(15);
    expect(pic.pending).toBe(false);

    pic.write(PIC_SLAVE_COMMAND, EOI);
    expect(pic.pending).toBe(false);
    pic.write(PIC_MASTER_COMMAND, EOI);

    expect(pic.acknowledge()).toBe(0x2f);
  });

  it('holds a masked request in IRR until OCW1 lets it through', () => {
    const { pic, rises } = initialized();
    pic.write(PIC_MASTER_DATA, 0xff);
    pic.raise(0);
    pic.write(PIC_MASTER_COMMAND, READ_IRR);
    expect(pic.read(PIC_MASTER_COMMAND)).toBe(1);
    expect(pic.pending).toBe(false);

    pic.write(PIC_MASTER_DATA, 0xfe);

    expect(rises).toHaveLength(1);
    expect(pic.read(PIC_MASTER_DATA)).toBe(0xfe);
    expect(pic.acknowledge()).toBe(0x20);
  });

  it('asks once per edge: a line that stays high does not ask again', () => {
    const { pic } = initialized();
    pic.raise(3);
    pic.acknowledge();
    pic.write(PIC_MASTER_COMMAND, EOI);
    pic.raise(3);
    expect(pic.pending).toBe(false);

    pic.lower(3);
    pic.raise(3);

    expect(pic.pending).toBe(true);
  });

  it('gives the spurious level 7 for a line that fell too early, with nothing in service', () => {
    const { pic } = initialized();
    pic.raise(3);
    pic.lower(3);

    expect(pic.acknowledge()).toBe(0x27);
    pic.write(PIC_MASTER_COMMAND, READ_ISR);
    expect(pic.read(PIC_MASTER_COMMAND)).toBe(0);
  });

  it('polls: the next read acknowledges and names the level', () => {
    const { pic } = initialized();
    pic.raise(5);
    pic.write(PIC_MASTER_COMMAND, 0x0c);

    expect(pic.read(PIC_MASTER_COMMAND)).toBe(0x85);
    pic.write(PIC_MASTER_COMMAND, 0x0c);
    expect(pic.read(PIC_MASTER_COMMAND)).toBe(0);
  });

  it('ends by itself in automatic-EOI mode, and INTR pulses for what still waits', () => {
    const { pic, rises } = initialized(0x03);
    pic.raise(1);
    pic.raise(4);

    expect(pic.acknowledge()).toBe(0x21);
    expect(rises).toHaveLength(2);
    expect(pic.acknowledge()).toBe(0x24);
  });

  it('rotates: a level that ended by OCW2 with R has the lowest priority', () => {
    const { pic } = initialized();
    pic.raise(1);
    pic.acknowledge();
    pic.write(PIC_MASTER_COMMAND, 0xa0);
    pic.lower(1);
    pic.raise(1);
    pic.raise(4);

    expect(pic.acknowledge()).toBe(0x24);
  });

  it('lets lower levels through a masked one in special mask mode', () => {
    const { pic } = initialized();
    pic.raise(1);
    pic.acknowledge();
    pic.write(PIC_MASTER_DATA, 1 << 1);
    pic.raise(4);
    expect(pic.pending).toBe(false);

    pic.write(PIC_MASTER_COMMAND, 0x68);

    expect(pic.acknowledge()).toBe(0x24);
  });

  it('survives any byte at any register', () => {
    const { pic } = initialized();
    for (let value = 0; value < 256; value++) {
      for (let register = 0; register < 4; register++) {
        pic.write(register, value);
        pic.raise(value & 15);
        expect(pic.acknowledge()).toBeLessThan(256);
        expect(pic.read(register)).toBeLessThan(256);
      }
    }
  });
});
