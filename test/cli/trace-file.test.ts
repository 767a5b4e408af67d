import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { readTrace, TraceWriter, traceJson, traceLine } from '../../cli/trace-file.ts';
import { UsageError } from '../../cli/usage-error.ts';
import type { TraceRecord } from '../../machine/trace.ts';
import { folderWith } from './hospes.ts';

const HEADER = { kernel: 'k.ts', preset: 'p', mode: 'pv' };
const RECORDS: TraceRecord[] = [
  { time: 1, who: 'd1v0', kind: 'hypercall', name: 'sched_op', result: -38 },
  { time: 2.5e12, who: 'cpu0', kind: 'fault', address: -0x80000000, write: true },
  { time: 3, who: 'd0', kind: 'value', big: 2n ** 63n, small: 5n },
  { time: 4, who: 'd1v0', kind: 'hypercall', name: 'console_io', result: 0 },
];

const written = (file: string, records: readonly TraceRecord[]): Uint8Array => {
  const writer = new TraceWriter(file, HEADER);
  for (const record of records) writer.write(record);
  writer.close();
  return readFileSync(file);
};

const readBack = (file: string): TraceRecord[] => {
  const records: TraceRecord[] = [];
  readTrace(file, (record) => records.push(record));
  return records;
};

describe('a trace file', () => {
  it('gives back the records that were written', () => {
    const file = `${folderWith({}).path}/t`;
    written(file, RECORDS);
    expect(readBack(file).map(traceJson)).toEqual(RECORDS.map(traceJson));
  });

  it('holds more than one chunk', () => {
    const file = `${folderWith({}).path}/t`;
    const many = Array.from({ length: 20_000 }, (_, time) => ({ ...RECORDS[time % 4]!, time }));
    expect(written(file, many).length).toBeGreaterThan(1 << 17);
    expect(readBack(file).map(({ time }) => time)).toEqual(many.map(({ time }) => time));
  });

  it('has the same bytes for the same records', () => {
    const { path } = folderWith({});
    expect(written(`${path}/a`, RECORDS)).toEqual(written(`${path}/b`, RECORDS));
  });

  it('prints one line or one JSON object a record', () => {
    expect(RECORDS.map(traceLine).map((line) => line.replace(/ +/g, ' '))).toEqual([
      ' 1 d1v0 hypercall name=sched_op result=-38',
      ' 2500000000000 cpu0 fault address=0xffffffff80000000 write=true',
      ' 3 d0 value big=9223372036854775808 small=5',
      ' 4 d1v0 hypercall name=console_io result=0',
    ]);
    expect(JSON.parse(traceJson(RECORDS[2]!))).toMatchObject({
      big: '9223372036854775808',
      small: 5,
    });
  });

  it.each([
    ['is missing', 'none', /does not exist/],
    ['is empty', 'empty', /is not a trace/],
    ['is something else', 'text', /is not a trace/],
    ['is cut short', 'short', /is cut short/],
  ])('is refused when it %s', (_case, name, sentence) => {
    const folder = folderWith({ empty: '', text: 'hello, this is no trace at all' });
    const whole = written(`${folder.path}/whole`, RECORDS);
    folder.write('short', whole.subarray(0, whole.length - 3));
    expect(() => readBack(`${folder.path}/${name}`)).toThrow(UsageError);
    expect(() => readBack(`${folder.path}/${name}`)).toThrow(sentence);
  });

  it('is refused where it cannot be written', () => {
    expect(() => written(`${folderWith({}).path}/no/t`, [])).toThrow(
      /cannot be written \(ENOENT\)/,
    );
  });
});
