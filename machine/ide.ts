/**
 * One IDE channel: the task file that its two drives share, and the state machine of a command. A command is BSY until
 * an alarm on the timeline; then data moves, DRQ or the result shows, and INTRQ rises. Nothing that a guest writes throws.
 * @source ATA/ATAPI-6 (T13/1410D), clauses 7, 8 and 9
 */
import { SECTOR_BYTES } from './block-store.ts';
import type { BusMaster, Moved } from './ide-bus-master.ts';
import { type IdeDrive, MAX_MULTIPLE } from './ide-drive.ts';
import * as ata from './ide-registers.ts';
import { TaskFile } from './ide-task-file.ts';
import type { Alarm, Timeline } from './timeline.ts';

const READY = ata.STATUS_DRDY | ata.STATUS_DSC;
/** Sectors that a DMA transfer moves through its buffer at a time. */
const DMA_SECTORS = 128;
const FLOATING = 0xff;

export interface IdeTiming {
  /** Cycles until the first sector, and per sector. */
  readonly seek: number;
  readonly sector: number;
}

type Drives = readonly [IdeDrive | undefined, IdeDrive | undefined];

export class IdeChannel {
  readonly #timeline: Timeline;
  readonly #timing: IdeTiming;
  readonly #drives: Drives;
  readonly #busMaster: BusMaster;
  readonly #irq: (high: boolean) => void;
  readonly #buffer = new Uint8Array(MAX_MULTIPLE * SECTOR_BYTES);
  readonly #task = new TaskFile();
  #error = 1;
  #status = READY;
  #control = 0;
  #interrupt = false;
  #line = false;
  #alarm: Alarm | undefined;
  /** The command in progress: next sector, sectors to go, sectors per DRQ block, which way. */
  #sector = 0;
  #remaining = 0;
  #block = 1;
  #write = false;
  #first = false;
  #extended = false;
  #position = 0;
  #limit = 0;
  #dmaWaits = false;

  /** `irq` follows INTRQ as the device control register lets it through. */
  constructor(
    timeline: Timeline,
    timing: IdeTiming,
    drives: Drives,
    busMaster: BusMaster,
    irq: (high: boolean) => void,
  ) {
    this.#timeline = timeline;
    this.#timing = timing;
    this.#drives = drives;
    this.#busMaster = busMaster;
    this.#irq = irq;
    busMaster.onStart = (now) => this.#startDma(now);
    busMaster.onStop = () => this.#stopDma();
  }

