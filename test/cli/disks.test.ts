import { chmodSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { openDisks } from '../../cli/disks.ts';
import { HostFile } from '../../cli/host-file.ts';
import type { Job } from '../../cli/job.ts';
import { Overlay } from '../../cli/overlay.ts';
import { MemoryStore, SECTOR_BYTES } from '../../machine/block-store.ts';
import { folderWith } from './hospes.ts';

const sectors = (...fills: number[]): Uint8Array =>
  Uint8Array.from(fills.flatMap((fill) => Array<number>(SECTOR_BYTES).fill(fill)));

const jobWith = (file: string, keepWrites: boolean, readOnly = false): Job => ({
  ...{ kernel: 'k.ts', compiled: false, runs: [], memoryBytes: 0, vcpus: 1, limit: 1, keepWrites },
  disks: [{ name: 'xvdb', file, readOnly }],
});

describe('a disk in a host file', () => {
  it('reads and writes whole sectors of the file', () => {
    const folder = folderWith({ 'd.img': sectors(1, 2, 3) });
    const disk = new HostFile(`${folder.path}/d.img`, false);
    const got = new Uint8Array(2 * SECTOR_BYTES);

    disk.write(2, sectors(9));
    disk.read(1, got);
    disk.flush();
    disk.close();

    expect(disk.sectors).toBe(3);
    expect(got).toEqual(sectors(2, 9));
    expect(new Uint8Array(readFileSync(`${folder.path}/d.img`))).toEqual(sectors(1, 2, 9));
  });

  it.each([
    ['is missing', 'none.img', /none\.img does not exist/],
    ['is empty', 'empty.img', /empty\.img is empty: a disk needs at least one sector/],
    ['is no multiple of 512', 'odd.img', /has 513 bytes.*truncate -s 1024 .*odd\.img/],
    ['is a folder', '.', /is not a file/],
  ])('refuses a file that %s', (_case, name, sentence) => {
    const folder = folderWith({ 'empty.img': '', 'odd.img': new Uint8Array(513) });
    expect(() => new HostFile(`${folder.path}/${name}`, false)).toThrow(sentence);
    expect(() => new HostFile(`${folder.path}/${name}`, true)).toThrow(sentence);
  });

  it('refuses to write to a file that nobody may write, and reads it', () => {
    const folder = folderWith({ 'sealed.img': sectors(7) });
    chmodSync(`${folder.path}/sealed.img`, 0o444);
    expect(() => new HostFile(`${folder.path}/sealed.img`, false)).toThrow(/is not writable.*,ro/);
    expect(new HostFile(`${folder.path}/sealed.img`, true).readOnly).toBe(true);
  });

  it('fails a read when the file has become shorter', () => {
    const folder = folderWith({ 'd.img': sectors(1, 2) });
    const disk = new HostFile(`${folder.path}/d.img`, true);
    folder.write('d.img', sectors(1));
    expect(() => disk.read(1, new Uint8Array(SECTOR_BYTES))).toThrow(/cut short at sector 1/);
  });
});

describe('an overlay', () => {
  it('shows its writes over what lies below, which never changes', () => {
    const below = new MemoryStore(sectors(1, 2, 3));
    const overlay = new Overlay(below, false);
    const got = new Uint8Array(3 * SECTOR_BYTES);

    const written = sectors(8, 9);
    overlay.write(1, written);
    written.fill(0);
    overlay.read(0, got);

    expect(got).toEqual(sectors(1, 8, 9));
    expect(below.bytes).toEqual(sectors(1, 2, 3));
  });
});

describe('the disks of a job', () => {
  it('begin each run of a comparison as the file is', () => {
    const folder = folderWith({ 'd.img': sectors(1) });
    const drives = openDisks(jobWith(`${folder.path}/d.img`, false));
    const got = new Uint8Array(SECTOR_BYTES);

    drives()[1]?.write(0, sectors(5));
    const [first, second] = drives();
    second?.read(0, got);

    expect(first).toBeUndefined();
    expect(got).toEqual(sectors(1));
    expect(new Uint8Array(readFileSync(`${folder.path}/d.img`))).toEqual(sectors(1));
  });

  it('are the files themselves in a run', () => {
    const folder = folderWith({ 'd.img': sectors(1) });
    openDisks(jobWith(`${folder.path}/d.img`, true))()[1]?.write(0, sectors(5));
    expect(new Uint8Array(readFileSync(`${folder.path}/d.img`))).toEqual(sectors(5));
  });

  it('are read-only where the argument says so', () => {
    const folder = folderWith({ 'd.img': sectors(1) });
    for (const keep of [true, false]) {
      expect(openDisks(jobWith(`${folder.path}/d.img`, keep, true))()[1]?.readOnly).toBe(true);
    }
  });
});
