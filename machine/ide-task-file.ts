/**
 * The task file: the address, count and feature registers that both drives of a channel hold. Each keeps the value
 * before the last in its high byte, because 48-bit addresses are written high half first.
 * @source ATA/ATAPI-6 (T13/1410D), 6.20 and 7
 */
import * as ata from './ide-registers.ts';

export class TaskFile {
  features = 0;
  count = 1;
  lbaLow = 1;
  lbaMid = 0;
  lbaHigh = 0;
  device = 0;

  /** The register's value, or with `previous` (HOB) the one before. */
  read(register: number, previous: boolean): number {
    const shift = previous ? 8 : 0;
    switch (register) {
      case ata.IDE_SECTOR_COUNT:
        return (this.count >> shift) & 0xff;
      case ata.IDE_LBA_LOW:
        return (this.lbaLow >> shift) & 0xff;
      case ata.IDE_LBA_MID:
        return (this.lbaMid >> shift) & 0xff;
      case ata.IDE_LBA_HIGH:
        return (this.lbaHigh >> shift) & 0xff;
      case ata.IDE_DEVICE:
        return this.device | ata.DEVICE_OBSOLETE;
      default:
        return 0xff;
    }
  }

  write(register: number, value: number): void {
    switch (register) {
      case ata.IDE_ERROR_FEATURES:
        this.features = value;
        break;
      case ata.IDE_SECTOR_COUNT:
        this.count = push(this.count, value);
        break;
      case ata.IDE_LBA_LOW:
        this.lbaLow = push(this.lbaLow, value);
        break;
      case ata.IDE_LBA_MID:
        this.lbaMid = push(this.lbaMid, value);
        break;
      case ata.IDE_LBA_HIGH:
        this.lbaHigh = push(this.lbaHigh, value);
        break;
      case ata.IDE_DEVICE:
        this.device = value;
        break;
    }
  }

  /** What a reset leaves: device 0 selected, not a packet device. */
  sign(): void {
    this.count = 1;
    this.lbaLow = 1;
    this.lbaMid = 0;
    this.lbaHigh = 0;
    this.device = 0;
  }
}

const push = (register: number, value: number): number => ((register << 8) | value) & 0xffff;
