/** Interrupt sources as Observables. */
import { firstValueFrom, map } from 'rxjs';
import { describe, expect, it } from 'vitest';
import { Signal } from '../../guest-kernel/signal.ts';

const make = () => {
  const log: string[] = [];
  const signal = new Signal<number>({
    first: () => log.push('first'),
    last: () => log.push('last'),
  });
  return { log, signal };
};

describe('Signal', () => {
  it('tells when the first observer comes and the last one leaves', () => {
    const { log, signal } = make();
    const [a, b] = [signal.subscribe(), signal.subscribe()];
    a.unsubscribe();
    a.unsubscribe();
    expect(log).toEqual(['first']);
    b.unsubscribe();
    expect(log).toEqual(['first', 'last']);
  });

  it('lets the error of a function observer reach who emits', () => {
    const { signal } = make();
    signal.subscribe(() => {
      throw new Error('handler');
    });
    expect(() => signal.emit(1)).toThrow('handler');
  });

  it('works under operators', async () => {
    const { signal } = make();
    const next = firstValueFrom(signal.pipe(map((n) => n * 2)));
    signal.emit(21);
    expect(await next).toBe(42);
    expect(signal.observed).toBe(false);
  });

  it('completes those who listen and those who come later', () => {
    const { signal } = make();
    let completed = 0;
    const observer = { complete: () => completed++ };
    signal.subscribe(observer);
    signal.complete();
    signal.subscribe(observer);
    expect(completed).toBe(2);
  });

  it('goes over the observers that it had when it began', () => {
    const { signal } = make();
    const seen: string[] = [];
    const late = (): void => void seen.push('late');
    signal.subscribe(() => {
      seen.push('early');
      if (seen.length === 1) signal.subscribe(late);
    });
    signal.emit(0);
    signal.emit(0);
    expect(seen).toEqual(['early', 'early', 'late']);
  });
});
