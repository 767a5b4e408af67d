/** Everything that a process can do wrong as a peer: each has its own sentence, and nothing is left behind. */
import { spawnSync } from 'node:child_process';
import { Packr } from 'msgpackr';
import { describe, expect, it } from 'vitest';
import type { ProcessPeerOptions } from '../../cli/process-peer.ts';
import { PeerFault } from '../../protocol/conformance/peer.ts';
import { started } from '../support/process-peers.ts';

const packr = new Packr({ useRecords: false });
const frame = (body: Uint8Array): Uint8Array =>
  Buffer.concat([new Uint8Array(new Uint32Array([body.length]).buffer), body]);
const packed = (value: unknown) => frame(packr.pack(value));
/** The shell's words for printing these bytes. */
const print = (output: Uint8Array) =>
  `printf '${[...output].map((byte) => `\\${byte.toString(8).padStart(3, '0')}`).join('')}'`;
const HELLO = print(
  packed({ verbs: ['front_push', 'front_response', 'front_read'], pauses: false }),
);
const ASKED = 'head -c 1 >/dev/null'; // waits until something is asked
const FOREVER = 'sleep 1000; :';
const soon = { timeoutMs: 500 };

describe('a peer that does not start', () => {
  const fault = (command: string, options?: ProcessPeerOptions): string => {
    try {
      started(command, options);
    } catch (error) {
      expect(error).toBeInstanceOf(PeerFault);
      return (error as Error).message;
    }
    return 'none';
  };

  it('does not exist', () => {
    expect(fault('./no-such-peer')).toMatch(
      /^the peer died before its hello, with status 127; its last words: .*no-such-peer.*not found$/,
    );
  });

  it('exits with some words', () => {
    expect(fault('for i in 1 2 3 4; do echo word $i; done >&2; exit 3; :')).toBe(
      'the peer died before its hello, with status 3; its last words: word 2 | word 3 | word 4',
    );
    expect(fault('exit 0; :')).toBe('the peer died before its hello, with status 0');
  });

  it('says nothing', () => {
    const why = 'the peer hangs before its hello: it is silent for 0.5 s';
    expect(fault(FOREVER, { timeoutMs: 100 })).toBe(why);
  });

  it('leaves something behind that keeps the pipe open', () => {
    expect(fault('sleep 1000 & exit 4; :', soon)).toBe(
      'the peer died before its hello, with status 4',
    );
  });

  it('prints text', () => {
    expect(fault('echo hello world')).toBe(
      'the peer sends a frame of 1819043176 bytes before its hello: it prints "hell"… to standard output, which is for frames',
    );
  });

  it('says something else than a hello', () => {
    const why = ': a hello is {verbs: [names], pauses: true or false}';
    expect(fault(`${print(packed(['hi']))}; ${FOREVER}`)).toBe(
      `the peer says [ 'hi' ] as its hello${why}`,
    );
    expect(fault(`${print(packed({ verbs: [] }))}; ${FOREVER}`)).toBe(
      `the peer says { verbs: [] } as its hello${why}`,
    );
    expect(fault(`${print(packed({ verbs: ['push'], pauses: true }))}; ${FOREVER}`)).toBe(
      "the peer's hello names 'push', which is no verb",
    );
  });
});

