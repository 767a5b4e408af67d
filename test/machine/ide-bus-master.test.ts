import { describe, expect, it } from 'vitest';
import type { BlockStore } from '../../machine/block-store.ts';
import { BMIC, BMIS, BMIS_BMIDEA, BMIS_ERROR, BMIS_IDEINTS } from '../../machine/ide-bus-master.ts';
import * as ata from '../../machine/ide-registers.ts';
import { BSY, DRQ, numbered, READY, SECTOR, SEEK, wired } from './ide-fixture.ts';

describe('bus master', () => {
  it('scatters a read over the regions of its table', () => {
    const { command, pass, regions, start, memory, status, irq, busMaster } = wired(numbered(100));
    regions([0x2000, 0x300, false], [0x8000, 0x100, true]);
    command(ata.READ_DMA, 5, 2);
    expect(status()).toBe(DRQ);
    start(true);
    expect(status() & BSY).toBe(BSY);
    expect(busMaster.read(BMIS)).toBe(BMIS_BMIDEA);
    pass(SEEK + 2 * SECTOR);

    expect([memory[0x2000], memory[0x21ff], memory[0x2200], memory[0x22ff]]).toEqual([5, 5, 6, 6]);
    expect([memory[0x2300], memory[0x8000], memory[0x80ff], memory[0x8100]]).toEqual([0, 6, 6, 0]);
    expect([status(), irq.high]).toEqual([READY, true]);
    expect(busMaster.read(BMIS)).toBe(BMIS_IDEINTS);
    busMaster.write(BMIS, BMIS_IDEINTS, 0);
    expect(busMaster.read(BMIS)).toBe(0);
  });

  it('gathers a write, also when it is started before the command', () => {
    const store = numbered(100);
    const { command, pass, regions, start, memory } = wired(store);
    memory.fill(0x5a, 0x3000, 0x3200);
    regions([0x3000, 0x200, true]);
    start(false);
    command(ata.WRITE_DMA, 42, 1);
    pass(SEEK + SECTOR);
    expect([store.bytes[42 * 512], store.bytes[43 * 512 - 1], store.bytes[43 * 512]]).toEqual([
      0x5a, 0x5a, 43,
    ]);
  });

  it('stays active when the table has room to spare', () => {
    const { command, pass, regions, start, busMaster } = wired(numbered(100));
    regions([0x2000, 0x400, true]);
    command(ata.READ_DMA, 5, 1);
    start(true);
    pass(SEEK + SECTOR);
    expect(busMaster.read(BMIS)).toBe(BMIS_BMIDEA | BMIS_IDEINTS);
    busMaster.write(BMIC, 0, 0);
    expect(busMaster.read(BMIS)).toBe(BMIS_IDEINTS);
  });

  it('leaves the drive waiting when the table is too short', () => {
    const { command, pass, regions, start, busMaster, status, irq } = wired(numbered(100));
    regions([0x2000, 0x100, true]);
    command(ata.READ_DMA, 5, 1);
    start(true);
    pass(SEEK + SECTOR);
    expect([busMaster.read(BMIS), status(), irq.high]).toEqual([0, DRQ, false]);
  });

  it.each([
    ['a region without memory', [0x7fffff00, 0x200], true],
    ['the wrong direction', [0x2000, 0x200], false],
  ] as const)('fails on %s', (_case, [address, bytes], toMemory) => {
    const { command, pass, regions, start, busMaster, status, error } = wired(numbered(100));
    regions([address, bytes, true]);
    command(ata.READ_DMA, 5, 1);
    start(toMemory);
    pass(SEEK + SECTOR);
    expect(busMaster.read(BMIS)).toBe(BMIS_ERROR | BMIS_IDEINTS);
    expect([status(), error()]).toEqual([READY | 1, ata.ERROR_ABRT]);
  });

  it('stops before the transfer without moving anything', () => {
    const { command, pass, regions, start, busMaster, memory, status } = wired(numbered(100));
    regions([0x2000, 0x200, true]);
    command(ata.READ_DMA, 5, 1);
    start(true);
    busMaster.write(BMIC, 0, 0);
    pass(10 * SEEK);
    expect([memory[0x2000], status()]).toEqual([0, DRQ]);
  });
});

describe('READ and WRITE with 48-bit addresses', () => {
  it('take the value before the last of each register as its high half', () => {
    const store: BlockStore & { asked: number[] } = {
      asked: [],
      sectors: 2 ** 40,
      readOnly: false,
      read(sector, into) {
        this.asked.push(sector, into.length);
      },
      write() {},
      flush() {},
    };
    const { commandExt, pass, regions, start, status, ide, write } = wired(store);
    regions([0x10000, 0, false], [0x10000, 0, true]);
    commandExt(ata.READ_DMA_EXT, 0x123456789a, 256);
    expect(ide.read(ata.IDE_LBA_LOW)).toBe(0x9a);
    write(ata.IDE_ALTERNATE_STATUS_CONTROL, ata.CONTROL_HOB);
    expect(ide.read(ata.IDE_LBA_LOW)).toBe(0x34);

    start(true);
    pass(SEEK + 256 * SECTOR);

    expect(status()).toBe(READY);
    expect(store.asked).toEqual([0x123456789a, 65536, 0x123456789a + 128, 65536]);
  });
});
