/**
 * A TypeScript object as a peer: what an author tests inside their own test runner. The object reaches its ring
 * through a RingMemory, so every access is a point.
 */
import { EINVAL } from '../errno.ts';
import { type RingMemory, RingOverflow } from '../ring.ts';
import {
  BUFFER_BYTES,
  type Peer,
  type PeerEnd,
  PeerFault,
  type Point,
  type Role,
  type Verb,
} from './peer.ts';

/** One end as an author offers it; results as in the table of docs/conformance.md. A RingOverflow thrown is -EINVAL. */
export interface EndObject {
  /** A front end initialises the ring here, a back end attaches to it as it is. Returns the number of slots. */
  init(ring: RingMemory, bytes: number): number;
  /** Goes on at `index` with an initialised ring. */
  attach?(ring: RingMemory, bytes: number, index: number): number;
  request?(message: Uint32Array): number;
  push?(): number;
  response?(message: Uint32Array): number;
  finalCheck?(): number;
  /** Byte rings: takes from, or puts into, `bytes`; returns how many. */
  write?(bytes: Uint8Array): number;
  read?(bytes: Uint8Array): number;
}

/** What makes ends: one function for each role that there is. */
export type EndFactories = { readonly [role in Role]?: () => EndObject };

const METHODS = {
  init: 'init',
  attach: 'attach',
  request: 'request',
  push: 'push',
  response: 'response',
  final_check: 'finalCheck',
  write: 'write',
  read: 'read',
} as const satisfies Record<Verb, keyof EndObject>;

/** @param messageBytes how long requests and responses are, for a protocol that has them */
export function objectPeer(
  ends: EndFactories,
  messageBytes: { readonly request: number; readonly response: number } = NO_MESSAGES,
): Peer {
  const buffer = new Uint8Array(BUFFER_BYTES);
  const messages = {
    request: new Uint32Array(buffer.buffer, 0, messageBytes.request / 4),
    response: new Uint32Array(buffer.buffer, 0, messageBytes.response / 4),
  };
  const samples = { front: ends.front?.(), back: ends.back?.() };
  return {
    kind: 'object',
    grain: 'access',
    has: (role, verb) => samples[role]?.[METHODS[verb]] !== undefined,
    open: (role, bytes, point) => {
      const make = ends[role];
      if (!make) throw new PeerFault(`the peer has no ${role} end`);
      return new ObjectEnd(make(), role, bytes, point, { buffer, ...messages });
    },
    close: () => undefined,
  };
}

const NO_MESSAGES = { request: 0, response: 0 };

/** The one message buffer of a peer, and the views of it that its verbs get. */
interface Buffers {
  readonly buffer: Uint8Array;
  readonly request: Uint32Array;
  readonly response: Uint32Array;
}

class ObjectEnd implements PeerEnd {
  readonly page: Uint32Array;
  readonly buffer: Uint8Array;
  readonly #end: EndObject;
  readonly #role: Role;
  readonly #ring: RingMemory;
  readonly #request: Uint32Array;
  readonly #response: Uint32Array;

  constructor(
    end: EndObject,
    role: Role,
    bytes: number,
    point: Point,
    { buffer, request, response }: Buffers,
  ) {
    this.#end = end;
    this.#role = role;
    this.page = new Uint32Array(Math.ceil(bytes / 4));
    this.#ring = new WatchedMemory(this.page, point);
    this.buffer = buffer;
    this.#request = request;
    this.#response = response;
  }

  call(verb: Verb, argument = 0, index = 0): number {
    try {
      const result: unknown = this.#call(verb, argument, index);
      if (typeof result === 'number' && (result | 0) === result) return result;
      throw new PeerFault(`${this.#role} ${METHODS[verb]} returns ${String(result)}, no i32`);
    } catch (error) {
      if (error instanceof PeerFault) throw error;
      if (error instanceof RingOverflow) return -EINVAL;
      throw new PeerFault(`${this.#role} ${METHODS[verb]} throws: ${String(error)}`, {
        cause: error,
      });
    }
  }

  #call(verb: Verb, argument: number, index: number): number | undefined {
    const end = this.#end;
    switch (verb) {
      case 'init':
        return end.init(this.#ring, argument);
      case 'attach':
        return end.attach?.(this.#ring, argument, index);
      case 'request':
        return end.request?.(this.#request);
      case 'response':
        return end.response?.(this.#response);
      case 'push':
        return end.push?.();
      case 'final_check':
        return end.finalCheck?.();
      case 'write':
        return end.write?.(this.buffer.subarray(0, argument));
      case 'read':
        return end.read?.(this.buffer.subarray(0, argument));
    }
  }
}

/** A page whose every access is announced before it happens, and is refused outside the page. */
class WatchedMemory implements RingMemory {
  readonly #words: Uint32Array;
  readonly #point: Point;

  constructor(words: Uint32Array, point: Point) {
    this.#words = words;
    this.#point = point;
  }

  get32(offset: number): number {
    this.#access(offset, 4, false);
    return this.#words[offset >>> 2]!;
  }

  set32(offset: number, value: number): void {
    this.#access(offset, 4, true);
    this.#words[offset >>> 2] = value;
  }

  read(offset: number, into: Uint32Array): void {
    this.#access(offset, into.length * 4, false);
    for (let i = 0; i < into.length; i++) into[i] = this.#words[(offset >>> 2) + i]!;
  }

  write(offset: number, from: Uint32Array): void {
    this.#access(offset, from.length * 4, true);
    for (let i = 0; i < from.length; i++) this.#words[(offset >>> 2) + i] = from[i]!;
  }

  #access(offset: number, length: number, write: boolean): void {
    if (offset < 0 || offset + length > this.#words.byteLength) {
      const what = `${write ? 'writes' : 'reads'} ${length} bytes at ${offset}`;
      throw new PeerFault(`the peer ${what} of a ring of ${this.#words.byteLength}`);
    }
    this.#point(offset, length, write);
  }
}
