import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { loopCompiler, type Slot, sourceCompiler } from '../../protocol/compile.ts';
import * as protocol from '../../protocol/index.ts';
import {
  type AnyStruct,
  array,
  bytes,
  chars,
  i64n,
  out,
  pad,
  struct,
  u8,
  u16,
  u32,
  u64,
  u64n,
  union,
} from '../../protocol/layout.ts';
import { Domid, Port } from '../../protocol/units.ts';

const Mixed = struct('mixed', {
  tag: u8,
  wide: u64,
  half: u16,
  result: out(u32),
  gap: pad(2),
  last: out(u8),
});

const blank = (size = 64, fill = 0xaa) => new DataView(new Uint8Array(size).fill(fill).buffer);
const inside = (view: DataView) => [...new Uint8Array(view.buffer)];

describe('struct', () => {
  it('places fields by natural alignment and rounds the size up to the alignment', () => {
    expect(Mixed.offset).toEqual({ tag: 0, wide: 8, half: 16, result: 20, gap: 24, last: 26 });
    expect([Mixed.size, Mixed.align]).toEqual([32, 8]);
  });

  it('reads little-endian, at any byte offset', () => {
    const view = blank(64, 0);
    view.setUint8(3, 7);
    view.setBigUint64(11, 0x1122334455667788n, true);
    view.setUint16(19, 0xbeef, true);
    expect(Mixed.get(view, 3)).toEqual({
      tag: 7,
      wide: 0x1122334455667788n,
      half: 0xbeef,
      result: 0,
      last: 0,
    });
  });

  it('gives a private copy', () => {
    const view = blank();
    const copy = Mixed.get(view);
    view.setUint8(0, 1);
    expect(copy.tag).toBe(0xaa);
  });

  it('writes the given fields only, and leaves padding alone', () => {
    const view = blank();
    Mixed.set(view, 0, { tag: 1, half: 0x0302 });
    const expected = Array(64).fill(0xaa);
    expected[0] = 1;
    expected[16] = 2;
    expected[17] = 3;
    expect(inside(view)).toEqual(expected);
  });

  it('copies back the OUT fields only', () => {
    expect(Mixed.outs).toEqual(['result', 'last']);
    const view = blank();
    Mixed.setOuts(view, 0, { tag: 1, wide: 1n, half: 1, result: 5, last: 6 });
    const expected = Array(64).fill(0xaa);
    expected.splice(20, 4, 5, 0, 0, 0);
    expected[26] = 6;
    expect(inside(view)).toEqual(expected);
  });

  it('makes IN fields read-only and OUT fields writable', () => {
    const arg = protocol.EvtchnAllocUnbound.get(blank());
    arg.port = Port(3);
    // @ts-expect-error dom is an IN field
    arg.dom = Domid(1);
    // @ts-expect-error a number is not a port
    arg.port = 4;
  });

  it('spells C names, given or derived', () => {
    expect(protocol.EvtchnAllocUnbound.cName['remoteDom']).toBe('remote_dom');
    expect(protocol.StartInfo.fields.console.cName['domU']).toBe('domU');
  });
});

describe('union', () => {
  const Choice = union('choice', {
    small: u8,
    large: u64,
    pair: struct('pair', { a: u32, b: u32 }),
  });

  it('has the size and alignment of its largest members, all at offset 0', () => {
    expect([Choice.size, Choice.align]).toEqual([8, 8]);
    expect(Choice.offset).toEqual({ small: 0, large: 0, pair: 0 });
  });

  it('reads every member and writes the given one', () => {
    const view = blank(8, 0);
    Choice.write(view, 0, { pair: { a: 1, b: 2 } });
    expect(Choice.read(view, 0)).toEqual({ small: 1, large: 0x200000001n, pair: { a: 1, b: 2 } });
  });
});

