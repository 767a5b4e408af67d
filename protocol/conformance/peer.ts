/**
 * What the kit drives: one end of a ring that somebody else wrote, whatever it is made of.
 * The one idea: a peer is called by verbs, and before each of its accesses to the shared pages (or at each
 * of its barriers) it comes to a point, where the other end may move. Where a peer has no points, the
 * other end moves only between verbs, and the rules that need more are skipped.
 */

export type Role = 'front' | 'back';

/** The verbs of a request/response ring, then those of a byte ring. A WebAssembly export is `front_push`. */
export type Verb =
  | 'init'
  | 'attach'
  | 'request'
  | 'push'
  | 'response'
  | 'final_check'
  | 'write'
  | 'read';

/** How finely the other end can be interleaved: at each access, at each barrier, or between verbs only. */
export type Grain = 'access' | 'barrier' | 'verb';

/**
 * Called before each access of the peer to its ring: the byte offset in the ring, the length, whether it
 * writes. At a barrier, or where the peer cannot say more, the length is 0. The page may change meanwhile.
 */
export type Point = (offset: number, length: number, write: boolean) => void;

/** The room for one message: bytes of `PeerEnd.buffer`. */
export const BUFFER_BYTES = 4096;

/** One end at work on one ring. */
export interface PeerEnd {
  /** The shared pages as the other end has them. Read it anew after each call: it may be another view. */
  readonly page: Uint32Array;
  /** Where a message goes in (`request` of a front end, `response` of a back end, `write`) or comes out. */
  readonly buffer: Uint8Array;
  /**
   * Calls a verb and returns what it returned, an i32. `argument` is the ring's length in bytes for `init`
   * and `attach`, a count of bytes for `write` and `read`; `index` is for `attach` alone.
   * @throws PeerFault
   */
  call(verb: Verb, argument?: number, index?: number): number;
}

/** A peer before it is set to work. */
export interface Peer {
  readonly kind: 'object' | 'wasm' | 'process';
  readonly grain: Grain;
  has(role: Role, verb: Verb): boolean;
  /**
   * A new end over a ring of `bytes`, all zero; every earlier end of this peer is forgotten. Nothing is called yet:
   * the kit fills the page, then calls `init`. @throws PeerFault
   */
  open(role: Role, bytes: number, point: Point): PeerEnd;
  /** Ends the peer, if there is something to end. */
  close(): void;
}

/** The peer cannot be tested: it is incomplete, traps, hangs, dies, writes where it must not, or talks nonsense. */
export class PeerFault extends Error {
  override readonly name = 'PeerFault';
}