  /** A byte of the task file. Device 0 answers for an absent device 1; where nobody answers, the bus floats. */
  read(register: number): number {
    const task = this.#task;
    if (!this.#selected && (!this.#drives[0] || (task.device & ata.DEVICE_DEV) === 0))
      return FLOATING;
    switch (register) {
      case ata.IDE_ERROR_FEATURES:
        return this.#error;
      case ata.IDE_STATUS_COMMAND:
        if (!this.#selected) return 0;
        this.#setInterrupt(false);
        return this.#status;
      case ata.IDE_ALTERNATE_STATUS_CONTROL:
        return this.#selected ? this.#status : 0;
      default:
        return task.read(register, (this.#control & ata.CONTROL_HOB) !== 0);
    }
  }

  /** While BSY nothing but the control register can be written. */
  write(register: number, value: number, now: number): void {
    if (register === ata.IDE_ALTERNATE_STATUS_CONTROL) {
      this.#writeControl(value, now);
      return;
    }
    this.#control &= ~ata.CONTROL_HOB;
    if ((this.#status & ata.STATUS_BSY) !== 0) return;
    if (register === ata.IDE_STATUS_COMMAND) this.#command(value, now);
    else this.#task.write(register, value);
  }

  /** The data register, 16 or 32 bits wide (an 8-bit access takes a word and drops half). */
  readData(size: number, now: number): number {
    if (!this.#drives[0] && !this.#drives[1]) return 2 ** (8 * size) - 1;
    const low = this.#readWord(now);
    return size === 4 ? (low | (this.#readWord(now) << 16)) >>> 0 : size === 2 ? low : low & 0xff;
  }

  writeData(size: number, value: number, now: number): void {
    this.#writeWord(value & 0xffff, now);
    if (size === 4) this.#writeWord(value >>> 16, now);
  }

  /** The machine has ended: no alarm of this channel rings any more. */
  stop(): void {
    this.#timeline.cancel(this.#alarm);
    this.#alarm = undefined;
  }

  get #selected(): IdeDrive | undefined {
    return this.#drives[(this.#task.device & ata.DEVICE_DEV) === 0 ? 0 : 1];
  }

  #writeControl(value: number, now: number): void {
    const reset = (value & ~this.#control & ata.CONTROL_SRST) !== 0;
    const released = (this.#control & ~value & ata.CONTROL_SRST) !== 0;
    this.#control = value;
    if (reset) {
      this.#abandon();
      this.#status = ata.STATUS_BSY;
    } else if (released) {
      this.#later(now, this.#timing.seek, () => this.#signature());
    }
    this.#setInterrupt(reset ? false : this.#interrupt);
  }

  /** What a reset and EXECUTE DEVICE DIAGNOSTIC leave: device 0 selected, both passed, not a packet device. */
  #signature(): void {
    this.#task.sign();
    this.#error = 1;
    this.#status = READY;
  }

  #command(command: number, now: number): void {
    const drive =
      this.#selected ?? (command === ata.EXECUTE_DEVICE_DIAGNOSTIC ? this.#drives[0] : undefined);
    if (!drive) return;
    this.#abandon();
    this.#setInterrupt(false);
    this.#error = 0;
    this.#status = READY;
    const access = ata.SECTOR_COMMANDS.get(command);
    if (access) this.#sectors(drive, access, now);
    else this.#withoutSectors(drive, command, now);
  }

  #sectors(drive: IdeDrive, command: ata.SectorCommand, now: number): void {
    this.#block = command.how === 'multiple' ? drive.multiple : 1;
    this.#write = command.write;
    this.#extended = command.extended;
    this.#first = true;
    if (this.#block === 0 || (command.write && drive.store.readOnly)) {
      this.#later(now, this.#timing.sector, () => this.#done(ata.ERROR_ABRT));
      return;
    }
    if (!this.#locate(drive, now)) return;
    if (command.how === 'dma') {
      this.#dmaWaits = true;
      this.#status = READY | ata.STATUS_DRQ;
      if (this.#busMaster.active) this.#startDma(now);
    } else if (command.how === 'verify') {
      this.#later(now, this.#latency(this.#remaining), () => this.#done(0));
    } else if (command.write) {
      this.#offer(this.#nextBlock, false);
    } else {
      this.#readBlock(drive, now);
    }
  }

  #withoutSectors(drive: IdeDrive, command: number, now: number): void {
    const { sector, seek } = this.#timing;
    switch (command) {
      case ata.EXECUTE_DEVICE_DIAGNOSTIC:
        this.#later(now, seek, () => {
          this.#signature();
          this.#setInterrupt(true);
        });
        break;
      case ata.FLUSH_CACHE:
      case ata.FLUSH_CACHE_EXT:
        this.#later(now, seek, () => this.#flush(drive));
        break;
      case ata.IDENTIFY_DEVICE:
        this.#later(now, sector, () => {
          drive.identify(this.#buffer);
          this.#write = false;
          this.#offer(SECTOR_BYTES, true);
        });
        break;
      default: {
        const error = drive.execute(command, this.#task);
        this.#later(now, sector, () => this.#done(error));
      }
    }
  }

  #flush(drive: IdeDrive): void {
    try {
      drive.store.flush();
    } catch {
      this.#done(ata.ERROR_ABRT, ata.STATUS_DF);
      return;
    }
    this.#done(0);
  }

  /** Take address and count from the task file; a range that leaves the drive ends the command with IDNF. */
  #locate(drive: IdeDrive, now: number): boolean {
    const { count } = this.#task;
    this.#remaining = this.#extended ? count || 0x10000 : count & 0xff || 0x100;
    this.#sector = drive.sectorOf(this.#task, this.#extended);
    if (this.#sector >= 0 && this.#sector + this.#remaining <= drive.store.sectors) return true;
    this.#later(now, this.#timing.seek, () => this.#done(ata.ERROR_IDNF));
    return false;
  }

  /** Cycles for `sectors` sectors; the first access of a command also seeks. */
  #latency(sectors: number): number {
    const seek = this.#first ? this.#timing.seek : 0;
    this.#first = false;
    return seek + sectors * this.#timing.sector;
  }

  /** Bytes of the next DRQ block. */
  get #nextBlock(): number {
    return Math.min(this.#block, this.#remaining) * SECTOR_BYTES;
  }

  #readBlock(drive: IdeDrive, now: number): void {
    const bytes = this.#nextBlock;
    this.#later(now, this.#latency(bytes / SECTOR_BYTES), () => {
      if (this.#access(drive, this.#buffer.subarray(0, bytes))) this.#offer(bytes, true);
    });
  }

  #writeBlock(drive: IdeDrive, now: number): void {
    const bytes = this.#limit;
    this.#later(now, this.#latency(bytes / SECTOR_BYTES), () => {
      if (!this.#access(drive, this.#buffer.subarray(0, bytes))) return;
      if (this.#remaining === 0) this.#done(0);
      else this.#offer(this.#nextBlock, true);
    });
  }

