import { describe, expect, it } from 'vitest';
import { ConsoleLog } from '../../drivers/console-log.ts';

const logged = (...said: string[]): { lines: string[]; log: ConsoleLog } => {
  const lines: string[] = [];
  const log = new ConsoleLog(7, (line) => lines.push(new TextDecoder().decode(line)));
  for (const text of said) log.add(new TextEncoder().encode(text));
  return { lines, log };
};

describe('ConsoleLog', () => {
  it('logs whole lines after the domain that said them', () => {
    expect(logged('one\ntw', 'o\n\nthr').lines).toEqual(['(d7) one\n', '(d7) two\n', '(d7) \n']);
  });

  it('logs at the end what was begun, once', () => {
    const { lines, log } = logged('half');
    log.end();
    log.end();
    expect(lines).toEqual(['(d7) half\n']);
  });

  it('cuts a line that does not end, and loses nothing of it', () => {
    const text = 'x'.repeat(5000);
    const { lines, log } = logged(text);
    log.end();
    expect(lines.length).toBe(5);
    expect(lines.map((line) => line.slice('(d7) '.length, -1)).join('')).toBe(text);
  });
});
