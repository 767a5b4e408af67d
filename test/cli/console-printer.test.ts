import { describe, expect, it } from 'vitest';
import { ConsolePrinter } from '../../cli/console-printer.ts';

const printing = (words: Array<[speaker: string, text: string]>): string => {
  let printed = '';
  const printer = new ConsolePrinter((bytes) => {
    printed += Buffer.from(bytes).toString();
  });
  for (const [speaker, text] of words) printer.say(speaker, Buffer.from(text));
  printer.endLine();
  return printed;
};

describe('a terminal with several consoles', () => {
  it('passes the bytes of a lone speaker as they are', () => {
    expect(
      printing([
        ['guest', 'a'],
        ['guest', 'b\n\nc\n'],
      ]),
    ).toBe('ab\n\nc\n');
  });

  it('says whose each line is from the second speaker on', () => {
    const words: Array<[string, string]> = [
      ['guest', 'one\n'],
      ['domain 0', 'up\n'],
      ['guest', 'two\nthree\n'],
    ];
    expect(printing(words)).toBe('one\n(domain 0) up\n(guest) two\n(guest) three\n');
  });

  it('finishes a line that another speaker interrupts', () => {
    const words: Array<[string, string]> = [
      ['guest', 'on'],
      ['domain 0', 'up\n'],
      ['guest', 'e'],
    ];
    expect(printing(words)).toBe('on\n(domain 0) up\n(guest) e\n');
  });
});
