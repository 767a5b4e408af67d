import { describe, expect, it } from 'vitest';
import { Memory, TLB_ARRAY_BYTES, TLB_SET_BYTES, VCPU_BLOCK_BYTES } from '../../machine/memory.ts';

describe('Memory', () => {
  const memory = new Memory({ vcpus: 3, frames: 16 });

  it('puts blocks, jump caches, TLBs and records below frames that begin at 2 MiB boundaries', () => {
    expect(memory.vcpuBlock(2)).toBe(2 * VCPU_BLOCK_BYTES);
    expect(memory.tlbs).toBe(3 * VCPU_BLOCK_BYTES);
    expect(memory.tlbSet(1, 1)).toBe(memory.tlbs + 3 * TLB_SET_BYTES);
    expect(TLB_SET_BYTES).toBe(3 * TLB_ARRAY_BYTES + 256);
    expect(memory.records).toBe(memory.tlbSet(3, 0));
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
