/**
 * Mode `pv`: the kernel as a deprivileged domain, served by domain 0, which alone reaches the machine's devices. What
 * came before the guest's first instruction, domain 0's own boot, is not billed.
 */
import { Domain0 } from '../drivers/domain0.ts';
import type { Domain } from '../hypervisor/domain.ts';
import type { Hypervisor } from '../hypervisor/hypervisor.ts';
import { Account } from '../machine/account.ts';
import type { Machine } from '../machine/machine.ts';
import { VIRQ_DOM_EXC } from '../protocol/xen.ts';
import type { Billed } from './bill.ts';
import {
  type Composition,
  type Ending,
  endOf,
  engineFor,
  framesBeside,
  framesOf,
  newHypervisor,
  newMachine,
  SerialSink,
} from './composition.ts';
import { DebuggedGuest } from './debugged-guest.ts';
import { GUEST } from './job.ts';
import { DISK_NAMES } from './options.ts';
import { DOMAIN0 } from './result.ts';

const DOMAIN0_BYTES = 16 << 20;
const DOMAIN0_NAME = 'domain 0';
/** A line of a guest's console, as domain 0 logs it: the guest's console has a stream of its own. */
const GUEST_LINE = /^\(d\d+\) /;

export const runPv = async (request: Composition): Promise<Ending> => {
  const { machine, xen } = await buildHost(request);
  const service = new Domain0({ onConsole: (_domid, bytes) => request.say(GUEST, bytes) });
  const domain0 = xen.create({
    ...{ name: DOMAIN0_NAME, kind: 'pv', guest: service.guest, memoryBytes: DOMAIN0_BYTES },
    privileged: true,
  });
  xen.unpause(domain0);
  await settle(machine, xen, domain0);

  const guest = createGuest(xen, service, request);
  await settle(machine, xen, domain0);

  const debugged = debuggedGuest(xen, guest, request);
  const session = debugged && request.debug?.(debugged);
  if (session) debugged.debug(session);

  const accounts = [domain0.account, guest.account, machine.idleAccount] as const;
  for (const account of accounts) account.reset();
  machine.limit = machine.now + request.limit;
  request.onGuest?.((why) => xen.crash(guest, why));
  xen.unpause(guest);
  xen.finishWhen = () => guest.end !== undefined;
  const ran = await machine.run(xen);
  const end = endOf(guest, ran);
  await session?.ended(end);
  if (end.outcome === 'crash' && debugged?.endedOn) {
    const { guestReport } = await import('./guest-report.ts');
    request.onNote?.(guestReport('the guest crashed', debugged, debugged.endedOn));
  }

  const [own, idle] = [guest.account, machine.idleAccount].map(copyOf) as [Account, Account];
  // Domain 0 may not have fetched the guest's last words yet: that is work for the guest too.
  machine.limit = Number.POSITIVE_INFINITY;
  if (ran === 'finished') await settle(machine, xen, domain0);
  const parts: Billed[] = [
    { prefix: '', accounts: [own, idle] },
    { prefix: DOMAIN0, accounts: [domain0.account] },
  ];
  return { ...end, causes: machine.causes.names, parts };
};

const buildHost = async (request: Composition): Promise<{ machine: Machine; xen: Hypervisor }> => {
  const guestFrames = framesOf(request.memoryBytes);
  const frames = guestFrames + framesOf(DOMAIN0_BYTES) + framesBeside(guestFrames);
  const machine = newMachine(request, frames, request.vcpus + 1);
  const log = new SerialSink((line) => {
    if (!GUEST_LINE.test(new TextDecoder().decode(line))) request.say(DOMAIN0_NAME, line);
  });
  const consoleIo = (_domid: number, bytes: Uint8Array): void => bytes.forEach(log.put);
  const engine = await engineFor(request, machine);
  return { machine, xen: newHypervisor(machine, request.disks, { consoleIo, ...engine }) };
};

/** Create the guest, paused, and have domain 0 serve it. */
const createGuest = (xen: Hypervisor, service: Domain0, request: Composition): Domain => {
  const { memoryBytes, vcpus, cmdline = '' } = request;
  const kernel = typeof request.guest === 'function' ? { guest: request.guest } : request.guest;
  const guest = xen.create({ name: GUEST, kind: 'pv', ...kernel, memoryBytes, vcpus, cmdline });
  const disks = request.disks.flatMap((store, drive) =>
    store ? [{ name: DISK_NAMES[drive]!, drive, readOnly: store.readOnly }] : [],
  );
  service.introduce({ domid: guest.id, name: GUEST, memoryBytes, vcpus, ...guest.boot, disks });
  xen.sendGlobalVirq(VIRQ_DOM_EXC);
  return guest;
};

/** The guest as a debugger sees it, if it is machine code. */
const debuggedGuest = (
  xen: Hypervisor,
  domain: Domain,
  { guest }: Composition,
): DebuggedGuest | undefined =>
  typeof guest === 'function' ? undefined : new DebuggedGuest(xen, domain, guest.symbols);

/** Run until domain 0 has nothing left to do. */
const settle = async (machine: Machine, xen: Hypervisor, domain0: Domain): Promise<void> => {
  xen.finishWhen = () => domain0.end !== undefined;
  await machine.run(xen);
  if (domain0.end) throw new Error(`domain 0 ended: ${domain0.end.why}`);
};

const copyOf = (account: Account): Account => {
  const copy = new Account();
  copy.cycles.set(account.cycles);
  copy.count.set(account.count);
  return copy;
};
