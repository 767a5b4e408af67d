import { describe, expect, it } from 'vitest';
import { defineKernel, type Machine } from '../../drivers/index.ts';
import { MemoryStore } from '../../machine/block-store.ts';
import { ServedHost } from './served-host.ts';

function pattern(sectors: number): Uint8Array {
  return Uint8Array.from({ length: sectors * 512 }, (_, i) => (i >> 9) * 3 + i);
}

const same = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0;

const total = (host: ServedHost): number =>
  host.domain0.account.cycles.reduce((sum, cycles) => sum + cycles, 0);

describe('domain 0', () => {
  it('hands on what a domain prints, more than the ring holds', async () => {
    const host = new ServedHost();
    const text = Array.from({ length: 500 }, (_, i) => `line ${i}\n`).join('');
    const guest = host.start((k) => k.console.write(text));
    await host.settle();
    expect(guest.end).toMatchObject({ outcome: 'poweroff' });
    expect(host.console(guest)).toBe(text);
  });

  it('types to a domain', async () => {
    const host = new ServedHost();
    const guest = host.start(
      (k) =>
        new Promise<void>((resolve) => {
          k.console.input.subscribe((bytes) => {
            void k.console.write(`got ${new TextDecoder().decode(bytes)}`).then(resolve);
          });
        }),
    );
    host.service.input(guest.id, new TextEncoder().encode('hello'));
    await host.settle();
    expect(host.console(guest)).toBe('got hello');
  });

  it('gives a domain its nodes in xenstore', async () => {
    const host = new ServedHost([new MemoryStore(pattern(64))]);
    const guest = host.start(
      async (k) => {
        const store = k.xenstore!;
        const seen = [
          await store.read('name'),
          await store.read('domid'),
          await store.read('memory/target'),
          await store.read('cpu/0/availability'),
          (await store.directory('device/vbd')).join(),
          (await store.directory('/local/domain/1')).join(),
        ];
        await store.write('data/mine', 'x');
        // Only domain 0 gives it devices.
        await store.write('device/mine', 'x').catch((error: Error) => seen.push(error.message));
        await k.console.write(seen.join('|'));
      },
      [false],
    );
    await host.settle();
    expect(host.console(guest)).toMatch(/^guest\|1\|4096\|online\|51712\|.*\|.*EACCES/);
  });

  it('serves a disk: reads, writes, flush', async () => {
    const store = new MemoryStore(pattern(1000));
    const before = store.bytes.slice();
    const host = new ServedHost([store]);
    let got = new Uint8Array(0);
    const guest = host.start(
      async (k) => {
        const disk = await k.disk('xvda');
        got = Uint8Array.from(await disk.read(1, 999));
        await disk.write(5, new Uint8Array(512 * 300).fill(0xaa));
        await disk.flush();
        await k.console.write(`${disk.sectors} ${disk.readOnly}`);
      },
      [false],
    );
    await host.settle();
    expect(guest.end).toMatchObject({ outcome: 'poweroff' });
    expect(host.console(guest)).toBe('1000 false');
    expect(same(got, before.subarray(512))).toBe(true);
    before.fill(0xaa, 5 * 512, 305 * 512);
    expect(same(store.bytes, before)).toBe(true);
  });

  it('serves several disks to several domains at once, and keeps a read-only one so', async () => {
    const stores = [new MemoryStore(pattern(100)), new MemoryStore(pattern(50).fill(7))];
    const host = new ServedHost(stores);
    const guests = [1, 2, 3].map(() =>
      host.start(
        async (k) => {
          const [a, b] = await k.disks();
          const [x, y] = await Promise.all([a!.read(0, 100), b!.read(0, 50)]);
          const refused = await b!.write(0, new Uint8Array(512)).catch((e: Error) => e.name);
          const right = same(x, pattern(100)) && y.every((byte) => byte === 7);
          await k.console.write(`${a!.name} ${b!.name} ${right} ${refused}`);
        },
        [false, true],
      ),
    );
    await host.settle();
    for (const guest of guests) expect(host.console(guest)).toBe('xvda xvdb true DiskError');
  });

  it('lets go of everything of a domain that powered off: the ledger balances', async () => {
    const host = new ServedHost([new MemoryStore(pattern(100))]);
    await host.settle();
    const warm = host.start(async (k) => void (await (await k.disk('xvda')).read(0, 1)), [false]);
    await host.settle();
    await host.release(warm);
    const before = host.xen.ledger();
    const guest = host.start(
      async (k) => void (await (await k.disk('xvda')).read(0, 100)),
      [false],
    );
    await host.settle();
    expect(guest.end).toMatchObject({ outcome: 'poweroff' });
    await host.release(guest);
    expect(host.xen.ledger()).toEqual(before);
  });

  it('lets go of a domain that dies in the middle of reading', async () => {
    const host = new ServedHost([new MemoryStore(pattern(1000))]);
    const warm = host.start(async (k) => void (await (await k.disk('xvda')).read(0, 1)), [false]);
    await host.settle();
    await host.release(warm);
    const before = host.xen.ledger();
    const guest = host.start(
      async (k) => {
        const disk = await k.disk('xvda');
        disk.read(0, 1000).catch(() => undefined);
        await k.time.sleep(2000);
        k.crash('on purpose');
      },
      [false],
    );
    await host.settle();
    expect(guest.end?.outcome).toBe('crash');
    await host.release(guest);
    expect(host.xen.ledger()).toEqual(before);
    const next = host.start(
      async (k) => {
        await k.console.write(`${(await (await k.disk('xvda')).read(0, 8)).length}`);
      },
      [false],
    );
    await host.settle();
    expect(host.console(next)).toBe('4096');
  });

  it('goes on when one domain ruins its rings', async () => {
    const host = new ServedHost();
    const bad = host.start(async (k) => {
      const { va, port } = k.boot.console!;
      k.cpu.store32(va + 3084, 0x7fffffff);
      k.events!.send(port);
      await k.time.sleep(1000);
    });
    const good = host.start((k) => k.console.write('fine'));
    await host.settle();
    expect(bad.end?.outcome).toBe('poweroff');
    expect(host.console(good)).toBe('fine');
    await host.release(bad);
    const later = host.start((k) => k.console.write('later'));
    await host.settle();
    expect(host.console(later)).toBe('later');
  });

  it('tells what it could not do, and serves the rest: a disk on a drive that is not there', async () => {
    const host = new ServedHost([new MemoryStore(pattern(8))]);
    const guest = host.start(
      async (k) => k.console.write(`${(await k.xenstore!.directory('device/vbd')).length}`),
      [false, false],
    );
    await host.settle();
    expect(host.console(guest)).toBe('2');
    expect(host.console(host.domain0)).toContain('there is no drive 1');
  });

  it('costs the same per event with a hundred domains as with one', async () => {
    const host = new ServedHost([], 32768, 128);
    const lines = (k: Machine) => k.time.sleep(1e9).then(() => k.console.write('x'));
    const idle = defineKernel(() => new Promise<void>(() => undefined));
    async function cost(): Promise<number> {
      const guest = host.start(lines);
      await host.settle();
      expect(host.console(guest)).toBe('x');
      const before = total(host);
      const other = host.start(lines);
      await host.settle();
      expect(host.console(other)).toBe('x');
      return total(host) - before;
    }
    const alone = await cost();
    for (let i = 0; i < 100; i++) host.xen.unpause(host.create(idle, [], 768 << 10));
    await host.settle();
    expect(await cost()).toBeLessThan(alone * 1.1);
  });
});
