/**
 * The framing of gdb's remote protocol: `$payload#checksum`, acknowledged until both ends agree not to, and a lone 0x03 that
 * interrupts. Payloads are strings of bytes (latin1).
 * @source GDB manual, E.1 (overview of the remote protocol)
 */

/** The longest payload that either end sends, told to gdb as PacketSize. */
export const MAX_PACKET = 0x4000;

/** What came in. */
export interface Receiver {
  packet(payload: string): void;
  interrupt(): void;
  /** The last packet did not arrive well. */
  repeat(): void;
  /** A packet did (true), or is to be sent again. */
  acknowledge(good: boolean): void;
  /** Longer than any packet can be. */
  overflow(): void;
}

const INTERRUPT = 3;
const code = (character: string): number => character.charCodeAt(0);
const START = code('$');
const END = code('#');
const ESCAPE = '}';
const ESCAPED = /[#$*}]/g;
const ESCAPE_XOR = 0x20;

export class PacketReader {
  readonly #to: Receiver;
  /** The packet that is coming in, without its `$`. */
  #payload: number[] | undefined;
  /** Digits of its checksum, once `#` has come. */
  #digits: string | undefined;

  constructor(to: Receiver) {
    this.#to = to;
  }

  take(bytes: Uint8Array): void {
    for (const byte of bytes) {
      if (this.#digits !== undefined) this.#checksum(byte);
      else if (byte === START) this.#payload = [];
      else if (!this.#payload) this.#between(byte);
      else if (byte === END) this.#digits = '';
      else if (this.#payload.length < MAX_PACKET) this.#payload.push(byte);
      else {
        this.#payload = undefined;
        this.#to.overflow();
        return;
      }
    }
  }

  #between(byte: number): void {
    if (byte === INTERRUPT) this.#to.interrupt();
    else if (byte === code('-')) this.#to.repeat();
  }

  #checksum(byte: number): void {
    this.#digits += String.fromCharCode(byte);
    if (this.#digits?.length !== 2) return;
    const payload = Buffer.from(this.#payload!).toString('latin1');
    const good = this.#digits.toLowerCase() === checksum(payload);
    this.#payload = undefined;
    this.#digits = undefined;
    this.#to.acknowledge(good);
    if (good) this.#to.packet(payload);
  }
}

export const frame = (payload: string): string => `$${payload}#${checksum(payload)}`;

/** Binary data in a payload. */
export const escaped = (data: string): string =>
  data.replaceAll(ESCAPED, (c) => ESCAPE + String.fromCharCode(code(c) ^ ESCAPE_XOR));

export const unescaped = (data: string): string =>
  data.replaceAll(/\}(.)/gs, (_all, c: string) => String.fromCharCode(code(c) ^ ESCAPE_XOR));

const checksum = (payload: string): string => {
  let sum = 0;
  for (let i = 0; i < payload.length; i++) sum += payload.charCodeAt(i);
  return (sum & 0xff).toString(16).padStart(2, '0');
};
