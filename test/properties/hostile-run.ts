/** Runs hostile PV domains beside a victim, and looks at everything afterwards. */
import { expect } from 'vitest';
import type { Domain } from '../../hypervisor/domain.ts';
import {
  __HYPERVISOR_console_io,
  __HYPERVISOR_set_callbacks,
  __HYPERVISOR_set_trap_table,
} from '../../protocol/hypercalls.ts';
import { TrapInfo } from '../../protocol/xen.ts';
import { PvHost, type RawGuest } from '../support/pv-fixture.ts';
import { Choices } from './choices.ts';
import { HostileGuest, Skipped, type Surroundings } from './hostile-guest.ts';
import { act, type Deed, handler, stopped } from './hostile-instructions.ts';
import { checkInvariants } from './invariants.ts';

export interface Step {
  readonly deed: Deed;
  readonly seed: number;
}

const FRAMES = 1024;
const MEMORY = 96 * 4096;
const LIMIT = 5e8;

const ERROR_CODES: readonly number[] = [8, 10, 11, 12, 13, 14, 17];

/** Handlers for everything, which give up what faulted. */
const settleIn = (g: HostileGuest): void => {
  const { cpu } = g.raw;
  const bytes = new Uint8Array(TrapInfo.size * 33);
  for (let vector = 0; vector < 32; vector++) {
    const address = cpu.entry(handler(g, ERROR_CODES.includes(vector) ? 3 : 2));
    TrapInfo.set(new DataView(bytes.buffer), vector * TrapInfo.size, {
      vector,
      cs: 0xe033,
      address,
    });
  }
  const va = g.pages[0]!;
  cpu.storeBytes(va, bytes);
  cpu.syscall(__HYPERVISOR_set_trap_table, va);
  const upcall = cpu.entry(handler(g, 0));
  cpu.syscall(__HYPERVISOR_set_callbacks, upcall, upcall, upcall);
};

/** A kernel that takes these steps; `after` each, the host looks. */
const hostile =
  (steps: readonly Step[], around: Surroundings, after: () => void) =>
  async (raw: RawGuest): Promise<void> => {
    const g = new HostileGuest(raw, around, new Choices(1));
    settleIn(g);
    raw.cpu.idle(() => raw.cpu.syscall(29, 1, 0));
    for (const { deed, seed } of steps) {
      try {
        if (seed % 16 === 0) settleIn(g);
        g.begin(new Choices(seed));
        act(g, deed);
      } catch (error) {
        if (stopped(error)) return;
        if (!(error instanceof Skipped)) g.depth = 0;
      }
      after();
      if (deed === 'work') await undefined;
    }
    await raw.cpu.work(1e5);
  };

/** What domain 0 does and says, whoever else there is. */
const victim = async (raw: RawGuest): Promise<void> => {
  const { cpu } = raw;
  const text = raw.page();
  const pages = Array.from({ length: 8 }, () => raw.page());
  for (let round = 0; round < 12; round++) {
    let sum = 0;
    for (const [i, va] of pages.entries()) {
      sum += cpu.load32(va) * (i + 1);
      cpu.store32(va, round * 77 + i);
    }
    const line = new TextEncoder().encode(`round ${round}: ${sum}\n`);
    cpu.storeBytes(text, line);
    cpu.syscall(__HYPERVISOR_console_io, 0, line.length, text);
    await cpu.work(1e5);
  }
};

export const SAID: string = (() => {
  let text = '';
  let before = Array.from({ length: 8 }, () => 0);
  for (let round = 0; round < 12; round++) {
    text += `round ${round}: ${before.reduce((sum, n, i) => sum + n * (i + 1), 0)}\n`;
    before = before.map((_, i) => round * 77 + i);
  }
  return text;
})();

export interface HostileRun {
  readonly host: PvHost;
  readonly attackers: readonly Domain[];
}

/** Domain 0 and a hostile domain for each list of steps; every invariant after every `every`th step. */
export const runHostile = async (
  lists: readonly (readonly Step[])[],
  { pcpus = 1, every = 4, trace = false } = {},
): Promise<HostileRun> => {
  const host = new PvHost({ pcpus, frames: FRAMES, vcpus: 12 });
  if (trace) host.machine.trace.listen(() => {});
  const { xen, machine } = host;
  machine.limit = LIMIT;
  let failure: unknown;
  let count = 0;
  const look = (): void => {
    if (failure || ++count % every !== 0) return;
    try {
      checkInvariants(xen);
    } catch (error) {
      failure = error;
    }
  };
  const before = xen.ledger();
  const domain0 = host.add(victim, { privileged: true, memoryBytes: MEMORY });
  const foreign = [...xen.frames.list(domain0.memory)];
  domain0.grants.seed(2, 1, foreign[3]!);
  const attackers = lists.map((steps) =>
    host.add(hostile(steps, { foreign, frames: FRAMES }, look), { memoryBytes: MEMORY, vcpus: 3 }),
  );
  await machine.run(xen);
  if (failure) throw failure;
  checkInvariants(xen);
  expect(host.console).toBe(SAID);
  expect(domain0.end).toMatchObject({ outcome: 'poweroff' });
  for (const domain of attackers) {
    xen.destroy(domain);
    expect(domain.state).toBe('dead');
    checkInvariants(xen);
  }
  xen.destroy(domain0);
  expect(xen.ledger()).toEqual(before);
  return { host, attackers };
};