describe('a peer that goes wrong in a verb', () => {
  const fault = (
    rest: string,
    verb: 'push' | 'response' | 'read' = 'push',
    options?: ProcessPeerOptions,
  ): string => {
    const peer = started(`${HELLO}; ${ASKED}; ${rest}`, options);
    const end = peer.open('front', 4096, () => undefined);
    try {
      return String(end.call(verb, 5));
    } catch (error) {
      expect(error).toBeInstanceOf(PeerFault);
      return (error as Error).message;
    }
  };
  const answer = (value: unknown, verb?: 'push' | 'response' | 'read') =>
    fault(`${print(packed(value))}; ${FOREVER}`, verb);

  it('can also go right', () => {
    expect(answer([-22])).toBe('-22');
    expect(answer([2, new Uint8Array(2)], 'read')).toBe('2');
    expect(
      fault(
        `${print(packed([1]).subarray(0, 3))}; sleep 0.1; ${print(packed([1]).subarray(3))}; ${FOREVER}`,
      ),
    ).toBe('1');
  });

  it('dies', () => {
    expect(fault('echo oh >&2; exit 7; :')).toBe(
      'the peer died in front_push, with status 7; its last words: oh',
    );
    expect(fault('kill -SEGV $$; :')).toMatch(
      /^the peer died in front_push, with status 139 \(SIGSEGV\)/,
    );
    expect(fault(`${print(packed([1]).subarray(0, 5))}; exit 0; :`)).toBe(
      'the peer died in front_push, in the middle of a frame, with status 0',
    );
  });

  it('hangs', () => {
    const why = 'the peer hangs in front_push: it is silent for 0.5 s';
    expect(fault(FOREVER, 'push', soon)).toBe(why);
    expect(fault(`${print(packed([1]).subarray(0, 3))}; ${FOREVER}`, 'push', soon)).toBe(
      `${why}, in the middle of a frame (3 bytes of it came)`,
    );
    expect(fault(`${print(packed([1]).subarray(0, 5))}; ${FOREVER}`, 'push', soon)).toBe(
      `${why}, in the middle of a frame (5 bytes of it came)`,
    );
  });

  it('says too much', () => {
    expect(fault(`${print(Buffer.concat([packed([1]), packed([1])]))}; ${FOREVER}`)).toBe(
      'the peer says more than it was asked for in front_push',
    );
  });

  it('sends a length that is none', () => {
    const range = ', but a frame has 1 to 65536';
    expect(fault(`${print(new Uint8Array(4))}; ${FOREVER}`)).toBe(
      `the peer sends a frame of 0 bytes in front_push${range}`,
    );
    expect(fault(`${print(new Uint8Array([1, 0, 1, 0]))}; ${FOREVER}`)).toBe(
      `the peer sends a frame of 65537 bytes in front_push${range}`,
    );
    expect(fault(`${print(new Uint8Array(4).fill(255))}; ${FOREVER}`)).toBe(
      `the peer sends a frame of 4294967295 bytes in front_push${range}`,
    );
  });

  it('sends no msgpack', () => {
    const why = 'the peer sends a frame in front_push that is no msgpack value: it begins with';
    expect(fault(`${print(frame(new Uint8Array([0x92, 1])))}; ${FOREVER}`)).toBe(`${why} 9201`);
    expect(fault(`${print(frame(new Uint8Array([0x91, 1, 255])))}; ${FOREVER}`)).toBe(
      `${why} 9101ff`,
    );
  });

  it('answers in another shape', () => {
    const why = 'an answer is [result] or [result, message]';
    expect(answer(1)).toBe(`the peer answers front_push with 1: ${why}`);
    expect(answer([])).toBe(`the peer answers front_push with []: ${why}`);
    expect(answer([1, null, 2])).toBe(`the peer answers front_push with [ 1, null, 2 ]: ${why}`);
    expect(answer({ result: 1 })).toBe(`the peer answers front_push with { result: 1 }: ${why}`);
    expect(answer(['pause'])).toBe(
      "the peer answers front_push with [ 'pause' ]: its hello says that it does not pause",
    );
  });

  it('answers with no number of 32 bits', () => {
    const why = 'the result is no signed integer of 32 bits';
    for (const result of [1.5, 2 ** 31, '1', null, true]) {
      expect(answer([result])).toContain(why);
    }
    expect(answer([-(2 ** 31)])).toBe(String(-(2 ** 31)));
  });

  it('answers with a message that is missing, misplaced or of another length', () => {
    expect(answer([1], 'response')).toBe(
      'the peer answers front_response with [ 1 ]: the message is missing',
    );
    expect(answer([1, new Uint8Array(1)])).toContain('no message belongs there');
    expect(answer([0, new Uint8Array(1)], 'response')).toContain('no message belongs there');
    expect(answer([1, new Uint8Array(4097)], 'response')).toContain(
      'a message of 4097 bytes does not fit',
    );
    expect(answer([3, new Uint8Array(2)], 'read')).toContain('a message of 2 bytes does not fit');
  });

  it('pauses without end', () => {
    const hello = { verbs: ['front_push'], pauses: true };
    const script = `process.stdout.write(Buffer.from('${Buffer.from(packed(hello)).toString('hex')}', 'hex')); process.stdin.on('data', () => process.stdout.write(Buffer.from('${Buffer.from(packed(['pause'])).toString('hex')}', 'hex')))`;
    let points = 0;
    const end = started(`node -e "${script}"`).open('front', 4096, () => points++);
    expect(() => end.call('push')).toThrow(
      new PeerFault('the peer hangs in front_push: it pauses 10000 times without an answer'),
    );
    expect(points).toBe(10_001);
  });

  it('cuts its ring’s file short', () => {
    expect(fault(`: >"$HOSPES_RING"; ${print(packed([1]))}; ${FOREVER}`)).toBe(
      "the peer cuts its ring's file short in front_push",
    );
  });
});

describe('a peer that is not closed', () => {
  it('ends with the process that started it', () => {
    const module = new URL('../../cli/process-peer.ts', import.meta.url).href;
    const command = JSON.stringify(`${HELLO}; ${FOREVER}`);
    const script = `import { processPeer } from '${module}'; processPeer(${command}); process.exit(3);`;
    const node = ['--import', 'tsx', '--input-type=module', '-e', script];
    const { status, stderr } = spawnSync(process.execPath, node, { encoding: 'utf8' });
    expect([status, stderr]).toEqual([3, '']); // and after each test it is seen what is left
  });
});
