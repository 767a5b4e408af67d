import { describe, expect, it } from 'vitest';
import {
  JUMP_CACHE_BYTES,
  Memory,
  TLB_ARRAY_BYTES,
  TLB_PAIR_BYTES,
  VCPU_BLOCK_BYTES,
} from '../../machine/memory.ts';

describe('Memory', () => {
  const memory = new Memory({ vcpus: 3, frames: 16 });

  it('puts blocks, jump caches, TLBs and records below frames that begin at 2 MiB boundaries', () => {
    expect(memory.vcpuBlock(2)).toBe(2 * VCPU_BLOCK_BYTES);
    expect(memory.jumpCaches).toBe(3 * VCPU_BLOCK_BYTES);
    expect(memory.tlbs).toBe(memory.jumpCaches + 3 * JUMP_CACHE_BYTES);
    expect(memory.tlbPair(1, 1)).toBe(memory.tlbs + 3 * TLB_PAIR_BYTES);
    expect(TLB_PAIR_BYTES).toBe(2 * TLB_ARRAY_BYTES);
    expect(memory.records).toBe(memory.tlbPair(3, 0));
    expect(memory.frameBase % (2 << 20)).toBe(0);
    expect(memory.frameBase).toBeGreaterThan(memory.records);
  });

  it('gives each frame its own 4 KiB, little-endian', () => {
    memory.frame(3).fill(0xff);
    memory.u32[memory.frameAt(4) >>> 2] = 0x11223344;
    expect(memory.frame(2).every((byte) => byte === 0)).toBe(true);
    expect([...memory.frame(4).subarray(0, 4)]).toEqual([0x44, 0x33, 0x22, 0x11]);
    expect(memory.frame(3)).toHaveLength(4096);
  });

  it('refuses a machine beyond 3.9 GiB', () => {
    expect(() => new Memory({ vcpus: 1, frames: 2 ** 20 })).toThrow(RangeError);
  });
});
