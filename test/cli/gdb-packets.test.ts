/** Packets of gdb's protocol, and what is none. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  escaped,
  frame,
  MAX_PACKET,
  PacketReader,
  type Receiver,
  unescaped,
} from '../../cli/gdb-packets.ts';

const bytes = (text: string): Uint8Array => Buffer.from(text, 'latin1');

/** What a reader makes of `chunks`, one word for each event. */
const heard = (...chunks: Uint8Array[]): string[] => {
  const events: string[] = [];
  const to: Receiver = {
    packet: (payload) => events.push(`packet ${payload}`),
    interrupt: () => events.push('interrupt'),
    repeat: () => events.push('repeat'),
    acknowledge: (good) => events.push(good ? 'good' : 'bad'),
    overflow: () => events.push('overflow'),
  };
  const reader = new PacketReader(to);
  for (const chunk of chunks) reader.take(chunk);
  return events;
};

describe('a packet', () => {
  it('has the checksum of its payload', () => {
    expect(frame('')).toBe('$#00');
    expect(frame('OK')).toBe('$OK#9a');
    expect(heard(bytes('+$qC#b4$g#67'))).toEqual(['good', 'packet qC', 'good', 'packet g']);
  });

  it('with another checksum, or none, is refused', () => {
    expect(heard(bytes('$qC#b5$qC#zz$qC#B4'))).toEqual(['bad', 'bad', 'good', 'packet qC']);
  });

  it('may come in any pieces, with interrupts and acknowledgements between', () => {
    const stream = bytes(`+${frame('m1000,4')}\x03-${frame('g')}`);
    const whole = ['good', 'packet m1000,4', 'interrupt', 'repeat', 'good', 'packet g'];
    expect(heard(stream)).toEqual(whole);
    expect(heard(...Array.from(stream, (byte) => Uint8Array.of(byte)))).toEqual(whole);
  });

  it('that begins again is the later one', () => {
    expect(heard(bytes('$m1000$g#67'))).toEqual(['good', 'packet g']);
  });

  it('has an end', () => {
    const long = bytes(`$${'a'.repeat(MAX_PACKET + 1)}`);
    expect(heard(long)).toEqual(['overflow']);
    expect(heard(bytes(frame('a'.repeat(MAX_PACKET))))).toHaveLength(2);
  });

  it('is found in whatever comes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (noise) => {
        const quiet = noise.filter((byte) => byte !== 0x24);
        expect(heard(quiet, bytes(frame('g'))).slice(-2)).toEqual(['good', 'packet g']);
        expect(() => heard(noise)).not.toThrow();
      }),
    );
  });

  it('carries any bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array(), (data) => {
        const text = Buffer.from(data).toString('latin1');
        expect(escaped(text)).not.toMatch(/[#$*]/);
        expect(unescaped(escaped(text))).toBe(text);
      }),
    );
  });
});
