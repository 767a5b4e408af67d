/**
 * What is wrong, or worth saying, about the header of a request/response ring.
 * The one idea: `impossible` breaks the protocol whatever the ends are up to; `suspect` is legal, but an end
 * that works as Xen's macros do would not come to it.
 * @source xen/io/ring.h
 */
import { HEADER, impossibleIndices, type RingIndices, thresholdAhead } from './ring-indices.ts';

export type Level = 'impossible' | 'suspect' | 'note';

export interface Finding {
  readonly level: Level;
  readonly text: string;
}

/** Whether anything at all was ever written to the header. */
export function isInitialised(words: Uint32Array): boolean {
  return words.subarray(0, HEADER.words).some((word) => word !== 0);
}

export function headerFindings(words: Uint32Array, ring: RingIndices): Finding[] {
  if (!isInitialised(words)) {
    const text = 'the header is all zero, but SHARED_RING_INIT sets both events to 1';
    return [{ level: 'impossible', text }];
  }
  const impossible = impossibleIndices(ring);
  if (impossible) return [{ level: 'impossible', text: impossible }, ...padFindings(words)];
  const { reqProd, reqEvent, rspProd, rspEvent, size } = ring;
  return [
    ...padFindings(words),
    ...thresholdFindings(size, ['req_event', reqEvent], ['req_prod', reqProd]),
    ...thresholdFindings(size, ['rsp_event', rspEvent], ['rsp_prod', rspProd]),
    ...unarmed(ring),
    ...wrapFindings(ring),
  ];
}

/** The first four bytes after the indices are an end's own to use; the others are nobody's. */
function padFindings(words: Uint32Array): Finding[] {
  const findings: Finding[] = [];
  const own = words[HEADER.pvt]!;
  if (own !== 0)
    findings.push({ level: 'note', text: `the private word at byte 16 is ${hex(own)}` });
  const at = words.subarray(HEADER.pad, HEADER.words).findIndex((word) => word !== 0);
  if (at < 0) return findings;
  const byte = (HEADER.pad + at) * 4;
  const text = `the padding at byte ${byte} is ${hex(words[HEADER.pad + at]!)} instead of 0`;
  return [...findings, { level: 'impossible', text }];
}

type Named = readonly [name: string, value: number];

function thresholdFindings(size: number, [name, event]: Named, [producer, at]: Named): Finding[] {
  const ahead = thresholdAhead(at, event);
  if (ahead > size) {
    const text = `${name} ${event} is ${ahead} ahead of ${producer} ${at}: a whole ring will not notify`;
    return [{ level: 'suspect', text }];
  }
  if (ahead >= -size) return [];
  // An end that always finds more to do never sets it.
  const text = `${name} ${event} is ${-ahead} behind ${producer} ${at}: not set for a whole ring`;
  return [{ level: 'note', text }];
}

/** A back end that answered everything and did not ask for more sleeps through the next request. */
function unarmed({ outstanding, reqProd, reqEvent }: RingIndices): Finding[] {
  if (outstanding > 0 || thresholdAhead(reqProd, reqEvent) > 0) return [];
  const text = 'every request is answered and req_event has passed: is the back end still awake?';
  return [{ level: 'note', text }];
}

function wrapFindings({ reqProd, rspProd, size }: RingIndices): Finding[] {
  const left = 2 ** 32 - reqProd;
  if (rspProd > reqProd) {
    const text = `rsp_prod ${rspProd} and req_prod ${reqProd} lie on either side of 2^32`;
    return [{ level: 'note', text }];
  }
  return left <= size
    ? [{ level: 'note', text: `req_prod ${reqProd} is ${left} before 2^32` }]
    : [];
}

function hex(word: number): string {
  return `0x${word.toString(16)}`;
}
