/**
 * A domain dies holding everything that a domain can hold, and leaves nothing behind.
 *
 * - it holds grants that a peer has mapped, mappings of the peer's pages, ports of every kind, pinned tables and loaded
 *   roots, frames given up and got again, a timer; it ends by a crash, by destruction from outside, or in user mode
 * - the peer is unharmed: what it mapped stays readable until it unmaps, its own grants are its again, its ports dangle
 * - once the peer has let go, the ledger is what it was before
 */
import { describe, expect, it } from 'vitest';
import type { Domain } from '../../hypervisor/domain.ts';
import * as abi from '../../protocol/index.ts';
import { GuestHost, Mailbox } from '../support/guest-host.ts';
import { type Kernel, MILLISECOND } from '../support/guests.ts';

const PEER = abi.Domid(1);
const VICTIM = abi.Domid(2);
const PATTERN = 0x5eed;

interface Offer {
  readonly gref: abi.Gref;
  readonly port: abi.Port;
}

/** Run until `done`, or until nothing can go on. */
const runUntil = async (host: GuestHost, done: () => boolean): Promise<void> => {
  host.xen.finishWhen = done;
  await host.run();
  expect(done()).toBe(true);
};

const holdEverything = async (k: Kernel, peers: Offer, mine: Mailbox<Offer>): Promise<void> => {
  const { frames, grants, events, xen, cpu } = k;
  const space = k.newAddressSpace();
  space.map(0x400000, frames.alloc(), { write: true, user: true });
  space.activate();
  k.newAddressSpace();
  const page = frames.alloc();
  cpu.fillBytes(k.virt(page), 4096, 0);
  cpu.store32(k.virt(page), PATTERN);
  const gref = grants!.grant(PEER, page, false);
  for (let i = 0; i < 600; i++) grants!.grant(PEER, page, true); // more than one frame of grants
  cpu.store32(grants!.map(PEER, peers.gref).va, PATTERN);
  grants!.map(PEER, peers.gref, true);
  events!.bindInterdomain(PEER, peers.port);
  events!.bindIpi();
  events!.bindVirq(abi.VIRQ_DEBUG);
  for (let i = 0; i < 100; i++) events!.allocUnbound(PEER);
  const given = frames.alloc();
  const mfn = k.machineFrame(given);
  xen!.memory.updateVaMapping(k.virt(given), 0);
  expect(xen!.memory.decreaseReservation([mfn])).toBe(1);
  expect(xen!.memory.populatePhysmap([given])).toHaveLength(1);
  k.time.at(k.time.nanos() + 1000 * MILLISECOND, () => {});
  mine.put({ gref, port: events!.allocUnbound(PEER) });
};

/** The peer's part: each step when it is told. */
const peer =
  (offer: Mailbox<Offer>, theirs: Mailbox<Offer>, mapped: Mailbox<true>, dead: Mailbox<true>) =>
  async (k: Kernel): Promise<void> => {
    const { cpu } = k;
    const grants = k.grants!;
    const page = k.frames.alloc();
    cpu.fillBytes(k.virt(page), 4096, 0);
    const gref = grants.grant(VICTIM, page, false);
    const port = k.events!.allocUnbound(VICTIM);
    const kept = grants.map(PEER, grants.grant(PEER, page, true), true);
    offer.put({ gref, port });
    const other = await theirs.take(k);
    const mapping = grants.map(VICTIM, other.gref);
    const ourEnd = k.events!.bindInterdomain(VICTIM, other.port);
    expect(cpu.load32(mapping.va)).toBe(PATTERN);
    mapped.put(true);
    await dead.take(k);
    expect(cpu.load32(mapping.va)).toBe(PATTERN);
    cpu.store32(mapping.va + 4, 1);
    expect(cpu.load32(k.virt(page))).toBe(PATTERN);
    expect(cpu.load32(kept.va)).toBe(PATTERN);
    expect(grants.end(gref)).toBe(true);
    for (const end of [port, ourEnd]) {
      expect(k.xen!.status(end).status).toBe(abi.EVTCHNSTAT_unbound);
      k.events!.send(end); // to nobody, which is no error
    }
    k.events!.close(ourEnd);
    mapping.unmap();
    expect(() => grants.map(VICTIM, other.gref)).toThrow('status -2');
    await new Promise(() => {});
  };

type Death = (k: Kernel) => Promise<void>;

const DEATHS: readonly (readonly [string, Death, string])[] = [
  ['crashes', async (k) => k.crash('on purpose'), 'crash'],
  ['powers off', async (k) => k.poweroff(), 'poweroff'],
  ['is destroyed while it waits', () => new Promise(() => {}), 'destroyed'],
  ['is destroyed while it computes', (k) => k.cpu.work(1e12), 'destroyed'],
  ['is ended in user mode', async (k) => k.runUser(() => k.cpu.jump(0x123)), 'crash'],
];

describe('a domain that holds grants, ports and mapped pages', () => {
  it.each(DEATHS)('and %s leaves nothing behind', async (_how, die, outcome) => {
    const host = new GuestHost();
    const { xen } = host;
    const offer = new Mailbox<Offer>();
    const theirs = new Mailbox<Offer>();
    const [mapped, dead] = [new Mailbox<true>(), new Mailbox<true>()];
    const witness = host.add(peer(offer, theirs, mapped, dead));
    await runUntil(host, () => offer.full);
    const before = xen.ledger();
    const peerBefore = xen.ledger(witness);

    const victim: Domain = host.add(async (k) => {
      await holdEverything(k, await offer.take(k), theirs);
      await mapped.take(k);
      await die(k);
    });
    await runUntil(
      host,
      () => mapped.full && (victim.end !== undefined || outcome === 'destroyed'),
    );
    expect(xen.ledger(victim)).toMatchObject({ grants: 1, mappings: 2 });
    xen.destroy(victim);
    await host.run();
    expect(victim.end?.outcome).toBe(outcome);
    // The page that the peer has mapped outlives its owner; all else is free again.
    expect(xen.ledger()).toMatchObject({ domains: 1, dead: 1, free: before.free - 1 });

    dead.put(true);
    xen.finishWhen = () => false;
    await host.run();
    expect(witness.end).toBe(undefined);
    // Of what the peer itself did, its table's entry for the ended grant and its port are closed too.
    expect(xen.ledger()).toEqual(before);
    expect(xen.ledger(witness)).toEqual(peerBefore);
  });

  it('may be followed by a hundred others in the same memory', async () => {
    const host = new GuestHost();
    const before = host.xen.ledger();
    for (let i = 0; i < 100; i++) {
      const domain = host.add(async (k) => {
        const space = k.newAddressSpace();
        space.map(0x400000, k.frames.alloc(), { write: true });
        space.activate();
        k.grants!.grant(PEER, k.frames.alloc(), false);
        k.events!.bindIpi();
        if (i % 2 === 0) k.crash('on purpose');
      });
      await host.run();
      expect(domain.end?.outcome).toBe(i % 2 === 0 ? 'crash' : 'poweroff');
      host.xen.destroy(domain);
      expect(host.xen.ledger()).toEqual(before);
    }
  });
});
