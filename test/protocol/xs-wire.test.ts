import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import * as errno from '../../protocol/errno.ts';
import {
  encodeMessage,
  MessageReader,
  packStrings,
  unpackStrings,
  XENSTORE_PAYLOAD_MAX,
  XS_READ,
  XSD_ERRORS,
  XsWireError,
} from '../../protocol/xs-wire.ts';

const arbitraryMessage = fc.record({
  type: fc.nat(22),
  reqId: fc.nat(),
  txId: fc.nat(),
  payload: fc.uint8Array({ maxLength: 200 }),
});

describe('xsd_sockmsg', () => {
  it('goes over the wire as type, request, transaction, length, payload', () => {
    const payload = packStrings('a/b');
    const encoded = encodeMessage({ type: XS_READ, reqId: 7, txId: 0x01020304, payload });
    const header = [2, 0, 0, 0, 7, 0, 0, 0, 4, 3, 2, 1, 4, 0, 0, 0];
    expect([...encoded]).toEqual([...header, 97, 47, 98, 0]);
  });

  it('comes back whole from any pieces', () => {
    const lists = fc.array(arbitraryMessage, { maxLength: 8 });
    fc.assert(
      fc.property(
        lists,
        fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1 }),
        (list, cuts) => {
          const stream = Uint8Array.from(list.flatMap((message) => [...encodeMessage(message)]));
          const reader = new MessageReader();
          const got = [];
          for (let at = 0, i = 0; at < stream.length; i++) {
            const cut = cuts[i % cuts.length]!;
            got.push(...reader.feed(stream.subarray(at, at + cut)));
            at += cut;
          }
          expect(got).toEqual(list);
        },
      ),
    );
  });

  it('carries the longest payload and no longer one', () => {
    const longest = { type: 11, reqId: 1, txId: 0, payload: new Uint8Array(XENSTORE_PAYLOAD_MAX) };
    expect(new MessageReader().feed(encodeMessage(longest))).toEqual([longest]);
    const longer = { ...longest, payload: new Uint8Array(XENSTORE_PAYLOAD_MAX + 1) };
    expect(() => encodeMessage(longer)).toThrow(RangeError);
  });

  it('is refused as soon as its header announces too much', () => {
    const header = Uint8Array.of(2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 16, 0, 0);
    const reader = new MessageReader();
    expect(() => reader.feed(header)).toThrow(new XsWireError(2, 4097));
    expect(() => reader.feed(header)).toThrow(XsWireError); // and stays refused
  });
});

describe('payload strings', () => {
  it('end in NUL, but a last one without it counts', () => {
    expect([...packStrings('a', '', 'b')]).toEqual([97, 0, 0, 98, 0]);
    expect(unpackStrings(packStrings('a', '', 'b'))).toEqual(['a', '', 'b']);
    expect(unpackStrings(Uint8Array.of(97, 0, 98))).toEqual(['a', 'b']);
    expect(unpackStrings(new Uint8Array())).toEqual([]);
  });
});

describe('xsd_errors', () => {
  it('have the numbers of errno.h', () => {
    const numbers = errno as unknown as Record<string, number>;
    for (const [name, value] of Object.entries(XSD_ERRORS)) expect(value).toBe(numbers[name]);
    expect(Object.keys(XSD_ERRORS).length).toBe(16);
  });
});
