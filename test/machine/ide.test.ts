import { describe, expect, it } from 'vitest';
import * as ata from '../../machine/ide-registers.ts';
import { BSY, DRQ, LBA, numbered, READY, SECTOR, SEEK, wired } from './ide-fixture.ts';

describe('IDENTIFY DEVICE', () => {
  it('tells size, model and a valid checksum', () => {
    const { command, pass, words, status } = wired(numbered(5000));
    command(ata.IDENTIFY_DEVICE, 0, 0);
    expect(status() & BSY).toBe(BSY);
    pass(SECTOR);
    expect(status()).toBe(DRQ);

    const data = words(256);

    const view = new DataView(data.buffer);
    expect(view.getUint32(120, true)).toBe(5000);
    expect(view.getUint32(200, true)).toBe(5000);
    expect(view.getUint16(49 * 2, true) & 0x300).toBe(0x300);
    expect(String.fromCharCode(data[55]!, data[54]!, data[57]!, data[56]!)).toBe('HOSP');
    expect(data.reduce((sum, byte) => (sum + byte) & 0xff, 0)).toBe(0);
    expect(status()).toBe(READY);
  });
});

describe('READ SECTORS', () => {
  it('is BSY for its seek, then interrupts before each sector', () => {
    const { command, pass, words, status, irq, ide } = wired(numbered(100));
    command(ata.READ_SECTORS, 7, 2);
    pass(SEEK + SECTOR - 1);
    expect([status() & BSY, irq.high]).toEqual([BSY, false]);
    pass(1);
    expect([status(), irq.high]).toEqual([DRQ, true]);
    expect(ide.read(ata.IDE_STATUS_COMMAND)).toBe(DRQ);
    expect(irq.high).toBe(false);

    expect([...words(256)].every((byte) => byte === 7)).toBe(true);
    expect(status() & BSY).toBe(BSY);
    pass(SECTOR);
    expect(irq.rises).toBe(2);
    expect([...words(256)].every((byte) => byte === 8)).toBe(true);

    expect(status()).toBe(READY);
    expect(words(1)).toEqual(new Uint8Array(2));
  });

  it('counts 0 as 256 sectors', () => {
    const { command, pass, words, status } = wired(numbered(300));
    command(ata.READ_SECTORS, 3, 0);
    for (let sector = 0; sector < 256; sector++) {
      pass(SEEK + SECTOR);
      expect(words(256)[0]).toBe((3 + sector) & 0xff);
    }
    expect(status()).toBe(READY);
  });

  it('takes cylinder, head and sector from a device register without LBA', () => {
    const { ide, write, pass, words } = wired(numbered(3000));
    write(ata.IDE_DEVICE, 0x02); // head 2
    write(ata.IDE_SECTOR_COUNT, 1);
    write(ata.IDE_LBA_LOW, 5);
    write(ata.IDE_LBA_MID, 1); // cylinder 1
    write(ata.IDE_LBA_HIGH, 0);
    ide.write(ata.IDE_STATUS_COMMAND, ata.READ_SECTORS, 0);
    pass(SEEK + SECTOR);
    expect(words(1)[0]).toBe(((16 + 2) * 63 + 4) & 0xff);
  });

  it('takes 32-bit accesses too', () => {
    const { ide, command, pass } = wired(numbered(100));
    command(ata.READ_SECTORS, 0x11, 1);
    pass(SEEK + SECTOR);
    expect(ide.readData(4, 0)).toBe(0x11111111);
  });
});

describe('WRITE SECTORS', () => {
  it('takes the first sector at once, and interrupts after each', () => {
    const store = numbered(100);
    const { command, pass, fill, status, irq } = wired(store);
    command(ata.WRITE_SECTORS, 9, 2);
    expect([status(), irq.rises]).toEqual([DRQ, 0]);
    fill(256, 0xaaaa);
    expect(status() & BSY).toBe(BSY);
    pass(SEEK + SECTOR);
    expect([status(), irq.rises]).toEqual([DRQ, 1]);
    fill(256, 0xbbbb);
    expect(store.bytes[10 * 512]).toBe(10);
    pass(SECTOR);

    expect(store.bytes[9 * 512]).toBe(0xaa);
    expect(store.bytes[10 * 512 + 511]).toBe(0xbb);
    expect(store.bytes[11 * 512]).toBe(11);
    expect(status()).toBe(READY);
  });

  it.each([
    ['WRITE SECTORS', ata.WRITE_SECTORS],
    ['WRITE DMA', ata.WRITE_DMA],
  ])('%s aborts on a read-only store', (_name, code) => {
    const { command, pass, status, error } = wired(numbered(100, true));
    command(code, 9, 1);
    pass(SEEK);
    expect([status(), error()]).toEqual([READY | 1, ata.ERROR_ABRT]);
  });
});

