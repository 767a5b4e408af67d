import { describe, expect, it } from 'vitest';
import { type FrameOwner, FrameTable, OWNER_NONE } from '../../hypervisor/frames.ts';
import { TYPE_WRITABLE } from '../../hypervisor/page-types.ts';
import { Memory } from '../../machine/memory.ts';
import { EINVAL } from '../../protocol/errno.ts';

const owner = (id: number, scrubAll = false): FrameOwner => ({
  id,
  privileged: false,
  scrubAll,
  head: 0,
  pages: 0,
  shared: 0,
});

const table = (count = 32): { frames: FrameTable; alice: FrameOwner } => {
  const frames = new FrameTable(new Memory({ vcpus: 1, frames: count }));
  const alice = owner(1);
  frames.register(alice);
  return { frames, alice };
};

describe('FrameTable', () => {
  it('hands out the lowest frames first, and the last freed one next', () => {
    const { frames, alice } = table();
    const first = frames.allocate(alice);
    const second = frames.allocate(alice);
    expect(second).toBe(first + 1);

    frames.deallocate(first);

    expect(frames.allocate(alice)).toBe(first);
  });

  it('gives -1 when all are taken, and balances at every step', () => {
    const { frames, alice } = table();
    const taken: number[] = [];
    for (let mfn = frames.allocate(alice); mfn >= 0; mfn = frames.allocate(alice)) taken.push(mfn);
    expect(frames.free).toBe(0);
    expect(frames.ledger()).toMatchObject({ total: 32, owned: taken.length, free: 0 });

    for (const mfn of taken) frames.deallocate(mfn);

    const { total, free, xen, owned, dead } = frames.ledger();
    expect([owned, dead, free + xen]).toEqual([0, 0, total]);
  });

  it('keeps a frame while it is referenced, and frees it with the last reference', () => {
    const { frames, alice } = table();
    const mfn = frames.allocate(alice);
    frames.getRef(mfn);
    frames.deallocate(mfn);
    expect(frames.belongs(mfn, 1)).toBe(true);

    frames.putRef(mfn);

    expect(frames.owner[mfn]).toBe(OWNER_NONE);
  });

  it('zeroes a frame that was marked used, and only such a frame', () => {
    const { frames, alice } = table();
    const used = frames.allocate(alice);
    const unused = frames.allocate(alice);
    frames.memory.frame(used).fill(7);
    frames.markUsed(used);
    frames.memory.frame(unused).fill(7);

    frames.deallocate(used);
    frames.deallocate(unused);

    expect(frames.memory.frame(used).every((byte) => byte === 0)).toBe(true);
    expect(frames.memory.frame(unused)[0]).toBe(7);
  });

  it('counts every frame of an owner whose memory is written unseen as used', () => {
    const { frames } = table();
    const hvm = owner(2, true);
    frames.register(hvm);
    const mfn = frames.allocate(hvm);
    frames.memory.frame(mfn).fill(7);
    frames.deallocate(mfn);
    expect(frames.memory.frame(mfn)[0]).toBe(0);
  });

  it('refuses a type on a frame of another, on a free frame and on no frame with -EINVAL', () => {
    const { frames, alice } = table();
    const mfn = frames.allocate(alice);
    expect(frames.getType(mfn, { id: 2 }, TYPE_WRITABLE)).toBe(-EINVAL);
    expect(frames.getType(mfn + 1, alice, TYPE_WRITABLE)).toBe(-EINVAL);
    expect(frames.getType(1e15, alice, TYPE_WRITABLE)).toBe(-EINVAL);
    expect(frames.getType(mfn, alice, TYPE_WRITABLE)).toBe(0);
  });

  it('does not free twice what was deallocated once', () => {
    const { frames, alice } = table();
    const mfn = frames.allocate(alice);
    frames.getRef(mfn);
    expect(frames.deallocate(mfn)).toBe(true);
    expect(frames.deallocate(mfn)).toBe(false);
    expect(frames.refs[mfn]).toBe(1);
  });

  it('counts what a dying owner leaves until the last reference goes', () => {
    const { frames, alice } = table();
    const mfn = frames.allocate(alice);
    frames.getRef(mfn);
    frames.deallocate(mfn);
    frames.abandon(alice, mfn);
    expect(frames.ledger()).toMatchObject({ owned: 0, dead: 1 });

    frames.putRef(mfn);

    expect(frames.ledger()).toMatchObject({ owned: 0, dead: 0 });
  });

  it('cannot be made in memory smaller than its own tables', () => {
    expect(() => new FrameTable(new Memory({ vcpus: 1, frames: 3 }))).toThrow(RangeError);
  });
});
