/**
 * Domains as a crowd: create, boot `hello` and destroy one after the other, served by domain 0; and a thousand of them
 * idle at once, with the time per event between two of them and the memory that the host has given.
 */
import { Domain0 } from '../drivers/domain0.ts';
import { defineKernel } from '../drivers/kernel.ts';
import { VIRQ_DOM_EXC } from '../protocol/xen.ts';
import { eventRate } from './events.ts';
import { type Host, newHost } from './host.ts';
import type { HostFigures } from './reference.ts';
import type { BenchRow } from './types.ts';

const DOMAIN0_BYTES = 16 << 20;
const HELLO_BYTES = 1 << 20;
const WARM_UP = 100;
const HELLOS = 500;
const CROWD = 1000;

const hello = defineKernel(async ({ console }) => {
  await console.write('Hello\n');
});

const settle = ({ machine, xen }: Host, done: () => boolean): Promise<unknown> =>
  machine.run({
    pick: (pcpu) => xen.pick(pcpu),
    rest: (pcpu, processor) => xen.rest(pcpu, processor),
    get finished() {
      return done();
    },
  });

/** Domains created, booted and destroyed per second of host time. */
const helloRate = async (): Promise<number> => {
  const host = newHost(16, DOMAIN0_BYTES);
  const { xen } = host;
  let heard = 0;
  const service = new Domain0({ onConsole: () => heard++ });
  const domain0 = xen.create({
    name: 'domain 0',
    kind: 'pv',
    guest: service.guest,
    memoryBytes: DOMAIN0_BYTES,
    privileged: true,
  });
  xen.unpause(domain0);
  await settle(host, () => false);
  const one = async (): Promise<void> => {
    const domain = xen.create({
      name: 'hello',
      kind: 'pv',
      guest: hello,
      memoryBytes: HELLO_BYTES,
    });
    const resources = { domid: domain.id, name: 'hello', memoryBytes: HELLO_BYTES, vcpus: 1 };
    service.introduce({ ...resources, ...domain.boot, disks: [] });
    xen.sendGlobalVirq(VIRQ_DOM_EXC);
    xen.unpause(domain);
    await settle(host, () => domain.end !== undefined);
    service.release(domain.id);
    xen.sendGlobalVirq(VIRQ_DOM_EXC);
    await settle(host, () => false);
    xen.destroy(domain);
  };
  for (let i = 0; i < WARM_UP; i++) await one();
  const from = performance.now();
  for (let i = 0; i < HELLOS; i++) await one();
  if (heard < WARM_UP + HELLOS) throw new Error(`only ${heard} of the domains said hello`);
  return (HELLOS * 1000) / (performance.now() - from);
};

export const benchDomains = async (host: HostFigures | undefined): Promise<BenchRow[]> => {
  const few = await eventRate(2);
  const before = process.memoryUsage().rss;
  const crowd = await eventRate(CROWD);
  const grown = process.memoryUsage().rss - before;
  return [
    {
      name: 'create, boot hello, destroy',
      value: await helloRate(),
      unit: '/s',
      aim: 'at least 500',
      ...(host && { reference: { name: 'fork, exit and wait in C', value: host.fork } }),
    },
    {
      name: `event between two of ${CROWD} domains`,
      value: crowd,
      unit: '/s',
      reference: { name: 'the same between the only two', value: few },
      aim: 'flat',
    },
    {
      name: `host memory for ${CROWD} domains`,
      value: grown / 2 ** 20,
      unit: 'MiB',
      aim: 'at most 1,024',
    },
  ];
};
