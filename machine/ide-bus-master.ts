/**
 * One channel of a PIIX bus-master IDE controller: it moves data between a drive and memory along a table of physical
 * regions. The table is the guest's: it is read once, entry by entry, and at most the 64 KiB that hardware would read.
 * @source Programming Interface for Bus Master IDE Controller, revision 1.0
 */

/** Physical memory as a device reaches it; false means that nothing answers there. */
export interface DmaMemory {
  read(pa: number, into: Uint8Array): boolean;
  write(pa: number, from: Uint8Array): boolean;
}

/** Registers, by offset in the channel's eight bytes. */
export const BMIC = 0;
export const BMIS = 2;
export const BMIDTP = 4;

export const BMIC_SSBM = 0x01;
/** Set: the bus master writes to memory (the drive is read). */
export const BMIC_RWCON = 0x08;
export const BMIS_BMIDEA = 0x01;
export const BMIS_ERROR = 0x02;
export const BMIS_IDEINTS = 0x04;
const BMIS_DRIVES_CAPABLE = 0x60;

const PRD_BYTES = 8;
const PRD_EOT = 0x8000;
const MAX_PRDS = 65536 / PRD_BYTES;

/** Why moving ended: all moved, the table ended first, or memory did not answer. */
export type Moved = 'moved' | 'short' | 'fault';

export class BusMaster {
  readonly #memory: DmaMemory;
  #command = 0;
  #status = 0;
  #table = 0;
  /** Called when the start bit is set, and when it is cleared. */
  onStart: (now: number) => void = () => {};
  onStop: () => void = () => {};

  constructor(memory: DmaMemory) {
    this.#memory = memory;
  }

  get active(): boolean {
    return (this.#status & BMIS_BMIDEA) !== 0;
  }

  get toMemory(): boolean {
    return (this.#command & BMIC_RWCON) !== 0;
  }

  read(register: number): number {
    switch (register) {
      case BMIC:
        return this.#command;
      case BMIS:
        return this.#status;
      case BMIDTP:
      case BMIDTP + 1:
      case BMIDTP + 2:
      case BMIDTP + 3:
        return (this.#table >>> ((register - BMIDTP) * 8)) & 0xff;
      default: // reserved
        return 0;
    }
  }

  write(register: number, value: number, now: number): void {
    switch (register) {
      case BMIC:
        this.#control(value, now);
        break;
      case BMIS: {
        const cleared = value & (BMIS_ERROR | BMIS_IDEINTS);
        const capable = value & BMIS_DRIVES_CAPABLE;
        this.#status = (this.#status & ~cleared & ~BMIS_DRIVES_CAPABLE) | capable;
        break;
      }
      case BMIDTP:
      case BMIDTP + 1:
      case BMIDTP + 2:
      case BMIDTP + 3: {
        const shift = (register - BMIDTP) * 8;
        this.#table = ((this.#table & ~(0xff << shift)) | (value << shift)) & ~3;
        break;
      }
    }
  }

  /** The drive raised INTRQ. */
  interrupt(): void {
    this.#status |= BMIS_IDEINTS;
  }

  /** The transfer has ended; while the table still has room, the bus master stays active (as the PIIX does). */
  finish(exhausted: boolean): void {
    if (exhausted) this.#status &= ~BMIS_BMIDEA;
  }

  fail(): void {
    this.#status = (this.#status & ~BMIS_BMIDEA) | BMIS_ERROR;
  }

  open(): PrdCursor {
    return new PrdCursor(this.#memory, this.#table >>> 0);
  }

  #control(value: number, now: number): void {
    const started = (value & ~this.#command & BMIC_SSBM) !== 0;
    const stopped = (this.#command & ~value & BMIC_SSBM) !== 0;
    this.#command = value & (BMIC_SSBM | BMIC_RWCON);
    if (started) {
      this.#status |= BMIS_BMIDEA;
      this.onStart(now);
    } else if (stopped) {
      this.#status &= ~BMIS_BMIDEA;
      this.onStop();
    }
  }
}

/** A place in a table of physical regions. */
export class PrdCursor {
  readonly #memory: DmaMemory;
  readonly #entry = new Uint8Array(PRD_BYTES);
  readonly #view = new DataView(this.#entry.buffer);
  readonly #table: number;
  #entries = 0;
  #address = 0;
  #left = 0;
  #last = false;

  constructor(memory: DmaMemory, table: number) {
    this.#memory = memory;
    this.#table = table;
  }

  /** The last region has been filled. */
  get exhausted(): boolean {
    return this.#left === 0 && this.#last;
  }

  /** Move all of `buffer` to or from the next regions. */
  move(buffer: Uint8Array, toMemory: boolean): Moved {
    let done = 0;
    while (done < buffer.length) {
      if (this.#left === 0) {
        if (this.#last) return 'short';
        if (!this.#next()) return 'fault';
      }
      const size = Math.min(this.#left, buffer.length - done);
      const part = buffer.subarray(done, done + size);
      const answered = toMemory
        ? this.#memory.write(this.#address, part)
        : this.#memory.read(this.#address, part);
      if (!answered) return 'fault';
      this.#address += size;
      this.#left -= size;
      done += size;
    }
    return 'moved';
  }

  #next(): boolean {
    if (!this.#memory.read(this.#table + this.#entries * PRD_BYTES, this.#entry)) return false;
    this.#entries += 1;
    this.#address = (this.#view.getUint32(0, true) & ~1) >>> 0;
    const bytes = this.#view.getUint16(4, true) & ~1;
    this.#left = bytes === 0 ? 65536 : bytes;
    this.#last = (this.#view.getUint16(6, true) & PRD_EOT) !== 0 || this.#entries === MAX_PRDS;
    return true;
  }
}
