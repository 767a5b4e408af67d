/**
 * Names of the ATA task file: registers, their bits, and the commands that our drives know.
 * @source ATA/ATAPI-6 (T13/1410D), clauses 7 and 8
 */

/** Command block, by address line, then the control block's one register. */
export const IDE_DATA = 0;
export const IDE_ERROR_FEATURES = 1;
export const IDE_SECTOR_COUNT = 2;
export const IDE_LBA_LOW = 3;
export const IDE_LBA_MID = 4;
export const IDE_LBA_HIGH = 5;
export const IDE_DEVICE = 6;
export const IDE_STATUS_COMMAND = 7;
export const IDE_ALTERNATE_STATUS_CONTROL = 8;

export const STATUS_ERR = 0x01;
export const STATUS_DRQ = 0x08;
export const STATUS_DSC = 0x10;
export const STATUS_DF = 0x20;
export const STATUS_DRDY = 0x40;
export const STATUS_BSY = 0x80;

export const ERROR_ABRT = 0x04;
export const ERROR_IDNF = 0x10;
export const ERROR_UNC = 0x40;

export const CONTROL_NIEN = 0x02;
export const CONTROL_SRST = 0x04;
export const CONTROL_HOB = 0x80;

export const DEVICE_DEV = 0x10;
/** Bits 7 and 5 of the device register read as ones. */
export const DEVICE_OBSOLETE = 0xa0;

export const READ_SECTORS = 0x20;
export const READ_SECTORS_NO_RETRY = 0x21;
export const READ_SECTORS_EXT = 0x24;
export const READ_DMA_EXT = 0x25;
export const READ_MULTIPLE_EXT = 0x29;
export const WRITE_SECTORS = 0x30;
export const WRITE_SECTORS_NO_RETRY = 0x31;
export const WRITE_SECTORS_EXT = 0x34;
export const WRITE_DMA_EXT = 0x35;
export const WRITE_MULTIPLE_EXT = 0x39;
export const READ_VERIFY = 0x40;
export const READ_VERIFY_NO_RETRY = 0x41;
export const READ_VERIFY_EXT = 0x42;
export const EXECUTE_DEVICE_DIAGNOSTIC = 0x90;
export const INITIALIZE_DEVICE_PARAMETERS = 0x91;
export const READ_MULTIPLE = 0xc4;
export const WRITE_MULTIPLE = 0xc5;
export const SET_MULTIPLE_MODE = 0xc6;
export const READ_DMA = 0xc8;
export const READ_DMA_NO_RETRY = 0xc9;
export const WRITE_DMA = 0xca;
export const WRITE_DMA_NO_RETRY = 0xcb;
export const STANDBY_IMMEDIATE = 0xe0;
export const IDLE_IMMEDIATE = 0xe1;
export const STANDBY = 0xe2;
export const IDLE = 0xe3;
export const CHECK_POWER_MODE = 0xe5;
export const FLUSH_CACHE = 0xe7;
export const FLUSH_CACHE_EXT = 0xea;
export const IDENTIFY_DEVICE = 0xec;
export const SET_FEATURES = 0xef;

export const FEATURE_ENABLE_WRITE_CACHE = 0x02;
export const FEATURE_SET_TRANSFER_MODE = 0x03;
export const FEATURE_DISABLE_LOOK_AHEAD = 0x55;
export const FEATURE_DISABLE_WRITE_CACHE = 0x82;
export const FEATURE_ENABLE_LOOK_AHEAD = 0xaa;

/** A command that addresses sectors: how they move, which way, and whether its addresses have 48 bits. */
export interface SectorCommand {
  readonly how: 'pio' | 'multiple' | 'dma' | 'verify';
  readonly write: boolean;
  readonly extended: boolean;
}

const sectorCommand = (
  how: SectorCommand['how'],
  write: boolean,
  extended: boolean,
): SectorCommand => ({
  how,
  write,
  extended,
});

export const SECTOR_COMMANDS: ReadonlyMap<number, SectorCommand> = new Map([
  [READ_SECTORS, sectorCommand('pio', false, false)],
  [READ_SECTORS_NO_RETRY, sectorCommand('pio', false, false)],
  [READ_SECTORS_EXT, sectorCommand('pio', false, true)],
  [READ_DMA_EXT, sectorCommand('dma', false, true)],
  [READ_MULTIPLE_EXT, sectorCommand('multiple', false, true)],
  [WRITE_SECTORS, sectorCommand('pio', true, false)],
  [WRITE_SECTORS_NO_RETRY, sectorCommand('pio', true, false)],
  [WRITE_SECTORS_EXT, sectorCommand('pio', true, true)],
  [WRITE_DMA_EXT, sectorCommand('dma', true, true)],
  [WRITE_MULTIPLE_EXT, sectorCommand('multiple', true, true)],
  [READ_VERIFY, sectorCommand('verify', false, false)],
  [READ_VERIFY_NO_RETRY, sectorCommand('verify', false, false)],
  [READ_VERIFY_EXT, sectorCommand('verify', false, true)],
  [READ_MULTIPLE, sectorCommand('multiple', false, false)],
  [WRITE_MULTIPLE, sectorCommand('multiple', true, false)],
  [READ_DMA, sectorCommand('dma', false, false)],
  [READ_DMA_NO_RETRY, sectorCommand('dma', false, false)],
  [WRITE_DMA, sectorCommand('dma', true, false)],
  [WRITE_DMA_NO_RETRY, sectorCommand('dma', true, false)],
]);
