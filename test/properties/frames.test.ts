import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type FrameOwner, FrameTable } from '../../hypervisor/frames.ts';
import { Memory } from '../../machine/memory.ts';

interface Frame {
  owner: number;
  refs: number;
  allocated: boolean;
}

const step = fc.record({
  what: fc.constantFrom('allocate', 'shared', 'ref', 'put', 'deallocate'),
  owner: fc.integer({ min: 0, max: 2 }),
  pick: fc.nat(),
});

describe('FrameTable', () => {
  it('agrees with a model of owners and references under any sequence, and its ledger always balances', () => {
    const memory = new Memory({ vcpus: 1, frames: 48 });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        const frames = new FrameTable(memory);
        const owners: FrameOwner[] = [0, 1, 2].map((id) => ({
          id,
          privileged: false,
          scrubAll: false,
          head: 0,
          pages: 0,
          shared: 0,
        }));
        for (const owner of owners) frames.register(owner);
        const model = new Map<number, Frame>();
        for (const { what, owner, pick } of steps) act(frames, owners, model, what, owner, pick);

        const { total, free, xen, owned, dead } = frames.ledger();
        expect(free + xen + owned + dead).toBe(total);
        expect(owned).toBe(model.size);
        for (const owner of owners) {
          const mine = [...model]
            .filter(([, frame]) => frame.owner === owner.id)
            .map(([mfn]) => mfn);
          expect([...frames.list(owner)].sort()).toEqual(mine.sort());
        }
        for (const [mfn, { refs }] of model) expect(frames.refs[mfn]).toBe(refs);
      }),
    );
  });
});

const act = (
  frames: FrameTable,
  owners: FrameOwner[],
  model: Map<number, Frame>,
  what: string,
  owner: number,
  pick: number,
): void => {
  const known = [...model.keys()];
  const mfn = known[pick % Math.max(known.length, 1)];
  const frame = mfn === undefined ? undefined : model.get(mfn)!;
  if (what === 'allocate') {
    const got = frames.allocate(owners[owner]!);
    if (got < 0) expect(frames.free).toBe(0);
    else expect(model.has(got)).toBe(false);
    if (got >= 0) model.set(got, { owner, refs: 1, allocated: true });
  } else if (mfn === undefined || !frame) {
    return;
  } else if (what === 'ref') {
    frames.getRef(mfn);
    frame.refs++;
  } else if (what === 'put' && (frame.refs > 1 || !frame.allocated)) {
    frames.putRef(mfn);
    frame.refs--;
  } else if (what === 'deallocate') {
    expect(frames.deallocate(mfn)).toBe(frame.allocated);
    if (frame.allocated) frame.refs--;
    frame.allocated = false;
  }
  if (mfn !== undefined && frame?.refs === 0) model.delete(mfn);
};
