import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Machine as Kernel } from '../../drivers/index.ts';
import type { Domain, DomainBoot } from '../../hypervisor/domain.ts';
import { MemoryStore } from '../../machine/block-store.ts';
import { Domid, Port } from '../../protocol/units.ts';
import { XenstoreDomainInterface } from '../../protocol/xs-wire.ts';
import { ServedHost } from '../drivers/served-host.ts';
import { Choices } from './choices.ts';

const RUNS = Number(process.env['HOSTILE_RUNS'] ?? 25);
const SEED = Number(process.env['HOSTILE_SEED'] ?? 20051205);
const VBD = 'device/vbd/51712';
const at = XenstoreDomainInterface.offset;

/** A front end that keeps to nothing: rings, indices, requests and nodes of its own making. */
class HostileFrontend {
  readonly k: Kernel;
  c = new Choices(0);
  readonly frame: number;
  readonly port: number;
  readonly gref: number;

  /** The page of its store ring, and the port that goes with it. */
  readonly store: { readonly va: number; readonly port: Port };

  constructor(k: Kernel, { storeMfn, storePort }: DomainBoot) {
    this.k = k;
    let pfn = 0;
    while (k.machineFrame(pfn) !== storeMfn) pfn++;
    this.store = { va: k.virt(pfn), port: Port(storePort) };
    this.frame = k.frames.alloc();
    this.port = k.events!.allocUnbound(Domid(0));
    this.gref = k.grants!.grant(Domid(0), this.frame, false);
  }

  path(): string {
    const { c } = this;
    return c.pick([
      VBD,
      `${VBD}/state`,
      `${VBD}/ring-ref`,
      `${VBD}/event-channel`,
      `${VBD}/protocol`,
      `${VBD}/backend`,
      'device',
      'data/x',
      'a/b/c/d',
      '/',
      '',
      '//',
      '/local/domain/0/backend/vbd/1/51712/state',
      '/local/domain/0/backend/vbd/2/51728/state',
      '/local/domain/2/data',
      '@releaseDomain',
      'x'.repeat(c.below(4000)),
      String.fromCharCode(...c.bytes(c.below(30))),
    ]);
  }

  value(): string {
    const { c } = this;
    return c.pick([
      `${this.gref}`,
      `${this.port}`,
      `${c.below(8)}`,
      `${c.bits()}`,
      '-1',
      '',
      'NaN',
      '1e9',
      'x86_64-abi',
      'x'.repeat(c.below(4096)),
      String.fromCharCode(...c.bytes(c.below(30))),
    ]);
  }
}

type Deed = (f: HostileFrontend) => unknown;

/** A message as the wire has it, or nearly. */
const message = (c: Choices, body: string): Uint8Array => {
  const payload = new TextEncoder().encode(body);
  const bytes = new Uint8Array(16 + payload.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, c.once(9) ? c.bits() : c.below(25), true);
  view.setUint32(4, c.bits(), true);
  view.setUint32(8, c.once(3) ? c.below(5) : 0, true);
  view.setUint32(12, c.once(12) ? c.bits() : payload.length, true);
  bytes.set(payload, 16);
  return bytes;
};

/** Requests put into the store ring past the kernel's own client, whose answers nobody reads. */
const rawRequest: Deed = (f) => {
  const { c, k } = f;
  const { va, port } = f.store;
  const bytes = message(
    c,
    c.pick([
      `${f.path()}\0${f.value()}`,
      `${f.path()}\0`,
      f.value(),
      `${f.path()}\0n${c.below(4)}\0r2\0`,
    ]),
  );
  let produced = k.cpu.load32(va + at.reqProd);
  for (const byte of bytes.subarray(0, 900)) {
    k.cpu.store8(va + at.req + (produced & 1023), byte);
    produced = (produced + 1) >>> 0;
  }
  k.cpu.store32(va + at.reqProd, produced);
  if (c.once(2)) k.cpu.store32(va + at.rspCons, k.cpu.load32(va + at.rspProd));
  k.events!.send(port);
};

const ruin = ({ k, c }: HostileFrontend, va: number): void => {
  for (let n = c.below(6); n > 0; n--) k.cpu.store8(va + c.below(4096), c.bits() & 0xff);
  if (c.once(2)) k.cpu.store32(va + c.below(20) * 4 + 2048, c.bits());
};

