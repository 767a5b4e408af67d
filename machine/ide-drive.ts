/**
 * An ATA drive apart from its cable: geometry, what IDENTIFY DEVICE says, and how an address in the task file names a
 * sector.
 * @source ATA/ATAPI-6 (T13/1410D): 6.2 (addressing), 8.15 (IDENTIFY DEVICE)
 */
import { type BlockStore, SECTOR_BYTES } from './block-store.ts';
import * as ata from './ide-registers.ts';
import type { TaskFile } from './ide-task-file.ts';

/** Most sectors in one DRQ block of READ and WRITE MULTIPLE. */
export const MAX_MULTIPLE = 16;

const HEADS = 16;
const SECTORS_PER_TRACK = 63;
const MAX_CYLINDERS = 16383;
const MAX_LBA28 = 0x0fffffff;

const DEVICE_LBA = 0x40;

export class IdeDrive {
  readonly store: BlockStore;
  readonly #serialNumber: string;
  /** Sectors per DRQ block of the MULTIPLE commands; 0 until SET MULTIPLE MODE. */
  multiple = 0;
  #writeCache = true;
  readonly #cylinders: number;
  #heads = HEADS;
  #sectorsPerTrack = SECTORS_PER_TRACK;

  constructor(store: BlockStore, serialNumber: string) {
    this.store = store;
    this.#serialNumber = serialNumber;
    const cylinders = Math.floor(store.sectors / (HEADS * SECTORS_PER_TRACK));
    this.#cylinders = Math.min(MAX_CYLINDERS, cylinders);
  }

  /** A command that moves no data. @returns the error register: 0, or ABRT for what this drive does not know. */
  execute(command: number, task: TaskFile): number {
    switch (command) {
      case ata.INITIALIZE_DEVICE_PARAMETERS:
        return this.#setGeometry((task.device & 0x0f) + 1, task.count & 0xff);
      case ata.SET_MULTIPLE_MODE:
        return this.#setMultiple(task.count & 0xff);
      case ata.SET_FEATURES:
        return this.#setFeature(task.features);
      case ata.CHECK_POWER_MODE:
        task.count = 0xff; // active or idle
        return 0;
      case ata.STANDBY_IMMEDIATE:
      case ata.IDLE_IMMEDIATE:
      case ata.STANDBY:
      case ata.IDLE:
        return 0;
      default:
        return ata.ERROR_ABRT;
    }
  }

