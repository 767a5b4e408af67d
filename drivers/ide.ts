/**
 * A driver for IDE disks: two channels of two drives, bus-master DMA where the drive has it, else PIO.
 * The one idea: one command at a time per channel, and the interrupt only says "look at the status".
 * @source ATA/ATAPI-6 (commands, registers); Programming Interface for Bus Master IDE Controller 1.0
 */
import type { Observable } from 'rxjs';
import type { Kernel } from '../guest-kernel/index.ts';
import { DiskError, type Drive, Lock, type Piece, SECTOR } from './disk.ts';

// Registers, from the channel's base; the control port stands alone.
const DATA = 0;
const ERROR = 1;
const COUNT = 2;
const LBA_LOW = 3; // two more follow
const DEVICE = 6;
const STATUS = 7;
const COMMAND = 7;

const BSY = 0x80;
const DF = 0x20;
const DRQ = 0x08;
const ERR = 0x01;

const READ_SECTORS = 0x20;
const WRITE_SECTORS = 0x30;
const READ_DMA = 0xc8;
const WRITE_DMA = 0xca;
const READ_SECTORS_EXT = 0x24;
const WRITE_SECTORS_EXT = 0x34;
const READ_DMA_EXT = 0x25;
const WRITE_DMA_EXT = 0x35;
const FLUSH_CACHE = 0xe7;
const IDENTIFY = 0xec;

// Bus master registers and bits.
const BM_COMMAND = 0;
const BM_STATUS = 2;
const BM_TABLE = 4;
const BM_START = 1;
const BM_TO_MEMORY = 8;
const BM_ERROR = 2;
const BM_INTERRUPT = 4;
const END_OF_TABLE = 0x80000000;

const MAX_SECTORS = 256; // of one command
const LBA28_SECTORS = 2 ** 28; // beyond, addresses have 48 bits
const PROBE_NANOS = 50_000;
const PROBES = 2000; // 100 ms

/** The same operation with 28 and with 48 bits of address. */
interface Command {
  readonly short: number;
  readonly long: number;
}

const PIO_READS: Command = { short: READ_SECTORS, long: READ_SECTORS_EXT };
const PIO_WRITES: Command = { short: WRITE_SECTORS, long: WRITE_SECTORS_EXT };
const DMA_READS: Command = { short: READ_DMA, long: READ_DMA_EXT };
const DMA_WRITES: Command = { short: WRITE_DMA, long: WRITE_DMA_EXT };

interface Ports {
  readonly name: string;
  readonly base: number;
  readonly control: number;
  readonly irq: number;
  readonly busMaster: number;
}

const CHANNELS: readonly Ports[] = [
  { name: 'ide0', base: 0x1f0, control: 0x3f6, irq: 14, busMaster: 0xc000 },
  { name: 'ide1', base: 0x170, control: 0x376, irq: 15, busMaster: 0xc008 },
];

/** How this kernel listens to a physical interrupt line. */
export type IrqLine = (line: number) => Observable<void>;

/** The drive at position `n`: 0 primary master, 1 its slave, 2 secondary master, 3 its slave; undefined if none is there. */
export class IdeController {
  readonly #channels: readonly IdeChannel[];

  constructor(kernel: Kernel, irq: IrqLine) {
    this.#channels = CHANNELS.map((ports) => new IdeChannel(kernel, ports, irq));
  }

  /** Asks the hardware; give up after 100 ms of silence. */
  async drive(n: number): Promise<IdeDrive | undefined> {
    return this.#channels[n >> 1]?.identify(n & 1);
  }
}

/** One drive, as its IDENTIFY data describe it. */
export class IdeDrive implements Drive {
  readonly name: string;
  readonly sectors: number;
  readonly dma: boolean;
  readonly #channel: IdeChannel;
  readonly #unit: number;

  constructor(channel: IdeChannel, unit: number, identity: Uint16Array) {
    this.#channel = channel;
    this.#unit = unit;
    this.name = `${channel.name}-${unit}`;
    const long = (identity[83]! & 0x400) !== 0;
    const [low, size] = long ? [100, 3] : [60, 2]; // a third word is more than any disk has
    this.sectors = 0;
    for (let i = size - 1; i >= 0; i--) this.sectors = this.sectors * 65536 + identity[low + i]!;
    this.dma = (identity[49]! & 0x100) !== 0;
  }