const ring: Deed = (f) => {
  const { c, k } = f;
  const va = k.virt(f.frame);
  // req_prod, req_event, rsp_prod, rsp_event; then requests of 112 bytes at 64.
  for (let n = c.below(5); n > 0; n--) {
    const slot = va + 64 + c.below(32) * 112;
    k.cpu.store8(slot, c.once(4) ? c.bits() & 0xff : c.below(6));
    k.cpu.store8(slot + 1, c.once(4) ? c.bits() & 0xff : c.below(12));
    k.cpu.store16(slot + 2, c.once(4) ? c.bits() & 0xffff : 51712);
    k.cpu.store32(slot + 8, c.bits());
    k.cpu.storeNumber(slot + 16, c.once(4) ? c.bits() * 4096 : c.below(60));
    for (let i = 0; i < 11; i++) {
      k.cpu.store32(slot + 24 + 8 * i, c.once(3) ? c.bits() : f.gref + c.below(3));
      k.cpu.store16(slot + 28 + 8 * i, c.once(4) ? c.bits() & 0xffff : c.below(8) * 257);
    }
  }
  const produced = k.cpu.load32(va);
  k.cpu.store32(va, c.once(5) ? c.bits() : (produced + c.below(5)) >>> 0);
  if (c.once(6)) k.cpu.store32(va + 4 * c.below(4), c.bits());
  k.events!.send(f.port as never);
};

const quiet = (promise: Promise<unknown>): void => void promise.catch(() => undefined);

/** Offer the ring as a front end does. */
const offer: Deed = async ({ k, c, gref, port, frame }) => {
  const store = k.xenstore!;
  if (c.once(2)) k.cpu.fillBytes(k.virt(frame), 4096, 0);
  quiet(store.write(`${VBD}/ring-ref`, `${gref}`));
  quiet(store.write(`${VBD}/event-channel`, `${port}`));
  quiet(store.write(`${VBD}/protocol`, 'x86_64-abi'));
  quiet(store.write(`${VBD}/state`, '3'));
  await k.time.sleep(200_000);
  quiet(store.write(`${VBD}/state`, c.once(4) ? `${c.below(8)}` : '4'));
};

const DEEDS: readonly Deed[] = [
  offer,
  ring,
  ring,
  rawRequest,
  rawRequest,
  (f) => ruin(f, f.store.va),
  (f) => f.k.events!.send(f.store.port),
  (f) => ruin(f, f.k.boot.console!.va),
  (f) => f.k.events!.send(f.k.boot.console!.port),
  (f) => quiet(f.k.console.write(f.value())),
  (f) => quiet(f.k.xenstore!.write(f.path(), f.value())),
  (f) => quiet(f.k.xenstore!.write(`${VBD}/state`, `${f.c.below(8)}`)),
  (f) => quiet(f.k.xenstore!.read(f.path())),
  (f) => quiet(f.k.xenstore!.remove(f.path())),
  (f) => quiet(f.k.xenstore!.mkdir(f.path())),
  (f) => quiet(f.k.xenstore!.directory(f.path())),
  (f) => f.c.once(9) && f.k.events!.close(f.port as never),
  (f) => f.k.grants!.end(f.gref as never),
];

const hostile = (seeds: readonly number[], boot: () => DomainBoot) => async (k: Kernel) => {
  const f = new HostileFrontend(k, boot());
  const odd = { c: new Choices(seeds.length) };
  if (odd.c.once(2)) await offer(f);
  for (const seed of seeds) {
    f.c = new Choices(seed);
    try {
      await f.c.pick(DEEDS)(f);
    } catch {
      // It goes on.
    }
    if (seed % 4 === 0) await k.time.sleep(50_000);
  }
  await k.time.sleep(1_000_000);
  if (seeds.length % 3 === 0) k.crash('its work is done');
};

const same = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0;

/** Uses its disk and its store, and says so. */
const good = async (k: Kernel): Promise<void> => {
  const disk = await k.disk('xvdb');
  for (let round = 0; round < 6; round++) {
    const bytes = new Uint8Array(512 * 20).fill(round + 1);
    await disk.write(round * 8, bytes);
    if (!same(await disk.read(round * 8, 20), bytes)) throw new Error('the disk lies');
    await k.xenstore!.write('data/round', `${round}`);
    await k.console.write(await k.xenstore!.read('data/round'));
    await k.time.sleep(300_000);
  }
};

describe('domain 0', () => {
  it('serves a good domain beside one that keeps to no protocol, and lets go of both', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat(), { maxLength: 60, size: 'max' }), async (seeds) => {
        const disks = [
          new MemoryStore(new Uint8Array(64 * 512)),
          new MemoryStore(new Uint8Array(64 * 512)),
        ];
        const host = new ServedHost(disks, 16384);
        const bad: Domain = host.start(
          hostile(seeds, () => bad.boot),
          [false],
        );
        const victim = host.start(good, [true, false]);
        await host.settle();

        expect(host.console(victim)).toBe('012345');
        expect(victim.end).toMatchObject({ outcome: 'poweroff' });
        await host.release(bad);
        await host.release(victim);
        expect(host.xen.ledger(host.domain0).mappings).toBe(0);
        const later = host.start((k) => k.console.write('later'));
        await host.settle();
        expect(host.console(later)).toBe('later');
      }),
      { numRuns: RUNS, seed: SEED, endOnFailure: process.env['HOSTILE_FAST'] !== undefined },
    );
  });
});
