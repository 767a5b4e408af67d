/** Two threads, a timer and events: everything that waits in a kernel is an await or an Observable. */
import { defineKernel } from 'hospes/drivers';
import { firstValueFrom, interval, Subject, take, toArray } from 'rxjs';

const MILLISECOND = 1_000_000; // ns

export const kernel = defineKernel(async (k) => {
  const { console, events, threads, time } = k;
  const started = time.nanos();
  const at = (): string => `${Math.round((time.nanos() - started) / MILLISECOND)} ms`;

  const handed = new Subject<number>();
  const consumer = threads.spawn('consumer', async () => {
    const numbers = await firstValueFrom(handed.pipe(take(3), toArray()));
    await console.write(`${at()}: consumer got ${numbers.join(', ')}\n`);
  });
  const producer = threads.spawn('producer', async () => {
    for (let n = 1; n <= 3; n++) {
      await time.sleep(10 * MILLISECOND);
      await console.write(`${at()}: producer hands over ${n}\n`);
      handed.next(n);
    }
  });
  await Promise.all([producer.done, consumer.done]);

  const ticks = await firstValueFrom(interval(5, time.scheduler).pipe(take(4), toArray()));
  await console.write(`${at()}: RxJS interval on virtual time ticked ${ticks.length} times\n`);

  if (events) {
    const port = events.bindIpi();
    const arrived = firstValueFrom(events.events(port));
    events.send(port);
    await arrived;
    events.close(port);
    await console.write(`${at()}: an event that this kernel sent itself arrived on port ${port}\n`);
  }
});
