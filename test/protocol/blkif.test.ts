import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  BLKIF_REQUEST_WORDS,
  BLKIF_RESPONSE_WORDS,
  BLKIF_RSP_EOPNOTSUPP,
  BlkifRequest,
  BlkifResponse,
  blkifRequestFields,
  blkifResponseStatus,
  getBlkifRequestWords,
  setBlkifRequestWords,
  setBlkifResponseWords,
} from '../../protocol/blkif.ts';
import { Gref } from '../../protocol/units.ts';

describe('blkif_request in words', () => {
  it('is what the struct codec reads and writes', () => {
    const segment = fc.record({ gref: fc.nat(), firstSect: fc.nat(255), lastSect: fc.nat(255) });
    const request = fc.record({
      operation: fc.nat(255),
      handle: fc.nat(0xffff),
      id: fc.bigInt(0n, 2n ** 64n - 1n),
      sectorNumber: fc.maxSafeNat(),
      segments: fc.array(segment, { maxLength: 11 }),
    });
    fc.assert(
      fc.property(request, ({ operation, handle, id, sectorNumber, segments }) => {
        const words = new Uint32Array(BLKIF_REQUEST_WORDS);
        const view = new DataView(words.buffer);
        const seg = segments.map((s) => ({ ...s, gref: Gref(s.gref) }));
        const nrSegments = seg.length;
        BlkifRequest.set(view, 0, { operation, nrSegments, handle, id, sectorNumber, seg });

        const fields = blkifRequestFields();
        getBlkifRequestWords(words, fields);
        expect((BigInt(fields.idHi) << 32n) | BigInt(fields.idLo)).toBe(id);
        expect(fields).toMatchObject({ operation, nrSegments, handle, sectorNumber });

        const again = new Uint32Array(BLKIF_REQUEST_WORDS);
        setBlkifRequestWords(again, fields);
        expect(BlkifRequest.get(new DataView(again.buffer))).toEqual(BlkifRequest.get(view));
      }),
    );
  });

  it('decodes a hostile segment count without leaving the request, and keeps it', () => {
    const fields = blkifRequestFields();
    getBlkifRequestWords(new Uint32Array(BLKIF_REQUEST_WORDS).fill(0xffffffff), fields);
    expect(fields.nrSegments).toBe(255);
    expect(fields.gref.length).toBe(11);
    expect(() => setBlkifRequestWords(new Uint32Array(28), fields)).toThrow(RangeError);
  });
});

describe('blkif_response in words', () => {
  it('echoes the whole id and carries a signed status', () => {
    const words = new Uint32Array(BLKIF_RESPONSE_WORDS);
    const request = { idLo: 0xfffffffe, idHi: 0x80000001, operation: 5 };
    setBlkifResponseWords(words, request, BLKIF_RSP_EOPNOTSUPP);
    expect(blkifResponseStatus(words)).toBe(-2);
    const id = 0x80000001fffffffen;
    expect(BlkifResponse.get(new DataView(words.buffer))).toEqual({ id, operation: 5, status: -2 });
  });
});
