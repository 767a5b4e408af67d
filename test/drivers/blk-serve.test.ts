import { beforeEach, describe, expect, it } from 'vitest';
import { BackingDrive, type ServedDisk, serve } from '../../drivers/blk-back.ts';
import { xvdHandle } from '../../drivers/disk.ts';
import {
  BLKIF_OP_DISCARD,
  BLKIF_OP_FLUSH_DISKCACHE,
  BLKIF_OP_INDIRECT,
  BLKIF_OP_READ,
  BLKIF_OP_WRITE,
  BLKIF_OP_WRITE_BARRIER,
  BLKIF_RSP_EOPNOTSUPP,
  BLKIF_RSP_ERROR,
  BLKIF_RSP_OKAY,
  type BlkifRequestFields,
  blkifRequestFields,
} from '../../protocol/blkif.ts';
import { type FakeDomain, FakeHost } from './fake-domains.ts';
import { FakeDrive } from './fake-drive.ts';

const SECTORS = 100;

describe('blkif requests', () => {
  let guest: FakeDomain;
  let dom0: FakeDomain;
  let drive: FakeDrive;
  let disk: ServedDisk;
  let page: number;
  let gref: number;

  beforeEach(() => {
    const host = new FakeHost();
    dom0 = host.domain(0);
    guest = host.domain(1);
    drive = new FakeDrive(dom0, SECTORS);
    const backing = new BackingDrive(drive, dom0.kernel.frames);
    disk = { backing, handle: xvdHandle('xvda'), readOnly: false, domid: guest.id };
    page = guest.kernel.frames.alloc();
    gref = guest.kernel.grants.grant(dom0.id, page, false);
  });

  function request(change: Partial<BlkifRequestFields> & { first?: number; last?: number }) {
    const fields = blkifRequestFields();
    const { first = 0, last = 7, ...rest } = change;
    Object.assign(fields, {
      operation: BLKIF_OP_READ,
      handle: disk.handle,
      nrSegments: 1,
      ...rest,
    });
    fields.gref.fill(gref);
    fields.firstSect.fill(first);
    fields.lastSect.fill(last);
    return fields;
  }

  const run = (fields: BlkifRequestFields) => serve(fields, disk, dom0.kernel.grants);

  it('reads sectors into the middle of a page and touches nothing else', async () => {
    guest.page(page).fill(0xee);
    expect(await run(request({ sectorNumber: 10, first: 2, last: 3 }))).toBe(BLKIF_RSP_OKAY);
    const got = guest.page(page);
    expect(got.subarray(1024, 2048)).toEqual(drive.bytes.subarray(5120, 6144));
    expect(got.subarray(0, 1024).every((byte) => byte === 0xee)).toBe(true);
    expect(got.subarray(2048).every((byte) => byte === 0xee)).toBe(true);
  });

  it('writes up to eleven segments', async () => {
    guest.page(page).fill(0xab);
    const fields = request({ operation: BLKIF_OP_WRITE, nrSegments: 11, first: 7, last: 7 });
    expect(await run(fields)).toBe(BLKIF_RSP_OKAY);
    expect(drive.bytes.subarray(0, 11 * 512).every((byte) => byte === 0xab)).toBe(true);
    expect(drive.log).toEqual(['write 0']);
  });

  it('reads the very last sector', async () => {
    expect(await run(request({ sectorNumber: SECTORS - 1, last: 0 }))).toBe(BLKIF_RSP_OKAY);
  });

  it('flushes', async () => {
    const fields = request({ operation: BLKIF_OP_FLUSH_DISKCACHE, nrSegments: 0 });
    expect(await run(fields)).toBe(BLKIF_RSP_OKAY);
    expect(drive.log).toEqual(['flush']);
  });

  it.each([
    ['a barrier', BLKIF_OP_WRITE_BARRIER],
    ['a discard', BLKIF_OP_DISCARD],
    ['an indirect request', BLKIF_OP_INDIRECT],
    ['an unknown operation, as Linux does', 200],
  ])('answers BLKIF_RSP_EOPNOTSUPP to %s', async (_name, operation) => {
    expect(await run(request({ operation }))).toBe(BLKIF_RSP_EOPNOTSUPP);
    expect(drive.log).toEqual([]);
  });

  it.each([
    ['no segments', { nrSegments: 0 }],
    ['twelve segments', { nrSegments: 12 }],
    ['255 segments', { nrSegments: 255 }],
    ['a flush with segments', { operation: BLKIF_OP_FLUSH_DISKCACHE }],
    ['a first sector after the last', { first: 5, last: 4 }],
    ['a last sector outside the page', { last: 8 }],
    ['both sectors outside the page', { first: 255, last: 255 }],
    ['a sector just beyond the end', { sectorNumber: SECTORS, last: 0 }],
    ['sectors across the end', { sectorNumber: SECTORS - 7 }],
    ['several segments across the end', { sectorNumber: SECTORS - 8, nrSegments: 2 }],
    ['a huge sector', { sectorNumber: 2 ** 64 }],
    ['the handle of another disk', { handle: xvdHandle('xvdb') }],
  ])('answers BLKIF_RSP_ERROR to %s, and does not touch the drive', async (_name, change) => {
    for (const operation of [BLKIF_OP_READ, BLKIF_OP_WRITE]) {
      expect(await run(request({ operation, ...change }))).toBe(BLKIF_RSP_ERROR);
    }
    expect(drive.log).toEqual([]);
  });

  it('refuses to write a read-only disk, and reads it', async () => {
    disk = { ...disk, readOnly: true };
    expect(await run(request({ operation: BLKIF_OP_WRITE }))).toBe(BLKIF_RSP_ERROR);
    expect(drive.log).toEqual([]);
    expect(await run(request({}))).toBe(BLKIF_RSP_OKAY);
  });

  it.each([
    ['nobody granted', () => 9999],
    ['someone else granted', () => guest.kernel.grants.grant(guest.id, page, false)],
  ])('answers BLKIF_RSP_ERROR to a page that %s, and writes nothing', async (_name, make) => {
    gref = make();
    expect(await run(request({ operation: BLKIF_OP_WRITE }))).toBe(BLKIF_RSP_ERROR);
    expect(drive.log).toEqual([]);
    expect(await run(request({}))).toBe(BLKIF_RSP_ERROR);
  });

  it('answers BLKIF_RSP_ERROR to a read into a page granted read-only', async () => {
    gref = guest.kernel.grants.grant(dom0.id, page, true);
    expect(await run(request({}))).toBe(BLKIF_RSP_ERROR);
    expect(await run(request({ operation: BLKIF_OP_WRITE }))).toBe(BLKIF_RSP_OKAY);
  });

  it('answers BLKIF_RSP_ERROR when the drive fails', async () => {
    drive.failing = true;
    expect(await run(request({}))).toBe(BLKIF_RSP_ERROR);
    const flush = request({ operation: BLKIF_OP_FLUSH_DISKCACHE, nrSegments: 0 });
    expect(await run(flush)).toBe(BLKIF_RSP_ERROR);
  });

  it('serves two rings in turn, each with the buffer to itself', async () => {
    const other = guest.kernel.frames.alloc();
    const first = run(request({ sectorNumber: 0 }));
    gref = guest.kernel.grants.grant(dom0.id, other, false);
    const second = run(request({ sectorNumber: 8 }));
    expect(await Promise.all([first, second])).toEqual([BLKIF_RSP_OKAY, BLKIF_RSP_OKAY]);
    expect(guest.page(page)).toEqual(drive.bytes.subarray(0, 4096));
    expect(guest.page(other)).toEqual(drive.bytes.subarray(4096, 8192));
  });
});