  /** The sector that a task file names, or -1 for one that cannot exist (CHS sector 0). */
  sectorOf(task: TaskFile, extended: boolean): number {
    const low = (task.lbaLow & 0xff) + (task.lbaMid & 0xff) * 0x100;
    if (extended) {
      const high = (task.lbaLow >> 8) + (task.lbaMid >> 8) * 0x100 + (task.lbaHigh >> 8) * 0x10000;
      return high * 0x1000000 + (task.lbaHigh & 0xff) * 0x10000 + low;
    }
    const high = task.lbaHigh & 0xff;
    const head = task.device & 0x0f;
    if ((task.device & DEVICE_LBA) !== 0) return head * 0x1000000 + high * 0x10000 + low;
    const sector = task.lbaLow & 0xff;
    if (sector === 0 || sector > this.#sectorsPerTrack || head >= this.#heads) return -1;
    const cylinder = (task.lbaMid & 0xff) + high * 0x100;
    return (cylinder * this.#heads + head) * this.#sectorsPerTrack + sector - 1;
  }

  /** The address of `sector` in the form that the task file uses. */
  setSector(task: TaskFile, sector: number, extended: boolean): void {
    if (!extended && (task.device & DEVICE_LBA) === 0) {
      const track = Math.floor(sector / this.#sectorsPerTrack);
      const cylinder = Math.floor(track / this.#heads);
      task.lbaLow = (sector % this.#sectorsPerTrack) + 1;
      task.lbaMid = cylinder & 0xff;
      task.lbaHigh = (cylinder >> 8) & 0xff;
      task.device = (task.device & 0xf0) | (track % this.#heads);
      return;
    }
    const low = sector % 0x1000000;
    const high = Math.floor(sector / 0x1000000);
    const previous = extended ? high : 0;
    task.lbaLow = (low & 0xff) | ((previous & 0xff) << 8);
    task.lbaMid = ((low >> 8) & 0xff) | (((previous >> 8) & 0xff) << 8);
    task.lbaHigh = ((low >> 16) & 0xff) | (((previous >> 16) & 0xff) << 8);
    if (!extended) task.device = (task.device & 0xf0) | (high & 0x0f);
  }

  /** Write the 256 words of IDENTIFY DEVICE to `into`. */
  identify(into: Uint8Array): void {
    const words = new DataView(into.buffer, into.byteOffset, SECTOR_BYTES);
    const word = (index: number, value: number): void => words.setUint16(index * 2, value, true);
    into.fill(0, 0, SECTOR_BYTES);
    const { sectors } = this.store;
    const lba28 = Math.min(sectors, MAX_LBA28);
    word(0, 0x0040); // fixed drive
    word(1, this.#cylinders);
    word(3, HEADS);
    word(6, SECTORS_PER_TRACK);
    text(words, 10, 20, this.#serialNumber);
    text(words, 23, 8, '1.0');
    text(words, 27, 40, 'HOSPES DISK');
    word(47, 0x8000 | MAX_MULTIPLE);
    word(49, 0x0300); // LBA, DMA
    word(53, 0x0007); // words 54-58, 64-70 and 88 are valid
    this.#identifyGeometry(words);
    word(59, this.multiple === 0 ? 0 : 0x0100 | this.multiple);
    words.setUint32(60 * 2, lba28, true);
    word(63, 0x0007); // multiword DMA 0-2
    word(64, 0x0003); // PIO 3-4
    for (let index = 65; index <= 68; index++) word(index, 120); // cycle times, ns
    word(80, 0x007e); // ATA-1 to ATA-6
    word(82, 0x0020); // write cache
    word(83, 0x7400); // FLUSH CACHE, FLUSH CACHE EXT, 48-bit addresses
    word(84, 0x4000);
    word(85, this.#writeCache ? 0x0020 : 0);
    word(86, 0x3400);
    word(87, 0x4000);
    word(88, 0x203f); // Ultra DMA 0-5, mode 5 selected
    word(93, 0x6003); // 80-conductor cable
    words.setUint32(100 * 2, sectors >>> 0, true);
    words.setUint32(102 * 2, Math.floor(sectors / 4294967296), true);
    into[510] = 0xa5;
    let sum = 0;
    for (let at = 0; at < 511; at++) sum += into[at]!;
    into[511] = -sum & 0xff;
  }

  #setGeometry(heads: number, sectorsPerTrack: number): number {
    if (sectorsPerTrack === 0) return ata.ERROR_ABRT;
    this.#heads = heads;
    this.#sectorsPerTrack = sectorsPerTrack;
    return 0;
  }

  #setMultiple(sectors: number): number {
    const valid = sectors <= MAX_MULTIPLE && (sectors & (sectors - 1)) === 0;
    this.multiple = valid ? sectors : 0;
    return valid ? 0 : ata.ERROR_ABRT;
  }

  #setFeature(feature: number): number {
    switch (feature) {
      case ata.FEATURE_ENABLE_WRITE_CACHE:
      case ata.FEATURE_DISABLE_WRITE_CACHE:
        this.#writeCache = feature === ata.FEATURE_ENABLE_WRITE_CACHE;
        return 0;
      case ata.FEATURE_SET_TRANSFER_MODE: // every mode is equally fast here
      case ata.FEATURE_ENABLE_LOOK_AHEAD:
      case ata.FEATURE_DISABLE_LOOK_AHEAD:
        return 0;
      default:
        return ata.ERROR_ABRT;
    }
  }

  #identifyGeometry(words: DataView): void {
    const track = this.#heads * this.#sectorsPerTrack;
    const cylinders = Math.min(0xffff, Math.floor(this.store.sectors / track));
    words.setUint16(54 * 2, cylinders, true);
    words.setUint16(55 * 2, this.#heads, true);
    words.setUint16(56 * 2, this.#sectorsPerTrack, true);
    words.setUint32(57 * 2, cylinders * track, true);
  }
}

/** An ATA string: padded with spaces, two characters to a word, the first in its high byte. */
const text = (words: DataView, first: number, length: number, value: string): void => {
  const padded = value.padEnd(length);
  for (let at = 0; at < length; at += 2) {
    const pair = (padded.charCodeAt(at) << 8) | padded.charCodeAt(at + 1);
    words.setUint16(first * 2 + at, pair, true);
  }
};
