import { describe, expect, it } from 'vitest';
import { MemoryStore } from '../../machine/block-store.ts';

describe('MemoryStore', () => {
  it('reads back what was written', () => {
    const store = new MemoryStore(new Uint8Array(2048));
    store.write(1, new Uint8Array(1024).fill(7));
    const read = new Uint8Array(2048);
    store.read(0, read);
    expect([read[511], read[512], read[1535], read[1536]]).toEqual([0, 7, 7, 0]);
    expect(store.sectors).toBe(4);
  });

  it.each([
    ['beyond the end', 4, 512],
    ['over the end', 3, 1024],
    ['before the start', -1, 512],
    ['half a sector', 0, 256],
  ])('refuses to read %s', (_case, sector, length) => {
    const store = new MemoryStore(new Uint8Array(2048));
    expect(() => store.read(sector, new Uint8Array(length))).toThrow(RangeError);
  });

  it('refuses writes when read-only, and bytes that are not whole sectors', () => {
    const store = new MemoryStore(new Uint8Array(512), true);
    expect(() => store.write(0, new Uint8Array(512))).toThrow('read-only');
    expect(() => new MemoryStore(new Uint8Array(513))).toThrow(RangeError);
  });
});