describe('READ and WRITE MULTIPLE', () => {
  it('move blocks of the size that SET MULTIPLE MODE gave, the last one shorter', () => {
    const store = numbered(100);
    const { command, pass, words, fill, irq, status, ide } = wired(store);
    command(ata.SET_MULTIPLE_MODE, 0, 4);
    pass(SECTOR);
    expect(status()).toBe(READY);
    ide.read(ata.IDE_STATUS_COMMAND);
    const before = irq.rises;

    command(ata.READ_MULTIPLE, 10, 6);
    pass(SEEK + 4 * SECTOR);
    ide.read(ata.IDE_STATUS_COMMAND);
    expect(words(4 * 256)[3 * 512]).toBe(13);
    pass(2 * SECTOR);
    expect(words(2 * 256)[512]).toBe(15);
    expect([status(), irq.rises - before]).toEqual([READY, 2]);

    command(ata.WRITE_MULTIPLE, 20, 6);
    fill(4 * 256, 0x7777);
    pass(SEEK + 4 * SECTOR);
    fill(2 * 256, 0x7777);
    pass(2 * SECTOR);
    expect(store.bytes[25 * 512 + 511]).toBe(0x77);
    expect(store.bytes[26 * 512]).toBe(26);
  });

  it.each([3, 32])('abort after SET MULTIPLE MODE %i, which aborts itself', (size) => {
    const { command, pass, error } = wired(numbered(100));
    command(ata.SET_MULTIPLE_MODE, 0, size);
    pass(SECTOR);
    expect(error()).toBe(ata.ERROR_ABRT);
    command(ata.READ_MULTIPLE, 0, 1);
    pass(SECTOR);
    expect(error()).toBe(ata.ERROR_ABRT);
  });
});

describe('errors of a drive', () => {
  it.each([
    ['READ SECTORS', ata.READ_SECTORS, 99, 2],
    ['READ DMA', ata.READ_DMA, 100, 1],
    ['WRITE SECTORS', ata.WRITE_SECTORS, 0x0fffffff, 1],
    ['READ VERIFY SECTORS', ata.READ_VERIFY, 50, 0],
  ])('%s beyond the end sets IDNF', (_name, code, sector, count) => {
    const { command, pass, status, error, irq } = wired(numbered(100));
    command(code, sector, count);
    pass(SEEK);
    expect([status(), error(), irq.high]).toEqual([READY | 1, ata.ERROR_IDNF, true]);
  });

  it('sets IDNF for sector 0 of a track', () => {
    const { command, pass, error } = wired(numbered(100));
    command(ata.READ_SECTORS, 0, 1, 0);
    pass(SEEK);
    expect(error()).toBe(ata.ERROR_IDNF);
  });

  it('sets ABRT for unknown commands and features', () => {
    const { command, pass, error, write } = wired(numbered(100));
    command(0xa1, 0, 0);
    pass(SECTOR);
    expect(error()).toBe(ata.ERROR_ABRT);
    write(ata.IDE_ERROR_FEATURES, 0x77);
    command(ata.SET_FEATURES, 0, 0);
    pass(SECTOR);
    expect(error()).toBe(ata.ERROR_ABRT);
    write(ata.IDE_ERROR_FEATURES, ata.FEATURE_SET_TRANSFER_MODE);
    command(ata.SET_FEATURES, 0, 0);
    pass(SECTOR);
    expect(error()).toBe(0);
  });

  it('turns an error of the host into UNC, DF or an aborted flush, with the sector', () => {
    const fail = () => {
      throw new Error('EIO');
    };
    const { command, pass, status, error, fill, ide } = wired({
      sectors: 100,
      readOnly: false,
      read: fail,
      write: fail,
      flush: fail,
    });
    command(ata.READ_SECTORS, 77, 1);
    pass(SEEK + SECTOR);
    expect([status(), error(), ide.read(ata.IDE_LBA_LOW)]).toEqual([READY | 1, ata.ERROR_UNC, 77]);
    command(ata.WRITE_SECTORS, 77, 1);
    fill(256, 0);
    pass(SEEK + SECTOR);
    expect([status(), error()]).toEqual([READY | 0x21, ata.ERROR_ABRT]);
    command(ata.FLUSH_CACHE, 0, 0);
    pass(SEEK);
    expect([status(), error()]).toEqual([READY | 0x21, ata.ERROR_ABRT]);
  });
});

