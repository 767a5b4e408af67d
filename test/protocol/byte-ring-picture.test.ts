import { describe, expect, it } from 'vitest';
import { ByteProducer } from '../../protocol/byte-ring.ts';
import { CONSOLE_IN, CONSOLE_OUT } from '../../protocol/console-ring.ts';
import { ArrayRingMemory } from '../../protocol/ring.ts';
import { ringPicture } from '../../protocol/ring-picture.ts';
import {
  encodeMessage,
  packStrings,
  XENSTORE_REQ,
  XENSTORE_RSP,
  XS_READ,
  XS_WATCH,
} from '../../protocol/xs-wire.ts';
import { levelled, lines } from './ring-pages.ts';

describe('the picture of a console page', () => {
  it('shows what waits each way', () => {
    const words = new Uint32Array(1024);
    const memory = new ArrayRingMemory(words);
    new ByteProducer(memory, CONSOLE_IN).write(Uint8Array.of(0x6c, 0x73, 0x0a));
    const text = new TextEncoder().encode(`Hello\r\n\t\\ é\0${'x'.repeat(100)}`);
    new ByteProducer(memory, CONSOLE_OUT).write(text);
    expect(ringPicture(words, 'console', { preview: 20 })).toBe(
      lines(
        'console page',
        '  console input: cons 0, prod 3, 3 of 1024 bytes wait',
        '    "ls\\n"',
        '  console output: cons 0, prod 113, 113 of 2048 bytes wait',
        '    "Hello\\r\\n\\t\\\\ \\xc3\\xa9\\0xxxxxxx..."',
        'nothing impossible',
      ),
    );
  });

  it('finds indices that cannot be', () => {
    const words = new Uint32Array(1024);
    words.set([1, 0, 0, 2049], CONSOLE_IN.cons / 4);
    expect(levelled(words, 'console')).toEqual([
      'impossible: console input: cons 1 is ahead of prod 0',
      'impossible: console output: 2049 bytes wait in 2048',
    ]);
  });

  it('reads across the end of the ring and across 2^32', () => {
    const words = new Uint32Array(1024);
    words[CONSOLE_IN.cons / 4] = words[CONSOLE_IN.prod / 4] = 2 ** 32 - 2;
    new ByteProducer(new ArrayRingMemory(words), CONSOLE_IN).write(
      new TextEncoder().encode('abcd'),
    );
    expect(ringPicture(words, 'console')).toContain('4 of 1024 bytes wait\n    "abcd"\n');
    expect(levelled(words, 'console')).toEqual([
      'note: console input: cons 4294967294 and prod 2 lie on either side of 2^32',
    ]);
  });
});

describe('the picture of a xenstore page', () => {
  const xenstore = (...messages: readonly Uint8Array[]) => {
    const words = new Uint32Array(1024);
    const producer = new ByteProducer(new ArrayRingMemory(words), XENSTORE_REQ);
    for (const message of messages) producer.write(message);
    return words;
  };
  const READ = encodeMessage({ type: XS_READ, reqId: 7, txId: 3, payload: packStrings('domid') });

  it('shows messages, whole and not', () => {
    const watch = { type: XS_WATCH, reqId: 8, txId: 0, payload: packStrings('backend', 'token') };
    const words = xenstore(READ, encodeMessage(watch).subarray(0, 26));
    words.set([3, 1, 2], 2048 / 4 + 4);
    expect(ringPicture(words, 'xenstore')).toBe(
      lines(
        'xenstore page',
        '  xenstore request: cons 0, prod 48, 48 of 1024 bytes wait',
        '    XS_READ req_id=7 tx_id=3 len=6 "domid\\0"',
        '    XS_WATCH req_id=8 tx_id=0 len=14 "backend\\0to" (10 of 14 bytes are here)',
        '  xenstore response: cons 0, prod 0, 0 of 1024 bytes wait',
        '  server_features XENSTORE_SERVER_FEATURE_RECONNECTION | XENSTORE_SERVER_FEATURE_ERROR',
        '  connection XENSTORE_RECONNECT',
        '  error XENSTORE_ERROR_RINGIDX',
        'nothing impossible',
      ),
    );
  });

  it('finds a header that announces too much, and looks no further', () => {
    const long = Uint8Array.of(2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 16, 0, 0);
    expect(levelled(xenstore(READ, long, READ), 'xenstore')).toEqual([
      'impossible: xenstore request: XS_READ announces 4097 bytes, more than 4096',
    ]);
  });

  it('finds a type that does not exist, unless it may be the middle of a message', () => {
    const words = xenstore(new Uint8Array(16).fill(0x61), READ);
    const type = 'xenstore request: type 1633771873 does not exist';
    expect(levelled(words, 'xenstore')).toEqual([`impossible: ${type}`]);
    words[XENSTORE_REQ.cons / 4] = 4;
    expect(levelled(words, 'xenstore')).toEqual([`suspect: ${type}, or cons is within a message`]);
    const removed = xenstore(READ, Uint8Array.of(20, ...new Uint8Array(15)));
    const gone = ['impossible: xenstore request: type 20 does not exist'];
    expect(levelled(removed, 'xenstore')).toEqual(gone);
    const later = xenstore(READ, READ, Uint8Array.of(20, ...new Uint8Array(15)));
    later[XENSTORE_REQ.cons / 4] = READ.length;
    expect(levelled(later, 'xenstore')).toEqual(gone);
  });

  it('shows less than a header as bytes', () => {
    const picture = ringPicture(xenstore(READ.subarray(0, 5)), 'xenstore');
    expect(picture).toContain('5 of 1024 bytes wait\n    "\\x02\\0\\0\\0\\x07"\n');
  });

  it('finds words after the rings that mean nothing', () => {
    const words = new Uint32Array(1024);
    words.set([4, 2, 9], 2048 / 4 + 4);
    words[XENSTORE_RSP.prod / 4] = 2000;
    expect(levelled(words, 'xenstore')).toEqual([
      'impossible: xenstore response: 2000 bytes wait in 1024',
      'suspect: server_features 4 has a bit that has no name',
      'impossible: connection 2 is no state',
      'impossible: error 9 does not exist',
    ]);
  });
});
