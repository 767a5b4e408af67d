/**
 * The disks of a job: each `--disk` in its place. A run that keeps its writes gets the files themselves,
 * any other gets overlays, new ones for each run.
 */
import type { BlockStore } from '../machine/block-store.ts';
import { HostFile } from './host-file.ts';
import type { Job } from './job.ts';
import { diskPlace } from './options.ts';
import { Overlay } from './overlay.ts';

/** One machine's drives by place, xvda first; places between may be empty. */
export type Drives = ReadonlyArray<BlockStore | undefined>;

/**
 * Opens the files of `job`. @returns a function that gives the drives for one run.
 * @throws UsageError when a file cannot be a disk.
 */
export const openDisks = (job: Job): (() => Drives) => {
  const files = job.disks.map(({ name, file, readOnly }) => ({
    place: diskPlace(name),
    readOnly,
    store: new HostFile(file, readOnly || !job.keepWrites),
  }));
  return () => {
    const drives: Array<BlockStore | undefined> = [];
    for (const { place, readOnly, store } of files) {
      drives[place] = job.keepWrites ? store : new Overlay(store, readOnly);
    }
    return Array.from(drives);
  };
};