describe('FLUSH CACHE', () => {
  it('flushes the store', () => {
    let flushed = 0;
    const store = numbered(10);
    store.flush = () => {
      flushed += 1;
    };
    const { command, pass, status } = wired(store);
    command(ata.FLUSH_CACHE, 0, 0);
    pass(SEEK);
    command(ata.FLUSH_CACHE_EXT, 0, 0);
    pass(SEEK);
    expect([flushed, status()]).toEqual([2, READY]);
  });
});

describe('device control', () => {
  it('SRST abandons the command and leaves the signature', () => {
    const { command, pass, status, write, ide, irq, error } = wired(numbered(100));
    command(ata.READ_SECTORS, 7, 1);
    write(ata.IDE_ALTERNATE_STATUS_CONTROL, ata.CONTROL_SRST);
    pass(SEEK + SECTOR);
    expect([status(), irq.high]).toEqual([BSY, false]);
    write(ata.IDE_ALTERNATE_STATUS_CONTROL, 0);
    pass(SEEK);
    expect([status(), error(), irq.high]).toEqual([READY, 1, false]);
    expect([2, 3, 4, 5, 6].map((register) => ide.read(register))).toEqual([1, 1, 0, 0, 0xa0]);
  });

  it('nIEN holds INTRQ back until it is cleared', () => {
    const { command, pass, write, irq } = wired(numbered(100));
    write(ata.IDE_ALTERNATE_STATUS_CONTROL, ata.CONTROL_NIEN);
    command(ata.READ_SECTORS, 7, 1);
    pass(SEEK + SECTOR);
    expect(irq.high).toBe(false);
    write(ata.IDE_ALTERNATE_STATUS_CONTROL, 0);
    expect(irq.high).toBe(true);
  });

  it('ignores a second command while BSY', () => {
    const { command, pass, status, words } = wired(numbered(100));
    command(ata.READ_SECTORS, 7, 1);
    command(ata.READ_SECTORS, 9, 1);
    pass(SEEK + SECTOR);
    expect(status()).toBe(DRQ);
    expect(words(1)[0]).toBe(7);
  });
});

describe('absent drives', () => {
  it('float the bus when the channel has none', () => {
    const { ide, command } = wired();
    command(ata.IDENTIFY_DEVICE, 0, 0);
    expect([1, 2, 7, 8].map((register) => ide.read(register))).toEqual([0xff, 0xff, 0xff, 0xff]);
    expect(ide.readData(2, 0)).toBe(0xffff);
  });

  it('read status 0 for a slave beside a master, which ignores the command', () => {
    const { ide, command, pass, status } = wired(numbered(100));
    command(ata.IDENTIFY_DEVICE, 0, 0, 0x10);
    pass(SEEK);
    expect([status(), ide.read(ata.IDE_STATUS_COMMAND)]).toEqual([0, 0]);
  });

  it('leave the slave alone on its channel usable', () => {
    const { command, pass, words, status } = wired(undefined, numbered(100));
    expect(status()).toBe(0xff);
    command(ata.READ_SECTORS, 3, 1, LBA | 0x10);
    pass(SEEK + SECTOR);
    expect(words(1)[0]).toBe(3);
  });
});

describe('hostile registers', () => {
  it('never throw, and a reset always brings the drive back', () => {
    const { ide, busMaster, timeline, command, pass, write, status, words } = wired(
      numbered(100),
      numbered(10, true),
    );
    let seed = 1;
    const random = (limit: number) => {
      seed = (Math.imul(seed, 1103515245) + 12345) >>> 0;
      return (seed >>> 8) % limit;
    };
    for (let step = 0; step < 50_000; step++) {
      const now = step * 7;
      const value = random(256);
      switch (random(6)) {
        case 0:
        case 1:
          ide.write(1 + random(7), value, now);
          break;
        case 2:
          ide.writeData([1, 2, 4][random(3)]!, value * 0x01010101, now);
          break;
        case 3:
          expect(ide.readData([1, 2, 4][random(3)]!, now)).toBeGreaterThanOrEqual(0);
          break;
        case 4:
          busMaster.write(random(8), value, now);
          break;
        default:
          expect(ide.read(1 + random(8))).toBeLessThan(256);
      }
      timeline.fire(now);
    }
    pass(1e6);
    write(ata.IDE_ALTERNATE_STATUS_CONTROL, ata.CONTROL_SRST);
    write(ata.IDE_ALTERNATE_STATUS_CONTROL, 0);
    pass(SEEK);
    command(ata.READ_SECTORS, 7, 1);
    pass(SEEK + SECTOR);
    expect(status()).toBe(DRQ);
    expect(words(256)).toHaveLength(512);
  });
});