  async transfer(write: boolean, sector: number, pieces: readonly Piece[]): Promise<void> {
    for (const part of commands(pieces)) {
      await this.#channel.transfer(this, this.#unit, write, sector, part);
      sector += sectorsOf(part);
    }
  }

  flush(): Promise<void> {
    return this.#channel.flush(this, this.#unit);
  }
}

/** Two drives on one cable. */
class IdeChannel {
  readonly name: string;
  readonly #kernel: Kernel;
  readonly #ports: Ports;
  readonly #irq: IrqLine;
  readonly #lock = new Lock();
  #listening = false;
  #interrupted = (): void => undefined;
  #table = -1; // frame of the DMA table

  constructor(kernel: Kernel, ports: Ports, irq: IrqLine) {
    this.name = ports.name;
    this.#kernel = kernel;
    this.#ports = ports;
    this.#irq = irq;
  }

  identify(unit: number): Promise<IdeDrive | undefined> {
    const { cpu } = this.#kernel;
    const { control } = this.#ports;
    return this.#lock.run(async () => {
      cpu.out8(control, 2); // no interrupts while we poll
      const identity = await this.#identity(unit);
      cpu.out8(control, 0);
      return identity && new IdeDrive(this, unit, identity);
    });
  }

  transfer(drive: IdeDrive, unit: number, write: boolean, sector: number, pieces: Piece[]) {
    const move = drive.dma ? this.#byDma : this.#byPio;
    return this.#lock.run(() => move.call(this, drive, unit, write, sector, pieces));
  }

  flush(drive: IdeDrive, unit: number): Promise<void> {
    return this.#lock.run(async () => {
      const done = this.#interrupt();
      this.#kernel.cpu.out8(this.#ports.base + DEVICE, 0xe0 | (unit << 4));
      this.#kernel.cpu.out8(this.#ports.base + COMMAND, FLUSH_CACHE);
      await this.#finished(done, drive, 'flush', 0);
    });
  }

  async #identity(unit: number): Promise<Uint16Array | undefined> {
    const { cpu, frames } = this.#kernel;
    const { base } = this.#ports;
    cpu.out8(base + DEVICE, 0xa0 | (unit << 4));
    const floating = cpu.in8(base + STATUS);
    if (floating === 0 || floating === 0xff) return undefined;
    cpu.out8(base + COMMAND, IDENTIFY);
    const status = await this.#settled();
    if (status === undefined || (status & (ERR | DRQ)) !== DRQ) return undefined;
    const pfn = frames.alloc();
    const va = this.#kernel.virt(pfn);
    cpu.insw(base + DATA, va, SECTOR / 2);
    const identity = new Uint8Array(SECTOR);
    cpu.loadBytes(va, identity);
    frames.free(pfn);
    cpu.in8(base + STATUS); // takes back the interrupt that we did not want
    return new Uint16Array(identity.buffer);
  }

  async #byDma(drive: IdeDrive, unit: number, write: boolean, sector: number, pieces: Piece[]) {
    const { cpu } = this.#kernel;
    const { busMaster } = this.#ports;
    const direction = write ? 0 : BM_TO_MEMORY;
    const done = this.#interrupt();
    cpu.out32(busMaster + BM_TABLE, this.#fillTable(pieces));
    cpu.out8(busMaster + BM_COMMAND, direction);
    cpu.out8(busMaster + BM_STATUS, BM_ERROR | BM_INTERRUPT); // writing a one clears it
    this.#start(unit, sector, pieces, write ? DMA_WRITES : DMA_READS);
    cpu.out8(busMaster + BM_COMMAND, direction | BM_START);
    const operation = write ? 'write' : 'read';
    await this.#finished(done, drive, operation, sector).finally(() => {
      cpu.out8(busMaster + BM_COMMAND, 0);
    });
    if (cpu.in8(busMaster + BM_STATUS) & BM_ERROR)
      throw new DiskError(drive.name, operation, sector, 'DMA failed');
  }

  async #byPio(drive: IdeDrive, unit: number, write: boolean, sector: number, pieces: Piece[]) {
    const { cpu } = this.#kernel;
    const data = this.#ports.base + DATA;
    const operation = write ? 'write' : 'read';
    let done = this.#interrupt();
    this.#start(unit, sector, pieces, write ? PIO_WRITES : PIO_READS);
    if (write) await this.#settled(); // the first sector is asked for without an interrupt
    for (const va of this.#sectorAddresses(pieces)) {
      if (write) cpu.outsw(data, va, SECTOR / 2);
      await this.#finished(done, drive, operation, sector);
      done = this.#interrupt();
      if (!write) cpu.insw(data, va, SECTOR / 2);
    }
  }

  #start(unit: number, sector: number, pieces: readonly Piece[], command: Command): void {
    const { cpu } = this.#kernel;
    const { base } = this.#ports;
    const count = sectorsOf(pieces);
    const short = sector + count <= LBA28_SECTORS;
    cpu.out8(base + DEVICE, 0xe0 | (unit << 4) | (short ? sector / 2 ** 24 : 0));
    if (!short) {
      cpu.out8(base + COUNT, count >> 8);
      for (let i = 0; i < 3; i++) cpu.out8(base + LBA_LOW + i, (sector / 2 ** (24 + 8 * i)) & 0xff);
    }
    cpu.out8(base + COUNT, count & 0xff); // in a short command 0 stands for 256
    for (let i = 0; i < 3; i++) cpu.out8(base + LBA_LOW + i, (sector / 2 ** (8 * i)) & 0xff);
    cpu.out8(base + COMMAND, short ? command.short : command.long);
  }

  /** Waits until the drive is not busy; reading its status also takes back its interrupt. */
  async #finished(done: Promise<void>, drive: IdeDrive, operation: string, sector: number) {
    const { cpu } = this.#kernel;
    let status = BSY;
    for (let next = done; status & BSY; ) {
      await next;
      next = this.#interrupt();
      status = cpu.in8(this.#ports.base + STATUS);
    }
    if ((status & (ERR | DF)) === 0) return;
    const code = cpu.in8(this.#ports.base + ERROR);
    const reason = `status 0x${status.toString(16)}, error 0x${code.toString(16)}`;
    throw new DiskError(drive.name, operation, sector, reason);
  }

  /** The table of the bus master: physical address and length of each piece. Returns its own address. */
  #fillTable(pieces: readonly Piece[]): number {
    const { cpu, frames } = this.#kernel;
    if (this.#table < 0) this.#table = frames.alloc();
    const va = this.#kernel.virt(this.#table);
    pieces.forEach(({ pfn, offset, length }, i) => {
      const last = i === pieces.length - 1 ? END_OF_TABLE : 0;
      cpu.store32(va + i * 8, this.#kernel.machineFrame(pfn) * 4096 + offset);
      cpu.store32(va + i * 8 + 4, (length | last) >>> 0);
    });
    return this.#kernel.machineFrame(this.#table) * 4096;
  }

  *#sectorAddresses(pieces: readonly Piece[]): Generator<number> {
    for (const { pfn, offset, length } of pieces) {
      const va = this.#kernel.virt(pfn) + offset;
      for (let at = 0; at < length; at += SECTOR) yield va + at;
    }
  }

  /** Resolves at the next interrupt after this call. */
  #interrupt(): Promise<void> {
    if (!this.#listening) {
      this.#listening = true;
      this.#irq(this.#ports.irq).subscribe(() => this.#interrupted());
    }
    return new Promise((resolve) => {
      this.#interrupted = resolve;
    });
  }

  /** The status when the drive is no longer busy; undefined if it never is. */
  async #settled(): Promise<number | undefined> {
    for (let i = 0; i < PROBES; i++) {
      const status = this.#kernel.cpu.in8(this.#ports.control);
      if ((status & BSY) === 0) return status;
      await this.#kernel.time.sleep(PROBE_NANOS);
    }
    return undefined;
  }
}

function sectorsOf(pieces: readonly Piece[]): number {
  return pieces.reduce((sum, { length }) => sum + length / SECTOR, 0);
}

/** Cuts a list of pieces so that each part is one command. */
function commands(pieces: readonly Piece[]): Piece[][] {
  const parts: Piece[][] = [];
  let room = 0;
  for (const piece of pieces) {
    const count = piece.length / SECTOR;
    if (count > room) {
      parts.push([]);
      room = MAX_SECTORS;
    }
    parts.at(-1)!.push(piece);
    room -= count;
  }
  return parts;
}
