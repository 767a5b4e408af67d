import { Subject } from 'rxjs';
import { beforeEach, describe, expect, it } from 'vitest';
import { ConsoleBack } from '../../drivers/console-back.ts';
import { ConsoleFront } from '../../drivers/console-front.ts';
import { CONSOLE_IN, CONSOLE_OUT } from '../../protocol/console-ring.ts';
import { ArrayRingMemory } from '../../protocol/ring.ts';
import { settled } from './fake-domains.ts';

describe('xencons_interface', () => {
  let memory: ArrayRingMemory;
  let toFront: Subject<void>;
  let front: ConsoleFront;
  let back: ConsoleBack;
  let output: string;

  beforeEach(() => {
    memory = new ArrayRingMemory(new Uint32Array(1024));
    toFront = new Subject();
    output = '';
    const decoder = new TextDecoder();
    back = new ConsoleBack(
      memory,
      () => toFront.next(),
      (bytes) => {
        output += decoder.decode(bytes, { stream: true });
      },
    );
    front = new ConsoleFront(memory, { events: toFront, notify: () => back.service() });
  });

  it('carries text from the guest', async () => {
    await front.write('Grüße\n');
    expect(output).toBe('Grüße\n');
  });

  it('carries more than the ring holds, in order, two writers not mixed', async () => {
    const long = Array.from({ length: 2000 }, (_, i) => `line ${i}\n`).join('');
    await Promise.all([front.write(long), front.write('end')]);
    expect(output).toBe(`${long}end`);
  });

  it('waits while the ring is full, and goes on at an event', async () => {
    let wake = (): void => undefined;
    front = new ConsoleFront(memory, { events: toFront, notify: () => wake() });
    let done = false;
    const writing = front.write('x'.repeat(3000)).then(() => {
      done = true;
    });
    await settled();
    expect(done).toBe(false);
    wake = () => back.service();
    back.service();
    await writing;
    expect(output).toBe('x'.repeat(3000));
  });

  it('carries input, also what was typed before anyone listened and more than the ring holds', async () => {
    const typed = 'y'.repeat(3000);
    back.input(new TextEncoder().encode(typed));
    let got = '';
    front.input.subscribe((bytes) => {
      got += new TextDecoder().decode(bytes);
    });
    await settled();
    back.input(new TextEncoder().encode('z'));
    await settled();
    expect(got).toBe(`${typed}z`);
  });

  it('bounds what waits to be read', async () => {
    back.input(new Uint8Array(200_000));
    let got = 0;
    front.input.subscribe((bytes) => {
      got += bytes.length;
    });
    await settled();
    expect(got).toBe(65536 + 1024 - 1024);
  });

  it('does not listen any more to a domain whose producer lies', async () => {
    memory.set32(CONSOLE_OUT.prod, 5000);
    back.service();
    memory.set32(CONSOLE_OUT.prod, 5);
    back.service();
    back.input(new Uint8Array(5));
    expect(output).toBe('');
  });

  it('ends the input of a guest whose back end lies', async () => {
    let ended = false;
    front.input.subscribe({
      complete: () => {
        ended = true;
      },
    });
    memory.set32(CONSOLE_IN.prod, 5000);
    toFront.next();
    await settled();
    expect(ended).toBe(true);
    memory.set32(CONSOLE_OUT.cons, 5000);
    await expect(front.write('x')).rejects.toThrow('impossible');
  });
});
