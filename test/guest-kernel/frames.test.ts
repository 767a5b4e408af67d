/** The frame allocator. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Frames } from '../../guest-kernel/frames.ts';
import { OutOfFrames } from '../../guest-kernel/index.ts';

describe('Frames', () => {
  it('hands out each frame once and ends with OutOfFrames', () => {
    const frames = new Frames({ first: 10, mapped: 20, end: 20 });
    const got = Array.from({ length: 10 }, () => frames.alloc());
    expect(new Set(got).size).toBe(10);
    expect(frames.available).toBe(0);
    expect(() => frames.alloc()).toThrow(OutOfFrames);
    frames.free(15);
    expect(frames.alloc()).toBe(15);
  });

  it.each([
    ['twice', 12],
    ['never allocated', 19],
    ['outside', 9],
  ])('refuses to free a frame %s', (_case, pfn) => {
    const frames = new Frames({ first: 10, mapped: 20, end: 20 });
    for (let i = 0; i < 5; i++) frames.alloc();
    frames.free(12);
    expect(() => frames.free(pfn)).toThrow(RangeError);
  });

  it('grows the mapped part before it runs out, from what it kept back', () => {
    const grown: number[] = [];
    const frames: Frames = new Frames({ first: 0, mapped: 8, end: 24 }, (from) => {
      grown.push(from, frames.alloc());
      return from + 8;
    });
    const got = Array.from({ length: 22 }, () => frames.alloc());
    expect(grown.filter((_, i) => i % 2 === 0)).toEqual([8, 16]);
    expect(new Set([...got, grown[1], grown[3]]).size).toBe(24);
    expect(() => frames.alloc()).toThrow(OutOfFrames);
  });

  it('hands out neighbours, also where the mapped part has to grow for them', () => {
    const frames = new Frames({ first: 0, mapped: 8, end: 24 }, (from) => from + 8);
    frames.free(frames.alloc());
    expect([frames.allocMany(2), frames.allocMany(4), frames.alloc()]).toEqual([1, 3, 0]);
    expect(frames.allocMany(12)).toBe(7);
    expect(frames.available).toBe(5);
    expect(() => frames.allocMany(6)).toThrow(OutOfFrames);
    frames.free(5);
    expect(frames.alloc()).toBe(5);
  });

  it('never has a frame out twice', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(9)), (steps) => {
        const frames = new Frames({ first: 5, mapped: 15, end: 15 });
        const out: number[] = [];
        for (const step of steps) {
          if (step < out.length) frames.free(out.splice(step, 1)[0]!);
          else if (frames.available > 0) out.push(frames.alloc());
          expect(new Set(out).size).toBe(out.length);
          expect(frames.available + out.length).toBe(10);
        }
      }),
    );
  });
});