  /** Move the next sectors between the store and `buffer`; a host error ends the command. */
  #access(drive: IdeDrive, buffer: Uint8Array): boolean {
    try {
      if (this.#write) drive.store.write(this.#sector, buffer);
      else drive.store.read(this.#sector, buffer);
    } catch {
      drive.setSector(this.#task, this.#sector, this.#extended);
      if (this.#write) this.#done(ata.ERROR_ABRT, ata.STATUS_DF);
      else this.#done(ata.ERROR_UNC);
      return false;
    }
    const sectors = buffer.length / SECTOR_BYTES;
    this.#sector += sectors;
    this.#remaining -= sectors;
    return true;
  }

  /** The first `bytes` of the buffer may be read or filled through the data register. */
  #offer(bytes: number, interrupt: boolean): void {
    this.#position = 0;
    this.#limit = bytes;
    this.#status = READY | ata.STATUS_DRQ;
    if (interrupt) this.#setInterrupt(true);
  }

  #readWord(now: number): number {
    if (!this.#transferring(false)) return 0;
    const word = this.#buffer[this.#position]! | (this.#buffer[this.#position + 1]! << 8);
    this.#position += 2;
    if (this.#position === this.#limit) {
      this.#status = READY;
      const drive = this.#selected;
      if (drive && this.#remaining > 0) this.#readBlock(drive, now);
    }
    return word;
  }

  #writeWord(word: number, now: number): void {
    if (!this.#transferring(true)) return;
    this.#buffer[this.#position] = word & 0xff;
    this.#buffer[this.#position + 1] = word >> 8;
    this.#position += 2;
    const drive = this.#selected;
    if (this.#position === this.#limit && drive) this.#writeBlock(drive, now);
  }

  /** The data register is this way open: a word too many or the wrong way goes nowhere. */
  #transferring(write: boolean): boolean {
    const open = (this.#status & ata.STATUS_DRQ) !== 0 && !this.#dmaWaits;
    return (
      open && this.#write === write && this.#position < this.#limit && this.#selected !== undefined
    );
  }

  #startDma(now: number): void {
    const drive = this.#selected;
    if (!this.#dmaWaits || !drive || this.#alarm) return;
    this.#first = true;
    this.#later(now, this.#latency(this.#remaining), () => this.#moveDma(drive));
  }

  /** The host took the start bit away before the transfer: the drive goes on waiting. */
  #stopDma(): void {
    if (!this.#dmaWaits) return;
    this.stop();
    this.#status = READY | ata.STATUS_DRQ;
  }

  /** All sectors move at the end of their time. A table that ends too early leaves the drive waiting for a reset. */
  #moveDma(drive: IdeDrive): void {
    const master = this.#busMaster;
    const toMemory = !this.#write;
    const cursor = master.open();
    const buffer = new Uint8Array(Math.min(DMA_SECTORS, this.#remaining) * SECTOR_BYTES);
    let moved: Moved = master.toMemory === toMemory ? 'moved' : 'fault';
    while (moved === 'moved' && this.#remaining > 0) {
      const part = buffer.subarray(0, Math.min(DMA_SECTORS, this.#remaining) * SECTOR_BYTES);
      if (toMemory && !this.#access(drive, part)) return;
      moved = cursor.move(part, toMemory);
      if (moved === 'moved' && !toMemory && !this.#access(drive, part)) return;
    }
    if (moved === 'short') {
      master.finish(true);
      this.#status = READY | ata.STATUS_DRQ;
    } else if (moved === 'fault') {
      master.fail();
      this.#done(ata.ERROR_ABRT);
    } else {
      master.finish(cursor.exhausted);
      this.#done(0);
    }
  }

  /** BSY for `cycles`, then `then`. */
  #later(now: number, cycles: number, then: () => void): void {
    this.stop();
    this.#status = READY | ata.STATUS_BSY;
    this.#alarm = this.#timeline.at(now + cycles, () => {
      this.#alarm = undefined;
      this.#status = READY;
      then();
    });
  }

  /** The command has ended, with `error` in the error register. */
  #done(error: number, fault = 0): void {
    this.#dmaWaits = false;
    this.#remaining = 0;
    this.#error = error;
    this.#status = READY | fault | (error === 0 ? 0 : ata.STATUS_ERR);
    this.#setInterrupt(true);
  }

  /** Forget the command in progress. */
  #abandon(): void {
    this.stop();
    this.#dmaWaits = false;
    this.#remaining = 0;
    this.#limit = 0;
  }

  #setInterrupt(pending: boolean): void {
    if (pending && !this.#interrupt) this.#busMaster.interrupt();
    this.#interrupt = pending;
    const line = pending && (this.#control & ata.CONTROL_NIEN) === 0;
    if (line === this.#line) return;
    this.#line = line;
    this.#irq(line);
  }
}
