/**
 * What the kit and a process say to each other, as docs/conformance.md has it: requests are made here, and what comes
 * back is checked. The one idea: whatever a peer sends ends in a value of the right shape or in a PeerFault.
 */
import { inspect } from 'node:util';
import { Packr, Unpackr } from 'msgpackr';
import { BUFFER_BYTES, PeerFault, type Role, type Verb } from '../protocol/conformance/peer.ts';

/** How many bytes of the buffer are a request, and a response. */
export interface MessageBytes {
  readonly request: number;
  readonly response: number;
}

/** What a peer says when it starts. */
export interface Hello {
  readonly verbs: readonly string[];
  readonly pauses: boolean;
}

/** What a peer says of a verb: that it is at a barrier, or what came of it. */
export type Answer = 'pause' | { readonly result: number; readonly message?: Uint8Array };

const packr = new Packr({ useRecords: false });
const unpackr = new Unpackr({ useRecords: false, mapsAsObjects: true });

const NAMES: readonly Verb[] = [
  'init',
  'attach',
  'request',
  'push',
  'response',
  'final_check',
  'write',
  'read',
];
const VERBS = new Set(
  (['front', 'back'] as const).flatMap((role) => NAMES.map((verb) => `${role}_${verb}`)),
);

/** Lets a peer go on that pauses. */
export const GO: Uint8Array = packr.pack(['go']);

/** Asks for a verb. A message that goes in is taken from `buffer`. */
export const requestOf = (
  role: Role,
  verb: Verb,
  argument: number,
  index: number,
  buffer: Uint8Array,
  messageBytes: MessageBytes,
): Uint8Array => {
  const request: unknown[] = [`${role}_${verb}`];
  if (verb === 'write') request.push(buffer.subarray(0, argument));
  if (verb === 'init' || verb === 'attach' || verb === 'read') request.push(argument);
  if (verb === 'attach') request.push(index >>> 0);
  if ((verb === 'request' || verb === 'response') && !gives(role, verb)) {
    request.push(buffer.subarray(0, messageBytes[verb]));
  }
  return packr.pack(request);
};

/** Whether a message comes out of the verb. */
const gives = (role: Role, verb: Verb): boolean =>
  verb === 'read' || verb === (role === 'front' ? 'response' : 'request');

/** @throws PeerFault */
export const helloOf = (frame: Uint8Array): Hello => {
  const value = unpacked(frame, 'as its hello');
  const { verbs, pauses } = (typeof value === 'object' && value !== null ? value : {}) as Hello;
  if (!Array.isArray(verbs) || typeof pauses !== 'boolean') {
    const why = 'a hello is {verbs: [names], pauses: true or false}';
    throw new PeerFault(`the peer says ${shown(value)} as its hello: ${why}`);
  }
  const stranger: unknown = verbs.find((verb) => !VERBS.has(verb));
  if (stranger === undefined) return { verbs, pauses };
  throw new PeerFault(`the peer's hello names ${shown(stranger)}, which is no verb`);
};

/** @throws PeerFault */
export const answerOf = (frame: Uint8Array, role: Role, verb: Verb, pauses: boolean): Answer => {
  const name = `${role}_${verb}`;
  const value = unpacked(frame, `in ${name}`);
  const refuse = (why: string): never => {
    throw new PeerFault(`the peer answers ${name} with ${shown(value)}: ${why}`);
  };
  if (!Array.isArray(value) || value.length < 1 || value.length > 2) {
    return refuse('an answer is [result] or [result, message]');
  }
  const [result, message]: unknown[] = value;
  if (result === 'pause' && value.length === 1) {
    return pauses ? 'pause' : refuse('its hello says that it does not pause');
  }
  if (typeof result !== 'number' || (result | 0) !== result) {
    return refuse('the result is no signed integer of 32 bits');
  }
  if (result <= 0 || !gives(role, verb)) {
    return value.length === 1 ? { result } : refuse('no message belongs there');
  }
  if (!(message instanceof Uint8Array)) return refuse('the message is missing');
  const { length } = message;
  const misfit = verb === 'read' ? length !== result : length > BUFFER_BYTES;
  return misfit ? refuse(`a message of ${length} bytes does not fit`) : { result, message };
};

const unpacked = (frame: Uint8Array, where: string): unknown => {
  try {
    return unpackr.unpack(frame);
  } catch {
    const start = Buffer.from(frame.subarray(0, 8)).toString('hex');
    throw new PeerFault(
      `the peer sends a frame ${where} that is no msgpack value: it begins with ${start}`,
    );
  }
};

/** A value in a sentence. */
const shown = (value: unknown): string =>
  inspect(value, {
    breakLength: Number.POSITIVE_INFINITY,
    depth: 2,
    maxArrayLength: 4,
    maxStringLength: 40,
  });
