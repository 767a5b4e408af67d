/** One IDE channel on a timeline of its own, and a driver's usual steps. */
import { type BlockStore, MemoryStore, SECTOR_BYTES } from '../../machine/block-store.ts';
import { IdeChannel } from '../../machine/ide.ts';
import { BMIC, BMIC_RWCON, BMIC_SSBM, BMIDTP, BusMaster } from '../../machine/ide-bus-master.ts';
import { IdeDrive } from '../../machine/ide-drive.ts';
import * as ata from '../../machine/ide-registers.ts';
import { Timeline } from '../../machine/timeline.ts';

export const SEEK = 1000;
export const SECTOR = 10;
export const READY = 0x50;
export const DRQ = 0x58;
export const BSY = 0x80;
export const LBA = 0x40;

/** Sector n is filled with n. */
export const numbered = (sectors: number, readOnly = false) => {
  const bytes = new Uint8Array(sectors * SECTOR_BYTES);
  for (let at = 0; at < bytes.length; at++) bytes[at] = at >> 9;
  return new MemoryStore(bytes, readOnly);
};

export const wired = (master?: BlockStore, slave?: BlockStore) => {
  const timeline = new Timeline();
  const memory = new Uint8Array(256 * 1024);
  const busMaster = new BusMaster({
    read: (pa, into) => {
      if (pa + into.length > memory.length) return false;
      into.set(memory.subarray(pa, pa + into.length));
      return true;
    },
    write: (pa, from) => {
      if (pa + from.length > memory.length) return false;
      memory.set(from, pa);
      return true;
    },
  });
  const irq = { high: false, rises: 0 };
  const drive = (store: BlockStore | undefined) => store && new IdeDrive(store, 'TEST');
  const ide = new IdeChannel(
    timeline,
    { seek: SEEK, sector: SECTOR },
    [drive(master), drive(slave)],
    busMaster,
    (high) => {
      irq.high = high;
      if (high) irq.rises += 1;
    },
  );
  let now = 0;
  const write = (register: number, value: number) => ide.write(register, value, now);
  const status = () => ide.read(ata.IDE_ALTERNATE_STATUS_CONTROL);
  const error = () => ide.read(ata.IDE_ERROR_FEATURES);
  /** Let `cycles` pass. */
  const pass = (cycles: number) => {
    now += cycles;
    timeline.fire(now);
  };
  const command = (code: number, sector: number, count: number, device = LBA) => {
    write(ata.IDE_DEVICE, device | ((sector >> 24) & 0x0f));
    write(ata.IDE_SECTOR_COUNT, count & 0xff);
    write(ata.IDE_LBA_LOW, sector & 0xff);
    write(ata.IDE_LBA_MID, (sector >> 8) & 0xff);
    write(ata.IDE_LBA_HIGH, (sector >> 16) & 0xff);
    write(ata.IDE_STATUS_COMMAND, code);
  };
  const commandExt = (code: number, sector: number, count: number) => {
    write(ata.IDE_DEVICE, LBA);
    const high = Math.floor(sector / 2 ** 24);
    for (const [register, value] of [
      [ata.IDE_SECTOR_COUNT, ((count & 0xff) << 8) | (count >> 8)],
      [ata.IDE_LBA_LOW, ((sector & 0xff) << 8) | (high & 0xff)],
      [ata.IDE_LBA_MID, (((sector >> 8) & 0xff) << 8) | ((high >> 8) & 0xff)],
      [ata.IDE_LBA_HIGH, (((sector >> 16) & 0xff) << 8) | ((high >> 16) & 0xff)],
    ] as const) {
      write(register, value & 0xff);
      write(register, value >> 8);
    }
    write(ata.IDE_STATUS_COMMAND, code);
  };
  const words = (count: number) => {
    const into = new Uint8Array(count * 2);
    for (let at = 0; at < count; at++) {
      const word = ide.readData(2, now);
      into[at * 2] = word & 0xff;
      into[at * 2 + 1] = word >> 8;
    }
    return into;
  };
  const fill = (count: number, value: number) => {
    for (let at = 0; at < count; at++) ide.writeData(2, value, now);
  };
  /** Write a table at 0x100 of [address, bytes, last]. */
  const regions = (...entries: ReadonlyArray<readonly [number, number, boolean]>) => {
    const view = new DataView(memory.buffer);
    for (const [index, [address, bytes, last]] of entries.entries()) {
      view.setUint32(0x100 + index * 8, address, true);
      view.setUint16(0x104 + index * 8, bytes & 0xffff, true);
      view.setUint16(0x106 + index * 8, last ? 0x8000 : 0, true);
    }
    for (let at = 0; at < 4; at++) busMaster.write(BMIDTP + at, (0x100 >> (8 * at)) & 0xff, now);
  };
  const start = (toMemory: boolean) =>
    busMaster.write(BMIC, BMIC_SSBM | (toMemory ? BMIC_RWCON : 0), now);
  return {
    ide,
    irq,
    timeline,
    memory,
    busMaster,
    write,
    status,
    error,
    pass,
    command,
    commandExt,
    words,
    fill,
    regions,
    start,
  };
};
