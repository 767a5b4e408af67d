/**
 * The devices of a PC and the ports that they answer at: chips know registers, this file knows addresses and lines.
 * One instance is the real hardware of a machine, or what a hypervisor emulates for one domain.
 */
import type { BlockStore } from './block-store.ts';
import type { Preset } from './costs.ts';
import { IdeChannel } from './ide.ts';
import { BusMaster, type DmaMemory } from './ide-bus-master.ts';
import { IdeDrive } from './ide-drive.ts';
import { IDE_ALTERNATE_STATUS_CONTROL, IDE_DATA } from './ide-registers.ts';
import { PIC_MASTER_COMMAND, PIC_SLAVE_COMMAND, Pic } from './pic.ts';
import { Pit } from './pit.ts';
import type { PortBus, PortDevice } from './port-bus.ts';
import { POWER_KBC, POWER_PM1_CNT_LOW, Power, type PowerOff } from './power.ts';
import type { Timeline } from './timeline.ts';
import { Uart } from './uart.ts';

/** Interrupt lines, as the PIC numbers them. */
export const IRQ_TIMER = 0;
export const IRQ_COM1 = 4;
export const IRQ_IDE_PRIMARY = 14;
export const IRQ_IDE_SECONDARY = 15;

export const PORT_PIC_MASTER = 0x20;
export const PORT_PIT = 0x40;
export const PORT_NMI_SC = 0x61;
export const PORT_KBC = 0x64;
export const PORT_PIC_SLAVE = 0xa0;
export const PORT_IDE_SECONDARY = 0x170;
export const PORT_IDE_PRIMARY = 0x1f0;
export const PORT_IDE_SECONDARY_CONTROL = 0x376;
export const PORT_IDE_PRIMARY_CONTROL = 0x3f6;
export const PORT_COM1 = 0x3f8;
export const PORT_PM1A_CNT = 0xb004;
export const PORT_BUS_MASTER = 0xc000;

const BUS_MASTER_PORTS = 8;

export interface PlatformOptions {
  timeline: Timeline;
  preset: Preset;
  bus: PortBus;
  /** Physical memory as the bus master sees it. */
  dma: DmaMemory;
  /** Primary master and slave, secondary master and slave. */
  disks: ReadonlyArray<BlockStore | undefined>;
  /** A byte left the serial port. */
  serial: (byte: number) => void;
  /** The PIC's output to the processor rose. */
  intr: () => void;
  powerOff: (reason: PowerOff) => void;
}

/** A chip whose registers are bytes. */
interface Chip {
  read(register: number, now: number): number;
  write(register: number, value: number, now: number): void;
}

export class Platform {
  readonly pic: Pic;
  readonly pit: Pit;
  readonly uart: Uart;
  readonly #channels: IdeChannel[] = [];
  readonly #options: PlatformOptions;

  constructor(options: PlatformOptions) {
    this.#options = options;
    const { timeline, preset } = options;
    this.pic = new Pic(options.intr);
    this.pit = new Pit(timeline, preset.mhz, this.#line(IRQ_TIMER));
    this.uart = new Uart(options.serial, this.#line(IRQ_COM1));
    this.#wireBoard();
    this.#wireChannel(0, PORT_IDE_PRIMARY, PORT_IDE_PRIMARY_CONTROL, IRQ_IDE_PRIMARY);
    this.#wireChannel(1, PORT_IDE_SECONDARY, PORT_IDE_SECONDARY_CONTROL, IRQ_IDE_SECONDARY);
  }

  /** The machine has ended: nothing here rings on the timeline any more. */
  stop(): void {
    this.pit.stop();
    for (const channel of this.#channels) channel.stop();
  }

  #line(line: number): (high: boolean) => void {
    return (high) => (high ? this.pic.raise(line) : this.pic.lower(line));
  }

  #wireBoard(): void {
    const { pic, pit, uart } = this;
    const power = new Power(this.#options.powerOff);
    const status: Chip = {
      read: (_register, now) => pit.readStatus(now),
      write: (_register, value, now) => pit.writeStatus(value, now),
    };
    this.#attach(pic, PIC_MASTER_COMMAND, PORT_PIC_MASTER, 2);
    this.#attach(pic, PIC_SLAVE_COMMAND, PORT_PIC_SLAVE, 2);
    this.#attach(pit, 0, PORT_PIT, 4);
    this.#attach(status, 0, PORT_NMI_SC, 1);
    this.#attach(uart, 0, PORT_COM1, 8);
    this.#attach(power, POWER_PM1_CNT_LOW, PORT_PM1A_CNT, 2);
    this.#attach(power, POWER_KBC, PORT_KBC, 1);
  }

  #wireChannel(index: number, command: number, control: number, irq: number): void {
    const { timeline, preset, bus, dma, disks } = this.#options;
    const drive = (place: number): IdeDrive | undefined => {
      const store = disks[index * 2 + place];
      return store && new IdeDrive(store, `HOSPES${index * 2 + place}`);
    };
    const busMaster = new BusMaster(dma);
    const timing = {
      seek: preset.figures.diskSeek.cycles,
      sector: preset.figures.diskSector.cycles,
    };
    const channel = new IdeChannel(
      timeline,
      timing,
      [drive(0), drive(1)],
      busMaster,
      this.#line(irq),
    );
    this.#channels.push(channel);
    this.#attach(channel, IDE_DATA, command, 8);
    this.#attach(channel, IDE_ALTERNATE_STATUS_CONTROL, control, 1);
    bus.attach(dataPort(channel), command, command);
    this.#attach(busMaster, 0, PORT_BUS_MASTER + index * BUS_MASTER_PORTS, BUS_MASTER_PORTS);
  }

  /** Put `count` registers of `chip`, from `first` on, at `port`. */
  #attach(chip: Chip, first: number, port: number, count: number): void {
    this.#options.bus.attach(
      byteWide(this.#options.bus, chip, port - first),
      port,
      port + count - 1,
    );
  }
}

/** A wider access to a byte-wide chip becomes byte accesses to consecutive ports, as the ISA bus splits it. */
const byteWide = (bus: PortBus, chip: Chip, base: number): PortDevice => ({
  read: (port, size, now) => {
    let value = chip.read(port - base, now);
    for (let at = 1; at < size; at++) value += bus.read(port + at, 1, now) * 2 ** (8 * at);
    return value;
  },
  write: (port, size, value, now) => {
    chip.write(port - base, value & 0xff, now);
    for (let at = 1; at < size; at++) bus.write(port + at, 1, (value >>> (8 * at)) & 0xff, now);
  },
});

const dataPort = (channel: IdeChannel): PortDevice => ({
  read: (_port, size, now) => channel.readData(size, now),
  write: (_port, size, value, now) => channel.writeData(size, value, now),
});
