/** Static ELF executables: their segments, as a kernel maps them. */
import { type AddressSpace, EXECUTE, pageOf, READ, WRITE } from './address-space.ts';

const PT_LOAD = 1;
const ET_DYN = 3;
/** Where Linux puts what may lie anywhere. */
const DYNAMIC_BASE = 0x555555554000;

export interface Image {
  readonly entry: number;
  /** Where the program headers are in memory, and how many. */
  readonly headers: number;
  readonly headerCount: number;
  /** The first address behind it. */
  readonly end: number;
}

export const loadElf = (file: Uint8Array, space: AddressSpace): Image => {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const word = (at: number): number => Number(view.getBigUint64(at, true));
  if (view.getUint32(0) !== 0x7f454c46) throw new TypeError('not an ELF file');
  const base = view.getUint16(16, true) === ET_DYN ? DYNAMIC_BASE : 0;
  const [table, size, count] = [word(32), view.getUint16(54, true), view.getUint16(56, true)];
  let end = 0;
  let first = Number.POSITIVE_INFINITY;
  for (let at = table; at < table + size * count; at += size) {
    if (view.getUint32(at, true) !== PT_LOAD) continue;
    const flags = view.getUint32(at + 4, true);
    const [offset, address, bytes, all] = [
      word(at + 8),
      word(at + 16),
      word(at + 32),
      word(at + 40),
    ];
    const start = pageOf(address);
    const lead = address - start;
    const rights = (flags & 4 ? READ : 0) | (flags & 2 ? WRITE : 0) | (flags & 1 ? EXECUTE : 0);
    space.map(base + start, lead + all, rights, file.subarray(offset - lead, offset + bytes));
    first = Math.min(first, base + start - (offset - lead));
    end = Math.max(end, base + address + all);
  }
  return { entry: base + word(24), headers: first + table, headerCount: count, end };
};
