import { describe, expect, it } from 'vitest';
import { Account } from '../../machine/account.ts';
import { Pcpu } from '../../machine/pcpu.ts';
import { Timeline } from '../../machine/timeline.ts';

describe('Timeline', () => {
  it('rings alarms by time, and those of one instant in the order they were set', () => {
    const timeline = new Timeline();
    const rung: string[] = [];
    for (const [name, time] of [
      ['c', 30],
      ['a', 10],
      ['b', 20],
      ['a2', 10],
    ] as const) {
      timeline.at(time, () => rung.push(name));
    }

    timeline.fire(20);

    expect(rung).toEqual(['a', 'a2', 'b']);
    expect(timeline.next).toBe(30);
  });

  it('orders many alarms as a sort would, whatever was cancelled between', () => {
    const timeline = new Timeline();
    const rung: number[] = [];
    const times = Array.from({ length: 500 }, (_value, index) => (index * 7919) % 1009);
    const alarms = times.map((time) => timeline.at(time, (at) => rung.push(at)));
    const kept = times.filter((_time, index) => index % 3 !== 0);
    for (let index = 0; index < alarms.length; index += 3) timeline.cancel(alarms[index]);

    timeline.fire(2000);

    expect(rung).toEqual(kept.sort((a, b) => a - b));
    expect(timeline.next).toBe(Number.POSITIVE_INFINITY);
  });

  it('also rings what an alarm sets for an instant already due', () => {
    const timeline = new Timeline();
    const rung: string[] = [];
    timeline.at(10, (time) => {
      rung.push('first');
      timeline.at(time + 5, () => rung.push('second'));
    });

    timeline.fire(15);

    expect(rung).toEqual(['first', 'second']);
  });

  it('never rings at an instant beyond what can be counted, where a period could be lost in rounding', () => {
    const timeline = new Timeline();
    for (const time of [2 ** 60, Number.POSITIVE_INFINITY, Number.NaN]) {
      timeline.cancel(timeline.at(time, () => expect.fail('it rang')));
      timeline.at(time, () => expect.fail('it rang'));
    }
    timeline.fire(2 ** 61);
    expect(timeline.next).toBe(Number.POSITIVE_INFINITY);
  });

  it('cancels twice, or after the ring, without harm', () => {
    const timeline = new Timeline();
    const alarm = timeline.at(10, () => {});
    timeline.cancel(alarm);
    timeline.cancel(alarm);
    timeline.cancel(undefined);
    expect(timeline.next).toBe(Number.POSITIVE_INFINITY);
  });

  it('brings the horizon of a watched CPU nearer, never further', () => {
    const timeline = new Timeline();
    const pcpu = new Pcpu(0, new Account());
    timeline.watch(pcpu);
    timeline.at(100, () => {});
    timeline.at(200, () => {});
    expect(pcpu.horizon).toBe(100);
  });
});
