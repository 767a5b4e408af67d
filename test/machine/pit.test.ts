import { describe, expect, it } from 'vitest';
import { PIT_CONTROL, PIT_COUNTER_0, PIT_COUNTER_2, PIT_HZ, Pit } from '../../machine/pit.ts';
import { Timeline } from '../../machine/timeline.ts';

/** At this clock a tick is 1,000 cycles. */
const TICK = 1000;

const timer = () => {
  const timeline = new Timeline();
  const edges: string[] = [];
  const pit = new Pit(timeline, PIT_HZ / 1000, (high) => edges.push(high ? 'rise' : 'fall'));
  const rises = () => edges.filter((edge) => edge === 'rise').length;
  const load = (counter: number, count: number, now: number) => {
    pit.write(counter, count & 0xff, now);
    pit.write(counter, count >> 8, now);
  };
  const read16 = (counter: number, now: number) =>
    pit.read(counter, now) | (pit.read(counter, now) << 8);
  return { timeline, edges, pit, rises, load, read16 };
};

describe('8254', () => {
  it('mode 0 interrupts once, N + 1 ticks after the count', () => {
    const { timeline, pit, rises, load } = timer();
    pit.write(PIT_CONTROL, 0x30, 0);
    load(PIT_COUNTER_0, 100, 0);

    timeline.fire(101 * TICK - 1);
    expect(rises()).toBe(0);
    timeline.fire(101 * TICK);
    expect(rises()).toBe(1);
    timeline.fire(1e9);
    expect(rises()).toBe(1);
  });

  it.each([
    ['mode 2', 0x34],
    ['mode 3', 0x36],
  ])('%s interrupts every N ticks', (_mode, control) => {
    const { timeline, pit, rises, load } = timer();
    pit.write(PIT_CONTROL, control, 0);
    load(PIT_COUNTER_0, 100, 0);

    timeline.fire(1001 * TICK);

    expect(rises()).toBe(10);
  });

  it('keeps its rate over a long time', () => {
    const timeline = new Timeline();
    let rises = 0;
    const pit = new Pit(timeline, 2500, (high) => {
      if (high) rises += 1;
    });
    pit.write(PIT_CONTROL, 0x34, 0);
    pit.write(PIT_COUNTER_0, 11932 & 0xff, 0);
    pit.write(PIT_COUNTER_0, 11932 >> 8, 0);

    timeline.fire(100 * 2.5e9);

    expect(rises).toBe(Math.floor((100 * PIT_HZ - 1) / 11932));
  });

  it('has begun its new period at the very instant of the interrupt', () => {
    for (let count = 2; count < 3000; count += 7) {
      const timeline = new Timeline();
      const pit = new Pit(timeline, 2500, () => {});
      pit.write(PIT_CONTROL, 0x34, 0);
      pit.write(PIT_COUNTER_0, count & 0xff, 0);
      pit.write(PIT_COUNTER_0, count >> 8, 0);
      const now = timeline.next;
      expect(pit.read(PIT_COUNTER_0, now) | (pit.read(PIT_COUNTER_0, now) << 8)).toBe(count);
    }
  });

  it('counts down by virtual time, and a latched count stays until read', () => {
    const { pit, load, read16 } = timer();
    pit.write(PIT_CONTROL, 0x34, 0);
    load(PIT_COUNTER_0, 1000, 0);

    pit.write(PIT_CONTROL, 0x00, 11 * TICK);

    expect(read16(PIT_COUNTER_0, 500 * TICK)).toBe(990);
    expect(read16(PIT_COUNTER_0, 501 * TICK)).toBe(500);
  });

  it('mode 3 counts by two, twice a period', () => {
    const { pit, load, read16 } = timer();
    pit.write(PIT_CONTROL, 0x36, 0);
    load(PIT_COUNTER_0, 1000, 0);

    expect(read16(PIT_COUNTER_0, 101 * TICK)).toBe(800);
    expect(read16(PIT_COUNTER_0, 601 * TICK)).toBe(800);
  });

  it('mode 0 counts on through zero', () => {
    const { pit, load, read16 } = timer();
    pit.write(PIT_CONTROL, 0x30, 0);
    load(PIT_COUNTER_0, 10, 0);

    expect(read16(PIT_COUNTER_0, 13 * TICK)).toBe(0xfffe);
  });

  it('takes a count written meanwhile at the end of the period', () => {
    const { timeline, pit, rises, load, read16 } = timer();
    pit.write(PIT_CONTROL, 0x34, 0);
    load(PIT_COUNTER_0, 100, 0);
    load(PIT_COUNTER_0, 1000, 51 * TICK);

    expect(read16(PIT_COUNTER_0, 61 * TICK)).toBe(40);
    timeline.fire(101 * TICK);
    expect(rises()).toBe(1);
    timeline.fire(1100 * TICK);
    expect(rises()).toBe(1);
    timeline.fire(1101 * TICK);
    expect(rises()).toBe(2);
  });

  it('reads back status and count of several counters at once', () => {
    const { pit, load, read16 } = timer();
    pit.write(PIT_CONTROL, 0x34, 0);
    load(PIT_COUNTER_0, 100, 0);
    pit.write(PIT_CONTROL, 0xb0, 0);

    pit.write(PIT_CONTROL, 0xc2 | 0x08, 21 * TICK);

    expect(pit.read(PIT_COUNTER_0, 30 * TICK)).toBe(0xb4); // OUT, both bytes, mode 2
    expect(read16(PIT_COUNTER_0, 30 * TICK)).toBe(80);
    expect(pit.read(PIT_COUNTER_2, 30 * TICK)).toBe(0x70); // null count, both bytes, mode 0
  });

  it('counts in BCD when asked', () => {
    const { pit, load, read16 } = timer();
    pit.write(PIT_CONTROL, 0x35, 0);
    load(PIT_COUNTER_0, 0x1000, 0);

    expect(read16(PIT_COUNTER_0, 2 * TICK)).toBe(0x0999);
  });

  it('shows the output of counter 2 at port 0x61, counting while its gate is open', () => {
    const { pit, load } = timer();
    pit.write(PIT_CONTROL, 0xb0, 0);
    load(PIT_COUNTER_2, 100, 0);
    expect(pit.readStatus(500 * TICK) & 0x21).toBe(0);

    pit.writeStatus(0x01, 500 * TICK);

    expect(pit.readStatus(599 * TICK) & 0x21).toBe(0x01);
    expect(pit.readStatus(600 * TICK) & 0x21).toBe(0x21);
  });

  it('rings no more once stopped or reprogrammed', () => {
    const { timeline, pit, rises, load } = timer();
    pit.write(PIT_CONTROL, 0x34, 0);
    load(PIT_COUNTER_0, 100, 0);

    pit.write(PIT_CONTROL, 0x34, 50 * TICK);
    expect(timeline.next).toBe(Number.POSITIVE_INFINITY);
    load(PIT_COUNTER_0, 100, 60 * TICK);
    pit.stop();

    timeline.fire(1e9);
    expect(rises()).toBe(0);
  });

  it('survives any control word with any count', () => {
    const { timeline, pit, load } = timer();
    for (let control = 0; control < 256; control++) {
      const now = control * 10 * TICK;
      pit.write(PIT_CONTROL, control, now);
      for (const count of [0, 1, 2, 0xffff]) {
        load(control >> 6, count, now);
        pit.writeStatus(control, now);
        timeline.fire(now + 5 * TICK);
        for (let register = 0; register < 4; register++) {
          const value = pit.read(register, now + 5 * TICK);
          expect(value).toBeGreaterThanOrEqual(0);
          expect(value).toBeLessThan(256);
        }
      }
    }
  });
});