describe('field codecs', () => {
  it('keep 64-bit numbers exact within 2^53, signed and unsigned', () => {
    const view = blank(8);
    for (const value of [0, 1, 2 ** 32, 2 ** 53 - 1]) {
      u64n.write(view, 0, value);
      expect([u64n.read(view, 0), view.getBigUint64(0, true)]).toEqual([value, BigInt(value)]);
    }
    for (const value of [-1, -0x80000000, -(2 ** 47), 2 ** 47 - 1]) {
      i64n.write(view, 0, value);
      expect([i64n.read(view, 0), view.getBigInt64(0, true)]).toEqual([value, BigInt(value)]);
    }
  });

  it('never make a large hostile number small', () => {
    fc.assert(
      fc.property(fc.bigInt(2n ** 53n, 2n ** 64n - 1n), (value) => {
        const view = blank(8);
        view.setBigUint64(0, value, true);
        expect(u64n.read(view, 0)).toBeGreaterThanOrEqual(2 ** 53);
      }),
    );
  });

  it('cut text at n-1 characters, pad it with NUL and read up to the first NUL', () => {
    const text = chars(4);
    const view = blank(8);
    text.write(view, 1, 'abcdef');
    expect(inside(view).slice(0, 6)).toEqual([0xaa, 97, 98, 99, 0, 0xaa]);
    text.write(view, 1, 'x');
    expect([text.read(view, 1), ...inside(view).slice(1, 5)]).toEqual(['x', 120, 0, 0, 0]);
    expect(text.read(blank(4, 97), 0)).toBe('aaaa');
  });

  it('copy bytes, and write no more than the field holds', () => {
    const field = bytes(2);
    const view = blank(4);
    field.write(view, 1, Uint8Array.of(1, 2, 3));
    expect(inside(view)).toEqual([0xaa, 1, 2, 0xaa]);
    const copy = field.read(view, 1);
    view.setUint8(1, 9);
    expect([...copy]).toEqual([1, 2]);
    expect(() => field.write(view, 3, Uint8Array.of(1, 2))).toThrow(RangeError);
  });

  it('write no more array elements than there are', () => {
    const view = blank(8);
    array(u16, 2).write(view, 0, [1, 2, 3]);
    expect(array(u16, 4).read(view, 0)).toEqual([1, 2, 0xaaaa, 0xaaaa]);
  });
});

describe('the two compilers', () => {
  const structs = Object.values<unknown>(protocol).filter(isStruct);

  it.each(structs.map((s) => [s.name, s] as const))('agree on %s', (_name, declared) => {
    const slots: Slot[] = Object.entries(declared.fields)
      .filter(([, codec]) => !('padding' in (codec as object)))
      .map(([name, codec]) => ({
        name,
        at: declared.offset[name]!,
        codec: codec as Slot['codec'],
      }));
    const loop = { get: loopCompiler.getter(slots), set: loopCompiler.setter(slots) };
    const made = { get: sourceCompiler.getter(slots), set: sourceCompiler.setter(slots) };
    const runs = declared.size > 1000 ? 3 : 20;
    fc.assert(
      fc.property(fc.infiniteStream(fc.nat(255)), (stream) => {
        const raw = Uint8Array.from({ length: declared.size + 3 }, () => stream.next().value);
        const view = new DataView(raw.buffer);
        const value = made.get(view, 3) as Record<string, unknown>;
        expect(value).toEqual(loop.get(view, 3)); // and no hostile bytes made either throw
        const [one, other] = [blank(raw.length), blank(raw.length)];
        loop.set(one, 3, value);
        made.set(other, 3, value);
        expect(inside(other)).toEqual(inside(one));
      }),
      { numRuns: runs },
    );
  });
});

describe('units', () => {
  it('accept their range and name themselves when refusing', () => {
    expect([Domid(0), Domid(0x7fff), Port(0xffffffff)]).toEqual([0, 0x7fff, 0xffffffff]);
    expect(() => Domid(0x8000)).toThrow(/^domid 32768/);
    expect(() => Port(-1)).toThrow(RangeError);
    expect(() => protocol.Mfn(1.5)).toThrow(RangeError);
    expect(() => protocol.Va(2 ** 47)).toThrow(RangeError);
  });

  it('decode hostile values without a check', () => {
    expect(protocol.EvtchnReset.get(blank(4, 0xff)).dom).toBe(0xffff);
  });
});

describe('names', () => {
  it('are known for error numbers of either sign and for hypercalls', () => {
    expect([protocol.errnoName(-38), protocol.errnoName(11)]).toEqual(['ENOSYS', 'EAGAIN']);
    expect(protocol.errnoName(4095)).toBe('errno 4095');
    expect(protocol.hypercallName(29)).toBe('sched_op');
    expect(protocol.hypercallName(11)).toBe('hypercall 11');
    expect(protocol.grantStatusName(-3)).toBe('GNTST_bad_gntref');
    expect(protocol.grantStatusName(1)).toBe('grant status 1');
    expect(protocol.xenbusStateName(4)).toBe('Connected');
    expect(protocol.xenbusStateName(9)).toBe('state 9');
  });
});

function isStruct(value: unknown): value is AnyStruct {
  return typeof value === 'object' && value !== null && 'outs' in value;
}
