/**
 * The request/response protocols that the kit can test rings of, and the messages it sends over them: no two
 * alike, every byte that a peer must carry set, padding zero because a compiler need not copy it.
 * @source xen/io/blkif.h, xen/io/netif.h
 */
import { BLKIF_RING } from '../blkif.ts';
import { NETIF_RX_RING, NETIF_TX_RING } from '../netif.ts';
import type { RingLayout } from '../ring.ts';

/** Bytes of a message that are padding in C, as [from, to) pairs. */
type Padding = readonly (readonly [number, number])[];

export interface RingProtocol {
  readonly name: string; // as the command has it
  readonly layout: RingLayout;
  readonly request: Messages;
  readonly response: Messages;
}

const BLKIF_SEGMENT_PADDING: Padding = Array.from({ length: 11 }, (_, i) => [
  30 + 8 * i,
  32 + 8 * i,
]);

const MOST_KEPT = 256;

/** Bytes of `slots` slots with the header before them. */
export function ringBytes(layout: RingLayout, slots: number): number {
  return 64 + slots * Math.max(layout.requestSize, layout.responseSize);
}

/** The messages of one direction: as many as there are indices, the last few hundred of them kept. */
export class Messages {
  readonly size: number;
  readonly #mask: Uint8Array;
  readonly #made = new Map<number, Uint8Array>();

  constructor(size: number, padding: Padding) {
    this.size = size;
    this.#mask = new Uint8Array(size).fill(0xff);
    for (const [from, to] of padding) this.#mask.fill(0, from, to);
  }

  /** The message with this free-running index. */
  of(index: number): Uint8Array {
    const made = this.#made.get(index);
    if (made) return made;
    if (this.#made.size === MOST_KEPT) this.#made.clear();
    const bytes = this.#make(index);
    this.#made.set(index, bytes);
    return bytes;
  }

  /** Whether `bytes` begins with that message, padding aside. */
  matches(index: number, bytes: Uint8Array): boolean {
    const wanted = this.of(index);
    for (let i = 0; i < this.size; i++)
      if ((bytes[i]! & this.#mask[i]!) !== wanted[i]) return false;
    return true;
  }

  #make(index: number): Uint8Array {
    const bytes = new Uint8Array(this.size);
    for (let at = 0; at < this.size; at += 4) {
      let word = Math.imul(index + 1 + at * 0x10001, 0x9e3779b1);
      word ^= word >>> 15;
      for (let i = at; i < at + 4; i++, word >>>= 8) bytes[i] = word & this.#mask[i]!;
    }
    return bytes;
  }
}

export const RING_PROTOCOLS: readonly RingProtocol[] = [
  protocol(
    'ring:blkif',
    BLKIF_RING,
    [[4, 8], ...BLKIF_SEGMENT_PADDING],
    [
      [9, 10],
      [12, 16],
    ],
  ),
  protocol('ring:netif-tx', NETIF_TX_RING, [], []),
  protocol('ring:netif-rx', NETIF_RX_RING, [[2, 4]], []),
];

function protocol(
  name: string,
  layout: RingLayout,
  requestPadding: Padding,
  responsePadding: Padding,
): RingProtocol {
  const request = new Messages(layout.requestSize, requestPadding);
  const response = new Messages(layout.responseSize, responsePadding);
  return { name, layout, request, response };
}

/** The one of that name. @throws RangeError */
export function ringProtocol(name: string): RingProtocol {
  const found = RING_PROTOCOLS.find((one) => one.name === name);
  if (found) return found;
  throw new RangeError(
    `ring protocol '${name}' is none of ${RING_PROTOCOLS.map((one) => one.name).join(', ')}`,
  );
}
