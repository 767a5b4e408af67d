/**
 * A process as a peer of the conformance kit: frames ask it for verbs, and the ring lies in a file that it maps.
 * The one idea: only one side runs at a time. While the peer waits, the kit's mirror of the ring is the truth, and it
 * goes to the file before the peer may run; once the peer has spoken, the file comes back into the mirror.
 */
import { readSync, writeSync } from 'node:fs';
import {
  BUFFER_BYTES,
  type Grain,
  type Peer,
  type PeerEnd,
  PeerFault,
  type Point,
  type Role,
  type Verb,
} from '../protocol/conformance/peer.ts';
import {
  type Answer,
  answerOf,
  GO,
  type Hello,
  helloOf,
  type MessageBytes,
  requestOf,
} from './process-frames.ts';
import { ProcessPipe } from './process-pipe.ts';

export interface ProcessPeerOptions {
  /** How long the peer may be silent in a verb, in host milliseconds. It has five times as long to start. */
  readonly timeoutMs?: number;
  /** How much of `PeerEnd.buffer` goes along as a request or a response; all of it unless told otherwise. */
  readonly messageBytes?: MessageBytes;
}

const TIMEOUT_MS = 2000;
const STARTS = 5;
const MAX_RING_BYTES = 1 << 16;
const GUARD = Buffer.alloc(4096); // what must be behind the ring
const FILE_BYTES = MAX_RING_BYTES + GUARD.length;
const MAX_PAUSES = 10_000; // in one verb
const WHOLE_BUFFER: MessageBytes = { request: BUFFER_BYTES, response: BUFFER_BYTES };

/** Starts `command` in a shell, and hears which verbs it has. @throws PeerFault */
export function processPeer(command: string, options: ProcessPeerOptions = {}): Peer {
  return new ProcessPeer(command, options);
}

class ProcessPeer implements Peer {
  readonly kind = 'process';
  readonly grain: Grain;
  readonly patience: number;
  readonly messageBytes: MessageBytes;
  readonly #verbs: ReadonlySet<string>;
  readonly #command: string;
  #pipe: ProcessPipe | undefined;
  #end: ProcessEnd | undefined;

  constructor(command: string, options: ProcessPeerOptions) {
    this.#command = command;
    this.patience = options.timeoutMs ?? TIMEOUT_MS;
    this.messageBytes = options.messageBytes ?? WHOLE_BUFFER;
    const { verbs, pauses } = this.#start();
    this.#verbs = new Set(verbs);
    this.grain = pauses ? 'barrier' : 'verb';
  }

  has(role: Role, verb: Verb): boolean {
    return this.#verbs.has(`${role}_${verb}`);
  }

  /** A peer that was at fault is started anew. */
  open(role: Role, bytes: number, point: Point): PeerEnd {
    if (bytes > MAX_RING_BYTES) {
      throw new PeerFault(`a process can have a ring of ${MAX_RING_BYTES} bytes, not of ${bytes}`);
    }
    if (!this.#pipe) this.#start();
    this.#end = new ProcessEnd(this, this.#pipe!, role, bytes, point);
    return this.#end;
  }

  /** Whether `end` is the one that was opened last. */
  serves(end: ProcessEnd): boolean {
    return this.#end === end;
  }

  close(): void {
    this.#end = undefined;
    this.#pipe?.end();
    this.#pipe = undefined;
  }

  #start(): Hello {
    this.#pipe = new ProcessPipe(this.#command, FILE_BYTES);
    try {
      return helloOf(this.#pipe.receive('before its hello', STARTS * this.patience));
    } catch (error) {
      this.close();
      throw error;
    }
  }
}

class ProcessEnd implements PeerEnd {
  readonly page: Uint32Array;
  readonly buffer = new Uint8Array(BUFFER_BYTES);
  readonly #peer: ProcessPeer;
  readonly #pipe: ProcessPipe;
  readonly #role: Role;
  readonly #point: Point;
  readonly #all: Buffer; // the ring, and what is behind it
  readonly #ring: Buffer;
  readonly #guard: Buffer;

  constructor(peer: ProcessPeer, pipe: ProcessPipe, role: Role, bytes: number, point: Point) {
    this.#peer = peer;
    this.#pipe = pipe;
    this.#role = role;
    this.#point = point;
    const words = Math.ceil(bytes / 4);
    this.#all = Buffer.from(new ArrayBuffer(words * 4 + GUARD.length));
    this.#ring = this.#all.subarray(0, words * 4);
    this.#guard = this.#all.subarray(words * 4);
    this.page = new Uint32Array(this.#all.buffer, 0, words);
    writeSync(pipe.ring, this.#all, 0, this.#all.length, 0);
  }

  call(verb: Verb, argument = 0, index = 0): number {
    const name = `${this.#role}_${verb}`;
    if (!this.#peer.has(this.#role, verb)) throw new PeerFault(`the peer has no ${name}`);
    if (!this.#peer.serves(this)) throw new PeerFault(`this end is closed, so no ${name}`);
    try {
      const { result, message } = this.#run(verb, argument, index);
      if (message) this.buffer.set(message);
      return result;
    } catch (error) {
      this.#peer.close(); // nobody knows what it would do next
      throw error;
    }
  }

  #run(verb: Verb, argument: number, index: number): Exclude<Answer, 'pause'> {
    const { messageBytes } = this.#peer;
    let frame = requestOf(this.#role, verb, argument, index, this.buffer, messageBytes);
    for (let pauses = 0; pauses <= MAX_PAUSES; pauses++) {
      const answer = this.#exchange(frame, verb);
      if (answer !== 'pause') return answer;
      this.#point(0, 0, false);
      frame = GO;
    }
    throw new PeerFault(
      `the peer hangs in ${this.#role}_${verb}: it pauses ${MAX_PAUSES} times without an answer`,
    );
  }

  /** Lets the peer run until it says something. */
  #exchange(frame: Uint8Array, verb: Verb): Answer {
    const where = `in ${this.#role}_${verb}`;
    const { ring } = this.#pipe;
    writeSync(ring, this.#ring, 0, this.#ring.length, 0);
    this.#pipe.send(frame, where, this.#peer.patience);
    const said = this.#pipe.receive(where, this.#peer.patience);
    const got = readSync(ring, this.#all, 0, this.#all.length, 0);
    if (got < this.#all.length) throw new PeerFault(`the peer cuts its ring's file short ${where}`);
    if (!this.#guard.equals(GUARD)) {
      const end = this.#ring.length;
      const at = end + this.#guard.findIndex((byte) => byte !== 0);
      throw new PeerFault(`the peer writes at ${at} ${where}, but its ring has ${end} bytes`);
    }
    return answerOf(said, this.#role, verb, this.#peer.grain === 'barrier');
  }
}
