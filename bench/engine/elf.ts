/** As much of ELF as a static program of 64 bits needs. */
import { readFileSync } from 'node:fs';

const PT_LOAD = 1;
const PF_X = 1;

export interface Segment {
  readonly address: number;
  /** The rest, up to its size in memory, is zero. */
  readonly bytes: Uint8Array;
  readonly executable: boolean;
}

export interface Image {
  readonly entry: number;
  readonly segments: readonly Segment[];
}

export const readImage = (path: string): Image => {
  const bytes = readFileSync(path);
  const at64 = (at: number): number => Number(bytes.readBigUInt64LE(at));
  const [headers, size, count] = [at64(32), bytes.readUInt16LE(54), bytes.readUInt16LE(56)];
  const segments = Array.from({ length: count }, (_, i) => headers + i * size)
    .filter((at) => bytes.readUInt32LE(at) === PT_LOAD)
    .map((at) => ({
      address: at64(at + 16),
      bytes: bytes.subarray(at64(at + 8), at64(at + 8) + at64(at + 32)),
      executable: (bytes.readUInt32LE(at + 4) & PF_X) !== 0,
    }));
  return { entry: at64(24), segments };
};
